"""Events that nobody waits for: accepted durably, run, tried again, and told of at last.

An event is a message in its function's queue. It is accepted when it is committed; its removal,
its result, and what its end gives rise to (a message to a destination, or a dead letter) are one
commit too. So it is at any moment either waiting, or dealt with.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from microfaas.dispatch.consumer import Consumer
from microfaas.dispatch.destinations import Destinations
from microfaas.dispatch.ends import Ends, Rules
from microfaas.dispatch.retry import Condition
from microfaas.dispatch.slots import Slots
from microfaas.errors import (
    FunctionNotFound,
    MachineError,
    RecursiveInvocation,
    TooManyRequests,
)
from microfaas.invoke import Invoker
from microfaas.model import LATEST, Address, EventSettings, Invocation, Outcome
from microfaas.store import events
from microfaas.store.events import PREFIX, EventAttributes
from microfaas.store.messages import Batch, Depth, Message, MessageStore

# Behind a run its end is recorded, while the next one runs already.
RECORDING_MAX = 32
RECORD_AGAIN_S = 1.0
# Of so many aliases or versions of one function it is told that they are not there.
MISSING_TOLD_MAX = 100

_log = logging.getLogger("microfaas.dispatch")


class Served(NamedTuple):
    """What is to be known of a function to run its events."""

    settings: EventSettings
    concurrency: int


# How events of a function, or of one of its versions or aliases, are seen through.
SettingsOf = Callable[[str, str], EventSettings]


class _Lane:
    """One function's events: how they are run, and how many at once."""

    def __init__(self, function: str, served: Served) -> None:
        self.function = function
        self.settings = served.settings
        self.slots = Slots(served.concurrency)
        self._missing: set[str] = set()

    def found(self, qualifier: str) -> None:
        """What is to be run is there."""
        self._missing.discard(qualifier)

    def missing(self, error: FunctionNotFound) -> None:
        """It is not: one line per outage."""
        if error.qualifier not in self._missing and len(self._missing) < MISSING_TOLD_MAX:
            self._missing.add(error.qualifier)
            _log.warning("%s: events must wait: %s", self.function, error)


