"""Dead letters: events that were given up on, kept whole."""

from __future__ import annotations

from typing import NamedTuple

from microfaas.store.db import Database


class DeadLetter(NamedTuple):
    """An event, where it came from and why it failed at last."""

    at_ms: int
    function: str
    request_id: str
    source: str
    event: bytes
    error: bytes
    attempts: int


class DeadLetters:
    """Where the functions' unhandled events lie."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def bury(self, letter: DeadLetter) -> None:
        """Keep it; returns when it is safe on disk."""
        await self._db.write("bury", [letter])

    def list(self, function: str | None = None, limit: int = 100) -> list[DeadLetter]:
        """The newest first, of one function or of all."""
        rows = self._db.read("dead_letters", {"function": function, "limit": limit})
        return [DeadLetter(*row) for row in rows]

    def count(self, function: str | None = None) -> int:
        """How many there are."""
        count: int = self._db.read("count_dead_letters", {"function": function})[0][0]
        return count
