"""Pages of log events, out of sources that tell theirs in the order of their places. Pure.

A page ends when it is full, or when enough was looked through for it; then it says where the next
one begins, whether or not it has events itself.
"""

from __future__ import annotations

import contextlib
import heapq
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from microfaas.log.index import PLACES_PER_MS, Step
from microfaas.model import MIB

# As CloudWatch's.
EVENTS_MAX = 10_000
PAGE_BYTES = MIB
EVENT_BYTES = 26
# As many milliseconds as the thirteen digits of a place can say.
EVER_MS = 10**13 - 1
# Of the files of functions, for one page.
LOOK_BYTES_MAX = 16 * MIB


class Event(NamedTuple):
    """One event. Its place is its id, too: the first digits are its time."""

    place: int
    at_ms: int
    stream: str
    message: str
    came_ms: int


class Stop(NamedTuple):
    """A source that has more, only not in this page."""

    place: int


class Page(NamedTuple):
    """Events, and the place where the next page begins: forward it is in it, backward not.

    None: there is nothing more.
    """

    events: list[Event]
    more: int | None


class Range(NamedTuple):
    """From a place on, to one that is not in it."""

    start: int
    end: int

    @classmethod
    def of_times(cls, start_ms: int, end_ms: int) -> Range:
        return cls(_within(start_ms) * PLACES_PER_MS, _within(end_ms) * PLACES_PER_MS)

    @property
    def start_ms(self) -> int:
        return self.start // PLACES_PER_MS

    @property
    def end_ms(self) -> int:
        """The first millisecond that has nothing of it."""
        return -(-self.end // PLACES_PER_MS)


Source = Iterator[Event | Step | Stop]


def make_page(sources: Sequence[Source], within: Range, limit: int, *, backward: bool) -> Page:
    """The next page. Blocks as its sources do, and closes them."""
    sign = -1 if backward else 1
    found: list[Event] = []
    looked = size = 0
    with contextlib.ExitStack() as stack:
        for source in sources:
            if (close := getattr(source, "close", None)) is not None:
                stack.callback(close)
        for item in heapq.merge(*sources, key=lambda each: sign * each.place):
            if isinstance(item, Event):
                if not within.start <= item.place < within.end:
                    continue
                cost = EVENT_BYTES + len(item.message.encode(errors="replace"))
                if len(found) == limit or (found and size + cost > PAGE_BYTES):
                    return Page(found, _resume(item.place, backward=backward))
                found.append(item)
                size += cost
            elif isinstance(item, Stop) or looked >= LOOK_BYTES_MAX:
                return Page(found, _resume(item.place, backward=backward))
            else:
                looked += item.size
    return Page(found, None)


def _within(at_ms: int) -> int:
    return min(max(0, at_ms), EVER_MS)


def _resume(place: int, *, backward: bool) -> int:
    return place + 1 if backward else place
