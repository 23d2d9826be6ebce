"""A function that listens to EventBridge's default bus: the trigger kind "event".

It is a rule and nothing else: each event that is put on the bus and matches becomes an event in
the function's queue, in the commit that takes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from microfaas.config import Trigger
from microfaas.config.schedules import EventSettings
from microfaas.messaging.rules import Rule
from microfaas.messaging.targets import Target
from microfaas.triggers.kind import Surroundings


def rules(triggers: Iterable[Trigger]) -> list[Rule]:
    """What the file's functions listen for."""
    made = []
    for trigger in triggers:
        settings = trigger.settings
        if isinstance(settings, EventSettings):
            name = settings.name or trigger.function
            target = Target(id=trigger.function, arn=trigger.called)
            pattern = json.dumps(settings.whole)
            made.append(Rule(name=name, pattern=pattern, targets=(target,), declared=True))
    return made


async def run(_: Trigger, around: Surroundings) -> None:
    """There is nothing to be done beside what is put on the bus."""
    await around.stopping.wait()
