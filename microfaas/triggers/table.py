"""The table of trigger kinds. A new kind is a file and a row."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from microfaas.config import Trigger
from microfaas.config.http import HttpSettings
from microfaas.config.queue_triggers import QueueSettings
from microfaas.config.schedules import EventSettings, ScheduleSettings
from microfaas.config.streams import StreamSettings
from microfaas.triggers import bucket, event, http, queue, schedule, stream, topic
from microfaas.triggers.kind import Surroundings, TriggerKind

KINDS: Mapping[str, TriggerKind] = MappingProxyType(
    {
        "bucket": TriggerKind(bucket.BucketSettings, bucket.run),
        "event": TriggerKind(EventSettings, event.run),
        "http": TriggerKind(HttpSettings, http.run),
        "queue": TriggerKind(QueueSettings, queue.run),
        "schedule": TriggerKind(ScheduleSettings, schedule.run),
        "stream": TriggerKind(StreamSettings, stream.run),
        "topic": TriggerKind(topic.TopicSettings, topic.run),
    }
)
RESTART_S = 5.0

_log = logging.getLogger("microfaas.triggers")


def settings() -> dict[str, type[msgspec.Struct]]:
    """What `config.load` needs to read the kinds' settings."""
    return {name: kind.settings for name, kind in KINDS.items()}


async def run(trigger: Trigger, around: Surroundings) -> None:
    """Run a trigger until cancelled or the server stops; its own faults end at the log."""
    while not around.stopping.is_set():
        try:
            return await KINDS[trigger.kind].run(trigger, around)
        except Exception:
            _log.exception("the %s trigger of %s failed", trigger.kind, trigger.function)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RESTART_S):
                await around.stopping.wait()
    return None
