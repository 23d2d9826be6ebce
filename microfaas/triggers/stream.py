"""Streams as sources of events: the trigger kind "stream".

Theory of operation. Each shard, or each part of its keys, has a lane: a task that works at its
records batch by batch and keeps on disk how far it has come, in the commit that holds whatever a
batch gave rise to. What is done next is decided in `batching`; here records are read, the function
is called, and what follows is written down. A lane sleeps until something is put into its shard,
or until a time it knows. Records are held only by who has a slot, of which there are as many as
the function may have instances.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Iterable, Iterator, Sequence

from microfaas.config import Trigger
from microfaas.config.events import destination
from microfaas.config.streams import StreamSettings
from microfaas.messaging import stream_numbers as numbers
from microfaas.model import Destination
from microfaas.patterns import compile_filters
from microfaas.payloads import batches
from microfaas.payloads.batches import Given
from microfaas.store.messages import Batch
from microfaas.triggers import batching
from microfaas.triggers.batching import Extent, Progress, Rules, Seen
from microfaas.triggers.kind import Surroundings
from microfaas.triggers.remote_stream import RemoteStream
from microfaas.triggers.shards import LocalStream, Numbered, Shard, Stream
from microfaas.triggers.stream_ends import Calls, Ended, Ends

CHUNK_RECORDS = 500
CHUNK_BYTES = 1024 * 1024
# So many records may have been skipped before that is written down.
SKIPPED_MAX = 1_000
# A lane must not sleep through a clock that is set.
SLEEP_S_MAX = 60.0

_log = logging.getLogger("microfaas.triggers")


async def run(trigger: Trigger, around: Surroundings) -> None:
    """Have the function work at the stream until cancelled or the server stops."""
    assert isinstance(trigger.settings, StreamSettings)
    reader = Reader(trigger, trigger.settings, around)
    async with asyncio.TaskGroup() as group:
        async for shard in reader.stream.shards():
            group.create_task(reader.work_at(shard))


def destinations(triggers: Iterable[Trigger], root: str) -> Iterator[Destination]:
    """Where stream triggers send what they give up."""
    for trigger in triggers:
        if isinstance(trigger.settings, StreamSettings) and trigger.settings.on_failure:
            made = destination(trigger.settings.on_failure, root)
            if made is not None:
                yield made


class Reader:
    """What the lanes of one trigger have in common."""

    def __init__(self, trigger: Trigger, settings: StreamSettings, around: Surroundings) -> None:
        self.settings = settings
        self.around = around
        consumer = trigger.consumer or consumer_of(trigger.function, settings.stream)
        self.stream: Stream = (
            RemoteStream(trigger.source, settings, consumer, around)
            if trigger.source
            else LocalStream(settings, consumer, around)
        )
        self.form = self.stream.form
        self.filters = compile_filters(settings.filters, self.form.data_key)
        self.rules = Rules(
            batch_size=settings.batch_size,
            wait_ms=int(settings.window_s * 1000),
            retries_max=settings.retries_max,
            age_ms_max=settings.record_age_s_max * 1000 if settings.record_age_s_max > 0 else -1,
            bisect=settings.bisect_on_error,
            tumbling_ms=settings.tumbling_window_s * 1000,
        )
        self.slots = asyncio.Semaphore(around.limits(trigger).concurrency_max)
        self.calls = Calls(trigger, around, settings.report_batch_item_failures)
        to = settings.on_failure and destination(settings.on_failure, around.root)
        self.ends = Ends(trigger, settings.stream, self.form, around, to or None)

    async def work_at(self, shard: Shard) -> None:
        """Until the shard's end or the server's stop; where its lanes begin is on disk first."""
        progresses, changes = shard.opening(self.settings.parallelization)
        batch = Batch()
        for change in changes:
            batch.also(*change)
        await self.ends.commit(batch)
        lanes = [Lane(self, shard, number, each) for number, each in enumerate(progresses)]
        async with asyncio.TaskGroup() as group:
            beside = [group.create_task(shard.run()), group.create_task(self._wake(lanes))]
            await asyncio.wait([group.create_task(lane.run()) for lane in lanes])
            for task in beside:
                task.cancel()
        if not self.around.stopping.is_set():
            await shard.finished()

    async def _wake(self, lanes: Sequence[Lane]) -> None:
        await self.around.stopping.wait()
        for lane in lanes:
            lane.wake.set()

    def now_ms(self) -> int:
        return self.around.streams.now_ms()

    def wanted(self, record: Given, lane: int) -> bool:
        """Whether a lane's function is to see it."""
        if numbers.lane_of(record.key, self.settings.parallelization) != lane:
            return False
        if record.at_ms < self.settings.starting_ms:
            return False
        return not self.filters.filters or self.filters.accepts(self.form.inner(record))


