"""From batches into streams: what rules and schedules send there waits as a message on its way.

Records are written by their streams' own commits, so a batch cannot hold them; it holds a message,
which is removed once the record is on disk. A crash between the two puts a record twice, as
Kinesis may.
"""

from __future__ import annotations

import asyncio

import msgspec

from microfaas.dispatch.delivery import Route, Verdict, letter_of
from microfaas.errors import MachineError, ServiceError
from microfaas.messaging.stream_shard import Entry
from microfaas.messaging.streams import Streams
from microfaas.messaging.targets import Place
from microfaas.store.messages import Batch, Draft, Message, MessageStore

QUEUE = "records:waiting"
KEY_CHARS_MAX = 256


class _Goal(msgspec.Struct, frozen=True, array_like=True):
    """Where a record goes."""

    stream: str
    key: str


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Goal).decode


class IntoStreams:
    """Takes records for streams, and carries them there."""

    def __init__(self, store: MessageStore, streams: Streams, tasks: asyncio.TaskGroup) -> None:
        self._store = store
        self._streams = streams
        self._tasks = tasks
        self._route: Route | None = None

    def add(self, batch: Batch, to: Place, body: bytes) -> None:
        """Have a record put as a consequence of the batch. Raises ServiceError without such a
        stream."""
        self._streams.get(to.name)
        goal = _Goal(to.name, to.group[:KEY_CHARS_MAX] or "-")
        batch.put(Draft(QUEUE, body, _encode(goal)))

    def serve(self) -> None:
        """Start to carry."""
        self._route = Route(self._store, QUEUE, self._put, letter_of, self._tasks)

    def stop(self) -> list[Route]:
        """Begin nothing more; what may still be at work."""
        routes = [] if self._route is None else [self._route]
        for route in routes:
            route.stop()
        return routes

    async def _put(self, message: Message) -> Verdict:
        goal = _decode(message.attributes)
        try:
            stream = self._streams.get(goal.stream)
            await self._streams.put_all(stream, [Entry(goal.key, message.body)])
        except (ServiceError, MachineError) as error:
            # Where there is no room, there will be; what is no fault of the record is not for good.
            for_good = isinstance(error, ServiceError) and error.sender
            why = f"cannot put a record into the stream {goal.stream}: {error}"
            return Verdict("never" if for_good else "later", why)
        return Verdict("done")
