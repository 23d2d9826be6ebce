"""Events that clients put into log groups, until they are too old or too many."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import NamedTuple

from microfaas.model import MIB
from microfaas.store.db import Database

GROUP_BYTES_MAX = 64 * MIB
# What one look takes at most.
PAGE = 1000
PAGE_BYTES = MIB
# When a group is full, so much of it goes at once.
FORGET_SHARE = 10


class StoredEvent(NamedTuple):
    """One of them; its number is given once."""

    id: int
    stream: str
    at_ms: int
    came_ms: int
    message: str


class Total(NamedTuple):
    """What there is in a stream; times are of its events, and of when the last one came."""

    stream: str
    events: int
    bytes: int
    came_ms: int
    first_ms: int
    last_ms: int


class LogEvents:
    """All groups' events. Groups and streams by name; who may name which is for others to say."""

    def __init__(self, db: Database, bytes_max: int = GROUP_BYTES_MAX) -> None:
        self._db = db
        self._bytes_max = bytes_max

    async def put(self, group: str, stream: str, events: Sequence[tuple[int, str]]) -> None:
        """Times and messages. When the group has too much, its oldest go. Raises MachineError."""
        now_ms = int(time.time() * 1000)
        rows = [(group, stream, at_ms, now_ms, _encoded(text)) for at_ms, text in events]
        await self._db.write("put_log_events", rows)
        while True:
            count, size = self._db.read("log_group_total", {"log_group": group})[0]
            if size <= self._bytes_max or count <= 1:
                return
            forgotten = {"log_group": group, "count": max(1, count // FORGET_SHARE)}
            await self._db.write("forget_log_events", [forgotten])

    def page(
        self,
        group: str,
        stream: str | None,
        start: tuple[int, int],
        end: tuple[int, int],
        *,
        backward: bool,
    ) -> tuple[list[StoredEvent], bool]:
        """Events of a group or of a stream of it, and whether more follow.

        Both ends are times and numbers, the second one not in it. Forward the end's number is 0,
        backward the start's.
        """
        name = "log_events" if stream is None else "log_events_of_stream"
        params = {
            "log_group": group,
            "stream": stream,
            "start_ms": start[0],
            "start_id": start[1],
            "end_ms": end[0],
            "end_id": end[1],
        }
        found: list[StoredEvent] = []
        size = 0
        with self._db.rows(f"{name}_backward" if backward else name, params) as rows:
            for id_, stream_, at_ms, came_ms, message in rows:
                event = StoredEvent(id_, stream_, at_ms, came_ms, message.decode())
                if len(found) == PAGE or (found and size + len(message) > PAGE_BYTES):
                    return found, True
                found.append(event)
                size += len(message)
        return found, False

    def totals(self, group: str) -> list[Total]:
        """What there is, in each stream that has something."""
        return [Total(*row) for row in self._db.read("log_totals", {"log_group": group})]

    def size_of(self, group: str) -> int:
        """The bytes of all messages of a group."""
        size: int = self._db.read("log_group_total", {"log_group": group})[0][1]
        return size

    async def remove_group(self, group: str) -> None:
        await self._db.write("remove_log_group_events", [(group,)])

    async def remove_stream(self, group: str, stream: str) -> None:
        await self._db.write("remove_log_stream_events", [(group, stream)])

    async def expire(self, group: str, before_ms: int) -> None:
        """None of a group are kept that are older."""
        await self._db.write("expire_log_events", [{"log_group": group, "before_ms": before_ms}])


def _encoded(text: str) -> bytes:
    return text.encode(errors="replace")
