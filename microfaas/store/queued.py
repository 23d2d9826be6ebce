"""What queues with SQS's rules ask of the store: candidates to be received, groups, duplicates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from microfaas.store.db import Database
from microfaas.store.messages import READ_BYTES, Message

# Past this many the numbers of what is in flight or delayed are not counted exactly.
COUNTED_MAX = 200_000
FORGET_STEP = 1_000


class Unavailable(NamedTuple):
    """What nobody may take yet."""

    in_flight: int
    delayed: int


class Queued:
    """Queries about single queues, by their numbers. None of them reads a whole queue."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def ready(self, queue: int, now_ms: int, limit: int) -> list[int]:
        """Ids of what may be received: what came back first, then in the order of acceptance."""
        params = {"queue": queue, "now_ms": now_ms, "after": 0, "limit": limit}
        due = [number for (number,) in self._db.read("due_ids", params)]
        if len(due) == limit:
            return due
        return due + [number for (number,) in self._db.read("ready_ids", params)]

    def groups(self, queue: int, now_ms: int, limit: int) -> list[str]:
        """Groups of which messages may be received, in the same order."""
        params = {"queue": queue, "now_ms": now_ms, "limit": limit}
        due: list[str] = [group for (group,) in self._db.read("due_groups", params)]
        if len(due) == limit:
            return due
        return due + [group for (group,) in self._db.read("ready_groups", params)]

    def of_group(self, queue: int, group: str, limit: int) -> list[Message]:
        """The oldest messages of a group."""
        params = {"queue": queue, "group_id": group, "limit": limit}
        return [Message(*row) for row in self._db.read("group_messages", params)]

    def message(self, number: int) -> Message | None:
        rows = self._db.read("message", {"id": number})
        return Message(*rows[0]) if rows else None

    def messages(self, ids: Sequence[int], bytes_max: int = 1 << 62) -> list[Message]:
        """Those that are there, until there are enough bytes of them."""
        found: list[Message] = []
        size = 0
        for number in ids:
            if size < bytes_max and (message := self.message(number)) is not None:
                found.append(message)
                size += message.size
        return found

    def old(self, queue: int, now_ms: int, before_ms: int, limit: int) -> list[int]:
        """Ids of what was accepted before a time, among what has waited longest; nothing leased."""
        params = {"queue": queue, "now_ms": now_ms, "before_ms": before_ms, "limit": limit}
        return [number for (number,) in self._db.read("old_ids", params)]

    def any(self, queue: int, last: int, limit: int) -> list[Message]:
        """Some of a queue's messages up to an id, whatever state they are in."""
        found: list[Message] = []
        size = 0
        with self._db.rows("any_messages", {"queue": queue, "last": last, "limit": limit}) as rows:
            for row in rows:
                found.append(Message(*row))
                size += found[-1].size
                if size >= READ_BYTES:
                    break
        return found

    def next_due_ms(self, queue: int, now_ms: int, grouped: bool) -> int | None:
        """When the next may be received that may not yet."""
        statement = "next_due_group" if grouped else "next_due"
        due_ms: int | None = self._db.read(statement, {"queue": queue, "now_ms": now_ms})[0][0]
        return due_ms

    def unavailable(self, queue: int, now_ms: int) -> Unavailable:
        params = {"queue": queue, "now_ms": now_ms, "limit": COUNTED_MAX}
        count, received = self._db.read("count_unavailable", params)[0]
        return Unavailable(received, count - received)

    def last_id(self) -> int:
        """The greatest id that was given so far."""
        last: int = self._db.read("last_message", {})[0][0]
        return last

    def duplicate(self, queue: int, deduplication_id: str, now_ms: int) -> str | None:
        """The uuid of the message that was sent under this id before."""
        params = {"queue": queue, "deduplication_id": deduplication_id, "now_ms": now_ms}
        rows = self._db.read("deduplicated", params)
        return str(rows[0][0]) if rows else None

    async def forget_duplicates(self, now_ms: int) -> None:
        """A step of those whose time is over."""
        row = {"now_ms": now_ms, "step": FORGET_STEP}
        # A disk that rests is not woken up for nothing.
        if self._db.read("old_deduplication", {"now_ms": now_ms}):
            await self._db.write("forget_deduplications", [row])
