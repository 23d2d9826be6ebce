"""System calls by number, without the C library's help: what an attacker would make himself."""

import ctypes
import errno
import platform

_libc = ctypes.CDLL(None, use_errno=True)

# Those of x86_64, and of the machines with the common table.
NUMBERS = {
    "x86_64": {
        "acct": 163, "add_key": 248, "adjtimex": 159, "bpf": 321, "chroot": 161, "clone": 56,
        "clone3": 435, "clock_settime": 227, "delete_module": 176, "fanotify_init": 300,
        "finit_module": 313, "fsopen": 430, "init_module": 175, "io_uring_setup": 425,
        "ioprio_set": 251, "kcmp": 312, "kexec_load": 246, "keyctl": 250, "mknod": 133,
        "mount": 165, "mount_setattr": 442, "move_mount": 429, "name_to_handle_at": 303,
        "open_by_handle_at": 304, "open_tree": 428, "perf_event_open": 298, "pidfd_getfd": 438,
        "pivot_root": 155, "process_vm_readv": 310, "process_vm_writev": 311, "ptrace": 101,
        "quotactl": 179, "reboot": 169, "request_key": 249, "setdomainname": 171,
        "sethostname": 170, "setns": 308, "settimeofday": 164, "swapon": 167, "syslog": 103,
        "umount2": 166, "unshare": 272, "userfaultfd": 323,
    },
    "aarch64": {
        "acct": 89, "add_key": 217, "adjtimex": 171, "bpf": 280, "chroot": 51, "clone": 220,
        "clone3": 435, "clock_settime": 112, "delete_module": 106, "fanotify_init": 262,
        "finit_module": 273, "fsopen": 430, "init_module": 105, "io_uring_setup": 425,
        "ioprio_set": 30, "kcmp": 272, "kexec_load": 104, "keyctl": 219, "mount": 40,
        "mount_setattr": 442, "move_mount": 429, "name_to_handle_at": 264,
        "open_by_handle_at": 265, "open_tree": 428, "perf_event_open": 241, "pidfd_getfd": 438,
        "pivot_root": 41, "process_vm_readv": 270, "process_vm_writev": 271, "ptrace": 117,
        "quotactl": 60, "reboot": 142, "request_key": 218, "setdomainname": 162,
        "sethostname": 161, "setns": 268, "settimeofday": 170, "swapon": 224, "syslog": 116,
        "umount2": 39, "unshare": 97, "userfaultfd": 282,
    },
}[platform.machine()]  # fmt: skip


def call(name, *arguments):
    """The result of a call, or the name of its error."""
    passed = [a if isinstance(a, bytes) or a is None else ctypes.c_long(a) for a in arguments]
    result = _libc.syscall(ctypes.c_long(NUMBERS[name]), *passed)
    return errno.errorcode[ctypes.get_errno()] if result < 0 else result
