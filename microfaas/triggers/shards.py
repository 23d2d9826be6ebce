"""Streams as a trigger sees them: shards that come and go, and records with numbers that grow."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

from microfaas.config.streams import StreamSettings
from microfaas.errors import ServiceError
from microfaas.messaging import stream_numbers as numbers
from microfaas.messaging import stream_shard
from microfaas.payloads import kinesis
from microfaas.payloads.batches import Form, Given, Source
from microfaas.store.streams import Change, Record, checkpointed, lanes_dropped
from microfaas.triggers import batching
from microfaas.triggers.batching import Progress
from microfaas.triggers.kind import Surroundings

# How soon it is seen that a stream was made anew.
LOOK_S = 2.0

_log = logging.getLogger("microfaas.triggers")


class Numbered(NamedTuple):
    """A record and its number within the shard."""

    sequence: int
    given: Given


class Shard(Protocol):
    """One shard. Its lanes are the tasks that work at it, each at a part of its keys."""

    source: Source
    # Called when there is more to read, or nothing ever will be.
    listeners: list[Callable[[], None]]

    def opening(self, lanes: int) -> tuple[list[Progress], Sequence[Change]]:
        """Where its lanes begin, and how that is kept."""

    async def run(self) -> None:
        """What is to be done beside the lanes, until cancelled."""

    def read(self, after: int, limit: int, bytes_max: int | None = None) -> Iterator[Numbered]:
        """Records behind a number, in order. Not to be awaited in."""

    async def sealed(self, at_ms: int) -> None:
        """Wait until every record that came before a time, which has passed, can be read."""

    def passed(self, lane: int, after: int) -> None:
        """A lane will not ask again for what is up to that number."""

    def reached(self, lane: int, lanes: int, progress: Progress) -> Change:
        """How far a lane has come; for a batch."""

    def trimmed(self) -> int:
        """Up to which number the records have gone by age."""

    def number(self, sequence: int) -> str:
        """As functions know it."""

    def is_over(self, after: int) -> bool:
        """Whether there is nothing behind a number, nor ever will be."""

    async def finished(self) -> None:
        """All lanes have come to its end."""


class Stream(Protocol):
    """One stream, as one trigger reads it."""

    form: Form

    def shards(self) -> AsyncIterator[Shard]:
        """Each shard that is there once it may be worked at, until the trigger is to stop."""


class LocalStream:
    """A stream of this machine."""

    form = kinesis.FORM

    def __init__(self, settings: StreamSettings, consumer: str, around: Surroundings) -> None:
        self._settings = settings
        self._consumer = consumer
        self._around = around
        self._complaint = ""

    async def shards(self) -> AsyncIterator[Shard]:
        name, streams = self._settings.stream, self._around.streams
        begun: Sequence[stream_shard.Shard] = ()
        while not self._around.stopping.is_set():
            try:
                streams.get(name)
                found = streams.shards(name)
                self._complain("")
            except ServiceError as error:
                found = []
                self._complain(str(error))
            for index, shard in enumerate(found):
                if shard not in begun:
                    yield LocalShard(shard, index, self._settings, self._consumer, self._around)
            begun = tuple(found)
            await pause(self._around.stopping, LOOK_S)

    def _complain(self, why: str) -> None:
        if why and why != self._complaint:
            _log.error("cannot read the stream %s: %s", self._settings.stream, why)
        self._complaint = why


class LocalShard:
    """One shard of it."""

    def __init__(
        self,
        shard: stream_shard.Shard,
        index: int,
        settings: StreamSettings,
        consumer: str,
        around: Surroundings,
    ) -> None:
        address = around.address
        arn = kinesis.arn(address.region, address.account_id, settings.stream)
        self.source = Source(address, arn, numbers.shard_id(index))
        self.listeners = shard.listeners
        self._shard = shard
        self._settings = settings
        self._consumer = consumer
        self._streams = around.streams

    def opening(self, lanes: int) -> tuple[list[Progress], Sequence[Change]]:
        kept = self._streams.store.checkpoints(self._consumer)
        mine = [each for each in kept if each.shard == self._shard.id]
        progresses = batching.starts(mine, lanes, self._first())
        rows = [
            batching.checkpoint(self._shard.id, lane, lanes, progress)
            for lane, progress in enumerate(progresses)
        ]
        dropped = lanes_dropped(self._consumer, self._shard.id, lanes)
        return progresses, [dropped, checkpointed(self._consumer, rows)]

    async def run(self) -> None:
        pass

    def read(self, after: int, limit: int, bytes_max: int | None = None) -> Iterator[Numbered]:
        if bytes_max is None:
            records = self._streams.store.read(self._shard.id, after, limit)
        else:
            records = self._streams.read(self._shard, after, limit, bytes_max)
        return map(_numbered, records)

    async def sealed(self, at_ms: int) -> None:
        await self._streams.sealed(self._shard, at_ms)

    def passed(self, lane: int, after: int) -> None:
        """Records go by age alone."""

    def reached(self, lane: int, lanes: int, progress: Progress) -> Change:
        row = batching.checkpoint(self._shard.id, lane, lanes, progress)
        return checkpointed(self._consumer, [row])

    def trimmed(self) -> int:
        return self._shard.row.trimmed

    def number(self, sequence: int) -> str:
        return numbers.sequence_number(self._shard.id, sequence)

    def is_over(self, after: int) -> bool:
        return not self._streams.holds(self._settings.stream, self._shard)

    async def finished(self) -> None:
        """It went, and what was kept of its lanes with it."""

    def _first(self) -> int:
        """Where a new trigger begins."""
        match self._settings.starting_position:
            case "TRIM_HORIZON":
                return self._shard.row.trimmed
            case "LATEST":
                return self._shard.row.last
        return self._streams.before(self._shard, self._settings.starting_ms)


def _numbered(record: Record) -> Numbered:
    number = numbers.sequence_number(record.shard, record.sequence)
    return Numbered(record.sequence, Given(number, record.at_ms, record.key, record.data))


async def pause(stopping: asyncio.Event, delay_s: float) -> None:
    """For a while, or until the trigger is to stop."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(delay_s):
            await stopping.wait()
