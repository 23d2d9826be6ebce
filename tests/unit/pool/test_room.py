"""Who makes room for whom, when memory or open files are short."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, cast

import pytest

from microfaas.pool.pool import Pool
from microfaas.pool.reaper import Reaper
from microfaas.pool.room import INSTANCE_FILES, SOURCE_FILES, Room

MANY = 1_000_000
SOURCE_MB, INSTANCE_MB, LIMIT_MB = 10, 20, 100


@dataclass(eq=False)
class FakeInstance:
    idle_since: float
    provisioned: bool = False

    @property
    def sandbox(self) -> SimpleNamespace:
        return SimpleNamespace(own_peak_mb=lambda: INSTANCE_MB)

    def kill(self) -> None:
        """There is no process."""

    def close(self) -> bool:
        return True


@dataclass(eq=False)
class FakePool:
    """What the room sees of a pool."""

    idle: list[FakeInstance] = field(default_factory=list)
    was_called: bool = True
    last_used: float = 0.0
    busy: int = 0
    provisioned: int = 0
    source: Any = "zygote"
    limit_mb: int = LIMIT_MB

    @property
    def size(self) -> int:
        return len(self.idle) + self.busy

    def memory_mb(self) -> int:
        running = self.busy * LIMIT_MB + len(self.idle) * INSTANCE_MB
        return running + (SOURCE_MB if self.source else 0)

    def retire(self, before: float) -> None:
        self.idle = [each for each in self.idle if each.provisioned]
        if not self.size:
            self.source = None


def room(budget_mb: int, *pools: FakePool, files: int = MANY) -> Room:
    return Room(budget_mb, files, lambda: cast(list[Pool], list(pools)), Reaper())


def affordable(made: Room, wanting: FakePool) -> int:
    return made.affordable(cast(Pool, wanting))


async def test_as_many_fit_as_the_budget_has_room_for() -> None:
    wanting = FakePool()
    assert affordable(room(350 + SOURCE_MB, wanting), wanting) == 3


async def test_what_nobody_has_called_goes_before_all_else() -> None:
    called = FakePool([FakeInstance(1.0)], last_used=1.0)
    older = FakePool([FakeInstance(2.0)], last_used=2.0, was_called=False)
    newer = FakePool([FakeInstance(3.0)], last_used=3.0, was_called=False)
    wanting = FakePool()
    budget_mb = 4 * SOURCE_MB + 3 * INSTANCE_MB + LIMIT_MB
    assert affordable(room(budget_mb - 1, called, newer, older, wanting), wanting) == 1
    assert (older.size, older.source) == (0, None)
    assert (len(newer.idle), len(called.idle)) == (1, 1)
    assert affordable(room(LIMIT_MB + 2 * SOURCE_MB, called, newer, older, wanting), wanting) == 1
    assert (newer.source, called.idle, called.source) == (None, [], "zygote")


async def test_then_what_is_idle_longest_and_zygotes_at_last() -> None:
    first = FakePool([FakeInstance(5.0), FakeInstance(1.0)], last_used=5.0)
    second = FakePool([FakeInstance(2.0)], last_used=2.0)
    wanting = FakePool()
    budget_mb = 3 * SOURCE_MB + 3 * INSTANCE_MB + LIMIT_MB
    pools = first, second, wanting
    assert affordable(room(budget_mb - 1, *pools), wanting) == 1
    assert [each.idle_since for each in first.idle] == [5.0]
    assert affordable(room(LIMIT_MB + 2 * SOURCE_MB, *pools), wanting) == 1
    assert (first.idle, first.source, second.idle, second.source) == ([], "zygote", [], None)
    assert affordable(room(LIMIT_MB, *pools), wanting) == 0  # what it has itself is in the way


async def test_what_runs_or_is_provisioned_stays() -> None:
    runs = FakePool(busy=1)
    kept = FakePool([FakeInstance(1.0, provisioned=True)], was_called=False, provisioned=1)
    wanting = FakePool()
    assert affordable(room(1, runs, kept, wanting), wanting) == 0
    assert (runs.busy, runs.source, len(kept.idle), kept.source) == (1, "zygote", 1, "zygote")


async def test_what_nobody_has_called_takes_nothing_from_what_somebody_has() -> None:
    called = FakePool([FakeInstance(1.0)])
    ahead = FakePool([FakeInstance(2.0)], was_called=False)
    wanting = FakePool(was_called=False)
    assert affordable(room(1, called, ahead, wanting), wanting) == 0
    assert (len(called.idle), called.source, ahead.idle, ahead.source) == (1, "zygote", [], None)


@pytest.mark.parametrize("source", ["zygote", None])
async def test_open_files_are_shared_as_memory_is(source: str | None) -> None:
    ahead = [FakePool([FakeInstance(float(n))], was_called=False) for n in range(3)]
    wanting = FakePool(source=source)
    own = SOURCE_FILES + INSTANCE_FILES
    made = room(MANY, *ahead, wanting, files=int((3 * own + SOURCE_FILES) / 0.75) + 1)
    assert affordable(made, wanting) >= 1
    assert [pool.source for pool in ahead] == [None, "zygote", "zygote"]
    for pool in ahead:
        pool.busy, pool.source = 1, "zygote"
    assert affordable(made, wanting) == 0
