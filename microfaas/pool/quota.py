"""How many invocations of a function may run at once and wait, whatever its versions are."""

from __future__ import annotations

from collections.abc import Callable


class Quota:
    """Shared by the pools of one function."""

    def __init__(self, limit: int, waiting_max: int) -> None:
        self.limit = limit
        self.waiting_max = waiting_max
        self.busy = 0
        self._blocked: dict[object, Callable[[], None]] = {}

    @property
    def free(self) -> int:
        return self.limit - self.busy

    def wait(self, pool: object, wake: Callable[[], None]) -> None:
        """Have a pool told when there is room again; once, however often it asks."""
        self._blocked[pool] = wake

    def change(self, limit: int, waiting_max: int) -> None:
        self.limit, self.waiting_max = limit, waiting_max
        self.tell()

    def take(self) -> None:
        self.busy += 1

    def give_back(self, count: int = 1) -> None:
        """There is room for others; they do not know before `tell`."""
        self.busy -= count

    def tell(self) -> None:
        """Whoever still lacks room puts itself back."""
        if self._blocked:
            blocked, self._blocked = self._blocked, {}
            for wake in blocked.values():
                wake()
