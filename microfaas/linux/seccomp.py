"""System calls: which a function may make, as filters that the kernel runs on each call.

Theory of operation. What is not listed does not exist: it fails with ENOSYS, which programs are
used to from older kernels, and so a call that a future kernel adds is not allowed unseen. What is
refused on purpose fails with EPERM, as it would for any ordinary user. A second filter looks at
arguments; the kernel applies the strictest answer of all filters. Calls of another architecture,
such as 32-bit ones, end the process.

libseccomp makes the programs, once, at start; the lists are in docs/security.md as well.
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import tempfile
from collections.abc import Callable, Iterable
from typing import Any

from microfaas.linux import syscalls as sys

# Ordinary programs: files, memory, processes, time, sockets, waiting. And `setns`: a zygote's forks
# enter the namespaces that were made for them by it; without capabilities it opens nothing else.
ALLOWED = """
_llseek _newselect accept accept4 access alarm arch_prctl arm_fadvise64_64 arm_sync_file_range
bind brk cacheflush cachestat capget capset chdir chmod chown chown32 clock_getres
clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 clone
close close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl
epoll_pwait epoll_pwait2 epoll_wait eventfd eventfd2 execve execveat exit exit_group faccessat
faccessat2 fadvise64 fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchown32
fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat
fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64
futex_wait futex_waitv futex_wake futimesat get_mempolicy get_robust_list get_thread_area getcpu
getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups
getgroups32 getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid
getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid
gettimeofday getuid getuid32 getxattr inotify_add_watch inotify_init inotify_init1
inotify_rm_watch ioctl ioprio_get ipc kill landlock_add_rule landlock_create_ruleset
landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listxattr llistxattr
lremovexattr lseek lsetxattr lstat lstat64 madvise mbind membarrier memfd_create mincore mkdir
mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open
mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal
msgctl msgget msgrcv msgsnd msync munlock munlockall munmap nanosleep newfstatat open openat
openat2 pause pidfd_open pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll
ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 pselect6 pselect6_time64 pwrite64
pwritev pwritev2 read readahead readlink readlinkat readv recv recvfrom recvmmsg recvmmsg_time64
recvmsg remap_file_pages removexattr rename renameat renameat2 restart_syscall riscv_flush_icache
riscv_hwprobe rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn
rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max
sched_get_priority_min sched_getaffinity sched_getattr sched_getparam sched_getscheduler
sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam
sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop semtimedop_time64
send sendfile sendfile64 sendmmsg sendmsg sendto set_mempolicy set_robust_list set_thread_area
set_tid_address set_tls setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups
setgroups32 setitimer setns setpgid setpriority setregid setregid32 setresgid setresgid32
setresuid setresuid32 setreuid setreuid32 setrlimit setsid setsockopt setuid setuid32 setxattr
shmat shmctl shmdt shmget shutdown sigaction sigaltstack signal signalfd signalfd4 sigpending
sigprocmask sigreturn sigsuspend socket socketcall socketpair splice stat stat64 statfs statfs64
statx symlink symlinkat sync sync_file_range sync_file_range2 syncfs sysinfo tee tgkill time
timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime
timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64
times tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat utime utimensat
utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev
"""

# Other processes, mounts and namespaces, the kernel itself, its keys and clocks; and those with a
# long record of holes that no function needs.
REFUSED = """
acct add_key adjtimex bpf chroot clock_adjtime clock_adjtime64 clock_settime clock_settime64
create_module delete_module fanotify_init fanotify_mark finit_module fsconfig fsmount fsopen
fspick init_module io_uring_enter io_uring_register io_uring_setup ioperm iopl ioprio_set kcmp
kexec_file_load kexec_load keyctl listmount lookup_dcookie migrate_pages modify_ldt mount
mount_setattr move_mount move_pages name_to_handle_at nfsservctl open_by_handle_at open_tree
perf_event_open pidfd_getfd pivot_root process_madvise process_mrelease process_vm_readv
process_vm_writev ptrace quotactl quotactl_fd reboot request_key setdomainname sethostname
settimeofday statmount stime swapoff swapon sysfs syslog umount umount2 unshare uselib userfaultfd
ustat vhangup vm86 vm86old vserver
"""

# What an interpreter or a build asks for; not READ_IMPLIES_EXEC, nor addresses that can be guessed.
PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
FAMILIES = (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)
NETLINK_SOCK_DIAG = 4
NETLINK = (socket.NETLINK_ROUTE, NETLINK_SOCK_DIAG)
NAMESPACES = (
    sys.CLONE_NEWNS,
    sys.CLONE_NEWCGROUP,
    sys.CLONE_NEWUTS,
    sys.CLONE_NEWIPC,
    sys.CLONE_NEWUSER,
    sys.CLONE_NEWPID,
    sys.CLONE_NEWNET,
)
# They type into whatever terminal the supervisor may have.
TERMINAL_IOCTLS = (0x5412, 0x541C)
_WORD = 0xFFFFFFFF

Filter = Any  # pyseccomp.SyscallFilter: the library has no type hints of its own


def programs() -> list[bytes]:
    """The filters that confine a function, in the order they are to be loaded.

    Raises OSError where there is no libseccomp.
    """
    return [_compile(_by_name), _compile(_by_argument)]


def _compile(rules: Callable[[Any], Filter]) -> bytes:
    try:
        import pyseccomp  # raises where the C library is missing
    except RuntimeError as error:
        raise OSError(errno.ENOENT, str(error)) from None
    with tempfile.TemporaryFile() as file:
        rules(pyseccomp).export_bpf(file)
        file.seek(0)
        return file.read()


def _by_name(lib: Any) -> Filter:
    made = lib.SyscallFilter(lib.ERRNO(errno.ENOSYS))
    made.set_attr(lib.Attr.ACT_BADARCH, lib.KILL_PROCESS)
    _add(lib, made, lib.ALLOW, ALLOWED.split())
    _add(lib, made, lib.ERRNO(errno.EPERM), REFUSED.split())
    for personality in PERSONALITIES:
        made.add_rule(lib.ALLOW, "personality", lib.Arg(0, lib.EQ, personality))
    return made


def _by_argument(lib: Any) -> Filter:
    made = lib.SyscallFilter(lib.ALLOW)
    no = lib.ERRNO(errno.EPERM)
    for flag in NAMESPACES:
        made.add_rule(no, "clone", lib.Arg(0, lib.MASKED_EQ, flag, flag))
    for request in TERMINAL_IOCTLS:
        made.add_rule(no, "ioctl", lib.Arg(1, lib.MASKED_EQ, _WORD, request))
    for name, argument in (("mknod", 1), ("mknodat", 2)):
        for kind in (stat.S_IFCHR, stat.S_IFBLK):
            made.add_rule(no, name, lib.Arg(argument, lib.MASKED_EQ, 0o170000, kind))
    unknown = lib.ERRNO(errno.EAFNOSUPPORT)
    for family in range(max(FAMILIES)):
        if family not in FAMILIES:
            made.add_rule(unknown, "socket", lib.Arg(0, lib.MASKED_EQ, _WORD, family))
    made.add_rule(unknown, "socket", lib.Arg(0, lib.GT, max(FAMILIES)))
    # Of netlink only what tells a program its addresses, and which sockets there are: what /proc
    # shows as well, but takes milliseconds for on a busy machine.
    netlink = lib.Arg(0, lib.EQ, socket.AF_NETLINK)
    for protocol in range(max(NETLINK)):
        if protocol not in NETLINK:
            made.add_rule(unknown, "socket", netlink, lib.Arg(2, lib.EQ, protocol))
    made.add_rule(unknown, "socket", netlink, lib.Arg(2, lib.GT, max(NETLINK)))
    return made


def _add(lib: Any, made: Filter, action: int, names: Iterable[str]) -> None:
    """Rules for those calls that this machine has; libseccomp tells the others by a number."""
    for name in names:
        if lib.resolve_syscall(lib.Arch.NATIVE, name) >= 0:
            made.add_rule(action, name)


def load(filters: Iterable[bytes]) -> None:
    """Hold this process to filters. Needs `no_new_privs`."""
    for program in filters:
        sys.filter_system_calls(program)


def supported() -> bool:
    """Whether the kernel has filters at all."""
    return os.path.exists("/proc/sys/kernel/seccomp/actions_avail")
