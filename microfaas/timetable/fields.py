"""The fields of cron expressions: lists of numbers, names, ranges and steps."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from microfaas.timetable.schedule import YEAR_MAX, YEAR_MIN, InvalidSchedule

_ITEM = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/([0-9]{1,4}))?", re.ASCII)
_NUMBER = re.compile(r"[0-9]{1,4}")


def _names(names: str, start: int) -> dict[str, int]:
    return {name: number for number, name in enumerate(names.split(), start)}


@dataclass(frozen=True, slots=True)
class Field:
    """What may stand in a field. Its numbers go round: after the last one comes `low` again.

    `alias` is one number more that means the same as `low`.
    """

    what: str
    low: int
    high: int
    names: Mapping[str, int] = field(default_factory=dict)
    alias: int | None = None
    wraps: bool = True

    @property
    def allowed(self) -> str:
        numbers = f"{self.low} to {self.high if self.alias is None else self.alias}"
        names = list(self.names)
        return numbers + (f" or {names[0]} to {names[-1]}" if names else "")


WEEKDAY_NAMES = "SUN MON TUE WED THU FRI SAT"
MINUTE = Field("minute", 0, 59)
HOUR = Field("hour", 0, 23)
DATE = Field("day of the month", 1, 31)
MONTH = Field("month", 1, 12, _names("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC", start=1))
AWS_WEEKDAY = Field("day of the week", 1, 7, _names(WEEKDAY_NAMES, start=1))
CRONTAB_WEEKDAY = Field("day of the week", 0, 6, _names(WEEKDAY_NAMES, start=0), alias=7)
YEAR = Field("year", YEAR_MIN, YEAR_MAX, wraps=False)


def numbers(text: str, kind: Field) -> tuple[int, ...]:
    """All numbers that a field means, ascending."""
    found: set[int] = set()
    for item in text.split(","):
        found |= _item(item, kind)
    return tuple(sorted(found))


def number(text: str, kind: Field) -> int:
    """One number or name; an alias is left as it is, since a range may end with it."""
    if text in kind.names:
        return kind.names[text]
    most = kind.high if kind.alias is None else kind.alias
    if not _NUMBER.fullmatch(text) or not kind.low <= int(text) <= most:
        raise InvalidSchedule(f"the {kind.what} must be {kind.allowed}, not {text!r}")
    return int(text)


def _item(item: str, kind: Field) -> set[int]:
    match = _ITEM.fullmatch(item)
    if not match:
        raise InvalidSchedule(
            f"the {kind.what} must be '*', or {kind.allowed}, lists (1,2), ranges (1-5) or steps "
            f"(*/2) of them, not {item!r}"
        )
    star, first, last, step = match.groups()
    if star:
        low, high = kind.low, kind.high
    else:
        low = number(first, kind)
        high = number(last, kind) if last else low if step is None else kind.high
    return _span(low, high, _step(step, kind), item, kind)


def _step(text: str | None, kind: Field) -> int:
    if text is None:
        return 1
    if not 1 <= int(text) <= kind.high:
        raise InvalidSchedule(f"the step of the {kind.what} must be 1 to {kind.high}, not {text}")
    return int(text)


def _span(low: int, high: int, step: int, item: str, kind: Field) -> set[int]:
    size = kind.high - kind.low + 1
    if low > high:
        if not kind.wraps:
            raise InvalidSchedule(f"the {kind.what} must not run backwards, as in {item!r}")
        high += size
    return {kind.low + (n - kind.low) % size for n in range(low, high + 1, step)}
