"""Carries messages to places outside: tried until they arrive, are refused, or grow too old."""

from __future__ import annotations

import asyncio
import functools
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Literal, NamedTuple

import msgspec

from microfaas.dispatch.consumer import Consumer
from microfaas.dispatch.gate import Gate
from microfaas.dispatch.retry import Policy, decide
from microfaas.errors import MachineError, TooManyRequests
from microfaas.store.dead import DeadLetter
from microfaas.store.messages import Batch, Message, MessageStore

# From 1 s on twice as late each time, but never later than after five minutes.
POLICY = Policy(retries_max=100_000, retry_delay_s=1.0, age_s_max=4 * 86400.0, doubling=True)
CONCURRENCY = 8
RECORD_AGAIN_S = 1.0
TELL_EVERY = 10

_log = logging.getLogger("microfaas.dispatch")


class Verdict(NamedTuple):
    """How an attempt to deliver went; `never`: the receiver will not have it."""

    action: Literal["done", "later", "never"]
    why: str = ""


Send = Callable[[Message], Awaitable[Verdict]]
# What a message becomes that could not be delivered: adds to the batch that removes it.
Bury = Callable[[Batch, MessageStore, Message, Verdict], None]


class Route:
    """The way to one endpoint: those who carry what waits for it, behind a gate."""

    def __init__(
        self,
        store: MessageStore,
        queue: str,
        send: Send,
        bury: Bury,
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._gate = Gate(_delay_s)
        work = functools.partial(deliver, store, send=send, bury=bury, gate=self._gate)
        self._consumer = Consumer(store, queue, CONCURRENCY, work, tasks)
        self._consumer.start()

    def stop(self) -> None:
        """Begin nothing more."""
        self._consumer.stop()
        self._gate.stop()

    async def drained(self) -> None:
        """Wait until nothing is at work."""
        await self._consumer.drained()


async def deliver(
    store: MessageStore, message: Message, send: Send, bury: Bury, gate: Gate
) -> None:
    """One attempt, and what follows from it, on disk."""
    verdict = Verdict("never", "it waited too long")
    if store.age_s(message) <= POLICY.age_s_max:
        if (turn := await gate.enter()) is None:
            return
        reached = False
        try:
            verdict = await send(message)
            reached = verdict.action != "later"
        finally:
            gate.leave(turn, reached)
    batch = _concluded(store, message, verdict, bury)
    while True:
        try:
            await store.commit(batch)
            return
        except TooManyRequests as full:
            _log.error("%s: %s", store.name(message), full)
            batch.drafts.clear()
            letter_of(batch, store, message, verdict)
        except MachineError as error:
            _log.error("cannot record a delivery: %s; trying again", error)
            await asyncio.sleep(RECORD_AGAIN_S)


def _concluded(store: MessageStore, message: Message, verdict: Verdict, bury: Bury) -> Batch:
    attempts = message.attempts + 1
    age_s, chance = store.age_s(message), random.random()
    step = decide(POLICY, attempts, 0, verdict.action == "done", age_s, chance)
    batch = Batch()
    if verdict.action == "later" and step.action == "retry":
        if attempts % TELL_EVERY == 1:
            _log.warning("%s, attempt %d; it is tried again", verdict.why, attempts)
        batch.reschedule(message, store.now_ms() + int(step.delay_s * 1000), attempts)
        return batch
    batch.remove(message)
    if verdict.action != "done":
        _log.error("%s; given up after %d attempts", verdict.why, attempts)
        bury(batch, store, message, verdict)
    return batch


def _delay_s(failures: int) -> float:
    """How long an endpoint is left alone."""
    return decide(POLICY, failures, 0, False, 0.0, random.random()).delay_s


def letter_of(batch: Batch, store: MessageStore, message: Message, verdict: Verdict) -> None:
    """It becomes a dead letter, which can be sent again to where it was going."""
    letter = DeadLetter(
        int(time.time() * 1000),
        "",
        message.uuid,
        store.name(message),
        message.body,
        msgspec.json.encode(verdict.why),
        message.attempts + 1,
        store.name(message),
        "Undeliverable",
        message.attributes,
    )
    batch.also("bury", [letter])
