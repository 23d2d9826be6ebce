"""The pool with zygotes and instances that are no processes: who gets what, and when."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from microfaas.errors import MachineError, TooManyRequests
from microfaas.model import Function, Limits, Status, Version
from microfaas.pool import faults as faults_module
from microfaas.pool import pool as pool_module
from microfaas.pool.loading import InitFailed
from microfaas.pool.pool import Pool
from microfaas.pool.reaper import Reaper

PATIENCE_S = 60.0
FAULT = InitFailed(Status.INIT, b'{"errorType": "ImportError"}')


@dataclass(eq=False)
class FakeInstance:
    """What a pool sees of an instance."""

    alive: bool = True
    idle_since: float = 0.0
    provisioned: bool = False
    has_run: bool = False
    peak_mb: int = 20
    ended: int = 0
    closed: int = 0

    @property
    def sandbox(self) -> SimpleNamespace:
        return SimpleNamespace(own_peak_mb=lambda: self.peak_mb)

    def kill(self) -> None:
        self.alive = False
        self.ended += 1

    def close(self) -> bool:
        self.closed += 1
        return True


@dataclass(eq=False)
class FakeZygote:
    """Spawns at once, unless the gate is closed; raises what it is given."""

    gate: asyncio.Event
    faults: list[Exception] = field(default_factory=list)
    alive: bool = True
    memory_mb: int = 7
    why_not_loaded: str = ""
    ended: int = 0

    async def spawn(self, _: Reaper, provisioned: bool) -> FakeInstance:
        await self.gate.wait()
        if self.faults:
            raise self.faults.pop(0)
        return FakeInstance(provisioned=provisioned)

    def kill(self) -> None:
        self.alive = False
        self.ended += 1

    def close(self) -> bool:
        return True


@dataclass
class Site:
    """Where the directories that a function mounts are what they are."""

    now: list[Any] = field(default_factory=list)

    def runtime(self, _: Function) -> SimpleNamespace:
        return SimpleNamespace(forks=True)

    def mounted(self, _: Version) -> list[Any]:
        return list(self.now)


class ImpatientPool(Pool):
    """Ends a broken test; no test waits that long."""

    async def lease(self) -> Any:
        async with asyncio.timeout(PATIENCE_S):
            return await super().lease()


@dataclass
class Tasks:
    """A task group that may be left in another task than it was entered, as fixtures are."""

    running: list[asyncio.Task[None]] = field(default_factory=list)

    def create_task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        self.running.append(asyncio.create_task(work))
        return self.running[-1]


@dataclass
class World:
    """A pool, and what happens behind it."""

    tasks: Any
    gate: asyncio.Event
    zygotes: list[FakeZygote] = field(default_factory=list)
    init_faults: list[Exception] = field(default_factory=list)
    spawn_faults: list[Exception] = field(default_factory=list)
    affordable: int = 1000
    reaper: Reaper = field(default_factory=Reaper)
    site: Any = field(default_factory=Site)
    shelf: Any = None

    async def start_source(self, *_: object) -> FakeZygote:
        await asyncio.sleep(0)
        if self.init_faults:
            raise self.init_faults.pop(0)
        self.zygotes.append(FakeZygote(self.gate, self.spawn_faults))
        return self.zygotes[-1]

    def pool(self, isolation: str = "instance", **limits: Any) -> Pool:
        limits = {"ready_ahead": 0, **limits}
        function = Function(
            name="f",
            runtime="python",
            handler="app.go",
            code="",
            limits=Limits(**limits),
            isolation=isolation,  # type: ignore[arg-type]
        )
        version = Version(function=function, code_dir="", code_sha256="0" * 64)
        return ImpatientPool(
            self.site, version, self.tasks, self.reaper, self.shelf, lambda _: self.affordable
        )


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    gate = asyncio.Event()
    gate.set()
    # The reserve is looked at in the loop's next turn: no test waits for a moment to pass.
    monkeypatch.setattr(pool_module, "RESERVE_S", 0)
    made = World(Tasks(), gate)
    monkeypatch.setattr(pool_module, "start_source", made.start_source)
    yield made
    gate.set()
    await asyncio.gather(*made.tasks.running)


async def settle() -> None:
    """Let everything happen that is due."""
    for _ in range(20):
        await asyncio.sleep(0)


async def line_up(pool: Pool, count: int) -> list[asyncio.Task[Any]]:
    """Calls that wait for an instance, in this order."""
    waiting = [asyncio.create_task(pool.lease()) for _ in range(count)]
    await settle()
    return waiting


async def give_up(*waiting: asyncio.Task[Any]) -> None:
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)


async def test_the_first_call_gets_an_instance_of_a_new_zygote(world: World) -> None:
    pool = world.pool()
    instance = await pool.lease()
    assert pool.busy == {instance}
    assert len(world.zygotes) == 1


async def test_one_zygote_serves_all(world: World) -> None:
    pool = world.pool()
    await asyncio.gather(*(pool.lease() for _ in range(5)))
    assert len(world.zygotes) == 1
    assert len(pool.busy) == 5


async def test_a_released_instance_serves_again(world: World) -> None:
    pool = world.pool()
    instance = await pool.lease()
    pool.release(instance)
    assert await pool.lease() is instance


async def test_who_is_at_work_runs_a_call_or_has_lately(world: World) -> None:
    pool = world.pool(ready_ahead=1)
    instances = [await pool.lease() for _ in range(3)]
    await settle()
    for instance, idle_since in zip(instances[:2], (float("-inf"), float("inf")), strict=True):
        pool.release(instance)
        instance.has_run, instance.idle_since = True, idle_since  # type: ignore[misc]
    assert len(pool.idle) == 3
    assert pool.busy_since(0.0) == 2


@pytest.mark.parametrize(
    ("affordable", "concurrency_max", "found"), [(1000, 1000, 5), (1, 1000, 3), (1000, 4, 4)]
)
async def test_so_many_instances_are_prepared_as_there_is_room_for(
    world: World, affordable: int, concurrency_max: int, found: int
) -> None:
    pool = world.pool(concurrency_max=concurrency_max)
    for instance in [await pool.lease() for _ in range(2)][:1]:
        pool.release(instance)
    world.affordable = affordable
    starting = pool.prepare(5)
    assert len(starting) == found - 2
    await asyncio.gather(*starting)
    assert (len(pool.busy), len(pool.idle)) == (1, found - 1)
    assert pool.prepare(5 if found == 5 else 0) == []


async def test_where_there_are_enough_nobody_makes_room(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = world.pool()
    pool.release(await pool.lease())
    asked: list[Pool] = []
    monkeypatch.setattr(pool, "_affordable", asked.append)
    assert pool.prepare(1) == pool.prepare(0) == asked == []


async def test_what_is_not_loaded_is_not_prepared(world: World) -> None:
    pool = world.pool()
    assert pool.prepare(5) == []
    await pool.warm()
    assert len(pool.prepare(5)) == 5


async def test_the_instance_that_served_last_serves_first(world: World) -> None:
    pool = world.pool()
    first, second = await asyncio.gather(pool.lease(), pool.lease())
    pool.release(second)
    pool.release(first)
    assert await pool.lease() is first


async def test_a_dead_idle_instance_is_never_given_out(world: World) -> None:
    pool = world.pool()
    dead = await pool.lease()
    pool.release(dead)
    dead.alive = False  # type: ignore[misc]
    assert await pool.lease() is not dead


async def test_an_instance_that_died_is_not_kept(world: World) -> None:
    pool = world.pool()
    instance = await pool.lease()
    instance.alive = False  # type: ignore[misc]
    pool.release(instance)
    assert pool.idle == []


async def test_never_more_run_than_the_concurrency_allows(world: World) -> None:
    pool = world.pool(concurrency_max=3)
    waiting = await line_up(pool, 10)
    assert len(pool.busy) == 3
    assert pool.waiting == 7
    await give_up(*waiting)


async def test_who_waits_longest_is_served_first(world: World) -> None:
    pool = world.pool(concurrency_max=1)
    instance = await pool.lease()
    first, second = await line_up(pool, 2)
    pool.release(instance)
    await settle()
    assert (first.done(), second.done()) == (True, False)
    await give_up(second)


async def test_beyond_the_waiting_line_calls_are_refused(world: World) -> None:
    pool = world.pool(concurrency_max=1, waiting_max=2)
    await pool.lease()
    waiting = await line_up(pool, 2)
    with pytest.raises(TooManyRequests) as refused:
        await pool.lease()
    assert refused.value.reason == "ReservedFunctionConcurrentInvocationLimitExceeded"
    await give_up(*waiting)


async def test_for_want_of_memory_calls_are_refused_by_that_name(world: World) -> None:
    pool = world.pool(waiting_max=0)
    world.affordable = 0
    with pytest.raises(TooManyRequests) as refused:
        await pool.lease()
    assert refused.value.reason == "ConcurrentInvocationLimitExceeded"


async def test_without_a_waiting_line_calls_are_served_up_to_the_concurrency(
    world: World,
) -> None:
    pool = world.pool(concurrency_max=2, waiting_max=0)
    await asyncio.gather(pool.lease(), pool.lease())
    with pytest.raises(TooManyRequests):
        await pool.lease()


async def test_who_waits_too_long_is_refused(world: World) -> None:
    pool = world.pool(concurrency_max=1, waiting_s_max=5.0)
    await pool.lease()
    (waiting,) = await line_up(pool, 1)
    pool.expire(pool.last_used + 4.9)
    assert pool.waiting == 1
    pool.expire(pool.last_used + 5.0)
    with pytest.raises(TooManyRequests):
        await waiting
    assert pool.waiting == 0


async def test_with_isolation_by_request_no_instance_serves_twice(world: World) -> None:
    pool = world.pool(isolation="request")
    first = await pool.lease()
    pool.release(first)
    second = await pool.lease()
    assert second is not first
    await settle()
    assert not first.alive


async def test_with_isolation_by_request_who_waits_gets_a_new_one(world: World) -> None:
    pool = world.pool(isolation="request", concurrency_max=1)
    first = await pool.lease()
    (waiting,) = await line_up(pool, 1)
    pool.release(first)
    assert await waiting is not first


async def test_one_more_is_ready_ahead_of_demand(world: World) -> None:
    pool = world.pool(ready_ahead=1)
    await pool.lease()
    await settle()
    assert (len(pool.busy), len(pool.idle)) == (1, 1)


async def test_taking_the_last_idle_one_has_the_next_made(world: World) -> None:
    pool = world.pool(ready_ahead=1)
    await pool.warm()
    await settle()
    assert pool.lease_now() is not None
    await settle()
    assert len(pool.idle) == 1


async def test_warming_has_a_zygote_and_the_reserve(world: World) -> None:
    pool = world.pool(ready_ahead=2)
    await pool.warm()
    await settle()
    assert pool.source is not None
    assert len(pool.idle) == 2


async def test_a_failing_init_reaches_all_who_wait(world: World) -> None:
    pool = world.pool(concurrency_max=1)
    world.init_faults = [FAULT]
    waiting = [asyncio.create_task(pool.lease()) for _ in range(3)]
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert outcomes == [FAULT] * 3
    assert pool.waiting == 0


async def test_after_a_failing_init_the_next_call_tries_again(world: World) -> None:
    pool = world.pool()
    world.init_faults = [FAULT]
    with pytest.raises(InitFailed):
        await pool.lease()
    assert (await pool.lease()).alive


async def test_a_failing_init_leaves_nothing_starting(world: World) -> None:
    pool = world.pool()
    world.init_faults = [FAULT]
    with pytest.raises(InitFailed):
        await pool.lease()
    await settle()
    assert pool.size == 0


@pytest.mark.parametrize("error", [OSError("no room"), MachineError("no room")])
async def test_a_fault_of_the_machine_is_told_to_who_waits(world: World, error: Exception) -> None:
    pool = world.pool()
    world.init_faults = [error]
    with pytest.raises(MachineError, match="no room"):
        await pool.lease()


async def test_a_zygote_that_dies_under_our_hands_is_replaced(world: World) -> None:
    pool = world.pool()
    await pool.warm()
    world.gate.clear()
    (waiting,) = await line_up(pool, 1)
    world.zygotes[0].alive = False
    world.spawn_faults.append(MachineError("its zygote has died"))
    world.gate.set()
    assert (await waiting).alive
    assert len(world.zygotes) == 2


async def test_a_dead_zygote_is_replaced_for_the_next_call(world: World) -> None:
    pool = world.pool()
    await pool.warm()
    world.zygotes[0].alive = False
    await pool.lease()
    assert pool.source is world.zygotes[1]


async def test_a_call_that_is_cancelled_while_it_waits_takes_nothing(world: World) -> None:
    pool = world.pool(concurrency_max=1)
    instance = await pool.lease()
    first, second = await line_up(pool, 2)
    await give_up(first)
    pool.release(instance)
    assert await second is instance


async def test_a_call_that_is_cancelled_as_it_is_served_gives_the_instance_back(
    world: World,
) -> None:
    pool = world.pool(concurrency_max=1)
    instance = await pool.lease()
    (waiting,) = await line_up(pool, 1)
    pool.release(instance)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert pool.idle == [instance]
    assert pool.busy == set()


async def test_calls_that_were_cancelled_are_never_served(world: World) -> None:
    pool = world.pool(concurrency_max=1)
    instance = await pool.lease()
    await give_up(*await line_up(pool, 5))
    pool.release(instance)
    await settle()
    assert pool.idle == [instance]
    assert pool.waiting == 0


async def test_a_draining_pool_serves_those_who_are_here(world: World) -> None:
    pool = world.pool(concurrency_max=1)
    instance = await pool.lease()
    (waiting,) = await line_up(pool, 1)
    pool.drain()
    assert not pool.drained
    pool.release(instance)
    assert await waiting is instance


async def test_a_draining_pool_keeps_nothing(world: World) -> None:
    pool = world.pool(ready_ahead=1)
    instance = await pool.lease()
    await settle()
    pool.drain()
    pool.release(instance)
    await settle()
    assert pool.drained
    assert pool.idle == []
    assert world.zygotes[0].ended or pool.source is not None


async def test_a_pool_that_drains_while_it_loads_is_not_forgotten_before(world: World) -> None:
    """Else the zygote would be nobody's, and stay."""
    pool = world.pool()
    warming = asyncio.create_task(pool.warm())
    await asyncio.sleep(0)
    pool.drain()
    assert not pool.drained
    await warming
    assert pool.source is world.zygotes[0]
    assert pool.drained


