"""Reading of schedule expressions and time zones; what they mean is said in the package."""

from __future__ import annotations

import difflib
import re
import zoneinfo
from collections.abc import Callable, Mapping
from datetime import datetime
from types import MappingProxyType

from microfaas.timetable import days, fields
from microfaas.timetable.fields import number, numbers
from microfaas.timetable.schedule import (
    YEAR_MAX,
    YEAR_MIN,
    At,
    Cron,
    InvalidSchedule,
    Rate,
    Schedule,
)

EXPRESSION_CHARS_MAX = 256
FORMS = (
    "rate(5 minutes), cron(0 10 * * ? *), at(2026-12-24T18:00:00), "
    "or crontab's five fields as in '*/5 * * * *'"
)
AWS_FIELDS = "minute hour day-of-month month day-of-week year"
CRONTAB_FIELDS = "minute hour day-of-month month day-of-week"

_SECOND_MS = 1000
_UNITS_MS: Mapping[str, int] = MappingProxyType(
    {
        "second": _SECOND_MS,
        "minute": 60 * _SECOND_MS,
        "hour": 3600 * _SECOND_MS,
        "day": 24 * 3600 * _SECOND_MS,
    }
)
_NICKNAMES: Mapping[str, str] = MappingProxyType(
    {
        "@yearly": "0 0 1 1 *",
        "@annually": "0 0 1 1 *",
        "@monthly": "0 0 1 * *",
        "@weekly": "0 0 * * 0",
        "@daily": "0 0 * * *",
        "@midnight": "0 0 * * *",
        "@hourly": "0 * * * *",
    }
)
_CALL = re.compile(r"(rate|cron|at)\((.*)\)")
_RATE = re.compile(r"([0-9]+) (second|minute|hour|day)(s?)")
_AT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}")


def parse(expression: str) -> Schedule:
    """Raises InvalidSchedule, with a text that names the expression."""
    if len(expression) > EXPRESSION_CHARS_MAX:
        raise InvalidSchedule(
            f"a schedule must have at most {EXPRESSION_CHARS_MAX} characters, not {len(expression)}"
        )
    try:
        return _parse(expression)
    except InvalidSchedule as error:
        raise InvalidSchedule(f"cannot read the schedule {expression!r}: {error}") from None


def zone_named(name: str) -> zoneinfo.ZoneInfo:
    """The time zone of that name. Raises InvalidSchedule."""
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        near = difflib.get_close_matches(name, zoneinfo.available_timezones(), n=1)
        hint = f"did you mean {near[0]!r}?" if near else "write it as in 'Europe/Berlin' or 'UTC'"
        raise InvalidSchedule(f"cannot find the time zone {name!r}; {hint}") from None


def _parse(expression: str) -> Schedule:
    if match := _CALL.fullmatch(expression):
        return _CALLS[match[1]](match[2])
    if expression.startswith("@"):
        return _nickname(expression)
    count = len(expression.split())
    if expression != expression.strip() or "(" in expression or count not in (5, 6):
        raise InvalidSchedule(f"it must be one of {FORMS}")
    if count == 6:
        raise InvalidSchedule(f"six fields are AWS's; write cron({expression})")
    return _crontab(expression)


def _rate(text: str) -> Rate:
    match = _RATE.fullmatch(text)
    if not match:
        raise InvalidSchedule(
            "a rate is a whole number, one space, and a unit in small letters: second(s), "
            "minute(s), hour(s) or day(s), as in rate(5 minutes)"
        )
    value, unit, plural = int(match[1]), match[2], match[3]
    if value < 1:
        raise InvalidSchedule(f"a rate must be at least 1, as in rate(1 {unit})")
    if (value == 1) == bool(plural):
        raise InvalidSchedule(f"write rate({value} {unit}{'' if value == 1 else 's'})")
    return Rate(value * _UNITS_MS[unit])


