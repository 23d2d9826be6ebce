"""Event source mappings as triggers: what is run of one, and whether its source is there."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NoReturn

import msgspec

from microfaas.config import Trigger
from microfaas.config.queue_triggers import QueueSettings
from microfaas.config.streams import StreamSettings
from microfaas.control.making import destination
from microfaas.control.mappings import EventSourceMapping
from microfaas.control.refusal import refuse
from microfaas.control.table import Edit
from microfaas.errors import MachineError, ServiceError
from microfaas.messaging.targets import place
from microfaas.store.resources import Change
from microfaas.triggers import remote_dialects, remote_stream
from microfaas.triggers.kind import Surroundings
from microfaas.triggers.remote_book import Book
from microfaas.triggers.remote_inbox import RemoteInbox
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
            self._check_visibility(mapping, await self._visibility_s(mapping))
        else:
            await self._check_stream(mapping)

    def run(self, name: str, mapping: EventSourceMapping | None) -> None:
        """This is what is to run of it from now on; None: nothing."""
        triggers = [self._trigger(name, mapping)] if mapping is not None else []
        self._triggers.put(PREFIX + name, triggers)

    def changing(self, name: str) -> bool:
        """Whether what ran before is still at work."""
        return self._triggers.changing(PREFIX + name)

    async def settled(self, name: str) -> None:
        """Wait until it is not."""
        await self._triggers.settled(PREFIX + name)

    def went_well(self, name: str) -> bool | None:
        """How the function's last call ended; None when there was none in this run."""
        return self._triggers.went_well(PREFIX + name)

    def listen(self, tell: Callable[[], None]) -> None:
        """This is to be told when last calls ended in another way than those before."""
        self._triggers.listeners.append(lambda name: tell() if name.startswith(PREFIX) else None)

    def forgotten(self, name: str) -> Sequence[Edit]:
        """How far it has come is not to be remembered."""
        self._triggers.forget(PREFIX + name)
        kept = self._around.streams.store.checkpoints(PREFIX + name)
        rows = [{"consumer": PREFIX + name, "shard": each.shard, "lanes": 0} for each in kept]
        changes: list[Change] = [("drop_stream_lanes", list(rows))] if rows else []
        changes += Book(self._around.resources, PREFIX + name).forgotten()
        return [Edit(change, lambda: None) for change in changes]

    def _trigger(self, name: str, mapping: EventSourceMapping) -> Trigger:
        settings = _of_queue(mapping) if mapping.kind == "queue" else _of_stream(mapping)
        return Trigger(
            mapping.function,
            "queue" if mapping.kind == "queue" else "stream",
            settings,
            mapping.qualifier,
            PREFIX + name,
            mapping.source if self._is_elsewhere(mapping) else "",
        )

    async def _visibility_s(self, mapping: EventSourceMapping) -> int:
        """The queue's visibility timeout. Raises ServiceError."""
        if self._is_elsewhere(mapping):
            inbox = RemoteInbox(mapping.source, self._around)
            try:
                await inbox.open()
            except ServiceError as error:
                _refuse_queue(error.kind, str(error))
            except MachineError as error:
                refuse(str(error))
            return inbox.visibility_s
        if not self._is_here(mapping):
            _refuse_queue(
                "AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist."
            )
        return self._around.queues.directory.get(_name(mapping)).settings.visibility_timeout_s

    def _check_visibility(self, mapping: EventSourceMapping, hidden_s: int) -> None:
        called = Trigger(mapping.function, "queue", _of_queue(mapping), mapping.qualifier)
        timeout_s = math.ceil(self._around.limits(called).timeout_s)
        if hidden_s < timeout_s:
            refuse(
                f"Queue visibility timeout: {hidden_s} seconds is less than Function timeout: "
                f"{timeout_s} seconds"
            )

    async def _check_stream(self, mapping: EventSourceMapping) -> None:
        if self._is_elsewhere(mapping):
            dialect = remote_dialects.of(mapping.source)
            try:
                await remote_stream.listed_shards(mapping.source, dialect, self._around)
            except ServiceError as error:
                if error.kind != "ResourceNotFoundException":
                    refuse(f"{error.kind}: {error}")
                refuse(f"Stream not found: {mapping.source}")
            except MachineError as error:
                refuse(str(error))
        elif not self._is_here(mapping):
            refuse(f"Stream not found: {mapping.source}")

    def _is_elsewhere(self, mapping: EventSourceMapping) -> bool:
        """Whether the source is not this machine's: that is said of its very region and account,
        or of all that is not here."""
        endpoints = self._around.endpoints
        if endpoints.covers(mapping.source, whole=True):
            return True
        return endpoints.covers(mapping.source) and not self._is_here(mapping)

    def _is_here(self, mapping: EventSourceMapping) -> bool:
        address = self._around.address
        if mapping.source.split(":")[3:5] != [address.region, address.account_id]:
            return False
        match mapping.kind:
            case "queue":
                return _name(mapping) in self._around.queues.directory
            case "stream":
                return any(each.name == _name(mapping) for each in self._around.streams.all())
        return False


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
    """What the source is called, without where it is."""
    found = place(mapping.source)
    return found.name if found is not None else mapping.source.split(":", 5)[5]


def _refuse_queue(kind: str, text: str) -> NoReturn:
    what = f"SQS Error Code: {kind}. SQS Error Message: {text}"
    refuse(f"Error occurred while ReceiveMessage. {what}")