async def test_it_is_called_as_long_as_an_idle_instance_is_kept(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = world.pool(idle_s_max=10.0)
    await pool.warm()
    assert not pool.is_called
    instance = await pool.lease()
    assert pool.is_called
    pool.release(instance)
    assert pool.is_called
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 11)
    assert not pool.is_called


async def test_idle_instances_are_retired_after_a_while(world: World) -> None:
    pool = world.pool()
    instance = await pool.lease()
    pool.release(instance)
    pool.retire(instance.idle_since)
    assert pool.idle == [instance]
    pool.retire(instance.idle_since + 1)
    assert pool.idle == []


async def test_the_zygote_is_retired_when_nothing_uses_it(world: World) -> None:
    pool = world.pool()
    instance = await pool.lease()
    pool.retire(float("inf"))
    assert pool.source is not None
    pool.release(instance)
    pool.retire(float("inf"))
    assert pool.source is None


async def test_a_mounted_directory_that_was_made_anew_has_all_started_afresh(
    world: World,
) -> None:
    pool = world.pool()
    instance = await pool.lease()
    pool.release(instance)
    await settle()
    world.site.now = [(1, 2)]
    pool.renew()
    assert pool.idle == []
    assert pool.source is None


async def test_what_is_mounted_still_leaves_all_as_it_is(world: World) -> None:
    pool = world.pool()
    instance = await pool.lease()
    pool.release(instance)
    await settle()
    pool.renew()
    assert pool.idle == [instance]


