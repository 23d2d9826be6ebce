"""Messages that wait on disk: queues by name, and batches of changes that are committed together.

Theory of operation. Ids are given out here, when a batch is committed, and so follow the order of
the commits: whoever has taken all up to an id finds the rest behind it. What may be taken at once
has no due time and comes in the order of its ids, which no clock can change; what is delayed,
tried again or leased has one.

A batch holds everything that must happen together: the removal of one message and the putting
of others, a result, a dead letter, a row of a ledger. After its commit the owners of the queues
that got something are told, with the messages themselves, so that an idle queue's messages need
not be read back.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from microfaas.errors import QueueFull
from microfaas.model import MIB
from microfaas.store.db import Database
from microfaas.store.room import Room
from microfaas.store.writer import Row

# No delay, lease or retry is longer. What is due later was written by a clock that was wrong.
DUE_MS_MAX = 13 * 3600 * 1000
ID_DIGITS = 12
# What one reading of a queue may bring into memory; a single message may be more.
READ_BYTES = 4 * MIB
RESERVED_IDS = 2  # "results" and "dead letters": counted, not waited for
FIRST_QUEUE_ID = 16


class Message(NamedTuple):
    """One message, in the order of the table's columns; `queue` is the queue's number."""

    id: int
    queue: int
    due_ms: int
    at_ms: int
    uuid: str
    attempts: int
    group: str | None
    attributes: bytes
    body: bytes

    @property
    def size(self) -> int:
        return len(self.body) + len(self.attributes)


class Draft(NamedTuple):
    """A message that is to be put. Its id, time and uuid come with the commit."""

    queue: str
    body: bytes
    attributes: bytes = b""
    delay_ms: int = 0
    group: str | None = None
    attempts: int = 0

    @property
    def size(self) -> int:
        return len(self.body) + len(self.attributes)


# Rows that are known once the new messages are, in the order of their drafts.
RowsOf = Callable[[Sequence[Message]], Sequence[Row]]


@dataclass(slots=True)
class Depth:
    """What lies in a queue, what is just being put there included; `coming` is how many of the
    messages are not on disk yet."""

    name: str
    number: int
    messages: int = 0
    bytes: int = 0
    coming: int = 0
    messages_max: int = 1_000_000
    bytes_max: int = 1024 * MIB

    def check(self, messages: int, size: int) -> None:
        """Raises QueueFull where there is no room for so many more of that size in all."""
        if self.messages + messages > self.messages_max or self.bytes + size > self.bytes_max:
            raise QueueFull(self.name, self.messages_max, self.bytes_max)


@dataclass(slots=True)
class Batch:
    """Changes that happen together or not at all. `put` may be called before it is known
    whether there is room; `commit` raises then."""

    drafts: list[Draft] = field(default_factory=list)
    removed: list[Message] = field(default_factory=list)
    moved: list[tuple[Message, int, int, bytes]] = field(default_factory=list)
    writes: list[tuple[str, Sequence[Row]]] = field(default_factory=list)
    named: list[tuple[str, RowsOf]] = field(default_factory=list)

    def put(self, draft: Draft) -> None:
        self.drafts.append(draft)

    def remove(self, message: Message) -> None:
        """It has been dealt with."""
        self.removed.append(message)

    def reschedule(
        self, message: Message, due_ms: int, attempts: int, attributes: bytes | None = None
    ) -> None:
        """It is to be taken again at a time, and not before."""
        kept = message.attributes if attributes is None else attributes
        self.moved.append((message, due_ms, attempts, kept))

    def also(self, statement: str, rows: Sequence[Row]) -> None:
        """Anything else that belongs to it, by the statement's name."""
        self.writes.append((statement, rows))

    def also_of(self, statement: str, rows_of: RowsOf) -> None:
        """As `also`, of rows that name the batch's new messages."""
        self.named.append((statement, rows_of))


# Told after a commit: new messages of a queue that may be taken at once, and the due times of
# those that may be taken later.
Listener = Callable[[Sequence[Message], Sequence[int]], None]


