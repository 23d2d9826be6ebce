"""Streams in Kinesis's shape: records in shards, in the order they came, until they grow too old.

Theory of operation. Sequence numbers and times are given out here and the records queued for the
writer in the same order, so that whoever has read up to a number finds everything else behind it;
numbers of what could not be written are left out. Who reads is told after the commit.

A stream is bounded by time and by bytes. When it is full, nothing more is taken; when a record is
too old it goes, whether or not it was read, as in Kinesis: readers find out by `trimmed`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from microfaas.config import StreamTable
from microfaas.errors import MachineError, ServiceError
from microfaas.messaging import stream_numbers as numbers
from microfaas.messaging.stream_numbers import Place
from microfaas.messaging.stream_shard import Entry, Shard
from microfaas.model import MIB, Address
from microfaas.store.resources import Resource, Resources
from microfaas.store.streams import Change, Record, StreamStore

KIND = "stream"
STREAMS_MAX = 1_000
RECORD_BYTES_MAX = MIB
READ_RECORDS_MAX = 10_000
READ_BYTES_MAX = 10 * MIB
RETENTION_S = 86400
TRIM_S = 30.0
NAME_PATTERN = re.compile(r"[a-zA-Z0-9_.-]{1,128}")

_log = logging.getLogger("microfaas.streams")


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """One stream and its settings. `declared`: by the configuration's file."""

    name: str
    shards: int = 1
    retention_s: int = RETENTION_S
    mb_max: int = 1024
    at_ms: int = 0
    tags: dict[str, str] = {}
    declared: bool = False


class Put(NamedTuple):
    """Where a record is; or why it is nowhere."""

    shard: int = 0
    number: str = ""
    error: ServiceError | None = None


class Page(NamedTuple):
    """Records, where to read on, and how far behind the end that is."""

    records: list[Record]
    after: int
    behind_ms: int


def declared(tables: Mapping[str, StreamTable]) -> list[Stream]:
    """Those of the configuration's file."""
    return [
        Stream(
            name=name,
            shards=table.shards,
            retention_s=table.retention_s,
            mb_max=table.mb_max,
            at_ms=int(time.time() * 1000),
            declared=True,
        )
        for name, table in tables.items()
    ]


