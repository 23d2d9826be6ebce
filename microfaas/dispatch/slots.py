"""How many may be at something at once, where that changes meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque


class Slots:
    """An `async with` for so many at once; the others wait, the first comes first.

    Who is inside when it becomes fewer stays until he leaves.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._taken = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    def change(self, limit: int) -> None:
        """So many from now on."""
        self._limit = limit
        self._admit()

    async def __aenter__(self) -> None:
        if self._taken < self._limit and not self._waiting:
            self._taken += 1
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiting.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                with contextlib.suppress(ValueError):
                    self._waiting.remove(waiter)
                self._admit()
            else:
                self._leave()  # it was admitted in the same moment
            raise

    async def __aexit__(self, *_: object) -> None:
        self._leave()

    def _leave(self) -> None:
        self._taken -= 1
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self._taken < self._limit:
            waiter = self._waiting.popleft()
            if not waiter.done():
                self._taken += 1
                waiter.set_result(None)