class MessageStore:
    """All queues of one database. Called from one event loop alone."""

    def __init__(self, db: Database, clock: Callable[[], float] = time.time) -> None:
        self._db = db
        self._clock = clock
        self._depths = {
            name: Depth(name, number, messages, size)
            for number, name, messages, size in db.read("queues", {})
        }
        self._names = {depth.number: name for name, depth in self._depths.items()}
        # Those that have a row of their own.
        self._written = set(self._names)
        self._next_id: int = db.read("last_message", {})[0][0] + 1
        self._listeners: dict[int, Listener] = {}
        self._room = Room(db.path)
        # Monotonic from here on: a clock that is set moves no lease and no retry.
        self._base_s = clock() - time.monotonic()

    def now_ms(self) -> int:
        """The time that due times are compared with; it never runs backwards."""
        return int((self._base_s + time.monotonic()) * 1000)

    def age_s(self, message: Message) -> float:
        """How long ago it was accepted; of two clocks the one that says less.

        When the clock is set forward, as on a machine that learns the time after its start, what
        was accepted before is not older for it.
        """
        return max(0.0, min(self._clock(), self.now_ms() / 1000) - message.at_ms / 1000)

    async def open(self) -> None:
        """Take in what waits for longer than it could, were the clock right."""
        latest_ms = self.now_ms() + DUE_MS_MAX
        rows = [{"queue": depth.number, "latest_ms": latest_ms} for depth in self.depths()]
        await self._db.write("pull_in_messages", rows)

    def listen(self, queue: str, listener: Listener) -> None:
        """Have a queue's owner told of what is put there; there is one owner."""
        self._listeners[self.depth(queue).number] = listener

    def unlisten(self, queue: str) -> None:
        self._listeners.pop(self.depth(queue).number, None)

    def bound(self, queue: str, messages_max: int, bytes_max: int) -> None:
        """How much a queue may hold; past that `commit` raises QueueFull."""
        depth = self.depth(queue)
        depth.messages_max, depth.bytes_max = messages_max, bytes_max

    def depth(self, queue: str) -> Depth:
        """What a queue holds; one that was never heard of is made."""
        depth = self._depths.get(queue)
        if depth is None:
            number = max(self._names, default=0) + 1
            depth = Depth(queue, max(number, FIRST_QUEUE_ID))
            self._depths[queue] = depth
            self._names[depth.number] = queue
        return depth

    def depths(self) -> list[Depth]:
        """All queues there are."""
        return [depth for depth in self._depths.values() if depth.number > RESERVED_IDS]

    def name(self, message: Message) -> str:
        """The name of the queue a message is in."""
        name: str = self._names[message.queue]
        return name

    async def commit(self, batch: Batch) -> list[Message]:
        """Do all of it; returns the new messages once they are on disk.

        Raises QueueFull or MachineError, and then nothing of it has happened.
        """
        self._check_room(batch.drafts)
        messages = [self._message(draft) for draft in batch.drafts]
        try:
            done = self._db.submit(self._writes(batch, messages))
        except BaseException:
            self._came(messages)
            self._count(messages, -1)
            raise
        # Who waits may be cancelled: what is on disk then is there nonetheless, and is told of.
        done.add_done_callback(lambda done: self._committed(done, batch, messages))
        await asyncio.shield(done)
        return messages

    async def put(self, draft: Draft) -> Message:
        """Put one message. Raises QueueFull, MachineError."""
        return (await self.commit(Batch(drafts=[draft])))[0]

    def ready(
        self, queue: str, after: int, limit: int, bytes_max: int = READ_BYTES
    ) -> tuple[list[Message], bool]:
        """What may be taken at once, behind an id, in order; and whether there may be more."""
        params = {"queue": self.depth(queue).number, "after": after, "limit": limit}
        messages, whole = self._read("ready_messages", params, bytes_max)
        return messages, not whole or len(messages) == limit

    def due(
        self,
        queue: str,
        limit: int,
        bytes_max: int = READ_BYTES,
        held: Collection[int] = (),
    ) -> tuple[list[Message], bool]:
        """What had to wait and need not any more, but for what is held; and whether there may be
        more."""
        params = {
            "queue": self.depth(queue).number,
            "now_ms": self.now_ms(),
            "limit": limit,
            "held": msgspec.json.encode(list(held)).decode(),
        }
        messages, whole = self._read("due_messages", params, bytes_max)
        return messages, not whole or len(messages) == limit

    def next_due_ms(self, queue: str) -> int | None:
        """When the next of those that wait is due."""
        params = {"queue": self.depth(queue).number, "now_ms": self.now_ms()}
        due_ms: int | None = self._db.read("next_due", params)[0][0]
        return due_ms

    def find(self, uuid: str) -> Message | None:
        """The message with a request or message id."""
        number = number_of(uuid)
        rows = self._db.read("message", {"id": number}) if number else []
        messages = _messages(rows)
        return messages[0] if messages and messages[0].uuid == uuid else None

    def newest(self, queue: str, limit: int, before: int | None = None) -> list[Message]:
        """What lies in a queue without the bodies, the newest first; what is delayed or leased
        before the rest."""
        number = self.depth(queue).number
        waiting = self._db.read("waiting_messages", {"queue": number, "limit": limit})
        params = {"queue": number, "limit": limit - len(waiting), "before": before or 1 << 62}
        return _messages(waiting + self._db.read("newest_messages", params))

    def _read(
        self, statement: str, params: Mapping[str, object], bytes_max: int
    ) -> tuple[list[Message], bool]:
        """Messages until there are enough; False when it was their bytes that were enough."""
        messages: list[Message] = []
        size = 0
        with self._db.rows(statement, params) as rows:
            for row in rows:
                message = Message(*row)
                messages.append(message)
                size += message.size
                if size >= bytes_max:
                    return messages, False
        return messages, True

    def _check_room(self, drafts: Sequence[Draft]) -> None:
        if not drafts:
            return
        self._room.check()
        wanted: dict[str, tuple[int, int]] = {}
        for draft in drafts:
            count, size = wanted.get(draft.queue, (0, 0))
            wanted[draft.queue] = (count + 1, size + draft.size)
        for queue, (count, size) in wanted.items():
            self.depth(queue).check(count, size)

    def _message(self, draft: Draft) -> Message:
        number = self._next_id
        self._next_id = number + 1
        depth = self.depth(draft.queue)
        depth.messages += 1
        depth.coming += 1
        depth.bytes += draft.size
        due_ms = self.now_ms() + draft.delay_ms if draft.delay_ms else 0
        at_ms = int(self._clock() * 1000)
        return Message(
            number,
            depth.number,
            due_ms,
            at_ms,
            _uuid(number),
            draft.attempts,
            draft.group,
            draft.attributes,
            draft.body,
        )

    def _writes(self, batch: Batch, messages: Sequence[Message]) -> list[tuple[str, Sequence[Row]]]:
        writes: list[tuple[str, Sequence[Row]]] = []
        new = {m.queue: self._names[m.queue] for m in messages if m.queue not in self._written}
        if new:
            writes.append(("add_queue", list(new.items())))
        if messages:
            writes.append(("put_messages", messages))
        if batch.removed:
            writes.append(("remove_messages", [(message.id,) for message in batch.removed]))
        if batch.moved:
            writes.append(("reschedule_messages", [_move(*moved) for moved in batch.moved]))
        named = [(statement, rows_of(messages)) for statement, rows_of in batch.named]
        return writes + batch.writes + named

    def _committed(
        self, done: asyncio.Future[None], batch: Batch, messages: Sequence[Message]
    ) -> None:
        self._came(messages)
        if done.cancelled() or done.exception() is not None:
            self._count(messages, -1)
            return
        self._count(batch.removed, -1)
        for message, _, _, attributes in batch.moved:
            depth = self._depths[self._names[message.queue]]
            depth.bytes += len(attributes) - len(message.attributes)
        self._tell(messages, batch)

    def _came(self, messages: Iterable[Message]) -> None:
        for message in messages:
            self._depths[self._names[message.queue]].coming -= 1

    def _count(self, messages: Iterable[Message], sign: int) -> None:
        for message in messages:
            depth = self._depths[self._names[message.queue]]
            depth.messages += sign
            depth.bytes += sign * message.size

    def _tell(self, messages: Sequence[Message], batch: Batch) -> None:
        news: dict[int, tuple[list[Message], list[int]]] = {}
        for message in messages:
            self._written.add(message.queue)
            ready, later = news.setdefault(message.queue, ([], []))
            if message.due_ms:
                later.append(message.due_ms)
            else:
                ready.append(message)
        for message, due_ms, _, _ in batch.moved:
            news.setdefault(message.queue, ([], []))[1].append(due_ms)
        for number, (ready, later) in news.items():
            if (listener := self._listeners.get(number)) is not None:
                listener(ready, later)


def number_of(uuid: str) -> int:
    """The id that is in a request or message id; 0 for what is none of ours."""
    digits = uuid[-ID_DIGITS:]
    try:
        return int(digits, 16) if len(uuid) == 36 and "-" not in digits else 0
    except ValueError:
        return 0


def _uuid(number: int) -> str:
    """Looks like a version 4 UUID; random but for its end."""
    digits = os.urandom(9).hex()
    return f"{digits[:8]}-{digits[8:12]}-4{digits[12:15]}-a{digits[15:18]}-{number:012x}"


def _move(message: Message, due_ms: int, attempts: int, attributes: bytes) -> Row:
    return {
        "id": message.id,
        "due_ms": due_ms,
        "attempts": attempts,
        "attributes": attributes,
    }


def _messages(rows: Sequence[tuple[object, ...]]) -> list[Message]:
    return [Message(*row) for row in rows]  # type: ignore[arg-type]
