"""Triggers of `type = "schedule"` and `type = "event"`: what may stand there, and its faults."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from microfaas import strict
from microfaas.config.functions import Trigger
from microfaas.errors import Problem
from microfaas.patterns import InvalidPattern, compile_pattern
from microfaas.timetable import RUNS_MAX, InvalidSchedule, parse, zone_named

# Later than that no message may wait.
JITTER_S_MAX = 12 * 3600
NAME = r"^[A-Za-z0-9_.-]{1,64}\Z"


class ScheduleSettings(msgspec.Struct, kw_only=True):
    """`type = "schedule"`: an event whenever a schedule is due, as EventBridge makes it."""

    expression: Annotated[
        str,
        Meta(
            description="when: `rate(5 minutes)`, AWS's `cron(0 10 * * ? *)`, "
            "`at(2026-12-24T18:00:00)`, or crontab's five fields, such as `*/5 * * * *`; "
            "a rate may also be in seconds"
        ),
    ]
    name: Annotated[
        Annotated[str, Meta(pattern=NAME)] | None,
        Meta(description="the rule's name in events; default the function's name"),
    ] = None
    timezone: Annotated[
        str, Meta(description="whose clock it follows, such as `Europe/Berlin`")
    ] = "UTC"
    enabled: Annotated[bool, Meta(description="whether it is")] = True
    start: Annotated[
        datetime | None,
        Meta(description="nothing before that; without an offset by the clock of `timezone`"),
    ] = None
    end: Annotated[datetime | None, Meta(description="nothing after that")] = None
    jitter_s: Annotated[
        int,
        Meta(
            ge=0,
            le=JITTER_S_MAX,
            description="each event comes up to so many seconds late, chosen by chance",
        ),
    ] = 0
    overlap: Annotated[
        Literal["skip", "queue", "parallel"],
        Meta(
            description="what to do while the event before has not ended, its retries included: "
            "leave this one out, let it wait, or run both, as AWS does"
        ),
    ] = "parallel"
    misfire: Annotated[
        Literal["once", "all", "skip"],
        Meta(
            description="what to do after times were missed by more than a minute, as after a "
            "stop: the latest of them, the latest `runs_max`, or nothing"
        ),
    ] = "once"
    runs_max: Annotated[
        int, Meta(ge=1, le=RUNS_MAX, description='how many are made up for with `misfire = "all"`')
    ] = 10
    input: Annotated[
        Any,
        Meta(
            description="what the function gets in place of the event; in it "
            "`<aws.scheduler.scheduled-time>`, `…schedule-arn`, `…execution-id` and "
            "`…attempt-number` are replaced"
        ),
    ] = None

    @property
    def told(self) -> str:
        """What tells it from others of its function."""
        return self.name or f"{self.expression} {self.timezone}"

    def check(self, where: str, problems: list[Problem]) -> None:
        """What cannot be seen from one key alone."""
        for key, read, text in (
            ("expression", parse, self.expression),
            ("timezone", zone_named, self.timezone),
        ):
            try:
                read(text)
            except InvalidSchedule as error:
                problems.append(Problem(f"{where}.{key}", str(error)))
                return
        start_ms, end_ms = self.moment_ms(self.start), self.moment_ms(self.end)
        if start_ms is not None and end_ms is not None and end_ms <= start_ms:
            problems.append(Problem(f"{where}.end", "must be later than start"))
        _check_json(f"{where}.input", self.input, problems)

    def moment_ms(self, moment: datetime | None) -> int | None:
        if moment is None:
            return None
        aware = moment if moment.tzinfo else moment.replace(tzinfo=zone_named(self.timezone))
        return int(aware.astimezone(UTC).timestamp() * 1000)


class EventSettings(msgspec.Struct, kw_only=True):
    """`type = "event"`: what is put on EventBridge's default bus (`PutEvents`) and matches."""

    pattern: Annotated[
        dict[str, Any],
        Meta(description="an event pattern, such as `{ detail = { state = ['failed'] } }`"),
    ] = msgspec.field(default_factory=dict)
    source: Annotated[
        str | None, Meta(description="short for a pattern of one `source`, such as `shop.orders`")
    ] = None
    detail_type: Annotated[str | None, Meta(description="likewise of one `detail-type`")] = None
    name: Annotated[
        Annotated[str, Meta(pattern=NAME)] | None,
        Meta(description="the rule's name; default the function's name"),
    ] = None

    @property
    def whole(self) -> dict[str, Any]:
        """The pattern with its abbreviations."""
        short = {"source": self.source, "detail-type": self.detail_type}
        return self.pattern | {key: [text] for key, text in short.items() if text is not None}

    def check(self, where: str, problems: list[Problem]) -> None:
        """Whether it is a pattern."""
        for key, text in (("source", self.source), ("detail-type", self.detail_type)):
            if text is not None and key in self.pattern:
                name = key.replace("-", "_")
                problems.append(Problem(f"{where}.{name}", f"stands in the pattern too ({key})"))
        if not self.whole:
            problems.append(Problem(f"{where}.pattern", "is missing; or give a source"))
            return
        before = len(problems)
        _check_json(f"{where}.pattern", self.pattern, problems)
        if len(problems) > before:
            return
        try:
            compile_pattern(self.whole)
        except InvalidPattern as error:
            problems.append(Problem(f"{where}.pattern", str(error)))


def check_names(triggers: Iterable[Trigger], problems: list[Problem]) -> None:
    """How far a schedule has come is remembered by what tells it from others."""
    seen = set()
    for trigger in triggers:
        if not isinstance(trigger.settings, ScheduleSettings):
            continue
        known = trigger.function, trigger.settings.told
        if known in seen:
            where = f"{strict.join('functions', trigger.function)}.triggers"
            what = f"has two schedules {trigger.settings.told!r}; give each a name of its own"
            problems.append(Problem(where, what))
        seen.add(known)


def _check_json(where: str, value: object, problems: list[Problem]) -> None:
    """TOML has dates, times, and numbers that JSON has not."""
    if isinstance(value, dict):
        for key, inner in value.items():
            _check_json(strict.join(where, key), inner, problems)
    elif isinstance(value, list):
        for at, inner in enumerate(value):
            _check_json(f"{where}[{at}]", inner, problems)
    elif isinstance(value, float) and not math.isfinite(value):
        problems.append(Problem(where, f"must be a finite number, not {value}"))
    elif not isinstance(value, str | int | float | bool | None):
        problems.append(Problem(where, "is a date or time, which JSON has not; write it in quotes"))
