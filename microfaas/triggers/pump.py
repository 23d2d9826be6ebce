"""Carries deliveries from a source to the function, as many at once as the function allows.

A slot of the function is free again as soon as the function has ended. The recording goes on
behind it, many to a commit, so a slow disk does not keep the function waiting; SETTLING_MAX
bounds how many are waiting to be recorded.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Protocol

from microfaas.errors import MachineError, MicrofaasError, ShuttingDown
from microfaas.model import Outcome
from microfaas.triggers.kind import Deliver

SETTLING_MAX = 1_000
RECORD_AGAIN_S = 1.0

_log = logging.getLogger("microfaas.triggers")


class Delivery(Protocol):
    """An event handed over; without one there is only something to record."""

    event: bytes | None
    source: str

    async def settle(self, outcome: Outcome | None, attempts: int) -> None:
        """Record how it ended. Raises MachineError when that cannot be written now."""

    def give_back(self, *, later: bool) -> None:
        """It was not dealt with: forget about it, or look at it again later."""


class Pump:
    """Brings one trigger's deliveries to one function."""

    def __init__(self, function: str, concurrency: int, deliver: Deliver) -> None:
        self._function = function
        self._deliver = deliver
        self._slots = asyncio.Semaphore(concurrency)
        self._settling = asyncio.Semaphore(SETTLING_MAX)

    async def run(self, deliveries: AsyncIterator[Delivery]) -> None:
        """Until there are no more; what was begun is then recorded."""
        async with asyncio.TaskGroup() as group:
            while True:
                # First the slot, then the delivery: it should not grow old waiting for one.
                await self._slots.acquire()
                await self._settling.acquire()
                try:
                    delivery = await anext(deliveries)
                except StopAsyncIteration:
                    return
                group.create_task(self._carry(delivery))

    async def _carry(self, delivery: Delivery) -> None:
        try:
            outcome, attempts = await self._call(delivery)
            await self._record(delivery, outcome, attempts)
        except ShuttingDown:
            delivery.give_back(later=False)
        except MicrofaasError as error:
            _log.error("cannot deliver %s to %s: %s", delivery.source, self._function, error)
            delivery.give_back(later=True)
        finally:
            self._settling.release()

    async def _call(self, delivery: Delivery) -> tuple[Outcome | None, int]:
        try:
            if delivery.event is None:
                return None, 0
            return await self._deliver(self._function, delivery.event)
        finally:
            self._slots.release()

    async def _record(self, delivery: Delivery, outcome: Outcome | None, attempts: int) -> None:
        """Insist: what is not recorded would be done again after a restart."""
        while True:
            try:
                return await delivery.settle(outcome, attempts)
            except MachineError as error:
                _log.error("cannot record %s: %s; trying again", delivery.source, error)
                await asyncio.sleep(RECORD_AGAIN_S)