class Events:
    """Accepts events for functions and sees them through."""

    def __init__(
        self,
        store: MessageStore,
        invoker: Invoker,
        destinations: Destinations,
        address: Address,
        tasks: asyncio.TaskGroup,
        clock: Callable[[], float] = time.time,
        settings_of: SettingsOf | None = None,
    ) -> None:
        """Without `settings_of`, all of a function's events are seen through as it is served."""
        self._settings_of = settings_of
        self._store = store
        self._invoker = invoker
        self._ends = Ends(store, destinations, address, clock)
        self._tasks = tasks
        self._lanes: dict[str, _Lane] = {}
        self._consumers: dict[str, Consumer] = {}
        # What was taken can be cancelled until its end is being recorded.
        self._taken: dict[int, asyncio.Task[None]] = {}
        self._running: dict[int, Message] = {}
        self._cancelled: set[int] = set()
        self._settling: dict[int, asyncio.Event] = {}
        self._cancels: dict[int, asyncio.Event] = {}
        self._awaited: dict[int, list[asyncio.Event]] = {}

    async def accept(self, invocation: Invocation, source: str = "") -> str:
        """Take an event for later; its request id, once it is on disk.

        Raises QueueFull, MachineError: then it is not accepted.
        """
        draft = events.draft(
            invocation.function,
            invocation.event,
            qualifier=invocation.qualifier,
            trace_id=invocation.trace_id,
            source=source,
        )
        return (await self._store.put(draft)).uuid

    def serve(self, functions: Mapping[str, Served]) -> None:
        """Run events: those of the functions, from now on in this way, and what is left of
        others'."""
        for name, served in functions.items():
            self._serve(name, served)
        left = [d.name.removeprefix(PREFIX) for d in self._store.depths() if _has_events(d)]
        for name in left:
            if name not in self._consumers:
                self._serve(name, Served(EventSettings(), 1))

    def _serve(self, name: str, served: Served) -> None:
        settings = served.settings
        self._store.bound(PREFIX + name, settings.messages_max, settings.bytes_max)
        workers = served.concurrency + min(served.concurrency, RECORDING_MAX)
        if (lane := self._lanes.get(name)) is not None:
            lane.settings = settings
            lane.slots.change(served.concurrency)
            self._consumers[name].resize(workers)
            return
        lane = self._lanes[name] = _Lane(name, served)
        consumer = self._consumers[name] = Consumer(
            self._store,
            PREFIX + name,
            workers,
            functools.partial(self._see_through, lane),
            self._tasks,
        )
        consumer.start()

    async def close(self, timeout_s: float) -> None:
        """Begin nothing more and let what runs end; the rest waits on disk."""
        for consumer in self._consumers.values():
            consumer.stop()
        try:
            async with asyncio.timeout(timeout_s):
                for consumer in self._consumers.values():
                    await consumer.drained()
        except TimeoutError:
            _log.warning("%d events still run; they will run again", len(self._running))

    def running(self) -> list[Message]:
        """What runs at this moment."""
        return list(self._running.values())

    def is_running(self, message: Message) -> bool:
        return message.id in self._running

    def serves(self, function: str) -> bool:
        """Whether events of a function would be run."""
        return function in self._consumers

    async def cancel(self, message: Message) -> bool:
        """Have an event not run, or no longer; False when it has ended meanwhile.

        Raises MachineError: then it goes on as before.
        """
        while (other := self._cancels.get(message.id)) is not None:
            await other.wait()
        over = self._cancels[message.id] = asyncio.Event()
        try:
            return await self._cancel(message)
        finally:
            del self._cancels[message.id]
            over.set()

    async def _cancel(self, message: Message) -> bool:
        if (task := self._taken.get(message.id)) is not None:
            self._cancelled.add(message.id)
            task.cancel()
            await self.ended(message)
            return True
        if (settling := self._settling.get(message.id)) is not None:
            await settling.wait()
        if (found := self._store.find(message.uuid)) is None:
            return False
        await self._store.commit(self._ends.ended(found, "cancelled", b"null"))
        name = self._store.name(found).removeprefix(PREFIX)
        if (consumer := self._consumers.get(name)) is not None:
            consumer.drop(found)
        self._tell(found)
        return True

    async def ended(self, message: Message) -> None:
        """Wait until an event that waits or runs has ended for good."""
        event = asyncio.Event()
        self._awaited.setdefault(message.id, []).append(event)
        try:
            if self._store.find(message.uuid) is not None:
                await event.wait()
        finally:
            waiting = self._awaited.get(message.id, [])
            if event in waiting:
                waiting.remove(event)
            if not waiting:
                self._awaited.pop(message.id, None)

    async def _see_through(self, lane: _Lane, message: Message) -> None:
        while (cancel := self._cancels.get(message.id)) is not None:
            await cancel.wait()
            if self._store.find(message.uuid) is None:
                return
        attributes = events.decode_attributes(message.attributes)
        rules = self._rules(lane, attributes.qualifier)
        task = asyncio.current_task()
        assert task is not None
        self._taken[message.id] = task
        try:
            outcome, over = await self._attempt(lane, rules, message, attributes)
            batch = self._ends.conclude(rules, message, attributes, outcome, over)
        except asyncio.CancelledError:
            if message.id not in self._cancelled:
                raise
            self._cancelled.discard(message.id)
            task.uncancel()
            batch = self._ends.ended(message, "cancelled", b"null")
        finally:
            del self._taken[message.id]
        await self._settle(rules, batch, message)

    def _rules(self, lane: _Lane, qualifier: str) -> Rules:
        if self._settings_of is None:
            return Rules(lane.function, lane.settings)
        return Rules(lane.function, self._settings_of(lane.function, qualifier))

    async def _attempt(
        self, lane: _Lane, rules: Rules, message: Message, attributes: EventAttributes
    ) -> tuple[Outcome | None, Condition | None]:
        """Run it: how it ended, None when it was refused; and why it is not to run at all."""
        invocation = Invocation(
            request_id=message.uuid,
            function=lane.function,
            event=message.body,
            qualifier=attributes.qualifier,
            trace_id=events.trace_of(message, attributes),
        )
        async with lane.slots:
            if self._ends.age_s(message) > rules.policy.age_s_max:
                return None, "EventAgeExceeded"
            self._running[message.id] = message
            try:
                version = self._invoker.check(lane.function, attributes.qualifier)
                lane.found(attributes.qualifier or LATEST)
                if not version.function.limits.concurrency_max:
                    return None, "ZeroReservedConcurrency"
                return await self._invoker.invoke(invocation, version=version), None
            except FunctionNotFound as error:
                lane.missing(error)
                return None, None
            except (TooManyRequests, MachineError):
                return None, None
            except RecursiveInvocation:
                return None, "RecursiveInvocation"
            finally:
                del self._running[message.id]

    async def _settle(self, rules: Rules, batch: Batch, message: Message) -> None:
        """Insist: what is not recorded would be done again after a restart."""
        settled = self._settling[message.id] = asyncio.Event()
        try:
            await self._record(rules, batch, message)
        finally:
            del self._settling[message.id]
            settled.set()
        if batch.removed:
            self._tell(message)

    async def _record(self, rules: Rules, batch: Batch, message: Message) -> None:
        while True:
            try:
                await self._store.commit(batch)
                return
            except TooManyRequests as full:
                # Its destination has no room. It must not wait for that, so it is kept here.
                _log.error("%s: event %s: %s", rules.function, message.uuid, full)
                letters = [self._ends.overflown(rules, d, message) for d in batch.drafts]
                batch.also("bury", letters)
                batch.drafts.clear()
            except MachineError as error:
                _log.error("cannot record the end of %s: %s; trying again", message.uuid, error)
                await asyncio.sleep(RECORD_AGAIN_S)

    def _tell(self, message: Message) -> None:
        for event in self._awaited.get(message.id, ()):
            event.set()


def _has_events(depth: Depth) -> bool:
    return depth.name.startswith(PREFIX) and depth.messages > 0
