"""Which days of a month an expression means. Weekdays count from Sunday, which is 0."""

from __future__ import annotations

import calendar
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Protocol

SUNDAY, SATURDAY = 0, 6
DAYS_PER_WEEK = 7


class Days(Protocol):
    """Something that chooses days."""

    def of(self, year: int, month: int) -> list[int]:
        """The days of that month, ascending."""


@dataclass(frozen=True, slots=True)
class OnDates(Days):
    """Days by their number; a month that has no such day has none."""

    dates: frozenset[int]

    def of(self, year: int, month: int) -> list[int]:
        return _chosen(year, month, lambda day, weekday: day in self.dates)


@dataclass(frozen=True, slots=True)
class OnWeekdays(Days):
    weekdays: frozenset[int]

    def of(self, year: int, month: int) -> list[int]:
        return _chosen(year, month, lambda day, weekday: weekday in self.weekdays)


@dataclass(frozen=True, slots=True)
class NthWeekday(Days):
    """Such as the second Tuesday; a month that has no fifth one has none."""

    weekday: int
    nth: int

    def of(self, year: int, month: int) -> list[int]:
        days = OnWeekdays(frozenset({self.weekday})).of(year, month)
        return days[self.nth - 1 : self.nth]


@dataclass(frozen=True, slots=True)
class LastWeekday(Days):
    """Such as the last Friday."""

    weekday: int

    def of(self, year: int, month: int) -> list[int]:
        return OnWeekdays(frozenset({self.weekday})).of(year, month)[-1:]


@dataclass(frozen=True, slots=True)
class LastDate(Days):
    def of(self, year: int, month: int) -> list[int]:
        return [_length(year, month)]


@dataclass(frozen=True, slots=True)
class LastWorkday(Days):
    """The last day of the month from Monday to Friday."""

    def of(self, year: int, month: int) -> list[int]:
        last = _length(year, month)
        beyond_friday = {SATURDAY: 1, SUNDAY: 2}.get(_weekday(year, month, last), 0)
        return [last - beyond_friday]


@dataclass(frozen=True, slots=True)
class NearestWorkday(Days):
    """The day from Monday to Friday that is nearest to a date, within its month."""

    date: int

    def of(self, year: int, month: int) -> list[int]:
        last = _length(year, month)
        if self.date > last:
            return []
        weekday = _weekday(year, month, self.date)
        if weekday == SATURDAY:
            return [self.date - 1 if self.date > 1 else self.date + 2]
        if weekday == SUNDAY:
            return [self.date + 1 if self.date < last else self.date - 2]
        return [self.date]


@dataclass(frozen=True, slots=True)
class DatesAndWeekdays(Days):
    """Crontab's two fields for days: either must fit, or both."""

    dates: frozenset[int]
    weekdays: frozenset[int]
    either: bool

    def of(self, year: int, month: int) -> list[int]:
        if self.either:
            fits = _chosen(year, month, lambda day, wd: day in self.dates or wd in self.weekdays)
        else:
            fits = _chosen(year, month, lambda day, wd: day in self.dates and wd in self.weekdays)
        return fits


def _chosen(year: int, month: int, fits: Callable[[int, int], bool]) -> list[int]:
    first = _weekday(year, month, 1)
    days = range(1, _length(year, month) + 1)
    return [day for day in days if fits(day, (first + day - 1) % DAYS_PER_WEEK)]


def _length(year: int, month: int) -> int:
    return calendar.monthrange(year, month)[1]


def _weekday(year: int, month: int, day: int) -> int:
    return date(year, month, day).isoweekday() % DAYS_PER_WEEK
