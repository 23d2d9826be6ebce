"""Limits of a single process that need no cgroup: rlimits, the OOM killer's choice, no dumps."""

from __future__ import annotations

import resource

from microfaas.linux import cgroup_files as files
from microfaas.linux import syscalls as sys

# When the machine as a whole runs out of memory, functions go first: 1000 is the most.
OOM_SCORE = 700
_OOM_SCORE_FILE = "/proc/self/oom_score_adj"
# As recorded in an AWS sandbox.
LOCKED_BYTES_MAX = 64 * 1024
QUEUED_BYTES_MAX = 64 * 1024
SIGNALS_MAX = 1024


def apply(files_max: int, processes_max: int | None) -> None:
    """Hold this process and its children to them.

    The kernel counts processes by user and user namespace: only where one of them is the
    function's alone does `processes_max` mean its processes, all instances together.
    """
    processes = [] if processes_max is None else [(resource.RLIMIT_NPROC, processes_max)]
    for which, limit in (
        *processes,
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, files_max),
        (resource.RLIMIT_MEMLOCK, LOCKED_BYTES_MAX),
        (resource.RLIMIT_MSGQUEUE, QUEUED_BYTES_MAX),
        (resource.RLIMIT_SIGPENDING, SIGNALS_MAX),
        (resource.RLIMIT_RTPRIO, 0),
        (resource.RLIMIT_NICE, 0),
    ):
        _, hard = resource.getrlimit(which)
        allowed = limit if hard == resource.RLIM_INFINITY else min(limit, hard)
        resource.setrlimit(which, (allowed, allowed))


def offer_to_oom_killer() -> None:
    """It may be the kernel's choice already; to take that back is not ours, nor allowed."""
    if int(files.read(_OOM_SCORE_FILE)) < OOM_SCORE:
        files.write(_OOM_SCORE_FILE, str(OOM_SCORE))


def hide_memory(hidden: bool = True) -> None:
    """No process of the same user may read this one's memory or environment through /proc."""
    sys.prctl(sys.PR_SET_DUMPABLE, 0 if hidden else 1)
