"""Streams on disk: the records of their shards, in order, and how far each reader has come."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from microfaas.store.db import Database
from microfaas.store.room import Room
from microfaas.store.writer import Row

# What a record takes on disk beside its key and data.
RECORD_OVERHEAD = 64
TRIM_STEP = 500

# A statement and its rows, for a batch.
Change = tuple[str, Sequence[Row]]


class Record(NamedTuple):
    """One record, in the order of the table's columns; `shard` is the shard's number on disk."""

    shard: int
    sequence: int
    at_ms: int
    key: str
    data: bytes

    @property
    def size(self) -> int:
        return RECORD_OVERHEAD + len(self.key.encode()) + len(self.data)


class ShardRow(NamedTuple):
    """A shard and what is in it."""

    id: int
    stream: str
    place: int
    records: int
    bytes: int
    last: int
    last_ms: int
    trimmed: int


class Checkpoint(NamedTuple):
    """How far one lane of a trigger has come in one shard."""

    shard: int
    lane: int
    lanes: int
    sequence: int
    state: bytes


class StreamStore:
    """What the tables of streams are asked and told. Called from one event loop alone."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._room = Room(db.path)

    def shards(self) -> list[ShardRow]:
        """All there are."""
        return [ShardRow(*row) for row in self._db.read("stream_shards", {})]

    async def make(self, stream: str, shards: int, also: Sequence[Change] = ()) -> None:
        """The shards of a new stream."""
        rows = [(stream, index) for index in range(shards)]
        await self._db.write_all([("add_stream_shards", rows), *also])

    async def forget(self, shards: Sequence[int], also: Sequence[Change] = ()) -> None:
        """Shards whose records have gone, and who was reading them."""
        rows = [(shard,) for shard in shards]
        changes = [("remove_stream_checkpoints", rows), ("remove_stream_shards", rows), *also]
        await self._db.write_all(changes)

    async def write(self, changes: Sequence[Change]) -> None:
        """Other changes, in one commit."""
        await self._db.write_all(changes)

    def put(self, records: Sequence[Record], also: Sequence[Change] = ()) -> asyncio.Future[None]:
        """Have records written, in the order of the calls. Raises MachineError without room."""
        self._room.check()
        return self._db.submit([("put_stream_records", records), *also])

    async def settled(self) -> None:
        """Wait until all that was put before is on disk, or has failed."""
        await self._db.submit([])

    def read(self, shard: int, after: int, limit: int) -> Iterator[Record]:
        """Records behind a sequence number, in order. Not to be awaited in."""
        params = {"shard": shard, "after": after, "limit": limit}
        with self._db.rows("stream_records", params) as rows:
            for row in rows:
                yield Record(*row)

    def moment(self, shard: int, after: int) -> tuple[int, int] | None:
        """The sequence number of the first record behind another one, and when it came."""
        rows = self._db.read("stream_moment", {"shard": shard, "after": after})
        return rows[0] if rows else None

    def before(self, row: ShardRow, at_ms: int) -> int:
        """The sequence number behind which all records are that came at a time or later.

        Records' times do not fall, so it can be searched for by halving.
        """
        low, high = row.trimmed, row.last
        while low < high:
            middle = (low + high) // 2
            found = self.moment(row.id, middle)
            if found is None or found[1] >= at_ms:
                high = middle
            else:
                low = found[0]
        return low

    def step(self, shard: int, after: int, last: int) -> tuple[int, int, int]:
        """A step of a shard's oldest records up to a sequence number: where it ends, how many
        they are, and what they take."""
        params = {"shard": shard, "after": after, "last": last, "step": TRIM_STEP}
        end, count, size = self._db.read("stream_step", params)[0]
        return end, count, size

    async def trim(self, shard: int, end: int) -> None:
        """Remove such a step."""
        await self._db.write("trim_stream_records", [{"shard": shard, "last": end}])

    def checkpoints(self, consumer: str) -> list[Checkpoint]:
        """How far a trigger has come."""
        rows = self._db.read("stream_checkpoints", {"consumer": consumer})
        return [Checkpoint(*row) for row in rows]

    def readers(self, shard: int) -> list[tuple[str, int]]:
        """Who reads a shard, and how far each has come."""
        rows = self._db.read("all_stream_checkpoints", {"shard": shard})
        return [(str(consumer), int(sequence)) for consumer, sequence in rows]

    def tail(self, stream: str) -> bytes | None:
        """How far a stream's log file has been read."""
        rows = self._db.read("stream_tail", {"stream": stream})
        return bytes(rows[0][0]) if rows else None


def checkpointed(consumer: str, checkpoints: Sequence[Checkpoint]) -> Change:
    """A trigger has come further; for a batch."""
    return "set_stream_checkpoints", [(consumer, *checkpoint) for checkpoint in checkpoints]


def lanes_dropped(consumer: str, shard: int, lanes: int) -> Change:
    """There are fewer lanes than before; for a batch."""
    return "drop_stream_lanes", [{"consumer": consumer, "shard": shard, "lanes": lanes}]


def tail_read(stream: str, position: bytes) -> Change:
    """More of a log file has been read; for a batch."""
    return "set_stream_tail", [(stream, position)]
