"""The next moment of a schedule.

Theory of operation. The minutes that a calendar names are gone through in the order of the wall
clock, by years, months and days that fit, so that nothing is tried which cannot be. A minute of
the wall clock is none, one or two moments; the first and the second ones each ascend with the
minutes, gaps included. So the earliest moment after another is found by going through the minutes
once for the first ones, and, where repeated hours count, once more for the second ones.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, tzinfo

from microfaas.timetable.schedule import YEAR_MAX, At, Cron, Rate, Schedule

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)
# A day beyond either end of the calendar, since some zones' clocks are that far from UTC.
_AFTER_MIN_MS = -(_DAY // _MS)
_AFTER_MAX_MS = (datetime(YEAR_MAX + 1, 1, 2, tzinfo=UTC) - _EPOCH) // _MS


def next_time(schedule: Schedule, after_ms: int, zone: tzinfo, anchor_ms: int = 0) -> int | None:
    """The first moment of a schedule after another; None when there is none any more."""
    if after_ms >= _AFTER_MAX_MS:
        return None
    if isinstance(schedule, Rate):
        periods = (after_ms - anchor_ms) // schedule.period_ms + 1
        moment_ms = anchor_ms + periods * schedule.period_ms
        return moment_ms if moment_ms <= _AFTER_MAX_MS else None
    after = _EPOCH + max(after_ms, _AFTER_MIN_MS) * _MS
    if isinstance(schedule, At):
        moment = _moment(schedule.local, zone)
        found = moment if moment > after else None
    else:
        found = _next_of(schedule, after, zone)
    return None if found is None else (found - _EPOCH) // _MS


def _next_of(cron: Cron, after: datetime, zone: tzinfo) -> datetime | None:
    if not cron.follows_clock:
        moments = (_moment(local, zone) for local in _minutes(cron, _shown(after, zone)))
        return next((moment for moment in moments if moment > after), None)
    # The clock may be put back soon, to before what it shows now.
    start = min(_shown(after, zone), _shown(after + _DAY, zone) - _DAY)
    found = [_next_shown(cron, after, zone, start, fold) for fold in (0, 1)]
    return min((moment for moment in found if moment is not None), default=None)


def _next_shown(
    cron: Cron, after: datetime, zone: tzinfo, start: datetime, fold: int
) -> datetime | None:
    """The first moment after another at which the clock does show one of the minutes."""
    for local in _minutes(cron, start):
        moment = local.replace(tzinfo=zone, fold=fold).astimezone(UTC)
        if moment > after and _shown(moment, zone) == local:
            return moment
    return None


def _moment(local: datetime, zone: tzinfo) -> datetime:
    """When the clock shows that the first time, or else jumps over it."""
    moment = local.replace(tzinfo=zone).astimezone(UTC)
    return moment if _shown(moment, zone) == local else _jump(local, zone)


def _jump(local: datetime, zone: tzinfo) -> datetime:
    """When the clock jumps over a time that does not exist."""
    # Python converts such a time with the offset before the jump, and with that after it when
    # fold is 1: two moments with the jump between them.
    before = local.replace(tzinfo=zone, fold=1).astimezone(UTC)
    later = local.replace(tzinfo=zone, fold=0).astimezone(UTC)
    seconds = range(1, (later - before) // _SECOND + 1)
    at = bisect_left(seconds, True, key=lambda s: _shown(before + s * _SECOND, zone) > local)
    return before + seconds[at] * _SECOND


def _shown(moment: datetime, zone: tzinfo) -> datetime:
    """What the clock shows, without its zone."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _minutes(cron: Cron, start: datetime) -> Iterator[datetime]:
    """The minutes on a calendar, from that of `start` on."""
    for day in _days(cron, start.date()):
        today = day == start.date()
        for hour in cron.hours:
            if today and hour < start.hour:
                continue
            for minute in cron.minutes:
                if not (today and hour == start.hour and minute < start.minute):
                    yield datetime(day.year, day.month, day.day, hour, minute)


def _days(cron: Cron, start: date) -> Iterator[date]:
    for year in cron.years[bisect_left(cron.years, start.year) :]:
        for month in cron.months:
            if (year, month) < (start.year, start.month):
                continue
            for number in cron.days.of(year, month):
                day = date(year, month, number)
                if day >= start:
                    yield day
