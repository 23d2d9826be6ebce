"""The next moment of a schedule: by example, and beside an oracle that tries every minute."""

from __future__ import annotations

import calendar
import functools
from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from microfaas import timetable
from microfaas.timetable import Cron

BERLIN = ZoneInfo("Europe/Berlin")
NEW_YORK = ZoneInfo("America/New_York")
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
KATHMANDU = ZoneInfo("Asia/Kathmandu")
APIA = ZoneInfo("Pacific/Apia")
UTC_ZONE = ZoneInfo("UTC")
MINUTE = timedelta(minutes=1)
MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS


def ms(text: str) -> int:
    return round(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)


def text_of(moment_ms: int | None, zone: ZoneInfo) -> str | None:
    if moment_ms is None:
        return None
    return datetime.fromtimestamp(moment_ms / 1000, zone).isoformat(timespec="minutes")


def run(expression: str, after: str, zone: ZoneInfo = UTC_ZONE, count: int = 1) -> list[str | None]:
    """The next few moments, as the clock of the zone shows them."""
    schedule, moment_ms = timetable.parse(expression), ms(after)
    found: list[str | None] = []
    for _ in range(count):
        following = timetable.next_time(schedule, moment_ms, zone)
        found.append(text_of(following, zone))
        if following is None:
            break
        moment_ms = following
    return found


@pytest.mark.parametrize(
    ("expression", "days"),
    [
        ("cron(0 0 * * ? *)", ["2026-03-02", "2026-03-03"]),
        ("cron(0 0 31 * ? *)", ["2026-03-31", "2026-05-31"]),
        ("cron(0 0 L * ? *)", ["2026-03-31", "2026-04-30", "2026-05-31"]),
        ("cron(0 0 L 2 ? *)", ["2027-02-28", "2028-02-29"]),
        # 31 May 2026 is a Sunday, 31 October 2026 a Saturday.
        ("cron(0 0 LW 5,10 ? 2026)", ["2026-05-29", "2026-10-30", None]),
        # 1 August 2026 is a Saturday, 1 November a Sunday, 15 March a Sunday.
        ("cron(0 0 1W 8,11 ? 2026)", ["2026-08-03", "2026-11-02", None]),
        ("cron(0 0 15W 3,8 ? 2026)", ["2026-03-16", "2026-08-14", None]),
        ("cron(0 0 31W 4,5 ? 2026)", ["2026-05-29", None]),
        ("cron(0 0 ? * 6L *)", ["2026-03-27", "2026-04-24"]),
        ("cron(0 0 ? * L 2026)", ["2026-03-07", "2026-03-14"]),
        ("cron(0 0 ? * 2#1 *)", ["2026-03-02", "2026-04-06"]),
        ("cron(0 0 ? * SUN#5 *)", ["2026-03-29", "2026-05-31"]),
        ("cron(0 0 ? * FRI-SUN *)", ["2026-03-06", "2026-03-07", "2026-03-08", "2026-03-13"]),
        ("cron(0 0 29 2 ? *)", ["2028-02-29", "2032-02-29"]),
        ("cron(0 0 1 1 ? 2100/50)", ["2100-01-01", "2150-01-01", None]),
        ("0 0 13 * 5", ["2026-03-06", "2026-03-13", "2026-03-20"]),
        ("0 0 1 * 1", ["2026-03-02", "2026-03-09"]),
        ("0 0 */2 * 1", ["2026-03-09", "2026-03-23", "2026-04-13"]),
        ("@weekly", ["2026-03-08", "2026-03-15"]),
        ("@monthly", ["2026-04-01", "2026-05-01"]),
        ("@yearly", ["2027-01-01"]),
    ],
)
def test_days(expression: str, days: list[str | None]) -> None:
    expected = [day and f"{day}T00:00+00:00" for day in days]
    assert run(expression, "2026-03-01T00:00Z", count=len(days)) == expected