async def test_what_runs_is_not_renewed(world: World) -> None:
    pool = world.pool()
    await pool.lease()
    world.site.now = [(1, 2)]
    pool.renew()
    assert pool.source is world.zygotes[0]


async def test_what_is_over_is_ended_with_the_pool(world: World) -> None:
    pool = world.pool()
    busy, idle = await asyncio.gather(pool.lease(), pool.lease())
    pool.release(idle)
    pool.end()
    await settle()
    assert [busy.alive, idle.alive, world.zygotes[0].alive] == [False] * 3


async def test_an_instance_that_was_busy_when_the_pool_ended_is_let_go_of_once(
    world: World,
) -> None:
    pool = world.pool()
    instance: Any = await pool.lease()
    pool.end()
    await settle()
    pool.release(instance)
    await settle()
    world.reaper.clear()
    assert instance.closed == 1


async def test_an_instance_released_after_it_was_cleared_is_let_go_of_once(world: World) -> None:
    pool = world.pool()
    instance: Any = await pool.lease()
    pool.end()
    await settle()
    world.reaper.clear()
    pool.release(instance)
    world.reaper.clear()
    assert instance.closed == 1


async def test_running_instances_are_counted_at_their_limit(world: World) -> None:
    pool = world.pool(memory_mb=100)
    await asyncio.gather(pool.lease(), pool.lease())
    await settle()
    assert pool.memory_mb() == 2 * 100 + 7


