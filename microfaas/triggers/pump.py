"""Carries deliveries from a source to the queue of a function, many to a commit.

ACCEPTING_MAX bounds how many are on their way to the disk. When the queue is full or the disk
refuses, a delivery is given back and its source offers it again later: nothing is lost, and the
source waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Protocol

from microfaas.errors import MicrofaasError

ACCEPTING_MAX = 256

_log = logging.getLogger("microfaas.triggers")


class Delivery(Protocol):
    """An event handed over; without one there is only something to record."""

    source: str

    async def accept(self) -> None:
        """Put it into the function's queue. Raises MicrofaasError when that cannot be now."""

    def give_back(self) -> None:
        """It was not taken: it is to be looked at again later."""


async def run(deliveries: AsyncIterator[Delivery]) -> None:
    """Until there are no more; what was begun is then recorded."""
    room = asyncio.Semaphore(ACCEPTING_MAX)
    complaints = _Complaints()

    async def accept(delivery: Delivery) -> None:
        try:
            await delivery.accept()
            complaints.over()
        except MicrofaasError as error:
            complaints.make(delivery, error)
            delivery.give_back()
        finally:
            room.release()

    async with asyncio.TaskGroup() as group:
        while True:
            # First the room, then the delivery: it should not grow old waiting for it.
            await room.acquire()
            try:
                delivery = await anext(deliveries)
            except StopAsyncIteration:
                return
            group.create_task(accept(delivery))


class _Complaints:
    """One line per outage, however many deliveries it stops."""

    def __init__(self) -> None:
        self._why = ""

    def make(self, delivery: Delivery, error: MicrofaasError) -> None:
        if self._why != str(error):
            self._why = str(error)
            _log.error("cannot take %s: %s; it is offered again", delivery.source, error)

    def over(self) -> None:
        self._why = ""