@pytest.mark.parametrize(
    "expression",
    [
        "cron(0 0 31 2 ? *)",
        "cron(* * 30 FEB ? *)",
        "cron(0 0 31W 4 ? *)",
        "0 0 31 4,6,9,11 *",
        "cron(0 0 29 2 ? 2027/4)",
        "cron(0 0 * * ? 1970-2025)",
        "at(2026-01-01T00:00:00)",
    ],
)
def test_what_never_comes_ends(expression: str) -> None:
    assert run(expression, "2026-03-01T00:00Z") == [None]


def test_moments_end_with_the_calendar() -> None:
    for expression in (
        "cron(* * * * ? *)",
        "* 0-23 * * *",
        "rate(5 minutes)",
        "at(2199-12-31T23:59:59)",
    ):
        schedule = timetable.parse(expression)
        assert timetable.next_time(schedule, 10**17, BERLIN) is None
        assert timetable.next_time(schedule, -(10**17), BERLIN) is not None
    assert run("cron(59 23 31 12 ? *)", "2199-02-01T00:00Z", NEW_YORK, 2) == [
        "2199-12-31T23:59-05:00",
        None,
    ]


def test_a_rate_keeps_step_with_its_anchor() -> None:
    schedule = timetable.parse("rate(1 day)")
    anchor = ms("2026-03-28T08:00:07+01:00")
    for days in (-1, 0, 1, 2, 1000):
        moment = anchor + days * DAY_MS
        assert timetable.next_time(schedule, moment, BERLIN, anchor) == moment + DAY_MS
        assert timetable.next_time(schedule, moment - 1, BERLIN, anchor) == moment
        assert timetable.next_time(schedule, moment + 1, BERLIN, anchor) == moment + DAY_MS


def test_at_is_once_and_in_its_zone() -> None:
    assert run("at(2026-07-01T12:00:00)", "2026-01-01T00:00Z", NEW_YORK, 2) == [
        "2026-07-01T12:00-04:00",
        None,
    ]


# In 2026 Berlin's clock jumps from 2:00 to 3:00 on 29 March and back from 3:00 to 2:00 on
# 25 October; Lord Howe's from 2:00 to 2:30 on 4 October and back from 2:00 to 1:30 on 5 April.
@pytest.mark.parametrize(
    ("expression", "zone", "after", "moments"),
    [
        (
            "cron(30 2 * * ? *)",
            BERLIN,
            "2026-03-28T00:00Z",
            ["2026-03-28T02:30+01:00", "2026-03-29T03:00+02:00", "2026-03-30T02:30+02:00"],
        ),
        (
            "cron(0,20,40 2,3 * * ? *)",
            BERLIN,
            "2026-03-29T00:00Z",
            ["2026-03-29T03:00+02:00", "2026-03-29T03:20+02:00", "2026-03-29T03:40+02:00"],
        ),
        (
            "30 2 * * *",
            BERLIN,
            "2026-10-24T12:00Z",
            ["2026-10-25T02:30+02:00", "2026-10-26T02:30+01:00"],
        ),
        (
            "at(2026-03-29T02:30:00)",
            BERLIN,
            "2026-01-01T00:00Z",
            ["2026-03-29T03:00+02:00", None],
        ),
        (
            "at(2026-10-25T02:30:00)",
            BERLIN,
            "2026-01-01T00:00Z",
            ["2026-10-25T02:30+02:00", None],
        ),
        (
            "cron(0 * * * ? *)",
            BERLIN,
            "2026-03-29T00:00Z",
            ["2026-03-29T03:00+02:00", "2026-03-29T04:00+02:00"],
        ),
        (
            "cron(0/30 * * * ? *)",
            BERLIN,
            "2026-10-25T00:00Z",
            [
                "2026-10-25T02:30+02:00",
                "2026-10-25T02:00+01:00",
                "2026-10-25T02:30+01:00",
                "2026-10-25T03:00+01:00",
            ],
        ),
        (
            "0 */2 * * *",
            BERLIN,
            "2026-10-24T22:30Z",
            ["2026-10-25T02:00+02:00", "2026-10-25T02:00+01:00", "2026-10-25T04:00+01:00"],
        ),
        (
            "15 2 * * *",
            LORD_HOWE,
            "2026-10-03T00:00Z",
            ["2026-10-04T02:30+11:00", "2026-10-05T02:15+11:00"],
        ),
        (
            "45 1 * * *",
            LORD_HOWE,
            "2026-04-04T00:00Z",
            ["2026-04-05T01:45+11:00", "2026-04-06T01:45+10:30"],
        ),
        (
            "45 * * * *",
            LORD_HOWE,
            "2026-04-04T14:00Z",
            ["2026-04-05T01:45+11:00", "2026-04-05T01:45+10:30", "2026-04-05T02:45+10:30"],
        ),
        # A whole day was left out there.
        (
            "30 8 * * *",
            APIA,
            "2011-12-29T00:00Z",
            ["2011-12-29T08:30-10:00", "2011-12-31T00:00+14:00", "2011-12-31T08:30+14:00"],
        ),
    ],
)
def test_daylight_saving(
    expression: str, zone: ZoneInfo, after: str, moments: list[str | None]
) -> None:
    assert run(expression, after, zone, len(moments)) == moments


