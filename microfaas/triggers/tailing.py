"""Follows log files into streams, each line a record: `[streams.NAME.source]`.

Theory of operation. What `Tail` reads is put into the stream in one commit with the position behind
it, so that a crash neither loses nor doubles a line. While the stream is full or the disk refuses,
nothing more is read: the file holds what is to come. inotify says when to look; where it cannot,
or a link leads elsewhere, the file is looked at every POLL_S.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
from collections.abc import Sequence

import msgspec

from microfaas.config.stream_tables import SourceTable, StreamTable
from microfaas.errors import MicrofaasError
from microfaas.messaging.stream_shard import Entry
from microfaas.messaging.streams import Streams
from microfaas.store import streams as store
from microfaas.triggers.kind import Surroundings
from microfaas.triggers.tail_files import Tail
from microfaas.triggers.tail_known import Position
from microfaas.triggers.watching import Gone, Watcher, explain

POLL_S = 1.0
# Beside inotify, for what it might miss.
LOOK_S = 15.0
AGAIN_S = 2.0
KEY_CHARS_MAX = 256

_log = logging.getLogger("microfaas.triggers")


async def run(tables: dict[str, StreamTable], around: Surroundings) -> None:
    """All log files, until the server stops or this is cancelled."""
    # Their own: a directory's watch has what is heard fixed by who watches it first.
    watcher = Watcher()
    try:
        async with asyncio.TaskGroup() as group:
            for name, table in tables.items():
                if table.source is not None:
                    following = Following(name, table.source, around.streams, around.stopping)
                    group.create_task(following.run(watcher))
    finally:
        watcher.close()


class Following:
    """One log file."""

    def __init__(
        self, stream: str, source: SourceTable, streams: Streams, stopping: asyncio.Event
    ) -> None:
        self._stream = stream
        self._source = source
        self._streams = streams
        self._stopping = stopping
        self._wake = asyncio.Event()
        self._watched = False
        self._committed: Position | None = None
        self._complaint = ""

    async def run(self, watcher: Watcher) -> None:
        """Until the server stops; what is wrong is logged and tried again."""
        async with asyncio.TaskGroup() as group:
            listening = group.create_task(self._listen(watcher))
            stopped = group.create_task(self._stop())
            while not self._stopping.is_set():
                try:
                    await self._follow()
                except OSError as error:
                    self._complain(f"cannot read {self._source.path}: {error.strerror or error}")
                    await _pause(self._stopping, AGAIN_S)
            listening.cancel()
            stopped.cancel()

    async def _follow(self) -> None:
        kept = self._streams.store.tail(self._stream)
        self._committed = msgspec.msgpack.decode(kept, type=Position) if kept else None
        tail = await asyncio.to_thread(self._tail)
        try:
            if tail.warning:
                _log.warning("streams.%s: %s", self._stream, tail.warning)
            while not self._stopping.is_set():
                self._wake.clear()
                chunk = await asyncio.to_thread(tail.read)
                if chunk.lines or chunk.position != self._committed:
                    await self._put(chunk.lines, chunk.position)
                if not chunk.more:
                    look_s = LOOK_S if self._watched else POLL_S
                    await _pause(self._wake, look_s if chunk.again_s is None else chunk.again_s)
        finally:
            tail.close()

    def _tail(self) -> Tail:
        source = self._source
        return Tail(
            source.path,
            self._committed,
            at_end=source.start == "end",
            line_max=source.line_bytes_max,
        )

    async def _put(self, lines: Sequence[bytes], position: Position) -> None:
        """Insist: the file waits meanwhile."""
        stream = self._streams.get(self._stream)
        entries = [Entry(self._key(line), line) for line in lines]
        also = [store.tail_read(self._stream, msgspec.msgpack.encode(position))]
        while not self._stopping.is_set():
            try:
                await self._streams.put_all(stream, entries, also)
            except MicrofaasError as error:
                self._complain(f"{self._source.path} must wait: {error}")
                await _pause(self._stopping, AGAIN_S)
                continue
            self._committed = position
            self._complaint = ""
            return

    def _key(self, line: bytes) -> str:
        if self._source.spread:
            return hashlib.md5(line, usedforsecurity=False).hexdigest()
        return os.path.basename(self._source.path)[-KEY_CHARS_MAX:]

    async def _listen(self, watcher: Watcher) -> None:
        """Wake whenever something happens to the file."""
        folder, name = os.path.split(self._source.path)
        while True:
            try:
                watch = await watcher.watch(folder, lambda _: True, name)
                with contextlib.closing(watch):
                    self._watched = not os.path.islink(self._source.path)
                    self._wake.set()
                    while True:
                        await watch.batch()
                        self._wake.set()
            except (Gone, FileNotFoundError):
                pass
            except OSError as error:
                _log.warning("%s; looking every %.0f s instead", explain(folder, error), POLL_S)
            self._watched = False
            await asyncio.sleep(AGAIN_S)

    async def _stop(self) -> None:
        await self._stopping.wait()
        self._wake.set()

    def _complain(self, text: str) -> None:
        """Say it when it is news."""
        if text != self._complaint:
            _log.error("streams.%s: %s", self._stream, text)
        self._complaint = text


async def _pause(event: asyncio.Event, seconds: float) -> None:
    """Until something happens, or no longer than that."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds + 0.001):
            await event.wait()
