"""How events ended: a bounded history that can be asked by request id."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from microfaas.model import MIB
from microfaas.store.db import Database
from microfaas.store.messages import number_of
from microfaas.store.writer import Row

RESULTS_DAYS = 7
RESULTS_MAX = 100_000
RESULTS_BYTES_MAX = 256 * MIB
# Of a larger result only this much is kept.
PAYLOAD_BYTES_MAX = 1 * MIB
PRUNE_STEP = 5_000
HISTORY_MAX = 100
# How far back a status is looked for.
SEEN_MAX = 5_000

DAY_MS = 86_400_000


class Attempt(msgspec.Struct, frozen=True, array_like=True):
    """One run of an event that did not succeed."""

    at_ms: int
    status: str
    wall_ms: float
    error: str = ""


class Result(NamedTuple):
    """How an event ended, in the order of the table's columns."""

    id: int
    request_id: str
    function: str
    qualifier: str
    source: str
    status: str
    accepted_ms: int
    finished_ms: int
    attempts: int
    history: bytes
    payload: bytes

    @property
    def tries(self) -> list[Attempt]:
        """The attempts that failed, the oldest first."""
        return _decode(self.history) if self.history else []


_decode = msgspec.msgpack.Decoder(list[Attempt]).decode
encode_history = msgspec.msgpack.Encoder().encode


class Results:
    """Reads and prunes; results are written with the removal of their message, in its batch."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def find(self, request_id: str) -> Result | None:
        """How the event of a request ended; None when it has not, or is forgotten."""
        rows = self._db.read("result", {"id": number_of(request_id)})
        result = Result(*rows[0]) if rows else None
        return result if result is not None and result.request_id == request_id else None

    def recent(self, function: str | None, limit: int, status: str | None = None) -> list[Result]:
        """The newest first, without what they returned; of a status, those of the newest SEEN_MAX
        that have it."""
        seen = limit if status is None else SEEN_MAX
        params = {"function": function, "limit": limit, "status": status, "seen": seen}
        return [Result(*row) for row in self._db.read("recent_results", params)]

    async def prune(self, now_ms: int) -> None:
        """Forget what is too old or too much."""
        while True:
            counts = {name: (n, size) for _, name, n, size in self._db.read("queues", {})}
            count, size = counts["results"]
            crowded = count > RESULTS_MAX or size > RESULTS_BYTES_MAX
            before_ms = now_ms - RESULTS_DAYS * DAY_MS
            oldest_ms = self._db.read("oldest_result", {})
            # A disk that rests is not woken up for nothing.
            if not crowded and (not oldest_ms or oldest_ms[0][0] >= before_ms):
                return
            row: Row = {"step": PRUNE_STEP, "before_ms": before_ms, "crowded": crowded}
            await self._db.write("forget_results", [row])
            if not crowded:
                return