def test_a_long_way_takes_few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    class Counting(ZoneInfo):
        def utcoffset(self, moment: datetime | None, /) -> timedelta | None:
            nonlocal asked
            asked += 1
            return super().utcoffset(moment)

    zone = Counting.no_cache("Europe/Berlin")
    for expression in ("cron(* * 29 2 ? 2196)", "cron(0 3 29 2 ? 2196)"):
        schedule = timetable.parse(expression)
        assert timetable.next_time(schedule, 0, zone) == timetable.next_time(schedule, 0, BERLIN)
    assert asked < 100


# The oracle below knows expressions as numbers, which it writes down in AWS's way, and finds out
# what the clock shows by looking at it every minute.

ZONES = [BERLIN, NEW_YORK, LORD_HOWE, KATHMANDU, UTC_ZONE, ZoneInfo("Africa/Casablanca")]
AROUND = [
    date(2026, 3, 8),
    date(2026, 3, 29),
    date(2026, 4, 5),
    date(2026, 10, 4),
    date(2026, 10, 25),
    date(2026, 11, 1),
    date(2026, 2, 15),
    date(2026, 3, 22),
    date(2027, 12, 31),
    date(2028, 2, 29),
]
DAYS_TRIED = 3


@functools.cache
def tried(zone: ZoneInfo, around: date) -> list[tuple[int, datetime]]:
    """Every minute of a few days, and what the clock shows then."""
    start = datetime(around.year, around.month, around.day, tzinfo=UTC) - timedelta(days=1)
    start_ms = round(start.timestamp() * 1000)
    moments = range(start_ms, start_ms + DAYS_TRIED * DAY_MS, MINUTE_MS)
    return [(m, datetime.fromtimestamp(m / 1000, zone).replace(tzinfo=None)) for m in moments]


