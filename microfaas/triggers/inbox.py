"""Queues as a trigger sees them: where messages come from, and what becomes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol, TypeVar

from microfaas.messaging.kept import Received
from microfaas.messaging.queues import VISIBILITY_S_MAX
from microfaas.model import EVENT_BYTES_MAX
from microfaas.payloads import sqs
from microfaas.store import messages
from microfaas.triggers.kind import Surroundings

# What a record has beside body and attributes.
ENVELOPE_BYTES = 1024


class Message(Protocol):
    """A message that was received."""

    @property
    def id(self) -> str:
        """As the function knows it."""


T = TypeVar("T", bound=Message)


class Room:
    """How much of a batch is left."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.bytes = EVENT_BYTES_MAX - ENVELOPE_BYTES
        self.full = False
        self._empty = True

    def take(self, body: bytes, attributes_bytes: int) -> bool:
        """Whether one more message has room, which is then taken; a single one always has."""
        # Written as JSON text may grow: quotes, and bytes as base64.
        size = len(sqs.encode_record(body.decode())) + 2 * attributes_bytes
        self.bytes -= size + ENVELOPE_BYTES
        self.full = self.bytes < 0 and not self._empty
        self._empty = False
        return not self.full


class Hidden(NamedTuple):
    """How long a message must stay with who received it, at least: seconds of the function's
    call, and of waiting for others."""

    call_s: int
    window_s: int

    def of(self, queue_s: int) -> int:
        """The visibility timeout to ask for, where the queue's own is that."""
        return min(max(queue_s, self.call_s) + self.window_s, VISIBILITY_S_MAX)


class Inbox(Protocol[T]):
    """One queue. Raises ServiceError, also when it is not there, and MachineError."""

    # How many may wait for its messages at once.
    pollers: int

    async def receive(self, room: Room, count: int, wait_s: float, hidden: Hidden) -> list[T]:
        """Up to `count` messages that have room; waits for the first one, unless it is stopped."""

    def record(self, message: T) -> dict[str, object]:
        """What the function gets of it."""

    async def remove(self, batch: Sequence[T]) -> None:
        """They are dealt with."""

    async def give_back(self, batch: Sequence[T], delay_s: float) -> None:
        """They were not looked at, and may be received again after a while."""

    def wake(self) -> None:
        """Have who waits look whether they still should."""


class LocalInbox:
    """A queue of this machine."""

    pollers = 1

    def __init__(self, name: str, around: Surroundings) -> None:
        self._name = name
        self._queues = around.queues
        self._arn = sqs.arn(around.address, name)
        self._region = around.address.region
        self._stopping = around.stopping

    async def receive(
        self, room: Room, count: int, wait_s: float, hidden: Hidden
    ) -> list[Received]:
        def fits(message: messages.Message) -> bool:
            return room.take(message.body, len(message.attributes))

        queue = self._queues.directory.get(self._name)
        return await self._queues.receive(
            self._name,
            count,
            visibility_s=hidden.of(queue.settings.visibility_timeout_s),
            wait_s=wait_s,
            fits=fits,
            stopping=self._stopping,
        )

    def record(self, message: Received) -> dict[str, object]:
        return sqs.record(
            message_id=message.id,
            receipt_handle=message.handle,
            body=message.message.body,
            system=message.system(),
            attributes=message.attributes,
            queue_arn=self._arn,
            region=self._region,
        )

    async def remove(self, batch: Sequence[Received]) -> None:
        await self._queues.settle(self._name, [(one.handle, "remove") for one in batch])

    async def give_back(self, batch: Sequence[Received], delay_s: float) -> None:
        await self._queues.give_back(self._name, batch, delay_s)

    def wake(self) -> None:
        self._queues.wake(self._name)
