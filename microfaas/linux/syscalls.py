"""The system calls that Python does not have, through ctypes: the only ctypes in the package."""

from __future__ import annotations

import ctypes
import os
import platform
import struct

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000
SIGCHLD = 17

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384
MS_PRIVATE = 1 << 18
MNT_DETACH = 2

# mount_setattr(2): attributes, and its wish to reach the mounts below as well.
ATTR_RDONLY = 0x1
ATTR_NOSUID = 0x2
ATTR_NODEV = 0x4
ATTR_IDMAP = 0x100000
AT_RECURSIVE = 0x8000
AT_EMPTY_PATH = 0x1000
AT_FDCWD = -100
OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH = 4

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4
_SECCOMP_MODE_FILTER = 2
_CAPABILITY_VERSION_3 = 0x20080522

# Every call since Linux 5.1 has the same number on all machines.
_OPEN_TREE = 428
_MOVE_MOUNT = 429
_MOUNT_SETATTR = 442
_LANDLOCK_CREATE_RULESET = 444
_LANDLOCK_ADD_RULE = 445
_LANDLOCK_RESTRICT_SELF = 446
_LANDLOCK_CREATE_RULESET_VERSION = 1
_LANDLOCK_RULE_PATH_BENEATH = 1

# Numbers by machine: clone, pivot_root. 32-bit ARM and i386 take clone's arguments alike when
# all but the flags are zero.
_NUMBERS = {
    "x86_64": (56, 155),
    "aarch64": (220, 41),
    "riscv64": (220, 41),
    "armv7l": (120, 218),
    "armv6l": (120, 218),
    "i686": (120, 217),
}


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def mount(source: str, target: str, kind: str, flags: int = 0, data: str = "") -> None:
    """mount(2)."""
    args = (source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), data.encode())
    _check(_libc().mount(*args), f"mount {target}")


def unmount(target: str, flags: int = 0) -> None:
    """umount2(2)."""
    _check(_libc().umount2(target.encode(), flags), f"unmount {target}")


def pivot_root(new: str, old: str) -> None:
    """pivot_root(2)."""
    number = _NUMBERS[platform.machine()][1]
    _check(_libc().syscall(number, new.encode(), old.encode()), f"pivot_root {new}")


def prctl(option: int, argument: int) -> None:
    """prctl(2) with one argument."""
    _check(_libc().prctl(option, ctypes.c_ulong(argument), 0, 0, 0), f"prctl {option}")


def clear_capabilities() -> None:
    """capset(2): none effective, permitted or inheritable."""
    header = struct.pack("=Ii", _CAPABILITY_VERSION_3, 0)
    _check(_libc().capset(header, bytes(24)), "capset")


def filter_system_calls(program: bytes) -> None:
    """Add a seccomp filter, a classic BPF program; it stays for good, for children as well."""
    buffer = ctypes.create_string_buffer(program, len(program))
    # struct sock_fprog: a length in instructions of 8 bytes, and a pointer.
    prog = struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer))
    mode = ctypes.c_ulong(_SECCOMP_MODE_FILTER)
    _check(_libc().prctl(PR_SET_SECCOMP, mode, prog, 0, 0), "seccomp")


def unshare(flags: int) -> None:
    """unshare(2)."""
    _check(_libc().unshare(flags), "unshare")


def setns(fd: int, flags: int) -> None:
    """setns(2): with a pidfd, several namespaces of that process at once."""
    _check(_libc().setns(fd, flags), "setns")


def open_tree(path: str) -> int:
    """A detached copy of the mount tree at a path."""
    flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE
    return _check(_libc().syscall(_OPEN_TREE, AT_FDCWD, path.encode(), flags), f"open_tree {path}")


def move_mount(fd: int, target: str) -> None:
    """Attach a detached mount tree."""
    where = target.encode()
    arguments = (fd, b"", AT_FDCWD, where, MOVE_MOUNT_F_EMPTY_PATH)
    _check(_libc().syscall(_MOVE_MOUNT, *arguments), f"move_mount {target}")


def mount_setattr(fd: int, path: str, attributes: int, user_namespace: int = 0) -> None:
    """Set attributes of a mount and of all below it; of the one open at `fd` with an empty path."""
    flags = AT_RECURSIVE | (0 if path else AT_EMPTY_PATH)
    wanted = struct.pack("=QQQQ", attributes, 0, 0, user_namespace)
    arguments = (fd, path.encode(), flags, wanted, ctypes.c_size_t(len(wanted)))
    _check(_libc().syscall(_MOUNT_SETATTR, *arguments), f"mount_setattr {path}")


def landlock_version() -> int:
    """The version of Landlock's interface; 0 where the kernel has none or has it off."""
    nothing = ctypes.c_size_t(0)
    flags = _LANDLOCK_CREATE_RULESET_VERSION
    return max(0, int(_libc().syscall(_LANDLOCK_CREATE_RULESET, None, nothing, flags)))


def landlock_create_ruleset(files: int, scoped: int) -> int:
    """A rule set (a descriptor) that handles these accesses to files, and these scopes."""
    # Kernels that do not know the last fields accept them as long as they are zero.
    attributes = struct.pack("=QQQ", files, 0, scoped)
    arguments = (attributes, ctypes.c_size_t(len(attributes)), 0)
    return _check(_libc().syscall(_LANDLOCK_CREATE_RULESET, *arguments), "landlock_create_ruleset")


def landlock_allow(ruleset: int, directory: int, files: int) -> None:
    """Allow accesses at and below a directory or file that is open."""
    rule = struct.pack("=Qi", files, directory)
    arguments = (ruleset, _LANDLOCK_RULE_PATH_BENEATH, rule, 0)
    _check(_libc().syscall(_LANDLOCK_ADD_RULE, *arguments), "landlock_add_rule")


def landlock_restrict_self(ruleset: int) -> None:
    """Hold this process and its children to a rule set, for good."""
    _check(_libc().syscall(_LANDLOCK_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")


def fork(namespaces: int) -> int:
    """fork(2) into new namespaces (CLONE_NEW… flags); 0 in the child, its pid in the parent.

    A new PID namespace can only be had by clone, which Python does not offer. The interpreter's
    own locks must be told of the fork, or the child deadlocks.
    """
    number = _NUMBERS[platform.machine()][0]
    # PyDLL keeps the GIL: no other thread may run between the hooks.
    syscall = ctypes.PyDLL(None, use_errno=True).syscall
    python = ctypes.pythonapi
    python.PyOS_BeforeFork()
    pid: int = syscall(number, ctypes.c_ulong(namespaces | SIGCHLD), 0, 0, 0, 0)
    if pid == 0:
        python.PyOS_AfterFork_Child()
    else:
        python.PyOS_AfterFork_Parent()
    return _check(pid, "clone")