def oracle(
    minutes: list[int], hours: list[int] | None, zone: ZoneInfo, around: date
) -> Iterator[int]:
    """All moments of those days, ascending; no hours means every hour."""
    highest = tried(zone, around)[0][1] - MINUTE
    for moment, shown in tried(zone, around):
        new = [highest + timedelta(minutes=n) for n in range(1, (shown - highest) // MINUTE + 1)]
        highest = max(highest, shown)
        if hours is None:
            if shown.minute in minutes:
                yield moment
        elif any(minute.minute in minutes and minute.hour in hours for minute in new):
            yield moment


minutes_lists = st.lists(st.integers(0, 59), min_size=1, max_size=5, unique=True)
hours_lists = st.lists(st.integers(0, 23), min_size=1, max_size=5, unique=True)


@given(
    minutes=minutes_lists,
    hours=hours_lists | st.none(),
    zone=st.sampled_from(ZONES),
    around=st.sampled_from(AROUND),
    offset_ms=st.integers(0, DAY_MS),
)
@example([0, 30], [2], BERLIN, date(2026, 3, 29), 0)
@example([0, 15, 45], [1, 2], LORD_HOWE, date(2026, 4, 5), 0)
@example([0, 15, 45], None, LORD_HOWE, date(2026, 4, 5), 0)
@example([5], None, NEW_YORK, date(2026, 11, 1), DAY_MS)
def test_the_same_moments_as_by_trying_every_minute(
    minutes: list[int], hours: list[int] | None, zone: ZoneInfo, around: date, offset_ms: int
) -> None:
    hour = "*" if hours is None else ",".join(map(str, hours))
    schedule = timetable.parse(f"cron({','.join(map(str, minutes))} {hour} * * ? *)")
    expected = list(oracle(minutes, hours, zone, around))
    first_ms, last_ms = tried(zone, around)[0][0], tried(zone, around)[-1][0]
    after_ms = first_ms + offset_ms
    expected = expected[bisect_left(expected, after_ms + 1) :]
    found = []
    while (moment := timetable.next_time(schedule, after_ms, zone)) is not None:
        assert moment > after_ms
        if moment > last_ms:
            break
        found.append(moment)
        after_ms = moment
    assert found == expected


def fits_day(rule: str, day: date) -> bool:
    """Whether AWS's field for days, of the month or the week, means that day."""
    weekday = day.isoweekday() % 7 + 1
    length = calendar.monthrange(day.year, day.month)[1]
    if rule.startswith("L"):
        rest = [d for d in range(day.day + 1, length + 1) if rule == "L" or workday(day, d)]
        return not rest and (rule == "L" or weekday in range(2, 7))
    if rule.endswith("W"):
        wanted = int(rule[:-1])
        workdays = [d for d in range(1, length + 1) if workday(day, d)]
        # With a Sunday for the date, Monday is one day away and Friday two: no two are as near.
        return wanted <= length and day.day == min(workdays, key=lambda d: abs(d - wanted))
    if rule.endswith("L"):
        return weekday == int(rule[:-1]) and day.day + 7 > length
    if "#" in rule:
        wanted, nth = map(int, rule.split("#"))
        return weekday == wanted and (day.day - 1) // 7 + 1 == nth
    return day.day == int(rule)


def workday(month: date, number: int) -> bool:
    return month.replace(day=number).isoweekday() <= 5


date_rules = st.one_of(
    st.sampled_from(["L", "LW"]),
    st.integers(1, 31).map(str),
    st.integers(1, 31).map("{}W".format),
)
weekday_rules = st.one_of(
    st.integers(1, 7).map("{}L".format),
    st.builds("{}#{}".format, st.integers(1, 7), st.integers(1, 5)),
)


@given(
    rules=date_rules.map(lambda r: (r, f"{r} * ?")) | weekday_rules.map(lambda r: (r, f"? * {r}")),
    start=st.dates(date(1970, 1, 1), date(2190, 1, 1)),
    zone=st.sampled_from(ZONES),
)
def test_the_same_days_as_by_trying_every_day(
    rules: tuple[str, str], start: date, zone: ZoneInfo
) -> None:
    rule, fields = rules
    schedule = timetable.parse(f"cron(0 12 {fields} *)")
    assert isinstance(schedule, Cron)
    noon = datetime(start.year, start.month, start.day, 12, tzinfo=zone)
    moment = timetable.next_time(schedule, round(noon.timestamp() * 1000), zone)
    day = start + timedelta(days=1)
    while not fits_day(rule, day):
        day += timedelta(days=1)
    assert text_of(moment, zone) == noon.replace(
        year=day.year, month=day.month, day=day.day
    ).isoformat(timespec="minutes")
