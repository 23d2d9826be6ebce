"""Streams of Kinesis and of DynamoDB's tables elsewhere: which shards there are, and their order.

A shard is worked at once its parents are done with, so that a key's records stay in order when
shards are split and merged. Where a new trigger begins is on disk before anything is read; shards
that come later are read from their beginning.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Collection, Sequence

from microfaas.config.streams import StreamSettings
from microfaas.errors import MachineError, MicrofaasError
from microfaas.store.messages import Batch
from microfaas.triggers import remote_dialects
from microfaas.triggers.kind import Surroundings
from microfaas.triggers.remote_book import Book, ShardRow
from microfaas.triggers.remote_dialects import Dialect, Listed
from microfaas.triggers.remote_shard import RemoteShard, endpoint_of
from microfaas.triggers.shards import Shard

# How often to look for shards that are new.
LOOK_S = 10.0
AGAIN_S = 2.0

_log = logging.getLogger("microfaas.triggers")


class RemoteStream:
    """One stream, as one trigger reads it."""

    def __init__(
        self, arn: str, settings: StreamSettings, consumer: str, around: Surroundings
    ) -> None:
        self._dialect = remote_dialects.of(arn)
        self.form = self._dialect.form
        self._arn = arn
        self._settings = settings
        self._book = Book(around.resources, consumer)
        self._around = around
        self._look = asyncio.Event()
        self._begun: dict[str, RemoteShard] = {}
        self._complaint = ""

    async def shards(self) -> AsyncIterator[Shard]:
        stopping = asyncio.ensure_future(self._stop())
        try:
            while not self._around.stopping.is_set():
                self._look.clear()
                wait_s = LOOK_S
                try:
                    for shard in await self._found():
                        yield shard
                    self._complaint = ""
                except MicrofaasError as error:
                    self._complain(error)
                    wait_s = AGAIN_S
                await _wait(self._look, wait_s)
        finally:
            stopping.cancel()

    async def _stop(self) -> None:
        await self._around.stopping.wait()
        self._look.set()

    async def _found(self) -> list[RemoteShard]:
        """Those that may be worked at now and were not yet. Raises ServiceError, MachineError."""
        listed = await listed_shards(self._arn, self._dialect, self._around)
        fresh = not self._book.begun
        await self._note(listed, fresh)
        ids = {each.id for each in listed}
        found = []
        for each in listed:
            if (known := self._begun.get(each.id)) is not None:
                known.listed = each
            elif self._may_begin(each, ids):
                found.append(self._begin(each, fresh))
        return found

    async def _note(self, listed: Sequence[Listed], fresh: bool) -> None:
        """Have it on disk where to begin, and forget shards that are no more."""
        batch = Batch()
        if fresh:
            for each in listed:
                batch.also(*self._book.put(each.id, self._first(each)))
            batch.also(*self._book.put("", ShardRow()))
        gone = self._book.shards.keys() - {each.id for each in listed} - self._begun.keys() - {""}
        for name in sorted(gone):
            for change in self._book.dropped(name):
                batch.also(*change)
        if batch.writes:
            await self._around.store.commit(batch)

    def _first(self, listed: Listed) -> ShardRow:
        """Where a new trigger begins in a shard."""
        start = self._settings.starting_position
        if start == "LATEST":
            now_ms = int(time.time() * 1000)
            return ShardRow(start, now_ms, over=listed.ending is not None)
        return ShardRow(start, self._settings.starting_ms)

    def _may_begin(self, listed: Listed, ids: Collection[str]) -> bool:
        rows = self._book.shards
        if listed.id in rows and rows[listed.id].over:
            return False
        return all(each not in ids or (each in rows and rows[each].over) for each in listed.parents)

    def _begin(self, listed: Listed, fresh: bool) -> RemoteShard:
        row = self._book.shards.get(listed.id, ShardRow())
        shard = self._begun[listed.id] = RemoteShard(
            listed,
            row,
            self._arn,
            self._dialect,
            self._book,
            self._around,
            self._look.set,
            fresh=fresh,
        )
        return shard

    def _complain(self, error: MicrofaasError) -> None:
        """One line per outage."""
        if str(error) != self._complaint:
            self._complaint = str(error)
            _log.error("cannot read the stream %s: %s", self._arn, error)


async def listed_shards(arn: str, dialect: Dialect, around: Surroundings) -> list[Listed]:
    """All shards of a stream. Raises ServiceError, MachineError."""
    endpoint = endpoint_of(arn, around)
    asked, found = dialect.stream(arn), list[Listed]()
    while True:
        answer = await around.calls(endpoint, dialect.service, dialect.listing, asked)
        try:
            page = dialect.page(answer)
        except (KeyError, TypeError, ValueError) as error:
            text = f"{endpoint.url} answered {dialect.listing} with what is no list of shards"
            raise MachineError(f"{text}: {error!r}") from None
        found += page.shards
        if page.more is None:
            return found
        asked = page.more


async def _wait(event: asyncio.Event, wait_s: float) -> None:
    try:
        async with asyncio.timeout(wait_s):
            await event.wait()
    except TimeoutError:
        return
