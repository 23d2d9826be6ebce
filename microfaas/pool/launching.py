"""Starting one program with its pipes, in its cgroup and its fence."""

from __future__ import annotations

import os
import socket
from typing import NamedTuple

import msgspec

from microfaas.linux.cells import Cells
from microfaas.linux.cgroup import Group
from microfaas.linux.launch import Launch
from microfaas.linux.launcher import Launcher, Process
from microfaas.pool.pipes import Pipes
from microfaas.wire.channel import Channel
from microfaas.wire.session import State

# In a host's order: no input, its log twice, requests, replies; and a zygote's control socket.
_TARGETS = [0, 1, 2, 3, 4]
_CONTROL = 5


class Started(NamedTuple):
    """A program that was executed and has not spoken yet; the caller's to end and close."""

    process: Process
    channel: Channel
    log_read: int
    cells: Cells | None
    control: socket.socket | None


async def start(launcher: Launcher, launch: Launch, group: Group, *, control: bool) -> Started:
    """Start it. Raises MachineError; then the group is removed, and nothing is left."""
    pipes = Pipes(launch.fence.user)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    cells, warden = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    given = [nothing, pipes.log_write, pipes.log_write, pipes.requests_read, pipes.replies_write]
    targets = list(_TARGETS)
    if control:
        given.append(theirs.fileno())
        targets.append(_CONTROL)
    if launch.warden is not None:
        given.append(warden.fileno())
    launch = msgspec.structs.replace(launch, targets=targets)
    try:
        process = await launcher.launch(launch, [*given, *group.join_fds])
    except BaseException:
        ours.close()
        cells.close()
        pipes.close_ours()
        group.remove()
        raise
    finally:
        os.close(nothing)
        theirs.close()
        warden.close()
        pipes.close_theirs()
        group.close_joins()
    if not control:
        ours.close()
    return Started(
        process,
        Channel(pipes.replies_read, pipes.requests_write, State.BOOTING),
        pipes.log_read,
        _cells(launch, cells),
        ours if control else None,
    )


def _cells(launch: Launch, channel: socket.socket) -> Cells | None:
    if launch.warden is None:
        channel.close()
        return None
    return Cells(channel)
