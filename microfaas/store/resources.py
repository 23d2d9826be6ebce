"""What was made through the API: functions and their aliases, queues, topics, schedules, …"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from microfaas.store.db import Database
from microfaas.store.writer import Row

# What belongs into a batch: a statement and its rows.
Change = tuple[str, list[Row]]


class Resource(NamedTuple):
    """One of them; `settings` is JSON in the form of its kind."""

    name: str
    at_ms: int
    settings: bytes


class Resources:
    """Kept for good; whoever owns a kind reads its rows once, at start."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def all(self, kind: str) -> list[Resource]:
        """Those of a kind, in the order of their names."""
        return [Resource(*row) for row in self._db.read("resources", {"kind": kind})]

    async def commit(self, changes: Sequence[Change]) -> None:
        """Make these changes, all of them or none. Raises MachineError."""
        await self._db.write_all(changes)

    def stored(self, kind: str, resource: Resource) -> Change:
        """It is made, or its settings change; for a batch."""
        return "set_resource", [(kind, *resource)]

    def removed(self, kind: str, name: str) -> Change:
        """It is no more; for a batch."""
        return "remove_resource", [(kind, name)]
