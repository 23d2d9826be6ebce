"""Dead letters: messages that were given up on, kept whole until somebody decides about them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from microfaas.model import MIB
from microfaas.store.db import Database
from microfaas.store.writer import Row

DEAD_DAYS = 90
DEAD_MAX = 100_000
DEAD_BYTES_MAX = 1024 * MIB
PRUNE_STEP = 1_000
PAGE = 100
PAGE_BYTES = 4 * MIB
DAY_MS = 86_400_000
_EVER = 1 << 62


class DeadLetter(NamedTuple):
    """An event, where it came from and why it failed at last.

    `queue` is where it goes when it is sent again, with its `attributes`; `kind` is the error's
    type, by which letters are chosen.
    """

    at_ms: int
    function: str
    request_id: str
    source: str
    event: bytes
    error: bytes
    attempts: int
    queue: str = ""
    kind: str = ""
    attributes: bytes = b""


class Buried(NamedTuple):
    """A dead letter with its number."""

    id: int
    letter: DeadLetter


class DeadLetters:
    """Where the functions' unhandled events lie. They are written with the removal of the
    message they were, in its batch."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def page(
        self,
        function: str | None = None,
        kind: str | None = None,
        before_ms: int = _EVER,
        before_id: int = _EVER,
        limit: int = PAGE,
    ) -> list[Buried]:
        """The newest first, of one function or of all, of one error or of all, by age. Not more
        than PAGE_BYTES of events, but for a single one."""
        found: list[Buried] = []
        size = 0
        params = _params(function, kind, before_ms, before_id, limit)
        with self._db.rows("dead_letters", params) as rows:
            for row in rows:
                found.append(_buried(row))
                size += len(found[-1].letter.event)
                if size >= PAGE_BYTES:
                    break
        return found

    def heads(
        self,
        function: str | None = None,
        kind: str | None = None,
        before_ms: int = _EVER,
        limit: int = PAGE,
    ) -> list[Buried]:
        """The same without the events, and with the begin of the errors."""
        params = _params(function, kind, before_ms, _EVER, limit)
        return [_buried(row) for row in self._db.read("dead_letter_heads", params)]

    def find(self, name: str) -> Buried | None:
        """One by its number or its request's id."""
        number = int(name) if name.isdecimal() and len(name) < 19 else -1
        rows = self._db.read("dead_letter", {"id": number, "request_id": name})
        return _buried(rows[0]) if rows else None

    def count(self, function: str | None = None) -> int:
        """How many there are."""
        count: int = self._db.read("count_dead_letters", {"function": function})[0][0]
        return count

    async def remove(self, numbers: Iterable[int]) -> None:
        """Forget them for good."""
        await self._db.write("remove_dead_letters", [(number,) for number in numbers])

    async def prune(self, now_ms: int) -> int:
        """Forget what is too old or too much; how many had to go for others' sake."""
        dropped = 0
        while True:
            counts = {name: (n, size) for _, name, n, size in self._db.read("queues", {})}
            count, size = counts["dead letters"]
            crowded = count > DEAD_MAX or size > DEAD_BYTES_MAX
            before_ms = now_ms - DEAD_DAYS * DAY_MS
            oldest_ms = self._db.read("oldest_dead_letter", {})
            # A disk that rests is not woken up for nothing.
            if not crowded and (not oldest_ms or oldest_ms[0][0] >= before_ms):
                return dropped
            row: Row = {"step": PRUNE_STEP, "before_ms": before_ms, "crowded": crowded}
            await self._db.write("forget_dead_letters", [row])
            if not crowded:
                return dropped
            dropped += PRUNE_STEP


def _params(
    function: str | None, kind: str | None, before_ms: int, before_id: int, limit: int
) -> dict[str, object]:
    return {
        "function": function,
        "kind": kind,
        "before_ms": before_ms,
        "before": before_id,
        "limit": limit,
    }


def _buried(row: tuple[int, ...]) -> Buried:
    return Buried(row[0], DeadLetter(*row[1:]))  # type: ignore[arg-type]
