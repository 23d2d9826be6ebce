"""The supervisor: owner of the pools and of the machine's memory budget; of nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import time

from microfaas.model import MIB, Version, VersionKey
from microfaas.pool.instance import Instance
from microfaas.pool.pool import Pool
from microfaas.pool.quota import Quota
from microfaas.pool.reaper import Reaper
from microfaas.pool.room import Room
from microfaas.pool.shelf import Shelf
from microfaas.pool.site import Site

# How often idle instances are looked at; and, while something is dying, its remains.
TICK_S = 0.5
REAP_S = 0.01
# How long an instance may go on by itself after an invocation: to freeze it at once, and thaw it
# for the next, would cost busy ones more than it gives.
FREEZE_S = 0.5
# Where memory can only be sampled: how often.
SAMPLE_S = 0.1


class Supervisor:
    """Opens and retires pools, leases their instances, keeps all of them within the budget."""

    def __init__(
        self, site: Site, memory_budget_mb: int, open_files_max: int, tasks: asyncio.TaskGroup
    ) -> None:
        self._site = site
        self._tasks = tasks
        self._reaper = Reaper()
        self._current: dict[VersionKey, Pool] = {}
        self._quotas: dict[str, Quota] = {}  # by the function's name
        self._retired: list[Pool] = []
        self._leased: dict[Instance, Pool] = {}
        self._starved: set[Pool] = set()
        self._room = Room(memory_budget_mb, open_files_max, lambda: self.pools, self._reaper)
        self._shelf = self._room.shelf = Shelf(site, tasks, self._reaper, self._room.free_mb)

    @property
    def pools(self) -> list[Pool]:
        return [*self._current.values(), *self._retired]

    def open(self, version: Version) -> Pool:
        """The pool of a version, made when there is none."""
        key = version.key
        if key not in self._current:
            self._current[key] = Pool(
                self._site,
                version,
                self._tasks,
                self._reaper,
                self._shelf,
                self._affordable,
                self._quota(version),
            )
        return self._current[key]

    def find(self, version: Version) -> Pool | None:
        """The pool of a version, if there is one."""
        return self._current.get(version.key)

    def limit(self, version: Version) -> None:
        """So many of its function may run at once as this version says, whatever their version."""
        limits = version.function.limits
        self._quota(version).change(limits.concurrency_max, limits.waiting_max)

    def retire(self, version: Version) -> None:
        """Serve what runs and waits on this version, then forget it."""
        if (pool := self._current.pop(version.key, None)) is not None:
            pool.drain()
            self._retired.append(pool)

    def lease_now(self, version: Version) -> Instance | None:
        """An idle instance for one invocation, if there is one; `release` takes it back."""
        pool = self._current.get(version.key)
        instance = pool.lease_now() if pool else None
        if pool and instance is not None:
            self._leased[instance] = pool
        return instance

    async def lease(self, version: Version) -> Instance:
        """An instance, when there is one. Raises as Pool.lease does."""
        pool = self.open(version)
        instance = await pool.lease()
        self._leased[instance] = pool
        return instance

    def release(self, instance: Instance) -> None:
        self._leased.pop(instance).release(instance)
        if self._starved:
            # Whoever still lacks memory puts itself back.
            starved, self._starved = self._starved, set()
            for pool in starved:
                pool.step()

    async def run(self) -> None:
        """Retire what is idle, sample what must be, clear up what is dead. Until cancelled."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s()):
                    await self._reaper.work.wait()
            if self._reaper.work.is_set():
                await asyncio.sleep(REAP_S)
            self._reaper.clear()
            self._look_around()

    async def close(self) -> None:
        """End every process and wait until the kernel has let go of them."""
        self._shelf.end()
        for pool in self.pools:
            pool.end()
        while self._reaper.work.is_set():
            await asyncio.sleep(REAP_S)
            self._reaper.clear()

    def _pause_s(self) -> float:
        busy = (instance for pool in self.pools for instance in pool.busy)
        return SAMPLE_S if any(instance.sandbox.sampled for instance in busy) else TICK_S

    def _look_around(self) -> None:
        now = time.monotonic()
        for pool in self.pools:
            pool.expire(now)
            pool.retire(now - pool.version.function.limits.idle_s_max)
            pool.renew()
            pool.freeze(now - FREEZE_S)
            if pool.provisioned:
                pool.step()
            for instance in pool.busy:
                instance.show_start()
                if instance.sandbox.sampled:
                    instance.sandbox.sample(pool.limit_mb * MIB)
        self._shelf.look_around(now)
        for pool in [pool for pool in self._retired if pool.drained]:
            pool.end()
            self._retired.remove(pool)

    def _affordable(self, pool: Pool) -> int:
        """How many more instances of this pool fit; one that lacks room is told of more."""
        affordable = self._room.affordable(pool)
        if not affordable and pool.waiting:
            self._starved.add(pool)
        return affordable

    def _quota(self, version: Version) -> Quota:
        function = version.function
        if function.name not in self._quotas:
            limits = function.limits
            self._quotas[function.name] = Quota(limits.concurrency_max, limits.waiting_max)
        return self._quotas[function.name]
