"""Receiving: which messages are next, and what becomes of each of them.

A receive is a lease on disk: its end is the message's due time, and the receives are counted
before anybody gets the message. What was received too often goes to the dead letter queue
instead, and what is too old to the dead letters, in the same commit.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator

import msgspec

from microfaas.messaging.claims import Claims
from microfaas.messaging.directory import Directory, Queue
from microfaas.messaging.kept import (
    PREFIX,
    Received,
    decode_kept,
    encode_kept,
    new_token,
    transferred,
)
from microfaas.model import Address
from microfaas.payloads import sqs
from microfaas.store.dead import DeadLetter
from microfaas.store.messages import Batch, Message, MessageStore
from microfaas.store.queued import Queued

Fits = Callable[[Message], bool]


class Receiving:
    """Takes messages out of queues for receivers."""

    def __init__(
        self,
        store: MessageStore,
        queued: Queued,
        claims: Claims,
        directory: Directory,
        address: Address,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._queued = queued
        self._claims = claims
        self._directory = directory
        self._address = address
        self._clock = clock

    async def take(
        self, queue: Queue, count: int, visibility_s: int, fits: Fits | None = None
    ) -> list[Received]:
        """Up to `count` messages that may be received now. Raises MachineError."""
        while True:
            messages = self.choose(queue, count, fits)
            if not messages:
                return []
            # Nobody else touches these from here to the end of the commit.
            keys = [message.id for message in messages]
            self._claims.take(keys)
            received: list[Received] = []
            batch = Batch()
            decide = functools.partial(self._decide, queue, messages, visibility_s, received, batch)
            full = functools.partial(self._overflown, queue, batch)
            # Whoever is next in line looks whether there is more.
            await self._claims.commit(keys, decide, queue.line.wake, full)
            if received:
                return received

    def choose(self, queue: Queue, count: int, fits: Fits | None = None) -> list[Message]:
        """What would be received next, in order, and is not being dealt with by others."""
        found = self._in_groups(queue, count) if queue.fifo else self._in_order(queue, count)
        chosen: list[Message] = []
        for message in found:
            if fits is not None and not fits(message):
                break
            chosen.append(message)
            if len(chosen) == count:
                break
        return chosen

    def _in_order(self, queue: Queue, count: int) -> Iterator[Message]:
        limit = count + len(self._claims)
        for number in self._queued.ready(queue.number, self._store.now_ms(), limit):
            if number not in self._claims and (message := self._queued.message(number)):
                yield message

    def _in_groups(self, queue: Queue, count: int) -> Iterator[Message]:
        now_ms = self._store.now_ms()
        limit = count + len(self._claims)
        for group in self._queued.groups(queue.number, now_ms, limit):
            for message in self._queued.of_group(queue.number, group, count):
                # One that is being received or removed, or is not to be received yet, stops
                # those behind it.
                if message.due_ms > now_ms or message.id in self._claims:
                    break
                yield message

    def _decide(
        self,
        queue: Queue,
        messages: list[Message],
        visibility_s: int,
        received: list[Received],
        batch: Batch,
    ) -> Batch:
        settings = queue.settings
        for message in messages:
            if self.is_old(queue, message):
                batch.remove(message)
                batch.also("bury", [self.letter(queue, message, "RetentionExpired")])
            elif settings.dead_letter_queue and message.attempts >= settings.receives_max:
                self._give_up(queue, message, batch)
            else:
                received.append(self._lease(message, visibility_s, batch))
        return batch

    def old(self, queue: Queue, limit: int) -> list[int]:
        """Ids of what nobody has received for so long that nobody is to any more."""
        # Of two clocks the one that says less: to set one ends no message's time.
        now_ms = min(self._wall_ms(), self._store.now_ms())
        before_ms = now_ms - queue.settings.retention_s * 1000
        return self._queued.old(queue.number, self._store.now_ms(), before_ms, limit)

    def is_old(self, queue: Queue, message: Message) -> bool:
        return self._store.age_s(message) > queue.settings.retention_s

    def _lease(self, message: Message, visibility_s: int, batch: Batch) -> Received:
        kept = decode_kept(message.attributes)
        changed = msgspec.structs.replace(
            kept, token=new_token(), first_ms=kept.first_ms or self._wall_ms()
        )
        due_ms = self._store.now_ms() + visibility_s * 1000 if visibility_s else 0
        attributes = encode_kept(changed)
        batch.reschedule(message, due_ms, message.attempts + 1, attributes)
        leased = message._replace(
            due_ms=due_ms, attempts=message.attempts + 1, attributes=attributes
        )
        return Received(leased, changed)

    def _give_up(self, queue: Queue, message: Message, batch: Batch) -> None:
        batch.remove(message)
        target = queue.settings.dead_letter_queue
        if target not in self._directory:
            batch.also("bury", [self.letter(queue, message, "ReceivesExhausted")])
            return
        origin = sqs.arn(self._address, queue.name)
        batch.put(transferred(message, target, origin, queue.fifo))

    def _overflown(self, queue: Queue, batch: Batch) -> Batch:
        """Where the dead letter queue has no room: the others must not wait for that."""
        kept = Batch(moved=batch.moved)
        for message in batch.removed:
            kept.remove(message)
            why = "RetentionExpired" if self.is_old(queue, message) else "QueueFull"
            kept.also("bury", [self.letter(queue, message, why)])
        return kept

    def letter(self, queue: Queue, message: Message, why: str) -> DeadLetter:
        """A message that nobody will receive any more."""
        kept = decode_kept(message.attributes)
        fresh = msgspec.structs.replace(kept, first_ms=0, token=b"")
        return DeadLetter(
            self._wall_ms(),
            queue.name,
            kept.message_id or message.uuid,
            PREFIX + queue.name,
            message.body,
            msgspec.json.encode({"errorType": why}),
            message.attempts,
            PREFIX + queue.name,
            why,
            encode_kept(fresh),
        )

    def _wall_ms(self) -> int:
        return int(self._clock() * 1000)
