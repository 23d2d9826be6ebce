"""Schedules of the configuration's file: the trigger kind "schedule"."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable

from microfaas.config import Trigger
from microfaas.config.schedules import ScheduleSettings
from microfaas.messaging.schedules import Plan
from microfaas.model import Address
from microfaas.payloads import eventbridge
from microfaas.payloads.eventbridge import Tick
from microfaas.store import events
from microfaas.store.messages import Batch
from microfaas.timetable import parse, zone_named
from microfaas.triggers.kind import Surroundings

PREFIX = "file:"


async def run(trigger: Trigger, around: Surroundings) -> None:
    """Have the schedule followed until cancelled or the server stops."""
    settings = trigger.settings
    assert isinstance(settings, ScheduleSettings)
    if not settings.enabled:
        return
    plan = plan_of(trigger, settings, around.address)
    await around.schedules.begin([plan])
    try:
        await around.stopping.wait()
    finally:
        around.schedules.leave(plan.key)


def plan_of(trigger: Trigger, settings: ScheduleSettings, address: Address) -> Plan:
    """What is to be followed."""
    name = settings.name or trigger.function
    arn = eventbridge.rule_arn(address, name)
    given = None if settings.input is None else json.dumps(settings.input, ensure_ascii=False)

    def fire(batch: Batch, at_ms: int) -> None:
        tick = Tick(at_ms=at_ms, id=str(uuid.uuid4()))
        if given is None:
            event = eventbridge.encode(eventbridge.of_rule(address, arn, tick))
        else:
            event = eventbridge.filled(given, arn, tick).encode()
        source = f"schedule:{name}"
        batch.put(events.draft(trigger.function, event, qualifier=trigger.qualifier, source=source))

    return Plan(
        key=_key(trigger, settings),
        name=name,
        target=f"function:{trigger.called}",
        expression=settings.expression,
        timezone=settings.timezone,
        schedule=parse(settings.expression),
        zone=zone_named(settings.timezone),
        fire=fire,
        jitter_s=settings.jitter_s,
        overlap=settings.overlap,
        misfire=settings.misfire,
        runs_max=settings.runs_max,
        start_ms=settings.moment_ms(settings.start),
        end_ms=settings.moment_ms(settings.end),
    )


def gone(keys: Iterable[str], triggers: Iterable[Trigger]) -> list[str]:
    """Which of the remembered schedules are not in the file any more, or disabled there. What they
    would have done is not made up for, should they come back."""
    here = {
        _key(trigger, trigger.settings)
        for trigger in triggers
        if isinstance(trigger.settings, ScheduleSettings) and trigger.settings.enabled
    }
    return [key for key in keys if key.startswith(PREFIX) and key not in here]


def _key(trigger: Trigger, settings: ScheduleSettings) -> str:
    return f"{PREFIX}{trigger.function}:{settings.told}"
