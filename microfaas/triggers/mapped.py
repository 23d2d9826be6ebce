"""Event source mappings as triggers: what is run of one, and whether its source is there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from microfaas.config import Trigger
from microfaas.config.queue_triggers import QueueSettings
from microfaas.config.streams import StreamSettings
from microfaas.control.making import destination
from microfaas.control.mappings import EventSourceMapping
from microfaas.control.table import Edit
from microfaas.errors import ServiceError
from microfaas.messaging.targets import place
from microfaas.triggers.kind import Surroundings
from microfaas.triggers.running import Triggers

PREFIX = "mapping:"


class Mapped:
    """Runs mappings, each under its UUID."""

    def __init__(self, triggers: Triggers, around: Surroundings) -> None:
        self._triggers = triggers
        self._around = around

    async def check(self, mapping: EventSourceMapping) -> None:
        """Raises ServiceError for a source that is not there."""
        if mapping.kind == "queue":
            self._check_queue(mapping)
        else:
            self._check_stream(mapping)

    def run(self, name: str, mapping: EventSourceMapping | None) -> None:
        """This is what is to run of it from now on; None: nothing."""
        triggers = [trigger(name, mapping)] if mapping is not None else []
        self._triggers.put(PREFIX + name, triggers)

    def changing(self, name: str) -> bool:
        """Whether what ran before is still at work."""
        return self._triggers.changing(PREFIX + name)

    async def settled(self, name: str) -> None:
        """Wait until it is not."""
        await self._triggers.settled(PREFIX + name)

    def went_well(self, name: str) -> bool | None:
        """How the function's last call ended; None when there was none yet."""
        return self._triggers.went_well(PREFIX + name)

    def forgotten(self, name: str) -> Sequence[Edit]:
        """How far it has come is not to be remembered."""
        kept = self._around.streams.store.checkpoints(PREFIX + name)
        rows = [{"consumer": PREFIX + name, "shard": each.shard, "lanes": 0} for each in kept]
        return [Edit(("drop_stream_lanes", list(rows)), lambda: None)] if rows else []

    def _check_queue(self, mapping: EventSourceMapping) -> None:
        if not self._is_here(mapping.source) or _name(mapping) not in self._around.queues.directory:
            _refuse(
                "Error occurred while ReceiveMessage. SQS Error Code: "
                "AWS.SimpleQueueService.NonExistentQueue. SQS Error Message: The specified queue "
                "does not exist."
            )
        hidden_s = self._around.queues.directory.get(_name(mapping)).settings.visibility_timeout_s
        called = Trigger(mapping.function, "queue", QueueSettings(queue=""), mapping.qualifier)
        timeout_s = math.ceil(self._around.limits(called).timeout_s)
        if hidden_s < timeout_s:
            _refuse(
                f"Queue visibility timeout: {hidden_s} seconds is less than Function timeout: "
                f"{timeout_s} seconds"
            )

    def _check_stream(self, mapping: EventSourceMapping) -> None:
        names = {stream.name for stream in self._around.streams.all()}
        if mapping.kind == "table" or not self._is_here(mapping.source):
            _refuse(f"Stream not found: {mapping.source}")
        if _name(mapping) not in names:
            _refuse(f"Stream not found: {mapping.source}")

    def _is_here(self, source: str) -> bool:
        address = self._around.address
        return source.split(":")[3:5] == [address.region, address.account_id]


def trigger(name: str, mapping: EventSourceMapping) -> Trigger:
    """What a mapping comes to."""
    settings = _of_queue(mapping) if mapping.kind == "queue" else _of_stream(mapping)
    kind = "queue" if mapping.kind == "queue" else "stream"
    return Trigger(mapping.function, kind, settings, mapping.qualifier, PREFIX + name)


def _of_queue(mapping: EventSourceMapping) -> QueueSettings:
    return QueueSettings(
        queue=_name(mapping),
        batch_size=mapping.batch_size,
        window_s=mapping.window_s,
        concurrency=mapping.concurrency,
        filters=list(mapping.filters),
        report_batch_item_failures=mapping.report_items,
    )


def _of_stream(mapping: EventSourceMapping) -> StreamSettings:
    to = destination(mapping.on_failure)
    start_s = mapping.start_s
    return StreamSettings(
        stream=_name(mapping),
        starting_position=mapping.start or "LATEST",
        starting_at=None if start_s is None else datetime.fromtimestamp(start_s, UTC),
        batch_size=mapping.batch_size,
        window_s=mapping.window_s,
        parallelization=mapping.parallelization,
        bisect_on_error=mapping.bisect,
        retries_max=mapping.retries_max,
        record_age_s_max=mapping.age_s_max,
        on_failure=f"{to.kind}:{to.name}" if to is not None else None,
        filters=[msgspec.json.decode(each) for each in mapping.filters],
        report_batch_item_failures=mapping.report_items,
        tumbling_window_s=mapping.tumbling_s,
    )


def _name(mapping: EventSourceMapping) -> str:
    found = place(mapping.source)
    return found.name if found is not None else ""


def _refuse(text: str) -> None:
    raise ServiceError("InvalidParameterValueException", text)
