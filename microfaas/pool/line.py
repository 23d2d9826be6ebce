"""The line of those who wait for an instance of a pool."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

from microfaas.errors import TooManyRequests
from microfaas.pool.instance import Instance

Waiter = asyncio.Future[Instance]


class Line:
    """Who has waited longest comes first."""

    def __init__(self) -> None:
        # Until when each waits.
        self._rows: deque[tuple[float, Waiter]] = deque()

    def __len__(self) -> int:
        return len(self._rows)

    def join(self, until: float) -> Waiter:
        """One more waits, until that time on the monotonic clock."""
        waiter: Waiter = asyncio.get_running_loop().create_future()
        self._rows.append((until, waiter))
        return waiter

    def leave(self, waiter: Waiter) -> None:
        """It waits no more."""
        self._rows = deque(row for row in self._rows if row[1] is not waiter)

    def serve(self, lease: Callable[[], Instance | None]) -> None:
        """Give an instance to one after the other, as long as there are any."""
        while self._rows:
            waiter = self._rows[0][1]
            if not waiter.done():
                instance = lease()
                if instance is None:
                    break
                waiter.set_result(instance)
            self._rows.popleft()

    def expire(self, now: float) -> None:
        """Refuse those who have waited too long."""
        while self._rows and self._rows[0][0] <= now:
            error = TooManyRequests("ReservedFunctionConcurrentInvocationLimitExceeded")
            self._refuse_first(error)

    def refuse(self, error: Exception) -> None:
        """Refuse all of them."""
        while self._rows:
            self._refuse_first(error)

    def _refuse_first(self, error: Exception) -> None:
        _, waiter = self._rows.popleft()
        if not waiter.done():
            waiter.set_exception(error)
