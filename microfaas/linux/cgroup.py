"""Control groups: the interface that both versions fill, and the choice between them.

A `Driver` makes `Group`s below one directory of its own, named after the data directory, so
that whatever an earlier run left behind can be found and swept.
"""

from __future__ import annotations

import hashlib
from typing import Protocol

import msgspec


class GroupLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What a group may take. `cpu` is a hard cap in CPUs, `cpu_weight` a share among groups, of
    disks as well as of CPUs."""

    memory_bytes: int | None = None
    swap_bytes: int = 0
    processes: int | None = None
    cpu: float | None = None
    cpu_weight: int | None = None


class Group(Protocol):
    """One cgroup (on v1: one in each hierarchy), and the processes in it."""

    @property
    def join_fds(self) -> list[int]:
        """Open files; a process that writes `0` to each is in the group."""

    def close_joins(self) -> None:
        """Close `join_fds`: everybody who should be in is in."""

    def take_in(self, pid: int) -> None:
        """Make a process that runs a member; memory stays charged to the group it comes from.

        Blocking, on v1 for as long as 10 ms. A process that is gone is none's.
        """

    def limit_memory(self, limit_bytes: int) -> None:
        """Change what it may take."""

    def memory_bytes(self) -> int:
        """Anonymous memory charged now."""

    def memory_peak_bytes(self) -> int:
        """The most memory that was ever charged."""

    def cpu_us(self) -> int:
        """CPU time of all members so far, microseconds."""

    def freeze(self, frozen: bool) -> None:
        """Have no member run until it is thawed; killing thaws. Nothing where it cannot be had."""

    def pids(self) -> list[int]:
        """Its members."""

    def out_of_memory(self) -> bool:
        """Whether the kernel killed a member for want of memory."""

    def kill(self) -> None:
        """SIGKILL every member and what they fork meanwhile."""

    def remove(self) -> bool:
        """Remove the group once it is empty; False when a member still lingers."""


class Family(Protocol):
    """Groups that together weigh as much as another family does, however many they are."""

    def create(self, name: str, limits: GroupLimits) -> Group:
        """A new group in it. Raises OSError when the kernel refuses."""


class Driver(Family, Protocol):
    """One way to have groups on this machine."""

    name: str
    weighs_io: bool
    freezes: bool

    @property
    def directories(self) -> list[str]:
        """The trees that hold all its groups."""

    def family(self, name: str, cpu_weight: int) -> Family:
        """The family of that name, made when there is none; it goes with the tree."""

    def sweep(self) -> None:
        """Kill and remove every group below this driver's directory, and the directory."""


class NoGroup:
    """Stands in for a group where the machine offers none."""

    join_fds: list[int] = []  # noqa: RUF012  # never written

    def close_joins(self) -> None:
        """Nothing to close."""

    def take_in(self, pid: int) -> None:
        """Nowhere to take it."""

    def limit_memory(self, limit_bytes: int) -> None:
        """Sampled by the caller."""

    def memory_bytes(self) -> int:
        return 0

    def memory_peak_bytes(self) -> int:
        return 0

    def cpu_us(self) -> int:
        return 0

    def freeze(self, frozen: bool) -> None:
        """Nobody could."""

    def pids(self) -> list[int]:
        return []

    def out_of_memory(self) -> bool:
        return False

    def kill(self) -> None:
        """The caller kills the tree instead."""

    def remove(self) -> bool:
        return True


class NoDriver:
    """The driver of a machine without usable cgroups; memory is sampled instead."""

    name = "none"
    weighs_io = False
    freezes = False
    directories: list[str] = []  # noqa: RUF012  # never written

    def family(self, name: str, cpu_weight: int) -> Family:
        return self

    def create(self, name: str, limits: GroupLimits) -> Group:
        return NoGroup()

    def sweep(self) -> None:
        """Nothing was made."""


def tree_name(data_dir: str) -> str:
    """The name of the directory that holds the groups of one data directory."""
    return "microfaas-" + hashlib.sha256(data_dir.encode()).hexdigest()[:12]
