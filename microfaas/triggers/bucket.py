"""Files dropped into a directory, as S3 uploads: the trigger kind "bucket".

Theory of operation. Everything that is heard about a file, from the watch or from a scan, only
puts its key on the agenda. When its turn comes, the file is looked at and compared with the
ledger, and the difference is the event: there and unknown or changed, "created"; known and not
there, "removed"; the same, nothing. So doubled, late and lost notes do no harm, and a start, an
overflow and a directory made again are all the same thing: a scan.

The watch begins before the scan, so nothing falls between. A file is complete when nobody has it
open for writing. Where the kernel does not tell us, a note about its close is believed, and a
file found by a scan must have been left alone for QUIET_S.

A file that was removed and written again before its turn is a "created" only, and one that was
gone before its turn never was. The sequencer is a time that never runs backwards.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import logging
import os
import secrets
import stat
import time
from collections.abc import AsyncGenerator, Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from microfaas.config import Trigger
from microfaas.payloads import s3
from microfaas.payloads.s3 import Happening, Origin
from microfaas.store import events
from microfaas.store.messages import Batch, MessageStore
from microfaas.store.objects import KEYS_PER_PAGE, Ledger, Stamp
from microfaas.triggers import files, pump
from microfaas.triggers.agenda import Agenda, Heard
from microfaas.triggers.following import Follower
from microfaas.triggers.kind import Surroundings

QUIET_S = 10.0
RECHECK_S = 1.0
# After there was no room for it, or the disk refused.
RETRY_S = 5.0
# Kernels stamp files by a clock that ticks every 1 to 10 ms; two writes in a tick look the same.
TICK_NS = 20_000_000
# Up to here a content is hashed on the loop; more would hold the others up.
HASH_INLINE_BYTES = 256 * 1024
LOOKS_PER_TURN = 100
REFUSALS_LOGGED_MAX = 1_000

_log = logging.getLogger("microfaas.triggers")


class BucketSettings(msgspec.Struct, kw_only=True):
    """`type = "bucket"`: a directory whose files are handled like uploads to S3."""

    path: Annotated[str, Meta(min_length=1, description="the directory, relative to the file")]
    bucket: Annotated[
        str, Meta(description="the bucket's name in events; default the directory's name")
    ] = ""
    events: Annotated[
        list[Literal["created", "removed"]],
        Meta(min_length=1, description="what fires it: `created`, `removed` or both"),
    ] = msgspec.field(default_factory=lambda: ["created"])
    prefix: Annotated[str, Meta(description="only keys that begin so")] = ""
    suffix: Annotated[str, Meta(description="only keys that end so, such as `.jpg`")] = ""

    @property
    def remembered_by(self) -> str:
        return f"{os.path.normpath(self.path)}/{self.prefix}*{self.suffix}"


async def run(trigger: Trigger, around: Surroundings) -> None:
    """Follow the directory and deliver until cancelled or the server stops."""
    bucket = open_bucket(trigger, around)
    follower = Follower(bucket, around.watcher)

    async def stop() -> None:
        await around.stopping.wait()
        bucket.stop()

    async with asyncio.TaskGroup() as group:
        beside = [group.create_task(follower.run()), group.create_task(stop())]
        async with contextlib.aclosing(bucket.deliveries()) as deliveries:
            await pump.run(deliveries)
        for task in beside:
            task.cancel()


def open_bucket(trigger: Trigger, around: Surroundings) -> Bucket:
    """Make the bucket a trigger describes."""
    settings = trigger.settings
    assert isinstance(settings, BucketSettings)
    path = os.path.normpath(os.path.join(around.root, os.path.expanduser(settings.path)))
    origin = Origin(
        bucket=settings.bucket or os.path.basename(path),
        configuration_id=f"{trigger.function}-{settings.path}",
        region=around.address.region,
        account_id=around.address.account_id,
    )
    return Bucket(
        path=path,
        # By the path as written, so that the whole project may move with its ledger.
        name=f"{trigger.function}:{os.path.normpath(settings.path)}",
        function=trigger.function,
        qualifier=trigger.qualifier,
        settings=settings,
        origin=origin,
        ledger=around.ledger,
        store=around.store,
    )


class Bucket:
    """One directory's keys, and the deliveries they give rise to."""

    def __init__(
        self,
        *,
        path: str,
        name: str,
        function: str,
        qualifier: str,
        settings: BucketSettings,
        origin: Origin,
        ledger: Ledger,
        store: MessageStore,
    ) -> None:
        self.path = path
        self.root = os.path.realpath(path)
        self.name = name
        self._function = function
        self._qualifier = qualifier
        self.agenda = Agenda()
        self._settings = settings
        self._origin = origin
        self._ledger = ledger
        self._store = store
        self._sequencer = ledger.last_sequencer(name)
        self._refused: set[str] = set()
        self._wake = asyncio.Event()
        self._room = asyncio.Event()
        self._stopping = False

    def stop(self) -> None:
        """Let `deliveries` end."""
        self._stopping = True
        self._wake.set()

    def offer(self, key: str, heard: Heard) -> None:
        """Something was heard about a path below the root."""
        if self._is_ours(key):
            self.agenda.offer(key, heard)
            self._wake.set()

    def expect(self, key: str) -> None:
        """A name appeared, and its writer's close is to follow; links have no writer."""
        if not self._is_ours(key):
            return
        try:
            status = os.lstat(os.path.join(self.root, key))
        except OSError:
            return
        if status.st_nlink > 1 or stat.S_ISLNK(status.st_mode):
            self.offer(key, Heard.FOUND)
        else:
            self.agenda.doubt(key, Heard.CREATED, time.monotonic() + RECHECK_S)

    def tick(self) -> None:
        """Look again at what was in doubt, some times a second."""
        if self.agenda.settle_doubts(time.monotonic()):
            self._wake.set()

    async def scan(self, folder: str) -> None:
        """Compare all of a folder ("" or "a/b/") with the ledger, both ways."""
        found = files.walk(self.root, folder)
        while page := await asyncio.to_thread(_page, found):
            await self._compare(page)
        after = ""
        while keys := self._ledger.keys(self.name, folder, after):
            after = keys[-1]
            for key in await asyncio.to_thread(files.missing, self.root, keys):
                await self._offer_found(key)

    async def deliveries(self) -> AsyncGenerator[Delivery, None]:
        """What is to be delivered or recorded, for ever; settle each."""
        looks = 0
        while not self._stopping:
            if not len(self.agenda):
                self._wake.clear()
                await self._wake.wait()
                continue
            key, heard = self.agenda.take()
            if self.agenda.has_room:
                self._room.set()
            delivery = await self._look(key, heard)
            if delivery is not None:
                yield delivery
            looks += 1
            if looks % LOOKS_PER_TURN == 0:
                await asyncio.sleep(0)

    async def accept(self, delivery: Delivery) -> None:
        """Put its event into the function's queue, and its state into the ledger, in one."""
        batch = Batch()
        if delivery.event is not None:
            draft = events.draft(
                self._function, delivery.event, qualifier=self._qualifier, source=delivery.source
            )
            batch.put(draft)
        if delivery.stamp is None:
            batch.also(*self._ledger.forgotten(self.name, [delivery.key]))
        else:
            stamp, sequencer = delivery.stamp, delivery.sequencer
            batch.also(*self._ledger.recorded(self.name, delivery.key, stamp, sequencer))
        await self._store.commit(batch)
        self._land(delivery.key)

    def give_back(self, key: str) -> None:
        self._land(key)
        self.agenda.doubt(key, Heard.FOUND, time.monotonic() + RETRY_S)

    def _land(self, key: str) -> None:
        if self.agenda.land(key):
            self._wake.set()

    def _is_ours(self, key: str) -> bool:
        if not (key.startswith(self._settings.prefix) and key.endswith(self._settings.suffix)):
            return False
        try:
            key.encode()
        except UnicodeEncodeError:
            self._refuse(key, "has a name that is not UTF-8, which no key may have; rename it")
            return False
        return True

    def _refuse(self, key: str, why: str) -> None:
        """Say it once per file, and of the first files only."""
        if key in self._refused or len(self._refused) >= REFUSALS_LOGGED_MAX:
            return
        self._refused.add(key)
        printable = os.fsencode(key).decode("utf-8", "backslashreplace")
        _log.error("cannot take %s from %s: it %s", printable, self.root, why)

    async def _compare(self, page: list[tuple[str, Stamp | None] | OSError]) -> None:
        seen = {}
        for item in page:
            if isinstance(item, OSError):
                self._refuse(str(item.filename), f"cannot be read: {item.strerror}")
            elif self._is_ours(item[0]):
                seen[item[0]] = item[1]
        known = self._ledger.find_all(self.name, list(seen))
        for key, stamp in seen.items():
            if stamp is None or stamp != known.get(key):
                await self._offer_found(key)

    async def _offer_found(self, key: str) -> None:
        """For scans, which can wait, while events cannot."""
        while not self.agenda.has_room:
            self._room.clear()
            await self._room.wait()
        self.offer(key, Heard.FOUND)

    async def _look(self, key: str, heard: Heard) -> Delivery | None:
        """Whether there is anything to do about the key; if so it is in flight."""
        try:
            status = files.look(self.root, key)
        except files.Refused as refusal:
            self._refuse(key, str(refusal))
            status = None
        known = self._ledger.find(self.name, key)
        if status is None:
            return self._removed(key) if known is not None else None
        seen = files.stamp(status)
        if seen == known and heard is not Heard.REWRITTEN:
            return None
        if not self._is_complete(key, heard, status):
            return None
        # After a note of a close, another one is another close. After a scan it may be the one
        # that the scan has already seen.
        racy = heard >= Heard.CLOSED and time.time_ns() - seen.mtime_ns < TICK_NS
        self.agenda.fly(key, racy)
        return await self._created(key, seen)

    def _is_complete(self, key: str, heard: Heard, status: os.stat_result) -> bool:
        """Whether nobody writes to it any more; if in doubt, it is looked at again later."""
        writing = files.being_written(os.path.join(self.root, key))
        if writing is None and heard is Heard.CREATED and status.st_nlink == 1:
            return False  # its close will be heard
        if writing is None and heard <= Heard.FOUND:
            writing = time.time() - status.st_mtime < QUIET_S
        if writing:
            self.agenda.doubt(key, Heard.FOUND, time.monotonic() + RECHECK_S)
        return not writing

    async def _created(self, key: str, stamp: Stamp) -> Delivery:
        happening = self._happening(key)
        if "created" not in self._settings.events:
            return Delivery(self, happening, None, stamp)
        path = os.path.join(self.root, key)
        if stamp.size <= HASH_INLINE_BYTES:
            etag = files.etag(path, stamp)
        else:
            etag = await asyncio.to_thread(files.etag, path, stamp)
        event = s3.object_created(self._origin, happening, size=stamp.size, etag=etag)
        return Delivery(self, happening, event, stamp)

    def _removed(self, key: str) -> Delivery:
        self.agenda.fly(key, racy=False)
        happening = self._happening(key)
        if "removed" not in self._settings.events:
            return Delivery(self, happening, None, None)
        return Delivery(self, happening, s3.object_removed(self._origin, happening), None)

    def _happening(self, key: str) -> Happening:
        now_ns = time.time_ns()
        self._sequencer = max(now_ns, self._sequencer + 1)
        return Happening(
            key=key,
            sequencer=self._sequencer,
            at_ms=now_ns // 1_000_000,
            request_id=secrets.token_hex(8).upper(),
            host_id=base64.b64encode(secrets.token_bytes(57)).decode(),
        )


class Delivery:
    """One file's event, or, without an event, its state that is only to be recorded."""

    def __init__(
        self, bucket: Bucket, happening: Happening, event: bytes | None, stamp: Stamp | None
    ) -> None:
        self.event = event
        self.key = happening.key
        self.stamp = stamp
        self.sequencer = happening.sequencer
        self.source = f"{bucket.name}/{happening.key}"
        self._bucket = bucket

    async def accept(self) -> None:
        """It and its file's state are recorded, and the event will be run."""
        await self._bucket.accept(self)

    def give_back(self) -> None:
        """It was not taken: it stays unrecorded, and is looked at again later."""
        self._bucket.give_back(self.key)


def _page(
    found: Iterator[tuple[str, Stamp | None] | OSError],
) -> list[tuple[str, Stamp | None] | OSError]:
    return list(itertools.islice(found, KEYS_PER_PAGE))
