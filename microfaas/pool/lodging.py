"""Where functions' processes are held: cgroups, uids, and a /tmp where there are no mounts."""

from __future__ import annotations

import os
import shutil

from microfaas.linux import users
from microfaas.linux.cgroup import Driver, Family, Group, GroupLimits, NoDriver
from microfaas.linux.isolation import Isolation
from microfaas.model import MEMORY_MB_PER_CPU, MIB, Function, Version
from microfaas.pool.footing import Footing

# A cgroup's share of 1024 means one CPU.
SHARES_PER_CPU = 1024
# What an instance may at least take on top of the memory it shares with its zygote.
OWN_BYTES_MIN = 8 * MIB


class Lodging:
    """Gives each function what nobody else has."""

    def __init__(self, isolation: Isolation, driver: Driver, data_dir: str) -> None:
        # Whether nothing counts a function's processes but the limit of its user.
        self.uncounted = isinstance(driver, NoDriver)
        self._isolation = isolation
        self._driver = driver
        self._data_dir = data_dir
        self._tmp = os.path.join(data_dir, "tmp")
        self._users: dict[str, int] = {}
        self._families: dict[str, Family] = {}
        self._spare_users: set[int] = set()
        shutil.rmtree(self._tmp, ignore_errors=True)
        os.makedirs(self._tmp, exist_ok=True)

    def group(self, name: str, version: Version, shared_bytes: int = 0) -> Group:
        """A cgroup with the function's limits; memory it shares with its zygote counts."""
        limits = version.function.limits
        memory_bytes = max(limits.memory_mb * MIB - shared_bytes, OWN_BYTES_MIN)
        return self._family(version.function).create(
            name,
            GroupLimits(
                memory_bytes=memory_bytes,
                swap_bytes=limits.swap_mb * MIB,
                processes=limits.processes_max,
                cpu=limits.cpu,
                cpu_weight=_weight(limits.memory_mb),
            ),
        )

    def _family(self, function: Function) -> Family:
        """A function does not get more of the machine by running more instances than another.

        Each may claim one CPU's worth; one whose instances are larger than that, as much as they.
        """
        if function.name not in self._families:
            weight = max(SHARES_PER_CPU, _weight(function.limits.memory_mb))
            self._families[function.name] = self._driver.family(f"of-{function.name}", weight)
        return self._families[function.name]

    def user(self, function: Function) -> int | None:
        """The uid that the function has to itself, where it has one."""
        if not self._isolation.users:
            return None
        if function.name not in self._users:
            taken = self._users.values()
            self._users[function.name] = users.uid_of(function.name, self._data_dir, taken)
        return self._users[function.name]

    def spare_group(self, name: str, footing: Footing) -> Group:
        """A cgroup for a spare, with the limits of the function that it will be."""
        return self._driver.family("spares", SHARES_PER_CPU).create(
            name,
            GroupLimits(
                memory_bytes=footing.memory_mb * MIB,
                processes=footing.processes_max,
                cpu_weight=_weight(footing.memory_mb),
            ),
        )

    def take_spare_user(self) -> int | None:
        """A uid for one spare; `free_spare_user` gives it back when its process is gone."""
        if not self._isolation.users:
            return None
        taken = {*self._users.values(), *self._spare_users}
        # No function can be called so.
        user = users.uid_of("spare/", self._data_dir, taken)
        self._spare_users.add(user)
        return user

    def free_spare_user(self, user: int | None) -> None:
        if user is not None:
            self._spare_users.discard(user)

    def private_tmp(self, name: str) -> dict[str, str]:
        """A TMPDIR for an instance that sees the machine's own /tmp."""
        if self._isolation.mounts:
            return {}
        directory = os.path.join(self._tmp, name)
        os.mkdir(directory, 0o700)
        return {"TMPDIR": directory}

    def remove_tmp(self, name: str) -> None:
        if not self._isolation.mounts:
            shutil.rmtree(os.path.join(self._tmp, name), ignore_errors=True)


def _weight(memory_mb: int) -> int:
    """As Lambda gives CPU by memory."""
    return max(2, memory_mb * SHARES_PER_CPU // MEMORY_MB_PER_CPU)
