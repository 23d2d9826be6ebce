"""The room that all pools share: the memory budget and this process's open files; and who has to
make room when there is too little.

What was loaded ahead and never called goes first: for that a call waits a little, and nothing is
lost that anybody has used. Then instances go that have been idle longest, then zygotes that have
none. What nobody has called yet takes only from its like.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from microfaas.pool.instance import Instance
from microfaas.pool.pool import Pool
from microfaas.pool.reaper import Reaper
from microfaas.pool.shelf import Shelf

# Descriptors that are held here for a zygote, with what it has made ahead, and for an instance;
# measured: 20 and 6.
SOURCE_FILES = 24
INSTANCE_FILES = 8
# The rest is for connections, logs, and what has ended and is not cleared up yet.
FILES_SHARE = 0.75

_NEVER = float("-inf")
_NOW = float("inf")


class Room:
    """Says how much fits, and ends what stands in its way."""

    def __init__(
        self,
        budget_mb: int,
        open_files_max: int,
        pools: Callable[[], list[Pool]],
        reaper: Reaper,
    ) -> None:
        self._budget_mb = budget_mb
        self._files_max = int(open_files_max * FILES_SHARE)
        self._pools = pools
        self._reaper = reaper
        self.shelf: Shelf | None = None

    def affordable(self, wanting: Pool) -> int:
        """How many more instances of this pool fit; makes room for one at others' expense."""
        wanted_mb = wanting.limit_mb
        wanted_files = INSTANCE_FILES + (wanting.source is None) * SOURCE_FILES
        living = self._living()
        free_mb, free_files = self._free_mb(living), self._files_max - sum(map(_files, living))
        if free_mb < wanted_mb and self.shelf is not None:
            free_mb += self.shelf.give_up(wanted_mb - free_mb)
        victims = self._victims(wanting, living)
        while free_mb < wanted_mb or free_files < wanted_files:
            if (give_up := next(victims, None)) is None:
                break
            freed_mb, freed_files = give_up()
            free_mb, free_files = free_mb + freed_mb, free_files + freed_files
        if free_files < wanted_files:
            return 0
        return max(0, min(free_mb // wanted_mb, free_files // INSTANCE_FILES))

    def free_mb(self) -> int:
        """Of the budget; below 0 when more is taken."""
        return self._free_mb(self._living())

    def _living(self) -> list[Pool]:
        """Those that take anything: most of a thousand versions do not."""
        return [pool for pool in self._pools() if pool.source is not None or pool.size]

    def _free_mb(self, living: Iterable[Pool]) -> int:
        spares_mb = self.shelf.memory_mb() if self.shelf is not None else 0
        return self._budget_mb - sum(pool.memory_mb() for pool in living) - spares_mb

    def _victims(
        self, wanting: Pool, living: Iterable[Pool]
    ) -> Iterator[Callable[[], tuple[int, int]]]:
        """Each ends something, and tells the memory and the descriptors that this frees."""
        others = [pool for pool in living if pool is not wanting]
        others.sort(key=lambda pool: pool.last_used)
        for pool in others:
            if not (pool.was_called or pool.provisioned):
                yield partial(self._end_idle, pool)
        if not wanting.was_called:
            return
        rows = [(each.idle_since, pool, each) for pool in others for each in pool.idle]
        for _, pool, instance in sorted(rows, key=lambda row: row[0]):
            if not instance.provisioned:
                yield partial(self._end, pool, instance)
        for pool in others:
            if not pool.provisioned:
                yield partial(self._end_idle, pool)

    def _end(self, pool: Pool, instance: Instance) -> tuple[int, int]:
        pool.idle.remove(instance)
        self._reaper.end(instance)
        return instance.sandbox.own_peak_mb(), INSTANCE_FILES

    def _end_idle(self, pool: Pool) -> tuple[int, int]:
        """All that is idle, and the source of instances if there are none."""
        memory_mb, files = pool.memory_mb(), _files(pool)
        pool.retire(_NOW)
        pool.last_used = _NEVER  # or one would be made ready again
        return memory_mb - pool.memory_mb(), files - _files(pool)


def _files(pool: Pool) -> int:
    """Descriptors that it takes."""
    return pool.size * INSTANCE_FILES + (pool.source is not None) * SOURCE_FILES
