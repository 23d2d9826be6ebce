"""Queues with SQS's semantics: messages are sent, received for a while, and removed.

Each call is one commit. A message that was received comes back when its time is over, unless it
was removed by the handle that its receiver got; who has an older handle can change nothing.
"""

from __future__ import annotations

import asyncio
import base64
import functools
import time
from collections.abc import Hashable, Mapping, Sequence
from typing import Literal

from microfaas.config.queues import QueueTable
from microfaas.errors import ServiceError
from microfaas.messaging import sending
from microfaas.messaging.claims import Claims
from microfaas.messaging.directory import Definition, Directory, Queue
from microfaas.messaging.kept import (
    PREFIX,
    Handle,
    Kept,
    Received,
    decode_kept,
    encode_kept,
    in_bytes,
    is_binary,
    read_handle,
)
from microfaas.messaging.receiving import Fits, Receiving
from microfaas.messaging.sending import Outgoing, Sent
from microfaas.model import Address
from microfaas.store.db import Database
from microfaas.store.messages import READ_BYTES, Batch, Draft, Message, MessageStore, number_of
from microfaas.store.queued import Queued, Unavailable
from microfaas.store.resources import Resources

VISIBILITY_S_MAX = 43_200
RECEIVE_WAIT_S_MAX = 20
DEDUPLICATION_S = 300
REMOVE_STEP = 1_000
# What of a queue is tidied up at a time, and how often in a row.
TIDY_STEP = 500
TIDY_STEPS = 20

# Removed, or hidden until so many seconds from now, or put back as if never received.
Change = Literal["remove"] | int


