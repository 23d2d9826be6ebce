"""Events that nobody waits for: a bounded queue, workers, retries with growing delays.

`decide` is the whole policy and pure; `Dispatcher` acts on it.
"""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from typing import Literal

from microfaas.errors import MachineError, MicrofaasError, TooManyRequests
from microfaas.invoke import Invoker
from microfaas.model import Invocation, Outcome

QUEUE_MAX = 10_000
WORKERS = 64
ATTEMPTS_MAX = 3
RETRY_DELAYS_S = (1.0, 5.0)
# Throttling and machine faults are nobody's attempt: they are waited out, ever more patiently.
BUSY_DELAY_S = 0.1
BUSY_DELAY_S_MAX = 30.0
# A random part of every delay, so that what failed together does not come back together.
JITTER = 0.2

_log = logging.getLogger("microfaas.dispatch")


@dataclass(frozen=True, slots=True)
class Step:
    """What to do after an attempt: be done, try again after a delay, or give up."""

    action: Literal["done", "retry", "bury"]
    delay_s: float = 0.0


def decide(attempts: int, refusals: int, outcome: Outcome | None) -> Step:
    """`attempts` were run, the last with `outcome`; None means it was refused, not run."""
    if outcome is None:
        return Step("retry", min(BUSY_DELAY_S * 2.0 ** min(refusals, 16), BUSY_DELAY_S_MAX))
    if outcome.ok:
        return Step("done")
    if attempts >= ATTEMPTS_MAX:
        return Step("bury")
    return Step("retry", RETRY_DELAYS_S[min(attempts, len(RETRY_DELAYS_S)) - 1])


class Dispatcher:
    """Runs submitted events in the background; `deliver` does one and waits for its end."""

    def __init__(self, invoker: Invoker) -> None:
        self._invoker = invoker
        self._queue: asyncio.Queue[Invocation] = asyncio.Queue(QUEUE_MAX)
        self._accepted = 0

    def submit(self, invocation: Invocation) -> None:
        """Accept an event for later. Raises TooManyRequests when the queue is full."""
        try:
            self._queue.put_nowait(invocation)
            self._accepted += 1
        except asyncio.QueueFull:
            raise TooManyRequests("ConcurrentInvocationLimitExceeded") from None

    async def deliver(self, invocation: Invocation) -> tuple[Outcome, int]:
        """Run an event until it succeeds or is given up: the last outcome, and the attempts.

        Raises FunctionNotFound.
        """
        attempts = refusals = 0
        while True:
            outcome = await self._attempt(invocation)
            if outcome is None:
                refusals += 1
            else:
                attempts, refusals = attempts + 1, 0
            step = decide(attempts, refusals, outcome)
            if outcome is not None and step.action != "retry":
                return outcome, attempts
            await asyncio.sleep(step.delay_s * (1 + random.random() * JITTER))

    async def run(self) -> None:
        """Work off the queue until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(WORKERS):
                tasks.create_task(self._work())

    async def drain(self, timeout_s: float) -> None:
        """Let what was accepted be run before the server stops; tell what was not."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._queue.join()
        except TimeoutError:
            _log.error("accepted events are lost, for the server stops: %d", self._accepted)

    async def _work(self) -> None:
        while True:
            invocation = await self._queue.get()
            try:
                await self._see_through(invocation)
            except MicrofaasError as error:
                _log.error("event %s is lost: %s", invocation.request_id, error)
            except Exception:
                # A fault of ours; the other events must not pay for it.
                _log.exception("event %s is lost", invocation.request_id)
            self._accepted -= 1
            self._queue.task_done()

    async def _see_through(self, invocation: Invocation) -> None:
        outcome, attempts = await self.deliver(invocation)
        if not outcome.ok:
            _log.error(
                "%s: event %s given up after %d attempts: %s",
                invocation.function,
                invocation.request_id,
                attempts,
                outcome.payload[:500].decode(errors="replace"),
            )

    async def _attempt(self, invocation: Invocation) -> Outcome | None:
        try:
            return await self._invoker.invoke(invocation)
        except (TooManyRequests, MachineError):
            return None