async def test_idle_instances_are_counted_at_what_they_took(world: World) -> None:
    pool = world.pool(memory_mb=100)
    pool.release(await pool.lease())
    await settle()
    assert pool.memory_mb() == 20 + 7


async def test_nothing_is_started_that_the_machine_cannot_afford(world: World) -> None:
    pool = world.pool()
    world.affordable = 0
    waiting = await line_up(pool, 2)
    assert pool.size == 0
    world.affordable = 1000
    pool.step()
    await asyncio.gather(*waiting)
    assert len(pool.busy) == 2


async def test_a_reserve_that_cannot_be_kept_does_no_harm(world: World) -> None:
    pool = world.pool(ready_ahead=1)
    await pool.warm()
    world.spawn_faults += [MachineError("no room")]
    await settle()
    with contextlib.suppress(MachineError):
        assert (await pool.lease()).alive
    assert (await pool.lease()).alive


async def test_versions_of_a_function_share_its_concurrency(world: World) -> None:
    old, new = world.pool(concurrency_max=1), world.pool(concurrency_max=1)
    new._quota = old._quota
    instance = await old.lease()
    (waiting,) = await line_up(new, 1)
    assert new.size == 0
    old.release(instance)
    served = await waiting
    assert old.lease_now() is None
    new.release(served)
    assert old.lease_now() is instance


