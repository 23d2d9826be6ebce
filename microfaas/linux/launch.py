"""What the nursery is asked, and what it answers: the messages between it and its client."""

from __future__ import annotations

import msgspec

from microfaas.linux.fence import Fence
from microfaas.linux.fitting import Place
from microfaas.linux.network import Wires


class Warden(msgspec.Struct, frozen=True, kw_only=True):
    """What the process that makes cells for the program is told at its start."""

    user_namespace: bool  # whether the program has one of its own to be entered first
    user: int | None
    wires: Wires | None
    cells: bool
    landlock: bool
    writable: list[str]


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """A program to start.

    The descriptors that come with it are first those at `targets` (the numbers they get in the
    program), then the warden's socket if there is to be one, then the files to write `0` to in
    order to join its cgroup.
    """

    ticket: int
    argv: list[str]
    env: dict[str, str]
    cwd: str
    targets: list[int]
    fence: Fence
    warden: Warden | None = None


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """Directories to show a program that runs; its pidfd comes with it."""

    ticket: int
    places: list[Place]
    user_namespace: bool


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """One datagram to the nursery: one of these."""

    launch: Launch | None = None
    fit: Fit | None = None


class Launched(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: the pid (its pidfd comes along), or why there is none. After a fit: no pid."""

    ticket: int
    pid: int = 0
    fault: str = ""


class Exited(msgspec.Struct, frozen=True, kw_only=True):
    """A launched process is gone; `status` is an exit code, or minus the signal."""

    pid: int
    status: int


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """One datagram from the nursery."""

    launched: Launched | None = None
    exited: Exited | None = None


ANSWER_BYTES_MAX = 64 * 1024
LAUNCH_BYTES_MAX = 256 * 1024
FDS_MAX = 32
