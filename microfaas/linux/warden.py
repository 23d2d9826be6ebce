"""The warden of a zygote: makes a cell for each instance, where the zygote itself may not.

Theory of operation. An instance needs a mount namespace of its own, for a /tmp of its own; but
what it is forked from holds the function's code and so has no privilege to make one. The warden
has: a process that runs no code of the function's, out of its sight, in a user namespace below
the zygote's, which the zygote's user owns. For each cell it goes back to the namespace it started
with, takes a copy of it, mounts a fresh /tmp and hands over three descriptors: of the user
namespace, of the mount namespace, and of Landlock's rules. The owner of a user namespace may
enter it, and so a fork of the zygote can, without any privilege; inside it drops what that gave.

Before that, with more rights, it sets up the function's network, when it has one of its own.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket

import msgspec

from microfaas.linux import landlock, limits, namespaces, network, users
from microfaas.linux import syscalls as sys
from microfaas.linux.launch import Warden

REQUEST_BYTES_MAX = 4096
TMP = "/tmp"
NO_FAULT = b"\0"


class CellRequest(msgspec.Struct, frozen=True, array_like=True):
    """How large a /tmp, and which directories in the zygote's /tmp are to be seen in it."""

    tmp_mb: int
    shown: list[str]


def _tell(supervisor: socket.socket, fault: str, fds: list[int]) -> None:
    """What was asked for, or why it is not there. An empty datagram would mean the end."""
    socket.send_fds(supervisor, [fault.encode() or NO_FAULT], fds)


def fault_in(answer: bytes) -> str:
    """Why there are no descriptors with an answer; empty when they are there."""
    return "" if answer == NO_FAULT else answer.decode(errors="replace")


def serve(order: Warden, program: int, supervisor: socket.socket, joins: list[int]) -> None:
    """Be the warden of a process (its pidfd) until the supervisor hangs up.

    The first datagram has the listening sockets; then there is one for each request.
    """
    for fd in joins:
        os.write(fd, b"0")
    # Opened here: the program's /proc is of a pid namespace that this process is not in.
    proc = users.open_process()
    try:
        listening = _enter(order, program)
        maker = _Cells(order, proc) if order.cells else None
        fault = ""
    except OSError as error:
        listening, maker, fault = [], None, f"cannot prepare network and cells: {error}"
    _tell(supervisor, fault, [one.fileno() for one in listening])
    for one in listening:
        one.close()
    while maker is not None and (data := supervisor.recv(REQUEST_BYTES_MAX)):
        _answer(maker, msgspec.msgpack.decode(data, type=CellRequest), supervisor)


def _enter(order: Warden, program: int) -> list[socket.socket]:
    """Into the program's namespaces, its network's set-up, and down to its user."""
    flags = sys.CLONE_NEWNS | (sys.CLONE_NEWNET if order.wires else 0)
    # A user namespace first: only in it are there rights to enter the others.
    if order.user_namespace:
        sys.setns(program, sys.CLONE_NEWUSER)
    sys.setns(program, flags)
    listening = network.set_up(order.wires) if order.wires else []
    if order.user is not None:
        users.become(order.user)
    sys.prctl(sys.PR_SET_PDEATHSIG, signal.SIGKILL)
    return listening


def _answer(maker: _Cells, request: CellRequest, supervisor: socket.socket) -> None:
    try:
        fds, fault = maker.make(request), ""
    except OSError as error:
        fds, fault = [], f"cannot make a cell: {error}"
    _tell(supervisor, fault, fds)
    for fd in fds:
        os.close(fd)


class _Cells:
    """Makes cells, from inside of the user namespace that owns them."""

    def __init__(self, order: Warden, proc: int) -> None:
        uid, gid = os.geteuid(), os.getegid()
        sys.unshare(sys.CLONE_NEWUSER | sys.CLONE_NEWNS)
        # What hides a process from others also keeps it from its own files in /proc.
        limits.hide_memory(False)
        users.map_one(proc, uid, gid)
        self._proc = proc
        self._user = self._open("ns/user")
        self._start = self._open("ns/mnt")
        self._writable = [TMP, *order.writable]
        self._landlock = order.landlock
        limits.hide_memory()

    def make(self, request: CellRequest) -> list[int]:
        """Descriptors of a new cell; the user namespace's is a copy."""
        sys.setns(self._start, sys.CLONE_NEWNS)
        sys.unshare(sys.CLONE_NEWNS)
        with contextlib.ExitStack() as opened:
            views = [(path, _kept(opened, sys.open_tree(path))) for path in request.shown]
            namespaces.mount_tmp(TMP, request.tmp_mb)
            for path, tree in views:
                os.makedirs(path)
                sys.move_mount(tree, path)
        with contextlib.ExitStack() as opened:
            cell = [_kept(opened, os.dup(self._user)), _kept(opened, self._open("ns/mnt"))]
            if self._landlock:
                cell.append(landlock.ruleset(self._writable))
            opened.pop_all()
        return cell

    def _open(self, name: str) -> int:
        return os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._proc)


def _kept(opened: contextlib.ExitStack, fd: int) -> int:
    """The descriptor, which is closed when the stack is left."""
    opened.callback(os.close, fd)
    return fd
