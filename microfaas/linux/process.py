"""Single processes: pidfds, what a process has used, ending a tree that has no cgroup."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import time
from collections.abc import Collection

import psutil

_CPUCLOCK_SCHED = 2
KILL_PASSES = 10


def host_pid(pidfd: int) -> int:
    """The pid, as this process sees it, of a process known by a pidfd from another namespace.

    -1 when the process is gone.
    """
    with open(f"/proc/self/fdinfo/{pidfd}", encoding="ascii") as file:
        for line in file:
            if line.startswith("Pid:"):
                return int(line.split()[1])
    raise ProcessLookupError(f"pidfd {pidfd} names no process")


def kill(pidfd: int) -> None:
    """SIGKILL; a process that is gone already is fine."""
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)


def ended(pidfd: int) -> bool:
    """Whether the process has ended."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(0))


def kill_pid(pid: int) -> None:
    """SIGKILL by number, where there is no pidfd."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def cpu_us(pid: int) -> int:
    """CPU time of one process so far, microseconds, without its children; 0 when it is gone."""
    if pid <= 0:  # to the kernel that would be this process
        return 0
    try:
        # clock_getcpuclockid(3) computes just this number; the call costs a microsecond.
        return time.clock_gettime_ns((~pid << 3) | _CPUCLOCK_SCHED) // 1000
    except OSError:
        return 0


def tree(pid: int) -> list[psutil.Process]:
    """The process and all its descendants; empty when it is gone."""
    if pid <= 0:
        return []
    try:
        root = psutil.Process(pid)
        return [root, *root.children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def tree_memory_bytes(pid: int) -> int:
    """Resident memory of a process and its descendants, sampled now."""
    total = 0
    for process in tree(pid):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_info().rss
    return total


def kill_tree(pid: int) -> None:
    """SIGKILL a process and its descendants. Stopped first, so that none forks meanwhile."""
    members = tree(pid)
    for sig in (signal.SIGSTOP, signal.SIGKILL):
        for process in members:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(sig)


def kill_strays(parent: int, known: Collection[int]) -> None:
    """SIGKILL the children of a process that are not known, and theirs.

    Where there are no cgroups that is what is left of a tree whose root is gone: a process that
    detached itself becomes a child of the first one in its pid namespace.
    """
    # What forks while it is being killed leaves more to kill.
    for _ in range(KILL_PASSES):
        strays = [child for child in _children(parent) if child.pid not in known]
        if not strays:
            return
        for child in strays:
            kill_tree(child.pid)


def _children(parent: int) -> list[psutil.Process]:
    """Its living ones."""
    found = []
    for child in tree(parent)[1:]:
        with contextlib.suppress(psutil.NoSuchProcess):
            if child.ppid() == parent and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
    return found


def raise_open_files() -> int:
    """Lift this process's soft limit of open files to the hard one; returns it.

    Each instance takes half a dozen descriptors of the supervisor.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def machine_memory_mb() -> int:
    """Physical memory, MiB."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // (1024 * 1024)
