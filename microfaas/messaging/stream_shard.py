"""One shard of a stream, as it is with what is just being written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from microfaas.store.streams import Record, ShardRow


class Entry(NamedTuple):
    """A record that is to be put."""

    key: str
    data: bytes
    hash_key: int | None = None


class Shard:
    """One shard, with what is just being written."""

    def __init__(self, row: ShardRow) -> None:
        self.row = row
        self.listeners: list[Callable[[], None]] = []

    @property
    def id(self) -> int:
        return self.row.id

    def next(self, now_ms: int, entry: Entry) -> Record:
        """Give a record its number and time, which never falls."""
        row = self.row
        at_ms = max(now_ms, row.last_ms)
        record = Record(row.id, row.last + 1, at_ms, entry.key, entry.data)
        self.row = row._replace(
            last=record.sequence,
            last_ms=at_ms,
            records=row.records + 1,
            bytes=row.bytes + record.size,
        )
        return record

    def lost(self, records: Sequence[Record]) -> None:
        """They were not written; their numbers stay unused."""
        size = sum(record.size for record in records)
        row = self.row
        self.row = row._replace(records=row.records - len(records), bytes=row.bytes - size)

    def trimmed(self, end: int, records: int, size: int) -> None:
        """What was in it up to a number has gone."""
        row = self.row
        left = row._replace(records=row.records - records, bytes=row.bytes - size)
        self.row = left._replace(trimmed=end)

    def tell(self) -> None:
        for listener in tuple(self.listeners):
            listener()
