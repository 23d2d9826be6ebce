"""A bucket with a real directory and a real ledger, run as the server would."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from microfaas.config import Trigger
from microfaas.model import Address, Outcome, Status
from microfaas.store.db import Database
from microfaas.store.dead import DeadLetters
from microfaas.store.objects import Ledger
from microfaas.triggers import table
from microfaas.triggers.bucket import BucketSettings
from microfaas.triggers.kind import Surroundings
from microfaas.triggers.watching import Watcher

OK = Outcome(status=Status.OK, payload=b"null")

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
    """A folder with an inbox, and what the function was given of it."""

    folder: Path
    db: Database
    watcher: Watcher
    records: list[dict[str, Any]] = field(default_factory=list)
    concurrency: int = 4

    @property
    def inbox(self) -> Path:
        return self.folder / "inbox"

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.db)

    @property
    def dead(self) -> DeadLetters:
        return DeadLetters(self.db)

    @property
    def keys(self) -> list[str]:
        return [unquote_plus(record["s3"]["object"]["key"]) for record in self.records]

    @property
    def happened(self) -> list[tuple[str, str]]:
        names = [record["eventName"] for record in self.records]
        return list(zip(names, self.keys, strict=True))

    async def deliver(self, _function: str, event: bytes) -> tuple[Outcome, int]:
        self.records += json.loads(event)["Records"]
        return OK, 1

    @contextlib.asynccontextmanager
    async def running(
        self, deliver: Any = None, **settings: Any
    ) -> AsyncIterator[asyncio.Task[None]]:
        """The trigger at work; leaving stops it as the server would."""
        stopping = asyncio.Event()
        around = Surroundings(
            root=str(self.folder),
            address=Address(),
            concurrency=lambda _: self.concurrency,
            deliver=deliver or self.deliver,
            ledger=self.ledger,
            dead=self.dead,
            watcher=self.watcher,
            stopping=stopping,
        )
        trigger = Trigger("f", "bucket", BucketSettings(**{"path": "inbox", **settings}))
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
