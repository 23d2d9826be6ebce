"""Everything that is kept until it is dealt with, wired: events, and what they go to and come from.

The server builds this once the functions are there, starts it when it listens, and closes it when
the triggers take nothing new any more.
"""

from __future__ import annotations

import asyncio
import logging
import time

from microfaas.config import Config
from microfaas.dispatch.destinations import Destinations
from microfaas.dispatch.events import Events, Served
from microfaas.errors import MachineError
from microfaas.invoke import Invoker
from microfaas.store.db import Database
from microfaas.store.dead import DeadLetters
from microfaas.store.messages import MessageStore
from microfaas.store.resources import Resources
from microfaas.store.results import Results

PRUNE_S = 10.0

_log = logging.getLogger("microfaas.durable")


class Durable:
    """The parts, by their names."""

    def __init__(
        self, config: Config, database: Database, invoker: Invoker, tasks: asyncio.TaskGroup
    ) -> None:
        self._config = config
        self._tasks = tasks
        self.store = MessageStore(database)
        self.resources = Resources(database)
        self.results = Results(database)
        self.dead = DeadLetters(database)
        self.destinations = Destinations({})
        self.events = Events(self.store, invoker, self.destinations, config.address, tasks)

    async def open(self) -> None:
        """Take in what the last run left; nothing runs yet. Raises MachineError."""
        await self.store.open()

    def serve(self) -> None:
        """Start to deal with what waits."""
        served = {
            f.name: Served(f.events, f.limits.concurrency_max) for f in self._config.functions
        }
        self.events.serve(served)
        self._tasks.create_task(self._prune())

    async def close(self) -> None:
        """Begin nothing more, let what runs end; the rest waits on disk."""
        await self.events.close(self._config.drain_s_max)

    async def _prune(self) -> None:
        """Keep the histories within their bounds."""
        while True:
            now_ms = int(time.time() * 1000)
            try:
                await self.results.prune(now_ms)
                if dropped := await self.dead.prune(now_ms):
                    _log.error("the %d oldest dead letters are forgotten: too many", dropped)
            except MachineError as error:
                _log.error("cannot tidy up: %s", error)
            await asyncio.sleep(PRUNE_S)