async def test_a_function_without_concurrency_runs_nothing(world: World) -> None:
    pool = world.pool(concurrency_max=1)
    pool._quota.change(0, 100)
    with pytest.raises(TooManyRequests) as caught:
        await pool.lease()
    assert caught.value.reason == "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert pool.size == pool.waiting == 0


async def test_what_is_provisioned_is_started_and_kept(world: World) -> None:
    pool = world.pool(concurrency_max=5)
    pool.provide(2)
    while len(pool.idle) < 2:  # noqa: ASYNC110  # the starts are other tasks' work
        await asyncio.sleep(0)
    pool.retire(float("inf"))
    assert len(pool.idle) == 2
    pool.drain()
    assert pool.idle == []


async def test_what_cannot_be_started_is_tried_again_ever_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = 0.0
    monkeypatch.setattr(faults_module, "time", SimpleNamespace(monotonic=lambda: now_s))
    pool = world.pool(concurrency_max=5)
    world.init_faults = [FAULT] * 100
    pool.provide(2)
    tried_at: list[float] = []
    while now_s < 300:
        left = len(world.init_faults)
        pool.step()
        await settle()
        tried_at += [now_s] if left > len(world.init_faults) else []
        now_s += 0.25
    assert tried_at == [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5, 63.5, 123.5, 183.5, 243.5]
    with pytest.raises(InitFailed):
        await pool.lease()  # whoever calls is not kept waiting
    world.init_faults.clear()
    pool.provide(1)
    await settle()
    assert pool.provided() == (1, 1)


async def test_who_comes_next_gets_what_was_used_last(world: World) -> None:
    pool = world.pool(concurrency_max=5, ready_ahead=1)
    used = await pool.lease()
    pool.release(used)
    await pool.lease()
    while not pool.idle:  # noqa: ASYNC110  # the start is another task's work
        await asyncio.sleep(0)
    pool.release(used)
    assert pool.lease_now() is used


async def test_beyond_what_is_provisioned_instances_are_others(world: World) -> None:
    pool = world.pool(concurrency_max=9, idle_s_max=0.0)
    pool.provide(2)
    await settle()
    leased = [await pool.lease() for _ in range(4)]
    assert [each.provisioned for each in leased] == [True, True, False, False]
    assert pool.provided() == (2, 2)
    for each in leased:
        pool.release(each)
    # What is kept serves first, though the others were used later.
    assert [(await pool.lease()).provisioned for _ in range(3)] == [True, True, False]
    for each in leased:
        pool.release(each)
    pool.retire(float("inf"))
    assert [each.provisioned for each in pool.idle] == [True, True]


async def test_more_and_fewer_may_be_provisioned(world: World) -> None:
    pool = world.pool(concurrency_max=9)
    pool.provide(3)
    await settle()
    busy = await pool.lease()
    pool.provide(1)
    assert pool.idle == []
    assert pool.provided() == (1, 1)
    pool.release(busy)
    assert pool.provided() == (1, 1)
    pool.provide(2)
    assert pool.provided() == (2, 1)
    await settle()
    assert pool.provided() == (2, 2)


async def test_what_is_provisioned_takes_the_place_of_others(world: World) -> None:
    pool = world.pool(concurrency_max=2)
    pool.provide(1)
    await settle()
    kept, other = await pool.lease(), await pool.lease()
    pool.provide(2)
    assert pool.provided() == (1, 1)
    pool.release(other)
    await settle()
    assert pool.provided() == (2, 2)
    pool.release(kept)
    assert [each.provisioned for each in pool.idle] == [True, True]
    assert other not in pool.idle
