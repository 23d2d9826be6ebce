"""Spares an endpoint that is down: one attempt at a time, ever later, until one succeeds.

Without it every message that waits would be tried at its own pace: however long an endpoint is
down, it would be asked as often as there are messages, and hold as many connections as it may.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Literal

Turn = Literal["usual", "trial"]


class Gate:
    """Stands before one endpoint. `delay_s` says how long to wait after how many failures."""

    def __init__(self, delay_s: Callable[[int], float]) -> None:
        self._delay_s = delay_s
        self._failures = 0
        self._next_s = 0.0
        self._trying = False
        self._stopped = False
        self._changed = asyncio.Event()

    async def enter(self) -> Turn | None:
        """Wait for one's turn; None when there will be none. Else `leave` has to follow."""
        while self._failures and not self._stopped:
            left_s = self._next_s - asyncio.get_running_loop().time()
            if not self._trying and left_s <= 0:
                self._trying = True
                return "trial"
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if self._trying else left_s):
                    await self._changed.wait()
        return None if self._stopped else "usual"

    def leave(self, turn: Turn, reached: bool) -> None:
        """How the attempt went: whether the endpoint is there."""
        if turn == "trial":
            self._trying = False
        if reached:
            self._failures = 0
        elif turn == "trial" or not self._failures:
            # Those that set out together fail together, and count as one.
            self._failures += 1
            delay_s = self._delay_s(self._failures)
            self._next_s = asyncio.get_running_loop().time() + delay_s
        self._changed.set()

    def stop(self) -> None:
        """Let nobody wait any more."""
        self._stopped = True
        self._changed.set()
