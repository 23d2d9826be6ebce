"""Schedules as values: a rate, a moment, or the minutes of a calendar."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from microfaas.timetable.days import Days

YEAR_MIN = 1970
YEAR_MAX = 2199


class InvalidSchedule(ValueError):
    """An expression or a time zone that means nothing; the text says what would be right."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Every so often, in step with the moment the schedule was made."""

    period_ms: int


@dataclass(frozen=True, slots=True)
class At:
    """Once, when the clock of the schedule's zone shows this."""

    local: datetime


@dataclass(frozen=True, slots=True)
class Cron:
    """The minutes of a calendar; all numbers ascend.

    With `follows_clock` each time the clock shows such a minute counts, else each such minute of
    the calendar, once.
    """

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: Days
    months: tuple[int, ...]
    years: tuple[int, ...]
    follows_clock: bool


Schedule: TypeAlias = Rate | At | Cron
