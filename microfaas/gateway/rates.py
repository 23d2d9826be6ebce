"""Rates: so many requests per second for each of many names. Pure: no clock."""

from __future__ import annotations

import math

from microfaas.errors import TooManyRequests


class Rates:
    """A bucket of tokens per name; it holds those of one second, so that bursts may pass.

    The names are those of keys or functions that exist, so there are no more buckets than these.
    """

    def __init__(self, reason: str) -> None:
        self._reason = reason
        # What is left, and since when.
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, name: str, per_s: float, now_s: float) -> None:
        """Count a request. Raises TooManyRequests, which tells when the next may come."""
        size = max(1.0, per_s)
        left, since_s = self._buckets.get(name, (size, now_s))
        left = min(size, left + max(0.0, now_s - since_s) * per_s)
        if left < 1.0:
            self._buckets[name] = (left, now_s)
            raise TooManyRequests(self._reason, max(1, math.ceil((1.0 - left) / per_s)))
        self._buckets[name] = (left - 1.0, now_s)
