"""Redrives: tasks that move what lies in a dead letter queue back to where it came from.

A task moves a bounded number of messages per commit, and its progress is in the same commit; so
after a restart it goes on where it was. It moves what was there when it began.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import os
import time
from typing import Literal

import msgspec

from microfaas.errors import MicrofaasError, ServiceError
from microfaas.messaging.directory import Queue
from microfaas.messaging.kept import decode_kept, transferred
from microfaas.messaging.queues import Queues
from microfaas.store.messages import Batch, Message, MessageStore
from microfaas.store.resources import Resource, Resources

KIND = "move"
MOVED_AT_ONCE = 100
RATE_MAX = 500
# Ended ones are kept, to tell of: AWS tells of ten.
TASKS_KEPT = 10
AGAIN_S = 1.0

_log = logging.getLogger("microfaas.messaging")


class Move(msgspec.Struct, kw_only=True):
    """One task. `target` is empty when each message goes back to the queue it came from."""

    id: str
    source: str
    target: str
    rate: int | None
    started_ms: int
    last: int
    total: int
    moved: int = 0
    status: Literal["RUNNING", "COMPLETED", "CANCELLED", "FAILED"] = "RUNNING"
    failure: str = ""


class Moves:
    """All tasks of this kind."""

    def __init__(
        self,
        queues: Queues,
        store: MessageStore,
        resources: Resources,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._queues = queues
        self._store = store
        self._resources = resources
        self._tasks = tasks
        rows = resources.all(KIND)
        self._moves = {row.name: msgspec.json.decode(row.settings, type=Move) for row in rows}

    def serve(self) -> None:
        """Go on with what the last run left."""
        for move in self._moves.values():
            if move.status == "RUNNING":
                self._tasks.create_task(self._run(move))

    def of(self, source: str) -> list[Move]:
        """A queue's tasks, the newest first."""
        found = [move for move in self._moves.values() if move.source == source]
        return sorted(found, key=lambda move: move.started_ms, reverse=True)

    async def start(self, source: str, target: str, rate: int | None) -> Move:
        """Raises ServiceError, MachineError."""
        queue = self._queues.directory.get(source)
        if target:
            self._queues.directory.get(target)
        if target == source or (target and target.endswith(".fifo") != queue.fifo):
            text = "The destination must be another queue of the same kind."
            raise ServiceError("InvalidParameterValue", text)
        names = [each.settings.dead_letter_queue for each in self._queues.directory.all()]
        if source not in names:
            text = "Source queue must be configured as a Dead Letter Queue."
            raise ServiceError("InvalidParameterValue", text)
        if any(move.status == "RUNNING" for move in self.of(source)):
            text = (
                "There is already a task running. Only one active task is allowed for a source "
                "queue arn at a given time."
            )
            raise ServiceError("InvalidParameterValue", text)
        ready, _ = self._queues.count(source)
        move = Move(
            id=os.urandom(16).hex(),
            source=source,
            target=target,
            rate=rate,
            started_ms=int(time.time() * 1000),
            last=self._queues.last_id(),
            total=ready,
        )
        self._moves[move.id] = move
        try:
            await self._store.commit(self._noted(Batch(), move))
        except BaseException:
            del self._moves[move.id]
            raise
        self._tasks.create_task(self._run(move))
        return move

    async def cancel(self, number: str) -> Move:
        """Raises ServiceError when there is none that runs."""
        move = self._moves.get(number)
        if move is None or move.status != "RUNNING":
            raise ServiceError("ResourceNotFoundException", "Task does not exist, or has ended.")
        move.status = "CANCELLED"
        await self._store.commit(self._noted(Batch(), move))
        return move

    async def _run(self, move: Move) -> None:
        while move.status == "RUNNING":
            try:
                if not await self._step(move):
                    await self._end(move, "COMPLETED", "")
            except ServiceError as error:
                await self._end(move, "FAILED", str(error))
            except MicrofaasError as error:
                _log.error("cannot move messages out of %s: %s; trying again", move.source, error)
                await asyncio.sleep(AGAIN_S)

    async def _end(self, move: Move, status: Literal["COMPLETED", "FAILED"], failure: str) -> None:
        move.status, move.failure = status, failure
        batch = self._noted(Batch(), move)
        for old in self.of(move.source)[TASKS_KEPT:]:
            self._moves.pop(old.id, None)
            batch.also(*self._resources.removed(KIND, old.id))
        try:
            await self._store.commit(batch)
        except MicrofaasError as error:
            # The next run finds nothing left to move, and ends it.
            _log.error("cannot record the end of a redrive of %s: %s", move.source, error)

    async def _step(self, move: Move) -> bool:
        """Move some; whether there may be more."""
        queue = self._queues.directory.get(move.source)
        count = min(MOVED_AT_ONCE, move.rate or MOVED_AT_ONCE)
        messages = self._queues.peek(move.source, count)
        messages = [message for message in messages if message.id <= move.last]
        if not messages:
            return False
        moved = msgspec.structs.replace(move, moved=move.moved + len(messages))
        keys = [message.id for message in messages]
        self._queues.claims.take(keys)
        decide = functools.partial(self._decide, queue, messages, moved)
        await self._queues.claims.commit(keys, decide, queue.line.wake)
        move.moved = moved.moved
        if move.rate is not None:
            await asyncio.sleep(len(messages) / move.rate)
        return True

    def _decide(self, queue: Queue, messages: list[Message], moved: Move) -> Batch:
        batch = Batch()
        for message in messages:
            origin = decode_kept(message.attributes).origin.rpartition(":")[2]
            target = self._queues.directory.get(moved.target or origin)
            batch.remove(message)
            batch.put(transferred(message, target.name, "", queue.fifo))
        return self._noted(batch, moved)

    def _noted(self, batch: Batch, move: Move) -> Batch:
        resource = Resource(move.id, move.started_ms, msgspec.json.encode(move))
        batch.also(*self._resources.stored(KIND, resource))
        return batch