class Lane:
    """A shard's records, or those of a part of its keys, one batch after the other."""

    def __init__(self, reader: Reader, shard: Shard, number: int, progress: Progress) -> None:
        self.wake = asyncio.Event()
        self._reader = reader
        self._shard = shard
        self._number = number
        self._progress = progress
        self._extent = Extent(progress.after)
        self._skipped = 0
        self._sealed_ms = 0
        self._stopping = reader.around.stopping

    async def run(self) -> None:
        """Until the server stops; what was begun is then written down."""
        self._shard.listeners.append(self.wake.set)
        try:
            while not self._stopping.is_set() and not self._is_over():
                self.wake.clear()
                await self._turn()
        finally:
            self._shard.listeners.remove(self.wake.set)

    def _is_over(self) -> bool:
        return self._progress.window is None and self._shard.is_over(self._progress.after)

    async def _turn(self) -> None:
        await self._account_for_trimmed()
        if self._scan():
            await asyncio.sleep(0)  # others' turn: there may be much to look at
            return
        rules, now_ms = self._reader.rules, self._reader.now_ms()
        step = batching.next_step(self._extent, self._progress, rules, now_ms, _clock_ms())
        if not self._extent.count:
            await self._skip()
        match step.action:
            case "run":
                await self._run_batch()
            case "close":
                await self._close_window(now_ms)
            case "forget":
                self._move(_with_ends(self._progress, self._progress.ends[:-1]))
            case "wait":
                if not self._is_over():
                    await _sleep(self.wake, step.wait_ms)

    def _scan(self) -> bool:
        """Look at some records; whether there may be more to look at."""
        if self._extent.full:
            return False
        reader, looked = self._reader, False
        now_ms, clock_ms = reader.now_ms(), _clock_ms()
        found = self._shard.read(self._extent.scanned, CHUNK_RECORDS, CHUNK_BYTES)
        for sequence, record in found:
            looked = True
            wanted = reader.wanted(record, self._number)
            seen = Seen(sequence, record.at_ms, reader.form.size(record), wanted)
            self._skipped += not wanted
            if not batching.take(
                self._extent, self._progress, reader.rules, seen, now_ms, clock_ms
            ):
                return False
        return looked

    async def _skip(self) -> None:
        """What was looked at and is not for the function is dealt with."""
        self._progress = _behind(self._progress, self._extent.scanned)
        self._shard.passed(self._number, self._progress.after)
        if self._skipped >= SKIPPED_MAX:
            await self._commit(Batch(), self._progress)

    def _move(self, progress: Progress) -> None:
        """Look for the next batch from here on."""
        self._progress = progress
        self._extent = Extent(progress.after)
        self._shard.passed(self._number, progress.after)

    async def _run_batch(self) -> None:
        if self._extent.expired:
            return await self._see_through()
        async with self._reader.slots:
            if not self._stopping.is_set():
                await self._see_through()
        return None

    async def _see_through(self) -> None:
        reader, extent, progress = self._reader, self._extent, self._progress
        records = self._collect()
        if not records:
            return self._move(progress)  # they were trimmed just now
        told, source = [record.given for record in records], self._shard.source
        window = _window(told[0].at_ms, progress, reader.rules)
        event = batches.event(reader.form, source, told, window)
        names = [record.number for record in told]
        called = await reader.calls.run(event, names, window is not None, extent.expired)
        step = batching.after_batch(
            progress,
            [record.sequence for record in records],
            window.start_ms if window else None,
            called.verdict,
            reader.rules,
            random.random(),
        )
        batch = Batch()
        if step.given_up is not None:
            lost = told[step.given_up :]
            ended = Ended(step.condition, progress.attempts + 1, called, event)
            if step.given_up:
                ended = ended.of(batches.event(reader.form, source, lost, window))
            reader.ends.give_up(batch, source, ended, lost)
        await self._settle(batch, step, called.verdict.kind)
        return None

    def _collect(self) -> list[Numbered]:
        """The records of the batch, which are behind the ones that are done."""
        reader, extent = self._reader, self._extent
        found: list[Numbered] = []
        span = extent.last - self._progress.after
        for record in self._shard.read(self._progress.after, span):
            if record.sequence > extent.last:
                break
            if reader.wanted(record.given, self._number):
                found.append(record)
        return found

    async def _close_window(self, now_ms: int) -> None:
        reader, progress = self._reader, self._progress
        window = progress.window
        assert window is not None
        end_ms = window.start_ms + reader.rules.tumbling_ms
        if not self._extent.full and not window.early and self._sealed_ms < end_ms:
            # A record of its time may just be on its way to the disk.
            await self._shard.sealed(end_ms)
            self._sealed_ms = end_ms
            return
        ending = batches.Window(window.start_ms, end_ms, window.state, True, window.early)
        event = batches.event(reader.form, self._shard.source, [], ending)
        async with reader.slots:
            called = await reader.calls.run(event, [], True, False)
            step = batching.after_close(progress, called.verdict, reader.rules, random.random())
            batch = Batch()
            if step.given_up is not None:
                ended = Ended(step.condition, progress.attempts + 1, called, event)
                reader.ends.give_up(batch, self._shard.source, ended, [])
            await self._settle(batch, step, called.verdict.kind)

    async def _settle(self, batch: Batch, step: batching.Step, kind: str) -> None:
        if kind == "refused":
            self._move(step.progress)
        else:
            await self._commit(batch, step.progress)
            self._move(step.progress)
        if step.delay_s:
            await _sleep(self._stopping, int(step.delay_s * 1000))

    async def _commit(self, batch: Batch, progress: Progress) -> None:
        lanes = self._reader.settings.parallelization
        batch.also(*self._shard.reached(self._number, lanes, progress))
        await self._reader.ends.commit(batch)
        self._skipped = 0

    async def _account_for_trimmed(self) -> None:
        """Tell of records that grew too old before they were read."""
        trimmed, after = self._shard.trimmed(), self._progress.after
        if trimmed <= after:
            return
        batch = Batch()
        names = self._shard.number(after + 1), self._shard.number(trimmed)
        self._reader.ends.skipped(batch, self._shard.source, names, trimmed - after)
        ends = tuple(end for end in self._progress.ends if end > trimmed)
        progress = Progress(trimmed, 0, ends, self._progress.window)
        await self._commit(batch, progress)
        self._move(progress)


def consumer_of(function: str, stream: str) -> str:
    """What a trigger's checkpoints go by."""
    return f"{function}/{stream}"


def _window(first_ms: int, progress: Progress, rules: Rules) -> batches.Window | None:
    if not rules.tumbling_ms:
        return None
    start_ms = batching.window_start(first_ms, rules)
    state = progress.window.state if progress.window else b"{}"
    return batches.Window(start_ms, start_ms + rules.tumbling_ms, state, False, False)


def _behind(progress: Progress, after: int) -> Progress:
    return Progress(after, progress.attempts, progress.ends, progress.window, progress.refusals)


def _with_ends(progress: Progress, ends: tuple[int, ...]) -> Progress:
    return Progress(progress.after, 0, ends, progress.window)


async def _sleep(event: asyncio.Event, wait_ms: int | None) -> None:
    """Until something happens, or no longer than that."""
    if wait_ms is None:
        await event.wait()
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(min(wait_ms / 1000 + 0.001, SLEEP_S_MAX)):
            await event.wait()


def _clock_ms() -> int:
    return int(time.monotonic() * 1000)