class Streams:
    """All streams of this machine."""

    def __init__(
        self,
        store: StreamStore,
        resources: Resources,
        address: Address,
        declared: Iterable[Stream],
        clock: Callable[[], float] = time.time,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self.store = store
        self._resources = resources
        self._address = address
        self._clock = clock
        self._steady = steady
        self._base_s = clock() - steady()
        # Iterators do not outlive the server: they would not for five minutes anyway.
        self._secret = os.urandom(32)
        self._streams = {
            stream.name: stream
            for row in resources.all(KIND)
            for stream in [msgspec.json.decode(row.settings, type=Stream)]
        }
        self._streams |= {stream.name: stream for stream in declared}
        self._shards: dict[str, list[Shard]] = {}
        for row in store.shards():
            self._shards.setdefault(row.stream, []).append(Shard(row))

    async def open(self) -> None:
        """Make what the configuration declares and is not there yet. Raises MachineError."""
        for name, stream in self._streams.items():
            shards = self._shards.get(name)
            if shards is None:
                await self._make(stream)
            elif len(shards) != stream.shards:
                _log.error(
                    "streams.%s.shards: is %d, but the stream was made with %d and keeps them; "
                    "for another number make a stream of another name",
                    name,
                    stream.shards,
                    len(shards),
                )
                self._streams[name] = msgspec.structs.replace(stream, shards=len(shards))

    def now_ms(self) -> int:
        return int(self._clock() * 1000)

    def arn(self, name: str) -> str:
        return f"arn:aws:kinesis:{self._address.region}:{self._address.account_id}:stream/{name}"

    def all(self) -> list[Stream]:
        """In the order of their names."""
        return sorted(self._streams.values(), key=lambda stream: stream.name)

    def get(self, name: str) -> Stream:
        """Raises ServiceError."""
        stream = self._streams.get(name)
        if stream is None or name not in self._shards:
            raise ServiceError(
                "ResourceNotFoundException",
                f"Stream {name} under account {self._address.account_id} not found.",
            )
        return stream

    def shards(self, name: str) -> list[Shard]:
        """By their indexes."""
        return self._shards[name]

    def holds(self, name: str, shard: Shard) -> bool:
        """Whether a stream is there and still has that very shard."""
        return shard in self._shards.get(name, ())

    def shard(self, stream: Stream, shard_id: str) -> Shard:
        """Raises ServiceError."""
        index = numbers.shard_index(shard_id)
        shards = self._shards[stream.name]
        if index is None or index >= len(shards):
            raise ServiceError(
                "ResourceNotFoundException",
                f"Shard {shard_id} in stream {stream.name} under account "
                f"{self._address.account_id} does not exist",
            )
        return shards[index]

    async def create(self, stream: Stream) -> None:
        """Raises ServiceError, MachineError."""
        name = stream.name
        if not NAME_PATTERN.fullmatch(name):
            what = "has 1 to 128 letters, digits, dots, hyphens and underscores"
            raise ServiceError("ValidationException", f"A stream's name {what}, not {name!r}")
        if name in self._streams:
            text = f"Stream {name} under account {self._address.account_id} already exists."
            raise ServiceError("ResourceInUseException", text)
        if len(self._streams) >= STREAMS_MAX:
            text = f"There may be {STREAMS_MAX} streams."
            raise ServiceError("LimitExceededException", text)
        if not 1 <= stream.shards <= numbers.SHARDS_MAX:
            text = f"A stream may have 1 to {numbers.SHARDS_MAX} shards, not {stream.shards}."
            raise ServiceError("LimitExceededException", text)
        stream = msgspec.structs.replace(stream, at_ms=self.now_ms())
        self._streams[name] = stream
        try:
            await self._make(stream, [self._stored(stream)])
        except BaseException:
            del self._streams[name]
            raise

    async def change(self, stream: Stream) -> None:
        """Keep it as it is now. Raises ServiceError for one of the configuration."""
        self._refuse_declared(stream)
        await self.store.write([self._stored(stream)])
        self._streams[stream.name] = stream

    async def delete(self, stream: Stream) -> None:
        """The stream and what is in it. Raises ServiceError for one of the configuration."""
        self._refuse_declared(stream)
        shards = self._shards.pop(stream.name)
        for shard in shards:
            shard.tell()
        await self.store.settled()
        for shard in shards:
            await self._trim_to(shard, shard.row.last)
        await self.store.forget(
            [shard.id for shard in shards], [self._resources.removed(KIND, stream.name)]
        )
        del self._streams[stream.name]

    async def put(
        self, stream: Stream, entries: Iterable[Entry], also: Sequence[Change] = ()
    ) -> list[Put]:
        """Put records, as far as there is room, and what else is to be committed with them.

        Returns once they are on disk. Raises MachineError, and then none of them is.
        """
        done: list[Put] = []
        taken: dict[int, list[Record]] = {}
        shards = self._shards[stream.name]
        left = stream.mb_max * MIB - sum(shard.row.bytes for shard in shards)
        for entry in entries:
            index = self._index(entry, len(shards))
            if (error := _refusal(stream, entry, left)) is not None:
                done.append(Put(error=error))
                continue
            record = shards[index].next(self.now_ms(), entry)
            left -= record.size
            taken.setdefault(index, []).append(record)
            done.append(Put(index, numbers.sequence_number(record.shard, record.sequence)))
        if taken or also:
            await self._write(shards, taken, also)
        return done

    async def put_all(
        self, stream: Stream, entries: Sequence[Entry], also: Sequence[Change] = ()
    ) -> list[Put]:
        """All of them or none. Raises ServiceError, MachineError."""
        shards = self._shards[stream.name]
        left = stream.mb_max * MIB - sum(shard.row.bytes for shard in shards)
        for entry in entries:
            if (error := _refusal(stream, entry, left)) is not None:
                raise error
            left -= Record(0, 0, 0, entry.key, entry.data).size
        return await self.put(stream, entries, also)

    async def sealed(self, shard: Shard, at_ms: int) -> None:
        """Wait until every record that came before a time, which has passed, can be read."""
        shard.row = shard.row._replace(last_ms=max(shard.row.last_ms, at_ms))
        await self.store.settled()

    def read(self, shard: Shard, after: int, limit: int, bytes_max: int) -> Iterator[Record]:
        """Records behind a sequence number, at least one where there is one."""
        size = 0
        for record in self.store.read(shard.id, after, limit):
            if size and size + record.size > bytes_max:
                return
            size += record.size
            yield record

    def page(self, place: Place, limit: int) -> tuple[Shard, Page]:
        """What an iterator leads to. Raises ServiceError when its stream has gone."""
        shard = self._shard_of(place)[1]
        count = min(limit, READ_RECORDS_MAX)
        records = list(self.read(shard, place.after, count, READ_BYTES_MAX))
        after = records[-1].sequence if records else place.after
        following = self.store.moment(shard.id, after)
        behind_ms = max(0, self.now_ms() - following[1]) if following else 0
        return shard, Page(records, after, behind_ms)

    def stream_of(self, place: Place) -> str:
        """The name of the stream that an iterator is of. Raises ServiceError."""
        return self._shard_of(place)[0]

    def _shard_of(self, place: Place) -> tuple[str, Shard]:
        for name, shards in self._shards.items():
            for shard in shards:
                if shard.id == place.shard:
                    return name, shard
        raise ServiceError("ResourceNotFoundException", "The iterator's stream was deleted.")

    def before(self, shard: Shard, at_ms: int) -> int:
        """Behind which number everything came at a time or later."""
        return self.store.before(shard.row, at_ms)

    def iterator(self, shard: Shard, after: int) -> str:
        return numbers.iterator(Place(shard.id, after, self.now_ms()), self._secret)

    def place(self, iterator: str) -> Place:
        """Raises ServiceError."""
        return numbers.place_of(iterator, self._secret, self.now_ms())

    async def run(self) -> None:
        """Let go of what is too old, for ever."""
        while True:
            try:
                await self.trim()
            except MachineError as error:
                _log.error("cannot trim streams: %s", error)
            await asyncio.sleep(TRIM_S)

    async def trim(self) -> None:
        """Once. What is in streams that are declared no more goes like any other stream's."""
        for name, shards in list(self._shards.items()):
            stream = self._streams.get(name)
            retention_s = RETENTION_S if stream is None else stream.retention_s
            # Of two clocks the one that says less: to set one ends no record's time.
            now_ms = min(self.now_ms(), int((self._base_s + self._steady()) * 1000))
            before_ms = now_ms - retention_s * 1000
            for shard in shards:
                await self._trim_to(shard, self.before(shard, before_ms))
            if stream is None and not any(shard.row.records for shard in shards):
                await self.store.forget([shard.id for shard in shards])
                del self._shards[name]

    async def _trim_to(self, shard: Shard, last: int) -> None:
        while shard.row.records:
            end, count, size = self.store.step(shard.id, shard.row.trimmed, last)
            if not count:
                return
            await self.store.trim(shard.id, end)
            shard.trimmed(end, count, size)

    async def _make(self, stream: Stream, also: Sequence[Change] = ()) -> None:
        await self.store.make(stream.name, stream.shards, also)
        rows = [row for row in self.store.shards() if row.stream == stream.name]
        self._shards[stream.name] = [Shard(row) for row in rows]

    async def _write(
        self, shards: list[Shard], taken: dict[int, list[Record]], also: Sequence[Change]
    ) -> None:
        def lost() -> None:
            for index, records in taken.items():
                shards[index].lost(records)

        def written(done: asyncio.Future[None]) -> None:
            if done.cancelled() or done.exception() is not None:
                return lost()
            for index in taken:
                shards[index].tell()
            return None

        try:
            done = self.store.put([r for records in taken.values() for r in records], also)
        except BaseException:
            lost()
            raise
        # Who waits may be cancelled: what is on disk then is there nonetheless, and is told of.
        done.add_done_callback(written)
        await asyncio.shield(done)

    def _index(self, entry: Entry, shards: int) -> int:
        hash_key = numbers.hash_of(entry.key) if entry.hash_key is None else entry.hash_key
        return numbers.shard_of(hash_key, shards)

    def _stored(self, stream: Stream) -> Change:
        settings = msgspec.json.encode(stream)
        return self._resources.stored(KIND, Resource(stream.name, stream.at_ms, settings))

    def _refuse_declared(self, stream: Stream) -> None:
        if stream.declared:
            text = f"The stream {stream.name} is of microfaas.toml; change it there."
            raise ServiceError("ResourceInUseException", text)


def _refusal(stream: Stream, entry: Entry, left: int) -> ServiceError | None:
    """Why a record cannot be taken."""
    size = len(entry.data) + len(entry.key.encode())
    if size > RECORD_BYTES_MAX:
        text = f"A record and its key may have {RECORD_BYTES_MAX} bytes, not {size}."
        return ServiceError("InvalidArgumentException", text)
    if entry.hash_key is not None and not 0 <= entry.hash_key < numbers.HASHES:
        text = f"ExplicitHashKey must be from 0 to {numbers.HASHES - 1}, not {entry.hash_key}."
        return ServiceError("InvalidArgumentException", text)
    if Record(0, 0, 0, entry.key, entry.data).size > left:
        text = (
            f"Rate exceeded: the stream {stream.name} holds as much as it may, {stream.mb_max} MiB "
            f"of the last {stream.retention_s} s; raise its mb_max, or shorten its retention."
        )
        return ServiceError("ProvisionedThroughputExceededException", text, sender=False)
    return None
