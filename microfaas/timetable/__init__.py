"""When schedules are due: expressions, the next moment of one, and what to do about missed ones.

Nothing here reads a clock or does I/O, but for `zone_named`, which reads time zone data. Moments
are milliseconds since the epoch.

The parser is our own, because of the libraries tried none takes all of AWS's syntax: aws-croniter
and croniter fail at `LW` and at `L` for a day of the week, croniter counts weekdays from 0 and
ends in 2099, cronsim has no year and no `?`.

**Expressions.** `rate(5 minutes)`, with `second(s)` beyond what AWS has; AWS's
`cron(minute hour day-of-month month day-of-week year)`; `at(2026-12-24T18:00:00)`; and crontab's
five fields or a nickname such as `@daily`. Crontab's two fields for days mean either of them when
neither begins with `*`, and both otherwise, as in Vixie cron. A range may run over the end, as in
`FRI-MON` or `22-2`, except among years.

**Rates** keep step with an anchor, the moment the schedule was made, whatever the zone: a day is
24 hours.

**Daylight saving time.** An expression that names its hours means those hours of each day:

- a time that does not exist, because the clock was put forward over it, is run once, at the moment
  the clock jumps to. All times in one such gap are one run, and one with that moment's own;
- a time that occurs twice is run once, the first time.

EventBridge Scheduler leaves out the former; here a nightly job runs every night. `at()` follows
the same rules. An expression whose hour is `*`, or has a step, or lists all hours, follows the
clock: it is run whenever the clock shows a minute it names, so twice in an hour that is repeated,
and not in one that is left out.

**Missed ticks.** A tick that nobody ran within `MISFIRE_GRACE_S` is missed, because the machine
was off or the clock was put forward; `due` then follows the schedule's misfire policy.

**A clock that was put back.** `last_ms` is the latest tick that was dealt with, and no tick up to
it is run again: the schedule is silent until the clock has caught up. When it would have to wait
for more than `CLOCK_BACK_S_MAX` and more than the time from that tick to its successor, the clock
must have been wrong when `last_ms` was written, and the schedule goes on from now. It forgets the
old `last_ms` only with the first tick it then runs, so that a wrong clock that is put right before
has done no harm. What will never be due after `last_ms`, such as `at()`, is not run again.
"""

from __future__ import annotations

from microfaas.timetable.moments import next_time
from microfaas.timetable.parsing import parse, zone_named
from microfaas.timetable.policies import (
    CLOCK_BACK_S_MAX,
    MISFIRE_GRACE_S,
    RUNS_MAX,
    WAITING_MAX,
    Due,
    Misfire,
    Overlap,
    due,
    jittered,
    overlap,
)
from microfaas.timetable.schedule import At, Cron, InvalidSchedule, Rate, Schedule

__all__ = [
    "CLOCK_BACK_S_MAX",
    "MISFIRE_GRACE_S",
    "RUNS_MAX",
    "WAITING_MAX",
    "At",
    "Cron",
    "Due",
    "InvalidSchedule",
    "Misfire",
    "Overlap",
    "Rate",
    "Schedule",
    "due",
    "jittered",
    "next_time",
    "overlap",
    "parse",
    "zone_named",
]
