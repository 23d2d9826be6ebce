"""Which schedule expressions are read, as what, and what is said of the others."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microfaas import timetable
from microfaas.timetable import At, Cron, InvalidSchedule, Rate

VALID = [
    "cron(0 2 ? * SAT *)",
    "cron(0 12 * * ? *)",
    "cron(5,35 14 * * ? *)",
    "cron(15 10 ? * 6L 2002-2005)",
    "cron(0 2 ? * SAT#3 *)",
    "cron(* * ? * SAT#3 *)",
    "cron(0/5 5 ? JAN 1-5 2022)",
    "cron(0 10 * * ? *)",
    "cron(15 12 ? * 6L *)",
    "cron(0 8 ? * 2#1 *)",
    "cron(0 9 LW * ? *)",
    "cron(0 9 L * ? *)",
    "cron(0 9 3W * ? *)",
    "cron(0 9 ? * L *)",
    "cron(0 18 ? * MON-FRI *)",
    "cron(0 8 1 * ? *)",
    "cron(0/15 * * * ? *)",
    "cron(0/10 * ? * mon-fri *)",
    "cron(0/30 20-2 ? * MON-FRI *)",
    "cron(0 0 1 JAN,APR,JUL,OCT ? 1970-2199)",
    "cron(0 0 1/3 2/2 ? 2026/2)",
    "rate(1 second)",
    "rate(10 seconds)",
    "rate(1 minute)",
    "rate(5 minutes)",
    "rate(1 hour)",
    "rate(12 hours)",
    "rate(1 day)",
    "rate(7 days)",
    "at(2026-12-24T18:00:00)",
    "*/5 * * * *",
    "0 0 1,15 * 1-5",
    "0 22 * * sun",
    "15 3 * jan-mar 7",
    "@hourly",
    "@daily",
    "@midnight",
    "@weekly",
    "@monthly",
    "@yearly",
    "@annually",
]

# What is wrong, and a part of what the reader is told.
REFUSED = [
    ("rate(0 minutes)", "at least 1"),
    ("rate(1 minutes)", "write rate(1 minute)"),
    ("rate(1 hours)", "write rate(1 hour)"),
    ("rate(1 days)", "write rate(1 day)"),
    ("rate(5 minute)", "write rate(5 minutes)"),
    ("rate(10 hour)", "write rate(10 hours)"),
    ("rate(10 day)", "write rate(10 days)"),
    ("rate(10 years)", "as in rate(5 minutes)"),
    ("rate()", "as in rate(5 minutes)"),
    ("rate(10)", "as in rate(5 minutes)"),
    ("rate(10 minutess)", "as in rate(5 minutes)"),
    ("rate(foo minutes)", "as in rate(5 minutes)"),
    ("rate(-10 minutes)", "as in rate(5 minutes)"),
    ("rate(1.5 hours)", "as in rate(5 minutes)"),
    ("rate(٣ minutes)", "as in rate(5 minutes)"),
    ("rate(10 MINUTES)", "small letters"),
    ("rate( 10 minutes )", "one space"),
    (" rate(10 minutes)", "must be one of"),
    ("rate(5 minutes", "must be one of"),
    ("cron(0 1 * * * *)", "exactly one"),
    ("cron(0 1 ? * ? *)", "exactly one"),
    ("cron(0 1 15 * MON *)", "exactly one"),
    ("cron(7 20 * * NOT *)", "exactly one"),
    ("cron(INVALID)", "six fields, not 1"),
    ("cron(0 10 * * ?)", "without cron()"),
    ("cron(0 10 * * ? * *)", "six fields, not 7"),
    ("cron(0 dummy ? * MON-FRI *)", "the hour must be 0 to 23, not 'DUMMY'"),
    ("cron(71 8 1 * ? *)", "the minute must be 0 to 59, not '71'"),
    ("cron(0 24 * * ? *)", "the hour must be 0 to 23, not '24'"),
    ("cron(0 0 0 * ? *)", "the day of the month must be 1 to 31, not '0'"),
    ("cron(0 0 32W * ? *)", "the day of the month must be 1 to 31, not '32'"),
    ("cron(0 0 W * ? *)", "the day of the month must be 1 to 31, not ''"),
    ("cron(0 0 1-5W * ? *)", "one day of the month"),
    ("cron(0 0 1,L * ? *)", "the day of the month must be 1 to 31, not 'L'"),
    ("cron(0 0 1 13 ? *)", "the month must be 1 to 12 or JAN to DEC, not '13'"),
    ("cron(0 0 ? * 0 *)", "the day of the week must be 1 to 7 or SUN to SAT, not '0'"),
    ("cron(0 0 ? * 8 *)", "not '8'"),
    ("cron(0 0 ? * 3#6 *)", "1 to 5, not '6'"),
    ("cron(0 0 ? * 3#0 *)", "1 to 5, not '0'"),
    ("cron(0 0 ? * 3#1,6#3 *)", "one day of the week"),
    ("cron(0 0 ? * 2-6L *)", "one day of the week"),
    ("cron(0 0 L * ? 1969)", "the year must be 1970 to 2199, not '1969'"),
    ("cron(0 0 L * ? 2200)", "not '2200'"),
    ("cron(0 0 L * ? 2030-2026)", "backwards"),
    ("cron(0 L * * ? *)", "the hour"),
    ("cron(? 0 * * ? *)", "the minute"),
    ("cron(0/0 0 * * ? *)", "the step of the minute must be 1 to 59, not 0"),
    ("cron(0/60 0 * * ? *)", "the step of the minute must be 1 to 59, not 60"),
    ("cron(1-2-3 0 * * ? *)", "the minute"),
    ("cron(1,,2 0 * * ? *)", "the minute"),
    ("cron(*-5 0 * * ? *)", "the minute"),
    ("0 10 * * ? *", "write cron(0 10 * * ? *)"),
    ("0 10 * *", "must be one of"),
    ("", "must be one of"),
    ("* * * * 8", "the day of the week must be 0 to 7 or SUN to SAT, not '8'"),
    ("* * ? * *", "the day of the month"),
    ("* * L * *", "the day of the month"),
    ("@reboot", "known nicknames are: @yearly"),
    ("at(2026-02-30T00:00:00)", "no such time"),
    ("at(2026-12-24)", "at(yyyy-mm-ddThh:mm:ss)"),
    ("at(2026-12-24T18:00:00Z)", "at(yyyy-mm-ddThh:mm:ss)"),
    ("at(1969-12-24T18:00:00)", "from 1970 to 2199"),
]


@pytest.mark.parametrize("expression", VALID)
def test_valid_expressions_are_read(expression: str) -> None:
    assert isinstance(timetable.parse(expression), Rate | At | Cron)


@pytest.mark.parametrize(("expression", "told"), REFUSED)
def test_others_are_refused_with_what_would_be_right(expression: str, told: str) -> None:
    with pytest.raises(InvalidSchedule) as refusal:
        timetable.parse(expression)
    assert told in str(refusal.value)
    assert str(refusal.value).startswith(f"cannot read the schedule {expression!r}: ")


def test_an_endless_expression_is_refused_without_being_repeated() -> None:
    with pytest.raises(InvalidSchedule, match="at most 256 characters, not 10000"):
        timetable.parse("0" * 10_000)


def test_rates_are_milliseconds() -> None:
    assert timetable.parse("rate(2 seconds)") == Rate(2_000)
    assert timetable.parse("rate(1 minute)") == Rate(60_000)
    assert timetable.parse("rate(3 hours)") == Rate(10_800_000)
    assert timetable.parse("rate(1 day)") == Rate(86_400_000)


def test_at_is_a_time_of_the_wall_clock() -> None:
    assert timetable.parse("at(2026-12-24T18:00:01)") == At(datetime(2026, 12, 24, 18, 0, 1))


@pytest.mark.parametrize(
    ("field", "minutes"),
    [
        ("7", [7]),
        ("5,1,5", [1, 5]),
        ("1-4", [1, 2, 3, 4]),
        ("*/20", [0, 20, 40]),
        ("50/4", [50, 54, 58]),
        ("10-20/5", [10, 15, 20]),
        ("58-2", [0, 1, 2, 58, 59]),
        ("55-10/5", [0, 5, 10, 55]),
    ],
)
def test_lists_ranges_and_steps(field: str, minutes: list[int]) -> None:
    for expression in (f"cron({field} 0 * * ? *)", f"{field} 0 * * *"):
        schedule = timetable.parse(expression)
        assert isinstance(schedule, Cron)
        assert list(schedule.minutes) == minutes


@pytest.mark.parametrize(
    ("crontab", "aws"),
    [("0", "1"), ("7", "SUN"), ("1-5", "2-6"), ("5-7", "FRI-SUN"), ("6-0", "7-1")],
)
def test_crontab_counts_weekdays_from_0_and_aws_from_1(crontab: str, aws: str) -> None:
    one, other = timetable.parse(f"0 0 * * {crontab}"), timetable.parse(f"cron(0 0 ? * {aws} *)")
    assert isinstance(one, Cron)
    assert isinstance(other, Cron)
    assert [one.days.of(2026, m) for m in range(1, 13)] == [
        other.days.of(2026, m) for m in range(1, 13)
    ]


@given(
    st.text(max_size=40)
    | st.builds(
        lambda name, inside: f"{name}({inside})",
        st.sampled_from(["rate", "cron", "at"]),
        st.text("0123456789 *,-/?LW#MONsecd", max_size=40),
    )
)
def test_nothing_but_a_schedule_or_a_refusal_comes_of_a_text(text: str) -> None:
    try:
        told = isinstance(timetable.parse(text), Rate | At | Cron)
    except InvalidSchedule as refusal:
        told = repr(text) in str(refusal)
    assert told


def test_time_zones_are_found_by_name() -> None:
    assert timetable.zone_named("Europe/Berlin").key == "Europe/Berlin"


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("Europe/Berln", "did you mean 'Europe/Berlin'?"),
        ("", "cannot find the time zone ''"),
        ("../../etc/passwd", "cannot find the time zone"),
        ("/etc/passwd", "cannot find the time zone"),
        ("Europe", "cannot find the time zone"),
        ("nul\0", "cannot find the time zone"),
    ],
)
def test_other_zones_are_refused(name: str, told: str) -> None:
    with pytest.raises(InvalidSchedule) as refusal:
        timetable.zone_named(name)
    assert told in str(refusal.value)
