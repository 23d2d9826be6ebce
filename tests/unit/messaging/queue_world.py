"""Queues over a real database, with clocks that tests can set forward."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import msgspec

from microfaas.config.queues import QueueTable, is_fifo
from microfaas.messaging.queues import Queues
from microfaas.messaging.sending import Outgoing, Sent
from microfaas.model import Address
from microfaas.store.db import Database
from microfaas.store.dead import DeadLetters
from microfaas.store.messages import MessageStore
from microfaas.store.resources import Resources


class Clock:
    """Time as the store and the queues see it."""

    def __init__(self) -> None:
        self.ahead_ms = 0


class Store(MessageStore):
    """The real one; its time can be moved on."""

    clock: Clock

    def now_ms(self) -> int:
        return super().now_ms() + self.clock.ahead_ms


class World:
    """What one run of the server has of queues."""

    def __init__(self, database: Database, store: Store, queues: Queues, clock: Clock) -> None:
        self.database = database
        self.store = store
        self.queues = queues
        self.clock = clock
        self.dead = DeadLetters(database)

    async def send(self, name: str, *bodies: str, **settings: object) -> list[str]:
        sent = await self.queues.send(name, [Outgoing(body, **settings) for body in bodies])  # type: ignore[arg-type]
        for one in sent:
            if not isinstance(one, Sent):
                raise one
        return [one.id for one in sent if isinstance(one, Sent)]


def tables(**settings: QueueTable) -> dict[str, QueueTable]:
    """As the configuration makes them; `_fifo` at the end of a name stands for `.fifo`."""
    made = {name.replace("_fifo", ".fifo"): table for name, table in settings.items()}
    return {n: msgspec.structs.replace(t, fifo=is_fifo(n)) for n, t in made.items()}


@contextlib.asynccontextmanager
async def opened(
    path: Path, declared: Mapping[str, QueueTable], clock: Clock | None = None
) -> AsyncIterator[World]:
    """A run of the server, from its start to its stop."""
    clock = clock or Clock()
    database = Database(str(path / "microfaas.db"))
    database.open()
    try:
        store = Store(database)
        store.clock = clock
        async with asyncio.TaskGroup() as tasks:
            queues = Queues(database, store, Resources(database), Address(), declared, tasks)
            yield World(database, store, queues, clock)
    finally:
        database.close()