class Queues:
    """All queues. Its methods raise ServiceError for what AWS refuses too; and MachineError."""

    def __init__(
        self,
        database: Database,
        store: MessageStore,
        resources: Resources,
        address: Address,
        declared: Mapping[str, QueueTable],
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._store = store
        self._queued = Queued(database)
        self.directory = Directory(store, resources, declared)
        self.address = address
        self.claims = Claims(store, tasks)
        self.receiving = Receiving(store, self._queued, self.claims, self.directory, address)
        self._stopping = False

    def stop(self) -> None:
        """Nobody waits any more."""
        self._stopping = True
        for queue in self.directory.all():
            queue.line.wake_all()

    # Sending.

    async def send(self, name: str, messages: Sequence[Outgoing]) -> list[Sent | ServiceError]:
        """Accept messages, in order; for each its id, or why it was refused. Raises QueueFull."""
        queue = self.directory.get(name)
        results: list[Sent | ServiceError] = []
        good: list[Outgoing] = []
        for message in messages:
            try:
                sending.check(queue, message)
                good.append(message)
            except ServiceError as refusal:
                results.append(refusal)
                continue
            results.append(Sent("", 0))
        accepted = iter(await self._accept(queue, good))
        return [one if isinstance(one, ServiceError) else next(accepted) for one in results]

    async def _accept(self, queue: Queue, messages: Sequence[Outgoing]) -> list[Sent]:
        drafts = [sending.draft(queue, message) for message in messages]
        if not queue.fifo:
            return [Sent(m.uuid, m.id) for m in await self._store.commit(Batch(drafts=drafts))]
        ids = [sending.deduplication_id(queue.settings, message) for message in messages]
        keys: list[Hashable] = [("deduplication", queue.number, each) for each in ids]
        known: dict[str, str | int] = {}

        def decide() -> Batch:
            known.update(self._known(queue, ids))
            batch = Batch()
            for each, draft in zip(ids, drafts, strict=True):
                if each not in known:
                    known[each] = len(batch.drafts)
                    batch.put(draft)
            new = [each for each in dict.fromkeys(ids) if isinstance(known[each], int)]
            self._remember(queue, batch, new)
            return batch

        messages_new = await self.claims.change(keys, decide)
        return [_sent(known[each], messages_new) for each in ids]

    def _known(self, queue: Queue, ids: Sequence[str]) -> dict[str, str | int]:
        """The uuids of what was sent under these ids before."""
        now_ms = self._store.now_ms()
        found = {each: self._queued.duplicate(queue.number, each, now_ms) for each in ids}
        return {each: uuid for each, uuid in found.items() if uuid is not None}

    def _remember(self, queue: Queue, batch: Batch, ids: Sequence[str]) -> None:
        """That these were sent, in the order of the batch's drafts."""
        if not ids:
            return
        until_ms = self._store.now_ms() + DEDUPLICATION_S * 1000
        batch.also_of(
            "add_deduplications",
            lambda new: [
                (queue.number, each, until_ms, message.uuid)
                for each, message in zip(ids, new, strict=True)
            ],
        )

    def draft(
        self,
        name: str,
        body: bytes,
        attributes: Mapping[str, tuple[str, str | bytes]],
        group: str = "",
        trace_id: str = "",
    ) -> Draft:
        """A message for somebody else's batch; in a FIFO queue of a group, without
        deduplication. Raises ServiceError."""
        queue = self.directory.get(name)
        told = {key: (kind, _value(kind, value)) for key, (kind, value) in attributes.items()}
        kept = Kept(
            attributes=in_bytes(told),
            trace=trace_id,
            group=group or (name if queue.fifo else ""),
        )
        delay_ms = queue.settings.delay_s * 1000
        grouped = kept.group if queue.fifo else None
        return Draft(PREFIX + name, body, encode_kept(kept), delay_ms, grouped)

    def sink(
        self,
        batch: Batch,
        name: str,
        body: bytes,
        attributes: Mapping[str, tuple[str, str]],
        trace_id: str = "",
    ) -> None:
        """Put what a destination is to get into a batch. Raises ServiceError."""
        batch.put(self.draft(name, body, attributes, trace_id=trace_id))

    # Receiving.

    async def receive(
        self,
        name: str,
        count: int = 1,
        *,
        visibility_s: int | None = None,
        wait_s: float | None = None,
        fits: Fits | None = None,
        stopping: asyncio.Event | None = None,
    ) -> list[Received]:
        """Up to `count` messages, for whom nobody else gets them for a while. Waits for the
        first one, no longer than until `stopping`."""
        queue = self.directory.get(name)
        settings = queue.settings
        hidden_s = settings.visibility_timeout_s if visibility_s is None else visibility_s
        end_s = time.monotonic() + (settings.receive_wait_s if wait_s is None else wait_s)
        while True:
            received = await self.receiving.take(queue, count, hidden_s, fits)
            left_s = end_s - time.monotonic()
            over = left_s <= 0 or self._stopping or (stopping is not None and stopping.is_set())
            if received or over:
                return received
            await queue.line.wait(left_s, self._due_s(queue))
            if name not in self.directory:
                return []

    def wake(self, name: str) -> None:
        """Have those who wait at a queue look whether they still should."""
        if name in self.directory:
            self.directory.get(name).line.wake_all()

    def _due_s(self, queue: Queue) -> float | None:
        now_ms = self._store.now_ms()
        due_ms = self._queued.next_due_ms(queue.number, now_ms, queue.fifo)
        return None if due_ms is None else (due_ms - now_ms) / 1000 + 0.001

    def last_id(self) -> int:
        """What is sent from now on has greater ids."""
        return self._queued.last_id()

    def look(self, name: str, limit: int) -> list[tuple[Message, str]]:
        """What is in a queue and why it may not be received, in the order in which it may be."""
        queue, now_ms = self.directory.get(name), self._store.now_ms()
        found = self._queued.any(queue.number, self.last_id(), limit)
        return [(message, _state(message, now_ms)) for message in found]

    def peek(self, name: str, limit: int) -> list[Message]:
        """What would be received next, without receiving it."""
        return self.receiving.choose(self.directory.get(name), limit)

    # What receivers do with what they got.

    async def settle(
        self, name: str, changes: Sequence[tuple[str, Change]]
    ) -> list[ServiceError | None]:
        """Remove messages by their handles, or hide them for another while; for each, None or
        why it cannot be."""
        queue = self.directory.get(name)
        errors: list[ServiceError | None] = [None] * len(changes)
        asked: list[tuple[int, Handle, Change]] = []
        for place, (text, change) in enumerate(changes):
            handle = read_handle(text)
            if handle is None or handle.queue != queue.number:
                errors[place] = _bad_handle(text)
            else:
                asked.append((place, handle, change))
        keys = [handle.number for _, handle, _ in asked]
        batch = Batch()

        def decide() -> Batch:
            for place, handle, change in asked:
                message = self._queued.message(handle.number)
                errors[place] = self._change(queue, message, handle, change, batch)
            return batch

        # The rest of a group may be received then, or what is hidden no more.
        await self.claims.change(keys, decide, queue.line.wake)
        return errors

    def _change(
        self, queue: Queue, message: Message | None, handle: Handle, change: Change, batch: Batch
    ) -> ServiceError | None:
        held = message is not None and message.queue == queue.number
        current = held and decode_kept(message.attributes).token == handle.token  # type: ignore[union-attr]
        if change == "remove":
            if message is None or not current or message in batch.removed:
                return None
            if queue.fifo and message.due_ms <= self._store.now_ms():
                return invalid_handle(str(handle), "The receipt handle has expired.")
            batch.remove(message)
            return None
        if message is None or not current:
            reason = "Message does not exist or is not available for visibility timeout change."
            return invalid_handle(str(handle), reason)
        if message.due_ms <= self._store.now_ms():
            return ServiceError("MessageNotInflight", "The message is not in flight.")
        due_ms = self._store.now_ms() + change * 1000 if change else 0
        batch.reschedule(message, due_ms, message.attempts)
        return None

    async def give_back(self, name: str, received: Sequence[Received], delay_s: float) -> None:
        """Messages that nobody could look at: not counted as received, and soon there again."""
        queue = self.directory.get(name)
        keys = [each.message.id for each in received]

        def decide() -> Batch:
            batch = Batch()
            due_ms = self._store.now_ms() + int(delay_s * 1000)
            for each in received:
                message = self._queued.message(each.message.id)
                if message is not None and message.attributes == each.message.attributes:
                    batch.reschedule(message, due_ms, message.attempts - 1)
            return batch

        await self.claims.change(keys, decide, queue.line.wake)

    # Whole queues.

    async def create(self, name: str, definition: Definition) -> Queue:
        return await self.directory.create(name, definition)

    async def delete(self, name: str) -> None:
        """A queue and all that is in it."""
        queue = self.directory.get(name)
        self.directory.check_free(queue)
        self.directory.forget(queue)
        queue.line.wake_all()
        try:
            await self._clear(queue)
            await self.directory.removed(queue)
        except BaseException:
            self.directory.restore(queue)
            raise

    async def purge(self, name: str) -> None:
        """Remove what is in a queue now, received or not."""
        await self._clear(self.directory.get(name))

    async def _clear(self, queue: Queue) -> None:
        last = self._queued.last_id()
        while messages := self._queued.any(queue.number, last, REMOVE_STEP):
            ids = [message.id for message in messages]
            remove = functools.partial(self._removal, ids)
            await self.claims.change(ids, remove, queue.line.wake)

    def _removal(self, ids: Sequence[int]) -> Batch:
        """Of those that are still there."""
        return Batch(removed=self._queued.messages(ids))

    def count(self, name: str) -> tuple[int, Unavailable]:
        """How many may be received, and how many not yet."""
        queue = self.directory.get(name)
        unavailable = self._queued.unavailable(queue.number, self._store.now_ms())
        depth = self._store.depth(PREFIX + name)
        there = depth.messages - depth.coming
        return max(0, there - sum(unavailable)), unavailable

    async def tidy(self) -> None:
        """Forget some of what is too old. To be called now and then."""
        await self._queued.forget_duplicates(self._store.now_ms())
        for queue in self.directory.all():
            for _ in range(TIDY_STEPS):
                ids = [n for n in self.receiving.old(queue, TIDY_STEP) if n not in self.claims]
                if not ids:
                    break
                await self.claims.change(ids, functools.partial(self._expiry, queue, ids))

    def _expiry(self, queue: Queue, ids: Sequence[int]) -> Batch:
        batch = Batch(removed=self._queued.messages(ids, READ_BYTES))
        letters = [self.receiving.letter(queue, m, "RetentionExpired") for m in batch.removed]
        batch.also("bury", letters)
        return batch


def _state(message: Message, now_ms: int) -> str:
    if message.due_ms <= now_ms:
        return "ready"
    return "in flight" if message.attempts else "delayed"


def invalid_handle(handle: str, reason: str) -> ServiceError:
    return sending.invalid("ReceiptHandle", handle, reason)


def _bad_handle(text: str) -> ServiceError:
    what = f'The input receipt handle "{text[:200]}" is not a valid receipt handle.'
    return ServiceError("ReceiptHandleIsInvalid", what)


def _sent(known: str | int, new: Sequence[Message]) -> Sent:
    if isinstance(known, int):
        return Sent(new[known].uuid, new[known].id)
    return Sent(known, number_of(known))


def _value(kind: str, value: str | bytes) -> str | bytes:
    """Where attributes come as text, binary ones are base64."""
    if is_binary(kind) and isinstance(value, str):
        return base64.b64decode(value)
    return value
