"""Events that nobody waits for: accepted durably, run, tried again, and told of at last.

An event is a message in its function's queue. It is accepted when it is committed; its removal,
its result, and what its end gives rise to (a message to a destination, or a dead letter) are one
commit too. So it is at any moment either waiting, or dealt with.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import random
import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from microfaas.dispatch.consumer import Consumer
from microfaas.dispatch.destinations import Destinations
from microfaas.dispatch.retry import Policy, Step, decide
from microfaas.errors import FunctionNotFound, MachineError, MicrofaasError, TooManyRequests
from microfaas.invoke import Invoker
from microfaas.model import LATEST, Address, EventSettings, Invocation, Outcome
from microfaas.payloads import results as records
from microfaas.store import events
from microfaas.store.dead import DeadLetter
from microfaas.store.events import PREFIX, EventAttributes
from microfaas.store.messages import Batch, Depth, Draft, Message, MessageStore
from microfaas.store.results import (
    HISTORY_MAX,
    PAYLOAD_BYTES_MAX,
    Attempt,
    Result,
    encode_history,
)

# Behind a run its end is recorded, while the next one runs already.
RECORDING_MAX = 32
RECORD_AGAIN_S = 1.0

_log = logging.getLogger("microfaas.dispatch")


class Served(NamedTuple):
    """What is to be known of a function to run its events."""

    settings: EventSettings
    concurrency: int


class _Lane:
    """One function's events: how they are run, and how many at once."""

    def __init__(self, function: str, served: Served) -> None:
        self.function = function
        self.settings = served.settings
        self.policy = Policy(
            served.settings.retries_max, served.settings.retry_delay_s, served.settings.age_s_max
        )
        self.slots = asyncio.Semaphore(served.concurrency)


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
    ) -> None:
        self._store = store
        self._invoker = invoker
        self._destinations = destinations
        self._address = address
        self._tasks = tasks
        self._clock = clock
        self._consumers: dict[str, Consumer] = {}
        self._running: dict[int, asyncio.Task[None]] = {}
        self._cancelled: set[int] = set()
        self._ends: dict[int, list[asyncio.Event]] = {}

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
        """Start to run events: those of the functions, and what is left of others'."""
        left = [d.name.removeprefix(PREFIX) for d in self._store.depths() if _has_events(d)]
        unknown = Served(EventSettings(), 1)
        for name in dict.fromkeys((*functions, *left)):
            if name in self._consumers:
                continue
            served = functions.get(name, unknown)
            settings = served.settings
            self._store.bound(PREFIX + name, settings.messages_max, settings.bytes_max)
            lane = _Lane(name, served)
            workers = served.concurrency + min(served.concurrency, RECORDING_MAX)
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

    def is_running(self, message: Message) -> bool:
        return message.id in self._running

    async def cancel(self, message: Message) -> bool:
        """Have an event not run, or no longer; False when it has ended meanwhile."""
        self._cancelled.add(message.id)
        try:
            if (task := self._running.get(message.id)) is not None:
                task.cancel()
                await self.ended(message)
                return True
            if self._store.find(message.uuid) is None:
                return False
            await self._store.commit(self._ended(message, "cancelled", b"null"))
        finally:
            # One that waits in a window is left out when its turn comes.
            if not self._waits(message):
                self._cancelled.discard(message.id)
        self._tell(message)
        return True

    async def ended(self, message: Message) -> None:
        """Wait until an event that waits or runs has ended for good."""
        event = asyncio.Event()
        self._ends.setdefault(message.id, []).append(event)
        try:
            if self._store.find(message.uuid) is not None:
                await event.wait()
        finally:
            waiting = self._ends.get(message.id, [])
            if event in waiting:
                waiting.remove(event)
            if not waiting:
                self._ends.pop(message.id, None)

    async def _see_through(self, lane: _Lane, message: Message) -> None:
        if message.id in self._cancelled:
            self._cancelled.discard(message.id)
            return
        attributes = events.decode_attributes(message.attributes)
        task = asyncio.current_task()
        assert task is not None
        try:
            async with lane.slots:
                self._running[message.id] = task
                outcome, expired = await self._attempt(lane, message, attributes)
        except asyncio.CancelledError:
            if message.id not in self._cancelled:
                raise
            task.uncancel()
            await self._settle(lane, self._ended(message, "cancelled", b"null"), message)
            return
        finally:
            self._running.pop(message.id, None)
        batch = self._conclude(lane, message, attributes, outcome, expired)
        await self._settle(lane, batch, message)

    async def _attempt(
        self, lane: _Lane, message: Message, attributes: EventAttributes
    ) -> tuple[Outcome | None, bool]:
        """Run it: how it ended, None when it was refused; and whether it was too old to run."""
        if self._age_s(message) > lane.policy.age_s_max:
            return None, True
        invocation = Invocation(
            request_id=message.uuid,
            function=lane.function,
            event=message.body,
            qualifier=attributes.qualifier,
            trace_id=attributes.trace_id,
        )
        try:
            return await self._invoker.invoke(invocation), False
        except (TooManyRequests, MachineError, FunctionNotFound):
            return None, False

    def _conclude(
        self,
        lane: _Lane,
        message: Message,
        attributes: EventAttributes,
        outcome: Outcome | None,
        expired: bool,
    ) -> Batch:
        """What an attempt leads to, as one batch."""
        attempts = message.attempts + (outcome is not None)
        step = Step("bury", condition="EventAgeExceeded")
        if not expired:
            ok = outcome.ok if outcome is not None else None
            age_s, chance = self._age_s(message), random.random()
            step = decide(lane.policy, attempts, attributes.refusals, ok, age_s, chance)
        if step.action == "retry":
            return self._retried(message, attributes, outcome, attempts, step.delay_s)
        status = outcome.status.value if outcome is not None else "expired"
        payload = outcome.payload if outcome is not None else b"null"
        batch = self._ended(message, status, payload, attempts)
        if step.action == "done":
            self._send(batch, lane, message, outcome, "Success", attempts)
        else:
            _log.error(
                "%s: event %s given up after %d attempts (%s): %s",
                lane.function,
                message.uuid,
                attempts,
                step.condition,
                payload[:500].decode(errors="replace"),
            )
            self._send(batch, lane, message, outcome, step.condition, attempts)
        return batch

    def _retried(
        self,
        message: Message,
        attributes: EventAttributes,
        outcome: Outcome | None,
        attempts: int,
        delay_s: float,
    ) -> Batch:
        if outcome is None:
            changed = msgspec.structs.replace(attributes, refusals=attributes.refusals + 1)
        else:
            history = [*attributes.history, self._tried(outcome)][-HISTORY_MAX:]
            changed = msgspec.structs.replace(attributes, refusals=0, history=history)
        batch = Batch()
        due_ms = self._store.now_ms() + int(delay_s * 1000)
        batch.reschedule(message, due_ms, attempts, events.encode_attributes(changed))
        return batch

    def _tried(self, outcome: Outcome) -> Attempt:
        error = records.error_of(outcome.payload)[0] or outcome.error_type
        wall_ms = round(outcome.wall_s * 1000, 3)
        return Attempt(int(self._clock() * 1000), outcome.status.value, wall_ms, error)

    def _ended(
        self, message: Message, status: str, payload: bytes, attempts: int | None = None
    ) -> Batch:
        """Its removal, and its result."""
        attributes = events.decode_attributes(message.attributes)
        result = Result(
            message.id,
            message.uuid,
            self._store.name(message).removeprefix(PREFIX),
            attributes.qualifier,
            attributes.source,
            status,
            message.at_ms,
            int(self._clock() * 1000),
            message.attempts if attempts is None else attempts,
            encode_history(attributes.history) if attributes.history else b"",
            payload[:PAYLOAD_BYTES_MAX],
        )
        batch = Batch()
        batch.remove(message)
        batch.also("record_results", [result])
        return batch

    def _send(
        self,
        batch: Batch,
        lane: _Lane,
        message: Message,
        outcome: Outcome | None,
        condition: str,
        attempts: int,
    ) -> None:
        """Tell those who want to know; what nobody takes when it failed becomes a dead letter."""
        settings, ok = lane.settings, condition == "Success"
        to = settings.on_success if ok else settings.on_failure
        try:
            if to is not None:
                record = records.record(
                    at_ms=int(self._clock() * 1000),
                    request_id=message.uuid,
                    function_arn=f"{self._address.arn(lane.function)}:{_qualifier(message)}",
                    condition=condition,
                    attempts=attempts,
                    event=message.body,
                    outcome=outcome,
                )
                self._destinations.send(batch, to, record)
            if settings.dead_letter is not None and not ok:
                kept = records.dead_letter_attributes(message.uuid, outcome)
                self._destinations.send(batch, settings.dead_letter, message.body, kept)
            elif to is None and not ok:
                batch.also("bury", [self._letter(lane, message, outcome, condition, attempts)])
        except MicrofaasError as error:
            _log.error("%s: cannot tell of event %s: %s", lane.function, message.uuid, error)
            batch.also("bury", [self._letter(lane, message, outcome, condition, attempts)])

    def _letter(
        self, lane: _Lane, message: Message, outcome: Outcome | None, why: str, attempts: int
    ) -> DeadLetter:
        payload = outcome.payload if outcome is not None else b"null"
        kind = records.error_of(payload)[0] if outcome is not None else ""
        attributes = events.decode_attributes(message.attributes)
        fresh = msgspec.structs.replace(attributes, refusals=0, history=[])
        return DeadLetter(
            int(self._clock() * 1000),
            lane.function,
            message.uuid,
            attributes.source,
            message.body,
            payload,
            attempts,
            PREFIX + lane.function,
            kind or why,
            events.encode_attributes(fresh),
        )

    async def _settle(self, lane: _Lane, batch: Batch, message: Message) -> None:
        """Insist: what is not recorded would be done again after a restart."""
        while True:
            try:
                await self._store.commit(batch)
                break
            except TooManyRequests as full:
                # Its destination has no room. It must not wait for that, so it is kept here.
                _log.error("%s: event %s: %s", lane.function, message.uuid, full)
                batch.writes.append(
                    ("bury", [self._overflown(lane, draft, message) for draft in batch.drafts])
                )
                batch.drafts.clear()
            except MachineError as error:
                _log.error("cannot record the end of %s: %s; trying again", message.uuid, error)
                await asyncio.sleep(RECORD_AGAIN_S)
        if batch.removed:
            self._tell(message)

    def _overflown(self, lane: _Lane, draft: Draft, message: Message) -> DeadLetter:
        return DeadLetter(
            int(self._clock() * 1000),
            lane.function,
            message.uuid,
            "destination",
            draft.body,
            b"null",
            0,
            draft.queue,
            "QueueFull",
            draft.attributes,
        )

    def _tell(self, message: Message) -> None:
        for event in self._ends.get(message.id, ()):
            event.set()

    def _age_s(self, message: Message) -> float:
        return self._clock() - message.at_ms / 1000

    def _waits(self, message: Message) -> bool:
        consumer = self._consumers.get(self._store.name(message).removeprefix(PREFIX))
        return consumer is not None and consumer.has(message)


def _has_events(depth: Depth) -> bool:
    return depth.name.startswith(PREFIX) and depth.messages > 0


def _qualifier(message: Message) -> str:
    return events.decode_attributes(message.attributes).qualifier or LATEST
