"""The fence round a process: one flat recipe of what each file here does.

Run by the nursery's child between its fork and its exec, so before any code of the function's.
What a fork of a zygote still has to do by itself is in the host's `fence.py`.
"""

from __future__ import annotations

import os
import signal

import msgspec

from microfaas.linux import capabilities, landlock, limits, namespaces, seccomp, users
from microfaas.linux import syscalls as sys
from microfaas.linux.namespaces import Root


class Fence(msgspec.Struct, frozen=True, kw_only=True):
    """How a process is confined. `user` is None where it stays who started it.

    `writable` are the directories where a process may write that is an instance already; None for
    a zygote, whose instances each have their own.

    `namespaces` are clone's flags for all that is new but the cgroup's, which is new when `root`
    is: it must be made when the process is in its group.
    """

    files_max: int
    processes_max: int | None = None
    namespaces: int = 0
    root: Root | None = None
    user: int | None = None
    filters: list[bytes] = []
    landlock: bool = False
    writable: list[str] | None = None


def confine(fence: Fence, joins: list[int], owner: tuple[int, int]) -> None:
    """Confine this process. `joins` are the files that put it into its cgroup."""
    sys.prctl(sys.PR_SET_PDEATHSIG, signal.SIGKILL)
    os.setsid()
    if fence.namespaces & sys.CLONE_NEWUSER:
        users.map_one(users.open_process(), *owner)
    for fd in joins:
        os.write(fd, b"0")
        os.close(fd)  # what stays open counts, when open files are limited
    limits.offer_to_oom_killer()
    if fence.root is not None:
        sys.unshare(sys.CLONE_NEWCGROUP)
        namespaces.enter(fence.root, fence.user)
    limits.apply(fence.files_max, fence.processes_max)
    if os.geteuid() == 0 or fence.namespaces & sys.CLONE_NEWUSER:
        capabilities.unbind()
    if fence.user is not None:
        users.become(fence.user)
        # The kernel forgets it when the user changes.
        sys.prctl(sys.PR_SET_PDEATHSIG, signal.SIGKILL)
    capabilities.drop()
    sys.prctl(sys.PR_SET_NO_NEW_PRIVS, 1)
    if fence.landlock and fence.writable is None:
        landlock.restrict_zygote()
    elif fence.landlock:
        landlock.restrict_instance(fence.writable or [])
    seccomp.load(fence.filters)
