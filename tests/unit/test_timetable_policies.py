"""Which ticks are run after which silence, when in their window, and beside what."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microfaas import timetable
from microfaas.timetable import Due, Misfire, policies

UTC = ZoneInfo("UTC")
SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
YEAR = 365 * DAY
GRACE = timetable.MISFIRE_GRACE_S * SECOND
CLOCK_BACK = timetable.CLOCK_BACK_S_MAX * SECOND
# A Thursday's midnight.
START = 20_000 * DAY


def due(
    expression: str,
    last_ms: int,
    now_ms: int,
    misfire: Misfire = "once",
    runs_max: int = 1,
) -> Due:
    schedule = timetable.parse(expression)
    return timetable.due(schedule, last_ms, now_ms, UTC, START, misfire, runs_max)


def test_nothing_is_due_before_the_first_period_is_over() -> None:
    assert due("rate(5 minutes)", START, START) == Due([], START, START + 5 * MINUTE)
    assert due("rate(5 minutes)", START, START + 5 * MINUTE - 1).ticks == []


@pytest.mark.parametrize("misfire", ["once", "all", "skip"])
def test_a_tick_on_time_is_run_whatever_the_policy(misfire: Misfire) -> None:
    tick = START + 5 * MINUTE
    for late in (0, 1, GRACE):
        assert due("rate(5 minutes)", START, tick + late, misfire) == Due(
            [tick], tick, tick + 5 * MINUTE
        )


def test_a_tick_is_missed_when_it_is_later_than_the_grace() -> None:
    tick = START + 5 * MINUTE
    assert due("rate(5 minutes)", START, tick + GRACE + 1, "skip") == Due(
        [], tick, tick + 5 * MINUTE
    )
    assert due("rate(5 minutes)", START, tick + GRACE + 1, "once").ticks == [tick]


def test_all_ticks_within_the_grace_are_run() -> None:
    now = START + 10 * SECOND
    assert due("rate(1 second)", START, now, "skip").ticks == [
        START + n * SECOND for n in range(1, 11)
    ]


@pytest.mark.parametrize(
    ("misfire", "runs_max", "hours"),
    [
        ("skip", 9, []),
        ("once", 9, [9]),
        ("all", 0, []),
        ("all", 3, [7, 8, 9]),
        ("all", 9, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("all", 100, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
    ],
)
@pytest.mark.parametrize("expression", ["rate(1 hour)", "cron(0 * * * ? *)", "@hourly"])
def test_missed_ticks(expression: str, misfire: Misfire, runs_max: int, hours: list[int]) -> None:
    found = due(expression, START, START + 9 * HOUR + 10 * MINUTE, misfire, runs_max)
    assert found == Due(
        [START + hour * HOUR for hour in hours], START + 9 * HOUR, START + 10 * HOUR
    )


def test_a_tick_on_time_is_run_beside_the_missed_ones() -> None:
    now = START + 3 * HOUR + SECOND
    assert due("@hourly", START, now, "once").ticks == [START + 2 * HOUR, START + 3 * HOUR]
    assert due("@hourly", START, now, "skip").ticks == [START + 3 * HOUR]


def test_many_missed_ticks_are_not_gone_through_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = 0
    real = policies.next_time

    def counting(*arguments: object) -> int | None:
        nonlocal asked
        asked += 1
        return real(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(policies, "next_time", counting)
    for expression in ("rate(1 second)", "* * * 1 *", "cron(0 0 1 1 ? *)"):
        asked = 0
        now = START + 100 * YEAR
        found = due(expression, START, now, "all", 5)
        assert len([tick for tick in found.ticks if tick < now - GRACE]) == 5
        assert asked < 1000


def test_no_more_than_a_bounded_number_of_missed_ticks_is_run() -> None:
    found = due("rate(1 second)", START, START + DAY, "all", 10**9)
    assert len([t for t in found.ticks if t < START + DAY - GRACE]) == timetable.RUNS_MAX


def test_a_single_moment_is_run_once_late_or_not_at_all() -> None:
    expression, tick = "at(2025-01-01T00:00:00)", 1735689600000
    assert due(expression, START, tick) == Due([tick], tick, None)
    assert due(expression, START, tick + YEAR) == Due([tick], tick, None)
    assert due(expression, START, tick + YEAR, "skip") == Due([], tick, None)
    assert due(expression, tick, tick - 5 * YEAR) == Due([], tick, None)
    assert due(expression, tick, tick) == Due([], tick, None)


def test_a_clock_that_is_put_back_a_little_repeats_nothing() -> None:
    last = START + 10 * MINUTE
    for now in (last - 1, last - MINUTE, last - CLOCK_BACK):
        assert due("rate(1 minute)", last, now) == Due([], last, last + MINUTE)
    assert due("rate(1 minute)", last, last + MINUTE).ticks == [last + MINUTE]


def test_a_daily_tick_is_not_repeated_by_a_clock_put_back_by_a_day() -> None:
    last = START + DAY
    for back in (HOUR + 1, 12 * HOUR, DAY):
        assert due("@daily", last, last - back) == Due([], last, last + DAY)


def test_a_clock_that_was_wrong_by_a_year_does_not_silence_a_schedule() -> None:
    last, now = START + YEAR, START + 30 * SECOND
    assert due("rate(1 minute)", last, now) == Due([START], START, START + MINUTE)
    assert due("rate(1 minute)", START, START + MINUTE).ticks == [START + MINUTE]
    assert due("rate(1 hour)", last, START + 30 * MINUTE) == Due([], last, START + HOUR)
    assert due("rate(1 hour)", last, START + HOUR) == Due(
        [START + HOUR], START + HOUR, START + 2 * HOUR
    )


def test_a_clock_that_is_wrong_for_a_while_repeats_nothing_when_put_right() -> None:
    last = START + YEAR
    wrong = due("@daily", last, 5 * HOUR)
    assert wrong == Due([], last, DAY)
    assert due("@daily", wrong.last_ms, last + HOUR).ticks == []


@pytest.mark.parametrize("expression", ["rate(7 minutes)", "cron(0/10 8-9 * * ? *)", "30 2 * * *"])
@given(
    steps=st.lists(
        st.one_of(
            st.integers(0, 3 * HOUR),
            st.integers(0, 3 * DAY),
            st.integers(-CLOCK_BACK, 0),
        ),
        max_size=30,
    ),
    misfire=st.sampled_from(["once", "all", "skip"]),
    runs_max=st.integers(0, 5),
)
def test_no_tick_is_run_twice_nor_out_of_order(
    expression: str, steps: list[int], misfire: Misfire, runs_max: int
) -> None:
    last = now = highest = START
    ran: list[int] = []
    for step in steps:
        # However often it is put back, it is never further behind than a clock may be.
        now = max(now + step, highest - CLOCK_BACK)
        highest = max(highest, now)
        found = due(expression, last, now, misfire, runs_max)
        assert found.last_ms >= last
        assert found.next_ms is not None
        assert found.next_ms > max(found.last_ms, now)
        ran += found.ticks
        last = found.last_ms
    assert ran == sorted(set(ran))


@given(
    steps=st.lists(st.integers(0, GRACE), max_size=60),
    expression=st.sampled_from(["rate(7 seconds)", "cron(* * * * ? *)", "*/3 0 * * *"]),
)
def test_no_tick_is_left_out_by_who_looks_often(steps: list[int], expression: str) -> None:
    schedule = timetable.parse(expression)
    last = now = START
    ran: list[int] = []
    for step in steps:
        now += step
        found = due(expression, last, now, "skip")
        ran += found.ticks
        last = found.last_ms
    tick, expected = timetable.next_time(schedule, START, UTC, START), []
    while tick is not None and tick <= now:
        expected.append(tick)
        tick = timetable.next_time(schedule, tick, UTC, START)
    assert ran == expected


@given(tick=st.integers(0, 2**43), window_s=st.integers(1, 86_400), seed=st.text(max_size=20))
def test_jitter_stays_in_its_window_and_is_the_same_each_time(
    tick: int, window_s: int, seed: str
) -> None:
    moment = timetable.jittered(tick, window_s, seed)
    assert tick <= moment < tick + window_s * SECOND
    assert moment == timetable.jittered(tick, window_s, seed)


def test_jitter_spreads_schedules_and_ticks_over_the_window() -> None:
    by_name = {timetable.jittered(START, 100, f"s{n}") // (10 * SECOND) for n in range(200)}
    by_tick = {timetable.jittered(START + n, 100, "s") // (10 * SECOND) for n in range(200)}
    assert len(by_name) == len(by_tick) == 10
    # The same after every restart.
    assert timetable.jittered(START, 100, "nightly") == 1728000082557


def test_without_a_window_there_is_no_jitter() -> None:
    assert timetable.jittered(START, 0, "nightly") == START


@pytest.mark.parametrize(
    ("policy", "running", "waiting", "decided"),
    [
        ("skip", 0, 0, "run"),
        ("skip", 1, 0, "drop"),
        ("skip", 0, 1, "drop"),
        ("queue", 0, 0, "run"),
        ("queue", 1, 0, "wait"),
        ("queue", 0, 1, "wait"),
        ("queue", 1, timetable.WAITING_MAX - 1, "wait"),
        ("queue", 1, timetable.WAITING_MAX, "drop"),
        ("parallel", 0, 0, "run"),
        ("parallel", 50, 0, "run"),
    ],
)
def test_overlap(policy: timetable.Overlap, running: int, waiting: int, decided: str) -> None:
    assert timetable.overlap(policy, running, waiting) == decided
