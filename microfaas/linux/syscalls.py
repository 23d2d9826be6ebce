"""The system calls that Python does not have, through ctypes: the only ctypes in the package."""

from __future__ import annotations

import ctypes
import os
import platform

CLONE_NEWNS = 0x00020000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
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

PR_SET_PDEATHSIG = 1
PR_SET_NO_NEW_PRIVS = 38

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
