"""A bucket with a real directory and a real ledger, run as the server would."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from microfaas.config import Trigger
from microfaas.model import Address
from microfaas.store import events
from microfaas.store.db import Database
from microfaas.store.messages import Batch, Message, MessageStore
from microfaas.store.objects import Ledger
from microfaas.triggers import table
from microfaas.triggers.bucket import BucketSettings
from microfaas.triggers.watching import Watcher

sys.path.append(str(Path(__file__).parent))
from around import surroundings

QUEUE = "function:f"
PATIENCE_S = 60.0


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something to come true; the limit is only there to end a broken test."""
    for _ in range(int(PATIENCE_S / 0.005)):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came true")


@dataclass
class World:
    """A folder with an inbox, and what the function's queue was given of it."""

    folder: Path
    db: Database
    watcher: Watcher
    store: MessageStore
    records: list[dict[str, Any]] = field(default_factory=list)
    sources: list[str] = field(default_factory=list)
    qualifiers: list[str] = field(default_factory=list)

    @property
    def inbox(self) -> Path:
        return self.folder / "inbox"

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.db)

    @property
    def keys(self) -> list[str]:
        return [unquote_plus(record["s3"]["object"]["key"]) for record in self.records]

    @property
    def happened(self) -> list[tuple[str, str]]:
        names = [record["eventName"] for record in self.records]
        return list(zip(names, self.keys, strict=True))

    def _told(self, ready: Sequence[Message], _: Sequence[int]) -> None:
        """The queue has got something: only what is on disk."""
        for message in ready:
            assert self.store.find(message.uuid) == message
            self.records += json.loads(message.body)["Records"]
            attributes = events.decode_attributes(message.attributes)
            self.sources.append(attributes.source)
            self.qualifiers.append(attributes.qualifier)

    async def clear(self) -> None:
        """Empty the queue, as if the function had run."""
        batch = Batch(removed=self.store.ready(QUEUE, 0, 1_000_000)[0])
        await self.store.commit(batch)

    @contextlib.asynccontextmanager
    async def running(
        self, qualifier: str = "", **settings: Any
    ) -> AsyncIterator[asyncio.Task[None]]:
        """The trigger at work; leaving stops it as the server would."""
        stopping = asyncio.Event()
        self.store.listen(QUEUE, self._told)
        given: dict[str, Any] = {
            "root": str(self.folder),
            "address": Address(),
            "store": self.store,
            "ledger": self.ledger,
            "watcher": self.watcher,
            "stopping": stopping,
        }
        around = surroundings(**given)
        made = BucketSettings(**{"path": "inbox", **settings})
        trigger = Trigger("f", "bucket", made, qualifier)
        async with asyncio.TaskGroup() as group:
            task = group.create_task(table.run(trigger, around))
            try:
                yield task
            finally:
                stopping.set()

    async def quiesce(self) -> None:
        """Drop a last file and wait for it: what came before it has been dealt with."""
        marker = f"marker-{len(self.records)}"
        (self.inbox / marker).write_text("x")
        await until(lambda: marker in self.keys)
