"""Receivers that wait for a queue's next message, the first in line first.

What comes wakes one of them, and once it has found something the next one is woken, as there may be
more. So a thousand that wait cost no more than one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from microfaas.store.messages import Message


class Line:
    """Those who wait for one queue."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def told(self, ready: Sequence[Message], later: Sequence[int]) -> None:
        """The store's news of the queue. Whoever waits next looks when the next is due."""
        if self._waiting and (ready or later):
            self.wake()

    def wake(self) -> None:
        """Have the first in line look again."""
        while self._waiting:
            future = self._waiting.popleft()
            if not future.done():
                future.set_result(None)
                return

    def wake_all(self) -> None:
        """Have everybody look again."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    async def wait(self, timeout_s: float, due_s: float | None) -> None:
        """Until it is worth looking again, or the time is over. `due_s` is how long it takes
        until something that may not be received yet may be."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append(future)
        if due_s is not None:
            self._wake_at(loop, loop.time() + due_s)
        try:
            async with asyncio.timeout(timeout_s):
                await future
        except TimeoutError:
            pass
        except asyncio.CancelledError:
            if future.done() and not future.cancelled():
                self.wake()
            raise
        finally:
            future.cancel()

    def _wake_at(self, loop: asyncio.AbstractEventLoop, at_s: float) -> None:
        if self._timer is not None:
            if not self._timer.cancelled() and loop.time() < self._timer.when() <= at_s:
                return
            self._timer.cancel()
        self._timer = loop.call_at(at_s, self.wake)
