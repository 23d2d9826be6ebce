"""Schedules of the configuration's file: the trigger kind "schedule"."""

from __future__ import annotations

import json
import uuid

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
    schedules = around.schedules
    plan = plan_of(trigger, settings, around.address)
    batch = Batch()
    if not settings.enabled:
        # What it would have done meanwhile is not made up for, so it need not be remembered.
        schedules.forget(batch, [plan.key])
        await around.store.commit(batch)
        return
    followed = schedules.prepare(batch, plan)
    await around.store.commit(batch)
    schedules.follow(followed)
    try:
        await around.stopping.wait()
    finally:
        schedules.leave(plan.key)


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
        batch.put(events.draft(trigger.function, event, source=f"schedule:{name}"))

    return Plan(
        key=key_of(trigger, settings),
        name=name,
        target=f"function:{trigger.function}",
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


def key_of(trigger: Trigger, settings: ScheduleSettings) -> str:
    """By its name, or, where it has none, by what tells it from the function's others."""
    told = settings.name or f"{settings.expression} {settings.timezone}"
    return f"{PREFIX}{trigger.function}:{told}"
