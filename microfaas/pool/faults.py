"""Why a pool could start nothing, and for how long it then tries nothing of its own accord.

A function that cannot be loaded cannot be in a moment either: to try again at once would take a
processor for good, and fill the log. Whoever calls does not wait for this.
"""

from __future__ import annotations

import time

PAUSE_S_MIN = 0.5
PAUSE_S_MAX = 60.0


class Faults:
    """The last fault, and a pause that is twice as long after each."""

    def __init__(self) -> None:
        self.last: Exception | None = None
        self._pause_s = 0.0
        self._until = float("-inf")

    def add(self, error: Exception) -> None:
        """It went wrong again; what was tried together with another one counts once."""
        self.last = error
        if self.are_over:
            self._pause_s = min(PAUSE_S_MAX, max(PAUSE_S_MIN, 2 * self._pause_s))
            self._until = time.monotonic() + self._pause_s

    def clear(self) -> None:
        """It went well, or is another matter now."""
        self.last, self._pause_s, self._until = None, 0.0, float("-inf")

    @property
    def are_over(self) -> bool:
        """Whether it may be tried again."""
        return time.monotonic() >= self._until
