"""Keeps a bucket's agenda in step with its directory, whatever becomes of the directory."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Protocol

from microfaas.triggers.agenda import Agenda, Heard
from microfaas.triggers.watching import Batch, Gone, Note, Watch, Watcher, explain

TICK_S = 0.5
MISSING_POLL_S = 0.5
BACKOFF_S_MAX = 30.0
# How often a tree is scanned of which the machine does not let us watch all.
BLIND_SCAN_S = 30.0
SCANS_MAX = 1_000
NOTES_PER_TURN = 500

_log = logging.getLogger("microfaas.triggers")


class Bucket(Protocol):
    """What following needs of a bucket."""

    path: str
    root: str
    agenda: Agenda

    def offer(self, key: str, heard: Heard) -> None: ...
    def expect(self, key: str) -> None: ...
    def tick(self) -> None: ...
    async def scan(self, folder: str) -> None: ...


class Follower:
    """Watches, and scans when watching is not enough."""

    def __init__(self, bucket: Bucket, watcher: Watcher) -> None:
        self._bucket = bucket
        self._watcher = watcher
        # In order, each once.
        self._scans: dict[str, None] = {}
        self._wanted = asyncio.Event()
        self._complaint = ""

    async def run(self) -> None:
        """Until cancelled. What is wrong with the directory is logged and tried again."""
        backoff_s = MISSING_POLL_S
        while True:
            try:
                await self._follow()
                backoff_s = MISSING_POLL_S
            except FileNotFoundError:
                self._complain(f"cannot watch {self._bucket.path}: no such directory; waiting")
                await asyncio.sleep(MISSING_POLL_S)
            except OSError as error:
                self._complain(explain(self._bucket.path, error))
                await asyncio.sleep(backoff_s)
                backoff_s = min(2 * backoff_s, BACKOFF_S_MAX)

    async def _follow(self) -> None:
        """Until the directory is gone. Raises OSError when it cannot be watched."""
        watch = await self._watcher.watch(self._bucket.path)
        with contextlib.closing(watch):
            self._complaint = ""
            # The path may lead elsewhere than the last time.
            self._bucket.root = watch.root
            self._want("")
            async with asyncio.TaskGroup() as group:
                beside = [
                    group.create_task(self._scan()),
                    group.create_task(self._tick(watch)),
                ]
                await self._listen(watch)
                for task in beside:
                    task.cancel()

    async def _listen(self, watch: Watch) -> None:
        with contextlib.suppress(Gone):
            while True:
                await self._take(await watch.batch())
        _log.warning("%s has gone or was replaced", self._bucket.path)

    async def _take(self, batch: Batch) -> None:
        start = len(self._bucket.root.rstrip("/")) + 1
        for number, (path, note) in enumerate(batch.items(), 1):
            key = path[start:]
            if note is Note.TREE:
                self._want(f"{key}/" if key else "")
            elif note is Note.SETTLED:
                self._bucket.offer(key, Heard.CLOSED)
            elif note is Note.REMOVED:
                self._bucket.offer(key, Heard.FOUND)
            else:
                self._bucket.expect(key)
            if number % NOTES_PER_TURN == 0:
                await asyncio.sleep(0)

    async def _scan(self) -> None:
        while True:
            await self._wanted.wait()
            while self._scans:
                folder = next(iter(self._scans))
                del self._scans[folder]
                await self._bucket.scan(folder)
            self._wanted.clear()

    async def _tick(self, watch: Watch) -> None:
        """What time brings: doubts to settle, and scans for what could not be heard."""
        loop = asyncio.get_running_loop()
        scanned_s = loop.time()
        while True:
            if watch.blind:
                self._complain(f"{watch.blind}; scanning every {BLIND_SCAN_S:.0f} s instead")
            await asyncio.sleep(TICK_S)
            self._bucket.tick()
            agenda = self._bucket.agenda
            blind = watch.blind and loop.time() - scanned_s >= BLIND_SCAN_S
            if blind or (agenda.overflowed and agenda.has_room):
                agenda.overflowed = False
                scanned_s = loop.time()
                self._want("")

    def _want(self, folder: str) -> None:
        """Have a folder scanned; too many of them are the whole tree."""
        if len(self._scans) >= SCANS_MAX:
            self._scans.clear()
            folder = ""
        self._scans[folder] = None
        self._wanted.set()

    def _complain(self, text: str) -> None:
        """Say it when it is news."""
        if text != self._complaint:
            _log.error("%s", text)
        self._complaint = text
