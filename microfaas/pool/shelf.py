"""The shelf: spares that stand ready, as many of each sort as demand and memory allow."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable

from microfaas.errors import MicrofaasError
from microfaas.pool import plan
from microfaas.pool.footing import Footing
from microfaas.pool.reaper import Reaper
from microfaas.pool.site import Site
from microfaas.pool.spare import Spare, start_spare

# How long after one was taken the next is started: the call that took it comes first.
REFILL_S = 0.05
# For how long one that was taken counts as demand.
DEMAND_S = 60.0
# After a failure the next attempt waits so long.
PAUSE_S = 10.0

_log = logging.getLogger("microfaas.pool")


class _Sort:
    """The spares of one footing."""

    def __init__(self) -> None:
        self.spares: list[Spare] = []
        self.starting = 0
        self.taken: deque[float] = deque(maxlen=plan.SPARES_MAX)
        self.last_wanted = 0.0
        self.idle_s_max = 0.0
        self.not_before = 0.0


class Shelf:
    """Keeps spares; owned by the supervisor. `affordable_mb` is what they may take together."""

    def __init__(
        self,
        site: Site,
        tasks: asyncio.TaskGroup,
        reaper: Reaper,
        affordable_mb: Callable[[], int],
    ) -> None:
        self._site = site
        self._tasks = tasks
        self._reaper = reaper
        self._affordable_mb = affordable_mb
        self._sorts: dict[Footing, _Sort] = {}
        self._loop = asyncio.get_running_loop()
        self._ended = False

    def memory_mb(self) -> int:
        """What those that stand there have taken."""
        spares = (spare for sort in self._sorts.values() for spare in sort.spares)
        return sum(spare.sandbox.own_peak_mb() for spare in spares)

    def want(self, footing: Footing, idle_s_max: float) -> None:
        """A function is in use that such a spare can become."""
        sort = self._sorts.setdefault(footing, _Sort())
        sort.last_wanted = time.monotonic()
        sort.idle_s_max = max(sort.idle_s_max, idle_s_max)
        self._step_soon(footing)

    def take(self, footing: Footing) -> Spare | None:
        """One that stands ready; the caller's."""
        sort = self._sorts.setdefault(footing, _Sort())
        sort.taken.append(time.monotonic())
        while sort.spares:
            spare = sort.spares.pop()
            if spare.alive:
                return spare
            self._reaper.end(spare)
        return None

    def look_around(self, now: float) -> None:
        """End what nobody has wanted for long, and what is dead; start what is wanted."""
        for footing, sort in list(self._sorts.items()):
            for spare in [spare for spare in sort.spares if not spare.alive]:
                sort.spares.remove(spare)
                self._reaper.end(spare)
            for _ in range(len(sort.spares) - self._wanted(sort, now)):
                self._reaper.end(sort.spares.pop(0))
            self._step(footing, now)
            if not (sort.spares or sort.starting or self._wanted(sort, now)):
                del self._sorts[footing]

    def give_up(self, wanted_mb: int) -> int:
        """End spares until that much memory is free; gives what that frees."""
        freed = 0
        for sort in self._sorts.values():
            while sort.spares and freed < wanted_mb:
                spare = sort.spares.pop()
                freed += spare.sandbox.own_peak_mb()
                sort.not_before = time.monotonic() + PAUSE_S
                self._reaper.end(spare)
        return freed

    def end(self) -> None:
        self._ended = True
        for sort in self._sorts.values():
            while sort.spares:
                self._reaper.end(sort.spares.pop())

    def _wanted(self, sort: _Sort, now: float) -> int:
        recent = sum(1 for moment in sort.taken if moment > now - DEMAND_S)
        return plan.spares(in_use=now - sort.last_wanted <= sort.idle_s_max, taken=recent)

    def _step_soon(self, footing: Footing) -> None:
        self._loop.call_later(REFILL_S, lambda: self._step(footing, time.monotonic()))

    def _step(self, footing: Footing, now: float) -> None:
        """Start one, if one is lacking: one at a time, as starting takes a whole processor."""
        sort = self._sorts.get(footing)
        if sort is None:
            return
        lacking = self._wanted(sort, now) - len(sort.spares) - sort.starting
        idle = self._ended or sort.starting or now < sort.not_before
        if lacking > 0 and not idle and self._affordable_mb() >= footing.memory_mb:
            sort.starting += 1
            self._tasks.create_task(self._start(footing, sort))

    async def _start(self, footing: Footing, sort: _Sort) -> None:
        try:
            spare = await start_spare(self._site, footing, self._reaper)
        except (MicrofaasError, OSError) as error:
            sort.not_before = time.monotonic() + PAUSE_S
            _log.error("cannot keep a spare for %s: %s", footing.runtime, error)
        else:
            sort.spares.append(spare)
            if self._ended:
                self.end()
            self._step_soon(footing)
        finally:
            sort.starting -= 1
