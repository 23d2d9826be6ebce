"""A stream, a trigger that reads it, and a function made of Python, over a real database."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from microfaas import model as made
from microfaas.config import Trigger
from microfaas.config.streams import StreamSettings
from microfaas.dispatch.destinations import Destinations
from microfaas.errors import TooManyRequests
from microfaas.messaging.stream_shard import Entry
from microfaas.messaging.streams import Stream, Streams
from microfaas.model import Address, Invocation, Limits, Outcome, Status, Version
from microfaas.store.db import Database
from microfaas.store.dead import DeadLetters
from microfaas.store.messages import Batch, Draft, MessageStore
from microfaas.store.resources import Resources
from microfaas.store.streams import StreamStore
from microfaas.triggers import table

sys.path.append(str(Path(__file__).parent))
from around import surroundings

PATIENCE_S = 60.0
Answer = Callable[[dict[str, Any]], object]


class Function:
    """What is called, and with what."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.events: list[dict[str, Any]] = []
        self.busy = 0

    def meant(self, name: str, qualifier: str) -> list[Version]:
        function = made.Function(name=name, runtime="", handler="", code="", limits=Limits())
        return [Version(function=function, code_dir="", code_sha256="")]

    async def invoke(self, invocation: Invocation) -> Outcome:
        if self.busy:
            self.busy -= 1
            raise TooManyRequests("ConcurrentInvocationLimitExceeded")
        event = json.loads(invocation.event)
        self.events.append(event)
        await asyncio.sleep(0)
        try:
            payload = json.dumps(self.answer(event)).encode()
        except ValueError as error:
            told = {"errorType": "ValueError", "errorMessage": str(error)}
            return Outcome(status=Status.ERROR, payload=json.dumps(told).encode())
        return Outcome(status=Status.OK, payload=payload)

    @property
    def batches(self) -> list[list[str]]:
        return [texts(event) for event in self.events]


def texts(event: dict[str, Any]) -> list[str]:
    """The data of an event's records."""
    return [base64.b64decode(r["kinesis"]["data"]).decode() for r in event["Records"]]


class World:
    """The same files, for one server after the other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shards = 1

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Server]:
        db = Database(str(self.folder / "store.db"))
        db.open()
        try:
            stream = Stream(name="s", shards=self.shards, declared=True)
            streams = Streams(StreamStore(db), Resources(db), Address(), [stream])
            await streams.open()
            store = MessageStore(db)
            await store.open()
            yield Server(self, db, streams, store)
        finally:
            db.close()


class Server:
    """What there is while a server runs."""

    def __init__(self, world: World, db: Database, streams: Streams, store: MessageStore) -> None:
        self.world = world
        self.streams = streams
        self.store = store
        self.dead = DeadLetters(db)

    async def put(self, *data: str, key: str = "k") -> None:
        entries = [Entry(key, each.encode()) for each in data]
        await self.streams.put_all(self.streams.get("s"), entries)

    @contextlib.asynccontextmanager
    async def running(
        self, function: Function, *, crash: bool = False, name: str = "f", **settings: Any
    ) -> AsyncIterator[None]:
        """The trigger at work; leaving stops it as the server would, or as a power cut."""
        stopping = asyncio.Event()
        given = {
            "root": str(self.world.folder),
            "address": Address(),
            "store": self.store,
            "streams": self.streams,
            "invoker": function,
            "destinations": Destinations({"queue": to_queue}),
            "stopping": stopping,
        }
        around = surroundings(**given)
        chosen = {"stream": "s", "starting_position": "TRIM_HORIZON", **settings}
        running = asyncio.ensure_future(
            table.run(Trigger(name, "stream", StreamSettings(**chosen)), around)
        )
        try:
            yield
        finally:
            stopping.set()
            if crash:
                running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def to_queue(batch: Batch, name: str, body: bytes, *_: object) -> None:
    batch.put(Draft(f"queue:{name}", body))


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something to come true; the limit is only there to end a broken test."""
    for _ in range(int(PATIENCE_S / 0.005)):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came true")