def _at(text: str) -> At:
    try:
        local = datetime.fromisoformat(text) if _AT.fullmatch(text) else None
    except ValueError as error:
        raise InvalidSchedule(f"there is no such time: {error}") from None
    if local is None or not YEAR_MIN <= local.year <= YEAR_MAX:
        raise InvalidSchedule(
            f"write at(yyyy-mm-ddThh:mm:ss), with a year from {YEAR_MIN} to {YEAR_MAX}"
        )
    return At(local)


def _nickname(expression: str) -> Cron:
    if expression not in _NICKNAMES:
        raise InvalidSchedule(f"known nicknames are: {', '.join(_NICKNAMES)}")
    return _crontab(_NICKNAMES[expression])


def _aws_cron(text: str) -> Cron:
    parts = text.upper().split()
    if len(parts) == 5:
        raise InvalidSchedule(
            f"cron() has six fields: {AWS_FIELDS}; crontab's five are written without cron()"
        )
    if len(parts) != 6:
        raise InvalidSchedule(f"cron() has six fields, not {len(parts)}: {AWS_FIELDS}")
    minute, hour, day, month, weekday, year = parts
    return Cron(
        minutes=numbers(minute, fields.MINUTE),
        hours=numbers(hour, fields.HOUR),
        days=_aws_days(day, weekday),
        months=numbers(month, fields.MONTH),
        years=numbers(year, fields.YEAR),
        follows_clock=_follows_clock(hour),
    )


def _aws_days(day: str, weekday: str) -> days.Days:
    if (day == "?") == (weekday == "?"):
        raise InvalidSchedule(
            "exactly one of day of the month and day of the week must be '?', "
            f"not {day!r} and {weekday!r}"
        )
    return _aws_weekdays(weekday) if day == "?" else _aws_dates(day)


def _aws_dates(text: str) -> days.Days:
    if text == "L":
        return days.LastDate()
    if text == "LW":
        return days.LastWorkday()
    if text.endswith("W") and _alone(text, "W", fields.DATE):
        return days.NearestWorkday(number(text[:-1], fields.DATE))
    return days.OnDates(frozenset(numbers(text, fields.DATE)))


def _aws_weekdays(text: str) -> days.Days:
    kind = fields.AWS_WEEKDAY
    if text == "L":
        return days.OnWeekdays(frozenset({days.SATURDAY}))
    if text.endswith("L") and _alone(text, "L", kind):
        return days.LastWeekday(number(text[:-1], kind) - 1)
    if "#" in text and _alone(text, "#", kind):
        weekday, _, nth = text.partition("#")
        if nth not in ("1", "2", "3", "4", "5"):
            raise InvalidSchedule(f"what follows '#' must be 1 to 5, not {nth!r}")
        return days.NthWeekday(number(weekday, kind) - 1, int(nth))
    return days.OnWeekdays(frozenset(n - 1 for n in numbers(text, kind)))


def _alone(text: str, wildcard: str, kind: fields.Field) -> bool:
    if "," in text or "-" in text or "/" in text:
        raise InvalidSchedule(
            f"{wildcard!r} goes with one {kind.what}, not with a list, range or step: {text!r}"
        )
    return True


def _crontab(text: str) -> Cron:
    minute, hour, day, month, weekday = text.upper().split()
    return Cron(
        minutes=numbers(minute, fields.MINUTE),
        hours=numbers(hour, fields.HOUR),
        days=days.DatesAndWeekdays(
            frozenset(numbers(day, fields.DATE)),
            frozenset(numbers(weekday, fields.CRONTAB_WEEKDAY)),
            either=not day.startswith("*") and not weekday.startswith("*"),
        ),
        months=numbers(month, fields.MONTH),
        years=tuple(range(YEAR_MIN, YEAR_MAX + 1)),
        follows_clock=_follows_clock(hour),
    )


def _follows_clock(hour: str) -> bool:
    return "*" in hour or "/" in hour or len(numbers(hour, fields.HOUR)) == 24


_CALLS: Mapping[str, Callable[[str], Schedule]] = MappingProxyType(
    {"rate": _rate, "cron": _aws_cron, "at": _at}
)
