"""Schedules: each tick put once, whatever happens to the server, the clock and the disk."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from schedule_world import NOON_S, QUEUE, World, plan

from microfaas.errors import MachineError
from microfaas.messaging.schedules import RETRY_S, Plan, turns
from microfaas.store.messages import Batch, Draft
from microfaas.timetable import MISFIRE_GRACE_S, WAITING_MAX

HOUR_S = 3600
DAY_S = 24 * HOUR_S


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


async def test_a_rate_keeps_step_with_the_moment_it_was_made(world: World) -> None:
    world.clocks.pass_s(0.25)
    await world.follow(plan("rate(1 minute)"))
    await world.pass_s(200, 7)
    assert world.ticks == [60.25, 120.25, 180.25]


async def test_the_first_tick_of_a_rate_may_be_its_beginning(world: World) -> None:
    await world.follow(plan("rate(1 minute)", at_once=True))
    await world.pass_s(61)
    assert world.ticks == [0, 60]


@pytest.mark.parametrize("seed", range(5))
async def test_restarts_at_random_moments_lose_and_double_nothing(world: World, seed: int) -> None:
    chance = random.Random(seed)
    every = plan("rate(1 second)")
    await world.follow(every)
    for _ in range(60):
        world.clocks.pass_s(chance.uniform(0.05, 1.5))
        await world.schedules.look()
        if chance.random() < 0.3:
            await world.restart(every)
    await world.schedules.look()
    passed_s = int(world.clocks.now_s - NOON_S)
    assert world.ticks == [float(n) for n in range(1, passed_s + 1)]


async def test_a_crash_in_the_middle_of_a_commit_neither_loses_nor_doubles(world: World) -> None:
    every = plan("rate(1 second)")
    await world.follow(every)
    for _ in range(30):
        world.clocks.pass_s(1)
        looking = asyncio.create_task(world.schedules.look())
        for _ in range(random.randrange(6)):
            await asyncio.sleep(0)
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking
        await world.restart(every)
    await world.schedules.look()
    assert world.ticks == [float(n) for n in range(1, 31)]


@pytest.mark.parametrize(
    ("misfire", "runs_max", "expected"),
    [
        ("once", 1, [5 * HOUR_S]),
        ("all", 3, [3 * HOUR_S, 4 * HOUR_S, 5 * HOUR_S]),
        ("all", 100, [1 * HOUR_S, 2 * HOUR_S, 3 * HOUR_S, 4 * HOUR_S, 5 * HOUR_S]),
        ("skip", 1, []),
    ],
)
async def test_after_hours_of_downtime_the_misfire_policy_decides(
    world: World, misfire: str, runs_max: int, expected: list[int]
) -> None:
    hourly = plan("cron(0 * * * ? *)", misfire=misfire, runs_max=runs_max)
    await world.follow(hourly)
    world.clocks.pass_s(5 * HOUR_S + MISFIRE_GRACE_S + 1)
    await world.restart(hourly)
    await world.schedules.look()
    assert world.ticks == expected
    await world.restart(hourly)
    await world.pass_s(HOUR_S, 30)
    assert world.ticks == [*expected, 6 * HOUR_S]


async def test_a_tick_just_missed_is_put_whatever_the_policy(world: World) -> None:
    hourly = plan("cron(0 * * * ? *)", misfire="skip")
    await world.follow(hourly)
    world.clocks.pass_s(HOUR_S + MISFIRE_GRACE_S - 1)
    await world.restart(hourly)
    await world.schedules.look()
    assert world.ticks == [HOUR_S]


async def test_an_hour_back_repeats_nothing(world: World) -> None:
    await world.follow(plan("rate(10 minutes)"))
    await world.pass_s(30 * 60, 10)
    world.clocks.put_s(-HOUR_S)
    await world.pass_s(HOUR_S - 10, 10)
    assert world.ticks == [600, 1200, 1800]
    await world.pass_s(620, 10)
    assert world.ticks == [600, 1200, 1800, 2400]


async def test_a_clock_that_was_a_day_ahead_stops_nothing_for_a_day(world: World) -> None:
    await world.follow(plan("rate(10 minutes)"))
    await world.pass_s(700, 10)
    world.clocks.put_s(DAY_S)
    await world.schedules.look()
    assert world.ticks == [600, DAY_S + 600]
    world.clocks.put_s(-DAY_S)
    await world.pass_s(1110, 10)
    assert world.ticks == [600, DAY_S + 600, 1200, 1800]


@pytest.mark.parametrize("ahead_s", [HOUR_S, DAY_S])
async def test_a_clock_put_forward_is_a_downtime(world: World, ahead_s: int) -> None:
    await world.follow(plan("rate(10 minutes)"))
    await world.pass_s(300, 10)
    world.clocks.put_s(ahead_s)
    await world.schedules.look()
    assert world.ticks == [ahead_s]  # the latest of those that were jumped over
    await world.pass_s(600, 10)
    assert world.ticks == [ahead_s, ahead_s + 600]


async def test_the_loop_notices_a_clock_that_was_set(world: World) -> None:
    await world.follow(plan("rate(1 day)"))
    work = asyncio.create_task(world.schedules.run())
    await asyncio.sleep(0)
    world.clocks.put_s(DAY_S)
    told = asyncio.Event()
    world.store.listen(QUEUE, lambda ready, later: told.set())
    async with asyncio.timeout(60):
        await told.wait()
    work.cancel()
    assert world.ticks == [DAY_S]


async def test_skip_leaves_out_what_comes_while_the_last_one_has_not_ended(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    calm = plan(overlap="skip")
    await world.follow(calm)
    with caplog.at_level(logging.WARNING):
        await world.pass_s(150, 10)
        await world.restart(calm)  # it is still known which one that was
        await world.pass_s(60, 10)
    assert world.ticks == [60]
    assert "the tick of 2026-12-08T12:02:00Z is left out" in caplog.text
    await world.end(*world.messages())
    await world.pass_s(60, 10)
    assert world.ticks == [240]


async def test_queue_has_them_wait_for_their_turn(world: World) -> None:
    calm = plan(overlap="queue")
    await world.follow(calm)
    await world.pass_s(190, 10)
    assert world.ticks == [60]
    seen = []
    for _ in range(3):
        await world.restart(calm)
        seen += world.ticks
        await world.end(*world.messages())
        await world.schedules.look()
    assert seen == [60, 120, 180]
    assert world.ticks == []


async def test_a_tick_that_is_tried_again_has_not_ended(world: World) -> None:
    await world.follow(plan(overlap="skip"))
    await world.pass_s(60, 10)
    batch = Batch()
    batch.reschedule(world.messages()[0], world.store.now_ms() + HOUR_S * 1000, 1)
    await world.store.commit(batch)
    await world.pass_s(60, 10)
    assert world.ticks == []


async def test_parallel_puts_all(world: World) -> None:
    await world.follow(plan(overlap="parallel"))
    await world.pass_s(190, 10)
    assert world.ticks == [60, 120, 180]


def test_turns_are_bounded() -> None:
    runs, left, dropped = turns("queue", range(WAITING_MAX + 5), [], busy=True)
    assert (runs, len(left), len(dropped)) == ([], WAITING_MAX, 5)
    assert left == [*range(WAITING_MAX)]


async def test_jitter_delays_each_tick_within_its_window_and_the_same_after_a_crash(
    world: World,
) -> None:
    late = plan("rate(1 hour)", jitter_s=600)
    await world.follow(late)
    offsets = []
    for n in range(1, 6):
        world.clocks.pass_s(HOUR_S)
        await world.restart(late)
        await world.schedules.look()
        [message] = world.store.newest(QUEUE, 1)
        offsets.append(message.due_ms - world.start_ms - n * HOUR_S * 1000)
        await world.end(message)
    # The store's clock has gone on by moments in between.
    assert all(0 < offset < 600_000 + 60_000 for offset in offsets)
    assert len({offset // 1000 for offset in offsets}) > 1


async def test_a_night_in_spring_has_its_job_although_its_hour_does_not_exist(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, datetime(2027, 3, 27, 12, tzinfo=UTC).timestamp())
    await world.follow(plan("30 2 * * *", "Europe/Berlin"))
    await world.pass_s(2 * DAY_S, 600)
    moments = [datetime.fromtimestamp(int(m.body) / 1000, UTC) for m in world.messages()]
    world.close()
    assert [f"{moment:%d %H:%M}" for moment in moments] == ["28 01:00", "29 00:30"]


async def test_a_night_in_autumn_has_its_job_once_although_its_hour_comes_twice(
    tmp_path: Path,
) -> None:
    world = World(tmp_path, datetime(2027, 10, 30, 12, tzinfo=UTC).timestamp())
    await world.follow(plan("30 2 * * *", "Europe/Berlin"))
    await world.pass_s(2 * DAY_S, 600)
    moments = [datetime.fromtimestamp(int(m.body) / 1000, UTC) for m in world.messages()]
    world.close()
    assert [f"{moment:%d %H:%M}" for moment in moments] == ["31 00:30", "01 01:30"]


async def test_another_expression_or_zone_begins_anew(world: World) -> None:
    await world.follow(plan("rate(1 minute)"))
    await world.pass_s(90, 10)
    changed = plan("rate(1 hour)", misfire="all", runs_max=100)
    await world.restart(changed)
    await world.pass_s(HOUR_S, 10)
    assert world.ticks == [60, 90 + HOUR_S]
    moved = plan("rate(1 hour)", "Asia/Tokyo")
    world.clocks.pass_s(5 * HOUR_S)
    await world.restart(moved)
    await world.schedules.look()
    assert world.ticks == [60, 90 + HOUR_S]


async def test_nothing_comes_before_the_start_and_after_the_end(world: World) -> None:
    start_ms, end_ms = world.start_ms + 100_000, world.start_ms + 220_000
    await world.follow(plan("rate(1 minute)", start_ms=start_ms, end_ms=end_ms))
    await world.pass_s(400, 10)
    assert world.ticks == [100, 160, 220]
    [followed] = world.schedules.all()
    assert (followed.next_ms, world.schedules.next_tick(followed)) == (None, None)


async def test_a_start_that_is_far_away_is_no_wrong_clock(world: World) -> None:
    start_ms = world.start_ms + 2 * DAY_S * 1000
    await world.follow(plan("rate(10 minutes)", start_ms=start_ms))
    await world.pass_s(HOUR_S, 60)
    assert world.ticks == []
    [followed] = world.schedules.all()
    assert world.schedules.next_tick(followed) == start_ms


async def test_what_is_to_happen_at_the_end_is_in_the_last_ticks_batch(world: World) -> None:
    def ended(batch: Batch) -> None:
        batch.put(Draft("function:end", b"end"))

    once = plan("at(2026-12-08T12:01:00)", ended=ended)
    await world.follow(once)
    await world.pass_s(59)
    assert world.store.depth("function:end").messages == 0
    await world.pass_s(1)
    assert world.ticks == [60]
    assert world.store.depth("function:end").messages == 1
    assert world.schedules.all() == []
    assert world.db.read("schedules", {}) == []


async def test_a_full_queue_makes_ticks_late_not_lost(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    await world.follow(plan())
    world.store.bound(QUEUE, 1, 1 << 20)
    await world.store.put(Draft(QUEUE, b"0"))
    await world.pass_s(70, 10)
    assert len(world.messages()) == 1
    assert "schedule x: cannot accept more for function:f" in caplog.text
    world.store.bound(QUEUE, 10, 1 << 20)
    await world.pass_s(RETRY_S + 1)
    assert world.ticks[1:] == [60]


async def test_one_that_fails_holds_up_no_other(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(batch: Batch, tick: int) -> None:
        raise MachineError("cannot do it")

    await world.follow(plan(key="file:g:y", name="y", fire=broken))
    await world.follow(plan())
    await world.pass_s(130, 10)
    assert world.ticks == [60, 120]
    assert "schedule y: cannot do it; it is tried again" in caplog.text


async def test_what_was_left_is_not_put(world: World) -> None:
    every: Plan = plan()
    await world.follow(every)
    world.schedules.leave(every.key)
    await world.pass_s(120, 10)
    assert world.ticks == []


async def test_what_was_suspended_makes_up_for_nothing(world: World) -> None:
    hourly = plan("cron(0 * * * ? *)", misfire="all", runs_max=10)
    await world.follow(hourly)
    world.schedules.leave(hourly.key)
    world.clocks.pass_s(3.5 * HOUR_S)
    await world.follow(hourly, resumed=True)
    await world.pass_s(HOUR_S, 60)
    assert world.ticks == [4 * HOUR_S]
