"""The shelf with spares that are no processes: how many stand ready, and when."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from microfaas.errors import MachineError
from microfaas.pool import shelf as shelf_module
from microfaas.pool.footing import Footing
from microfaas.pool.plan import SPARES_MAX, spares
from microfaas.pool.reaper import Reaper
from microfaas.pool.shelf import Shelf

LONG_S = 1000.0
SMALL = Footing(
    runtime="abc",
    interpreter=None,
    memory_mb=128,
    tmp_mb=1,
    files_max=64,
    processes_max=8,
)
LARGE = Footing(
    runtime="abc",
    interpreter=None,
    memory_mb=512,
    tmp_mb=1,
    files_max=64,
    processes_max=8,
)


@dataclass(eq=False)
class FakeSpare:
    footing: Footing
    alive: bool = True

    @property
    def sandbox(self) -> SimpleNamespace:
        return SimpleNamespace(own_peak_mb=lambda: 40)

    def kill(self) -> None:
        self.alive = False

    def close(self) -> bool:
        return True


@dataclass
class Tasks:
    running: list[asyncio.Task[None]] = field(default_factory=list)

    def create_task(self, work: Coroutine[Any, Any, None]) -> None:
        self.running.append(asyncio.create_task(work))


@dataclass
class World:
    tasks: Any
    started: list[FakeSpare] = field(default_factory=list)
    at_once_max: int = 0
    starting: int = 0
    fault: Exception | None = None
    free_mb: int = 10_000
    shelf: Any = None

    async def start_spare(self, _: object, footing: Footing, __: object) -> FakeSpare:
        self.starting += 1
        self.at_once_max = max(self.at_once_max, self.starting)
        await asyncio.sleep(0)
        self.starting -= 1
        if self.fault is not None:
            raise self.fault
        self.started.append(FakeSpare(footing))
        return self.started[-1]

    @property
    def living(self) -> int:
        return sum(1 for spare in self.started if spare.alive)


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(shelf_module, "REFILL_S", 0)
    made = World(Tasks())
    monkeypatch.setattr(shelf_module, "start_spare", made.start_spare)
    site: Any = None
    made.shelf = Shelf(site, made.tasks, Reaper(), lambda: made.free_mb)
    yield made
    made.shelf.end()
    await asyncio.gather(*made.tasks.running)


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_nothing_stands_ready_before_anybody_wants_it(world: World) -> None:
    world.shelf.look_around(time.monotonic())
    await settle()
    assert world.started == []
    assert world.shelf.take(SMALL) is None


async def test_what_is_wanted_stands_ready(world: World) -> None:
    world.shelf.want(SMALL, LONG_S)
    await settle()
    assert world.shelf.memory_mb() == 40
    assert world.shelf.take(SMALL) is world.started[0]


async def test_what_is_taken_is_replaced(world: World) -> None:
    world.shelf.want(SMALL, LONG_S)
    await settle()
    first = world.shelf.take(SMALL)
    world.shelf.want(SMALL, LONG_S)
    await settle()
    assert world.shelf.take(SMALL) not in (first, None)


async def test_one_of_another_sort_does_not_do(world: World) -> None:
    world.shelf.want(SMALL, LONG_S)
    await settle()
    assert world.shelf.take(LARGE) is None


async def test_more_demand_has_more_ready_one_started_after_the_other(world: World) -> None:
    for _ in range(10):
        world.shelf.take(SMALL)
    world.shelf.want(SMALL, LONG_S)
    await settle()
    assert world.living == SPARES_MAX
    assert world.at_once_max == 1


async def test_a_dead_one_is_never_given_out(world: World) -> None:
    world.shelf.want(SMALL, LONG_S)
    await settle()
    world.started[0].alive = False
    assert world.shelf.take(SMALL) is None


async def test_a_dead_one_is_replaced(world: World) -> None:
    world.shelf.want(SMALL, LONG_S)
    await settle()
    world.started[0].alive = False
    world.shelf.look_around(time.monotonic())
    await settle()
    assert world.living == 1


async def test_what_nobody_has_wanted_for_long_is_ended(world: World) -> None:
    world.shelf.want(SMALL, LONG_S)
    await settle()
    world.shelf.look_around(time.monotonic() + LONG_S + 1)
    await settle()
    assert world.living == 0


async def test_nothing_is_started_that_the_machine_cannot_afford(world: World) -> None:
    world.free_mb = SMALL.memory_mb - 1
    world.shelf.want(SMALL, LONG_S)
    await settle()
    assert world.started == []


async def test_whoever_needs_memory_gets_that_of_the_spares(world: World) -> None:
    world.shelf.want(SMALL, LONG_S)
    world.shelf.want(LARGE, LONG_S)
    await settle()
    assert world.shelf.give_up(50) == 80
    await settle()
    world.shelf.look_around(time.monotonic())
    await settle()
    assert world.living == 0


async def test_after_a_failure_it_waits(world: World) -> None:
    world.fault = MachineError("no")
    world.shelf.want(SMALL, LONG_S)
    await settle()
    world.fault = None
    world.shelf.look_around(time.monotonic())
    await settle()
    assert world.started == []


async def test_one_that_is_ready_after_the_end_is_ended(world: World) -> None:
    world.shelf.want(SMALL, LONG_S)
    await asyncio.sleep(0)
    world.shelf.end()
    await settle()
    assert world.living == 0


def test_out_of_use_none_are_kept() -> None:
    assert spares(in_use=False, taken=3) == 0


@pytest.mark.parametrize(("taken", "kept"), [(0, 1), (1, 1), (3, 3), (100, SPARES_MAX)])
def test_in_use_as_many_are_kept_as_were_taken_lately(taken: int, kept: int) -> None:
    assert spares(in_use=True, taken=taken) == kept
