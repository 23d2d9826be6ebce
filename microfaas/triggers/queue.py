"""Messages of a queue, given to a function several at a time: the trigger kind "queue".

It receives as any client of the queue does, and removes what the function has dealt with. What it
has not is left alone: it comes back when its time is over, and in the end goes to the dead letter
queue. A call that was refused, for the function is busy or the machine is at fault, is no
receive: its messages are put back at once and the count of their receives too, so that a busy
hour fills no dead letter queue. What came back to the function too often is not given to it, and
is left alone as well.

One batch is gathered at a time, and runs beside those before it, as many as may. Messages of a
FIFO queue's group are in one batch at once, for the queue gives out no more of a group.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Mapping, Sequence
from typing import Generic, TypeVar

from microfaas import lineage
from microfaas.config import Trigger
from microfaas.config.queue_triggers import QueueSettings
from microfaas.errors import (
    FunctionNotFound,
    MachineError,
    MicrofaasError,
    ServiceError,
    TooManyRequests,
)
from microfaas.invoke import new_request_id
from microfaas.model import Invocation, Outcome
from microfaas.patterns import compile_filters
from microfaas.payloads import sqs
from microfaas.triggers.inbox import Hidden, Inbox, LocalInbox, Message, Room
from microfaas.triggers.kind import Surroundings
from microfaas.triggers.remote_inbox import RemoteInbox

POLL_S = 20.0
# After the queue could not be read, or is not there.
RETRY_S = 1.0
BUSY_DELAY_S = 0.1
BUSY_DELAY_S_MAX = 15.0
# How often to try to record what a function has dealt with, before it is left to come again.
RECORD_TRIES = 5

T = TypeVar("T", bound=Message)
_log = logging.getLogger("microfaas.triggers")


async def run(trigger: Trigger, around: Surroundings) -> None:
    """Receive and run until cancelled or the server stops."""
    settings = trigger.settings
    assert isinstance(settings, QueueSettings)
    if trigger.source:
        await Feed(trigger, settings, around, RemoteInbox(trigger.source, around)).run()
    else:
        await Feed(trigger, settings, around, LocalInbox(settings.queue, around)).run()


class Feed(Generic[T]):
    """One queue's way into one function."""

    def __init__(
        self,
        trigger: Trigger,
        settings: QueueSettings,
        around: Surroundings,
        inbox: Inbox[T],
    ) -> None:
        self._trigger = trigger
        self._function = trigger.function
        self._settings = settings
        self._around = around
        self._inbox = inbox
        self._filters = compile_filters(settings.filters, "body")
        self._refusals = 0
        self._complaint = ""
        # Why the function was not called; messages are received all the same.
        self._refusal = ""

    async def run(self) -> None:
        """Until the server stops; what was begun then ends."""
        limits = self._around.limits(self._trigger)
        slots = asyncio.Semaphore(self._settings.concurrency or limits.concurrency_max)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._stop())
            for _ in range(self._inbox.pollers):
                group.create_task(self._poll(slots, group))

    async def _poll(self, slots: asyncio.Semaphore, group: asyncio.TaskGroup) -> None:
        while not self._around.stopping.is_set():
            # First the room, then the messages: their time is running.
            await slots.acquire()
            batch = await self._gather()
            if batch:
                group.create_task(self._see_through(batch, slots))
            else:
                slots.release()

    async def _stop(self) -> None:
        await self._around.stopping.wait()
        self._inbox.wake()

    async def _gather(self) -> list[T]:
        """The next batch; nothing when there is none for a while."""
        room = Room(self._settings.batch_size)
        batch: list[T] = []
        end_s = time.monotonic() + POLL_S
        while room.count > len(batch) and not room.full:
            left_s = end_s - time.monotonic()
            if batch and (left_s <= 0 or self._around.stopping.is_set()):
                break
            more = await self._receive(room, room.count - len(batch), left_s)
            if not more:
                break
            if not batch:
                end_s = time.monotonic() + self._settings.window_s
            batch += more
        return batch

    async def _receive(self, room: Room, count: int, wait_s: float) -> list[T]:
        # None comes back while others are waited for, nor while the function may be at it.
        call_s = math.ceil(self._around.limits(self._trigger).timeout_s)
        hidden = Hidden(call_s, self._settings.window_s)
        try:
            received = await self._inbox.receive(room, count, wait_s, hidden)
        except (ServiceError, MachineError) as error:
            self._complain(str(error))
            await self._pause(RETRY_S)
            return []
        self._complaint = ""
        return received

    async def _see_through(self, batch: Sequence[T], slots: asyncio.Semaphore) -> None:
        try:
            wanted, done = self._sorted(batch)
            if wanted:
                done += await self._call(
                    [one for one, _ in wanted], [record for _, record in wanted]
                )
            if done:
                await self._remove(done)
        finally:
            slots.release()

    def _sorted(self, batch: Sequence[T]) -> tuple[list[tuple[T, dict[str, object]]], list[T]]:
        """What the function is to get, with its record, and what no filter lets through. What
        came back too often is neither, nor what is behind it in its group."""
        wanted, unwanted, stuck = [], [], set()
        for one in batch:
            record = self._inbox.record(one)
            group = sqs.group_of(record)
            if not self._filters.accepts(record):
                unwanted.append(one)
            elif group in stuck:
                continue
            elif self._around.invoker.loops(self._function, sqs.trace_of(record)):
                self._around.report(False)
                stuck.update([group] if group else [])
            else:
                wanted.append((one, record))
        return wanted, unwanted

    async def _call(self, batch: Sequence[T], records: Sequence[Mapping[str, object]]) -> list[T]:
        """Run the function; gives what it has dealt with."""
        request_id = new_request_id()
        invocation = Invocation(
            request_id=request_id,
            function=self._function,
            qualifier=self._trigger.qualifier,
            event=sqs.event([sqs.encode_record(each) for each in records]),
            trace_id=lineage.joined(map(sqs.trace_of, records)),
        )
        try:
            outcome = await self._around.invoker.invoke(invocation)
        except (TooManyRequests, MachineError, FunctionNotFound) as error:
            self._around.report(False)
            await self._refused(batch, error)
            return []
        self._around.report(outcome.ok)
        self._refusals = 0
        self._refusal = ""
        return self._dealt_with(batch, outcome, request_id)

    def _dealt_with(self, batch: Sequence[T], outcome: Outcome, request_id: str) -> list[T]:
        ids = [one.id for one in batch]
        failed: set[str] = set()
        if not outcome.ok:
            failed = set(ids)
        elif self._settings.report_batch_item_failures:
            failed = sqs.failed_ids(outcome.payload, ids)
        if failed:
            # How functions say so; what fails for good is told when it is given up.
            _log.warning(
                "%s: %d of %d messages of the queue %s failed in request %s; they come again",
                self._function,
                len(failed),
                len(batch),
                self._settings.queue,
                request_id,
            )
        return [one for one in batch if one.id not in failed]

    async def _refused(self, batch: Sequence[T], error: MicrofaasError) -> None:
        """Put the messages back, and be the more patient the longer it lasts."""
        delay_s = min(BUSY_DELAY_S * 2.0 ** min(self._refusals, 16), BUSY_DELAY_S_MAX)
        self._refusals += 1
        if str(error) != self._refusal:
            self._refusal = str(error)
            self._tell(self._refusal)
        try:
            await self._inbox.give_back(batch, delay_s)
        except (ServiceError, MachineError) as fault:
            self._complain(str(fault))
        await self._pause(delay_s)

    async def _remove(self, batch: Sequence[T]) -> None:
        for _ in range(RECORD_TRIES):
            try:
                await self._inbox.remove(batch)
                return
            except ServiceError:
                return  # the queue is gone, and they with it
            except MachineError as error:
                self._complain(str(error))
                await asyncio.sleep(RETRY_S)

    def _complain(self, why: str) -> None:
        """One line per outage."""
        if why != self._complaint:
            self._complaint = why
            self._tell(why)

    def _tell(self, why: str) -> None:
        queue = self._settings.queue
        _log.error("%s: cannot take messages of the queue %s: %s", self._function, queue, why)

    async def _pause(self, delay_s: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await self._around.stopping.wait()
