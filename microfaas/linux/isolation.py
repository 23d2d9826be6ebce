"""What of the fence can be had on this machine: found by starting a small program in it.

Each layer is tried by itself, and what is refused is left out with the reason: containers, old
kernels and policies refuse in many ways.
"""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Collection
from typing import BinaryIO

import msgspec

from microfaas.linux import seccomp
from microfaas.linux import syscalls as sys
from microfaas.linux.fence import Fence
from microfaas.linux.launch import Launch, Warden
from microfaas.linux.launcher import Nursery
from microfaas.linux.namespaces import Root
from microfaas.linux.network import Wires
from microfaas.linux.users import UID_BASE
from microfaas.linux.warden import CellRequest, fault_in

LAYERS = ("namespaces", "cells", "networks", "users", "seccomp", "landlock")
OFF = "turned off by sandbox_off in the configuration"
ANSWER_S_MAX = 10.0
ANSWER_BYTES_MAX = 4096
CELL_FDS_MAX = 8
_SHARED = sys.CLONE_NEWNS | sys.CLONE_NEWIPC | sys.CLONE_NEWUTS
_TMP_MB = 1
_FILES_MAX = 64


class Isolation(msgspec.Struct, frozen=True, kw_only=True):
    """What a function's processes get.

    `flags` are clone's, for namespaces; `filters` are seccomp programs, `landlock` is the version
    of its interface; `whys` says why a layer is not there.
    """

    flags: int = 0
    new_proc: bool = False
    cells: bool = False
    networks: bool = False
    users: bool = False
    filters: list[bytes] = []
    landlock: int = 0
    whys: dict[str, str] = {}

    @property
    def mounts(self) -> bool:
        return bool(self.flags & sys.CLONE_NEWNS)

    @property
    def counts_processes(self) -> bool:
        """Whether a function's processes can be told from others without a cgroup."""
        return self.users or bool(self.flags & sys.CLONE_NEWUSER)

    def fence(
        self,
        *,
        files_max: int,
        processes_max: int | None,
        root: Root | None,
        user: int | None,
        own_network: bool,
        writable: list[str] | None = None,
    ) -> Fence:
        """How to confine one program; `writable` when it is an instance itself."""
        return Fence(
            files_max=files_max,
            processes_max=processes_max if self.counts_processes else None,
            namespaces=self.flags | (sys.CLONE_NEWNET if own_network else 0),
            root=root,
            user=user if self.users else None,
            filters=self.filters,
            landlock=bool(self.landlock),
            writable=writable,
        )

    @property
    def own_user_namespace(self) -> bool:
        """Whether each program has one: as root only instances that are forked have."""
        return bool(self.flags & sys.CLONE_NEWUSER)

    def warden(
        self, user: int | None, wires: Wires | None, writable: list[str], *, cells: bool
    ) -> Warden:
        """What its warden is told; without `cells` it only sets up the network."""
        return Warden(
            user_namespace=self.own_user_namespace,
            user=user if self.users else None,
            wires=wires,
            cells=cells and self.cells,
            landlock=bool(self.landlock),
            writable=writable,
        )


def probe(nursery: Nursery, off: Collection[str] = ()) -> Isolation:
    """The most that a small program can be started in, less the layers that are turned off."""
    found = _namespaces(nursery, off)
    for layer, find in (
        ("users", _users),
        ("seccomp", _seccomp),
        ("landlock", _landlock),
        ("networks", _networks),
        ("cells", _cells),
    ):
        why = OFF if layer in off else ""
        if not why:
            try:
                found = find(nursery, found)
                continue
            except OSError as error:
                why = str(error)
        found = msgspec.structs.replace(found, whys={**found.whys, layer: why})
    return found


def _namespaces(nursery: Nursery, off: Collection[str]) -> Isolation:
    if "namespaces" in off:
        return Isolation(whys={"namespaces": OFF})
    user = 0 if os.geteuid() == 0 else sys.CLONE_NEWUSER
    why = ""
    for candidate in (
        Isolation(flags=_SHARED | sys.CLONE_NEWPID | user, new_proc=True),
        Isolation(flags=_SHARED | user),
    ):
        try:
            _start(nursery, candidate).close()
        except OSError as error:
            why = str(error)
        else:
            return msgspec.structs.replace(candidate, whys={"namespaces": why} if why else {})
    return Isolation(whys={"namespaces": why})


def _users(nursery: Nursery, found: Isolation) -> Isolation:
    if os.geteuid() != 0:
        raise PermissionError("only root can start processes of other users")
    if not found.mounts:
        raise OSError("without namespaces they could not get to their code")
    return _tried(nursery, msgspec.structs.replace(found, users=True))


def _seccomp(nursery: Nursery, found: Isolation) -> Isolation:
    if not seccomp.supported():
        raise OSError("the kernel has no seccomp filters")
    return _tried(nursery, msgspec.structs.replace(found, filters=seccomp.programs()))


def _landlock(nursery: Nursery, found: Isolation) -> Isolation:
    version = sys.landlock_version()
    if version == 0:
        raise OSError("the kernel has no Landlock, or does not use it")
    return _tried(nursery, msgspec.structs.replace(found, landlock=version))


def _networks(nursery: Nursery, found: Isolation) -> Isolation:
    if not found.mounts:
        raise OSError(found.whys["namespaces"])
    _start(nursery, found, network=True).close()
    return msgspec.structs.replace(found, networks=True)


def _cells(nursery: Nursery, found: Isolation) -> Isolation:
    if not found.mounts:
        raise OSError(found.whys["namespaces"])
    wanted = msgspec.structs.replace(found, cells=True)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours:
        ours.settimeout(ANSWER_S_MAX)
        with theirs:
            # The program must still run when the warden enters its namespaces.
            alive = _start(nursery, wanted, theirs)
        with alive:
            _hear(ours)
            ours.send(msgspec.msgpack.encode(CellRequest(_TMP_MB, [])))
            _hear(ours)
    return wanted


def _hear(channel: socket.socket) -> None:
    data, fds, _, _ = socket.recv_fds(channel, ANSWER_BYTES_MAX, CELL_FDS_MAX)
    for fd in fds:
        os.close(fd)
    fault = fault_in(data) if data else "the warden has died"
    if fault:
        raise OSError(fault)


def _tried(nursery: Nursery, wanted: Isolation) -> Isolation:
    _start(nursery, wanted).close()
    return wanted


def _start(
    nursery: Nursery, found: Isolation, warden: socket.socket | None = None, network: bool = False
) -> BinaryIO:
    """Start a program that ends when what is returned is closed. Raises OSError."""
    root = None
    if found.mounts:
        root = Root(
            staging=tempfile.gettempdir(), binds=[], tmp_mb=_TMP_MB, new_proc=found.new_proc
        )
    launch = Launch(
        ticket=0,
        argv=[shutil.which("cat") or "/bin/cat"],
        env={},
        cwd="/",
        targets=[0],
        fence=found.fence(
            files_max=_FILES_MAX,
            processes_max=None,
            root=root,
            user=UID_BASE,
            own_network=network,
        ),
        warden=found.warden(UID_BASE, None, [], cells=True) if warden else None,
    )
    theirs, ours = os.pipe2(os.O_CLOEXEC)
    try:
        launched = nursery.ask(launch, [theirs, *([warden.fileno()] if warden else [])])
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    if launched.fault:
        os.close(ours)
        raise OSError(launched.fault.partition(": ")[2] or launched.fault)
    return os.fdopen(ours, "wb")
