"""What a pool should do next, decided from numbers alone. No I/O, no clock."""

from __future__ import annotations

from dataclasses import dataclass

# More of one sort than this stand ready for nobody.
SPARES_MAX = 4


@dataclass(frozen=True, slots=True)
class View:
    """A pool as it stands. `affordable` is how many more instances the memory budget allows,
    `lacking` how many provisioned ones there are too few, whatever is asked of it."""

    idle: int
    busy: int
    starting: int
    waiting: int
    in_use: bool
    concurrency_max: int
    ready_ahead: int
    affordable: int
    lacking: int = 0


def starts(view: View) -> int:
    """How many instances to start now.

    One for everybody who waits, and in a pool that is in use some ready ahead of demand; never
    more than the function's concurrency or the machine's memory allows.
    """
    ahead = view.ready_ahead if view.in_use else 0
    lacking = view.waiting + ahead - view.idle - view.starting
    lacking = max(lacking, view.lacking)
    room = view.concurrency_max - view.idle - view.busy - view.starting
    return max(0, min(lacking, room, view.affordable))


def refusal(view: View, waiting_max: int) -> str | None:
    """Lambda's reason to refuse one more call, or None when it may wait."""
    room = view.concurrency_max - view.idle - view.busy - view.starting
    startable = view.idle + view.starting + min(room, view.affordable)
    if view.waiting < waiting_max + startable:
        return None
    if view.affordable < room:
        return "ConcurrentInvocationLimitExceeded"
    return "ReservedFunctionConcurrentInvocationLimitExceeded"


def spares(*, in_use: bool, taken: int) -> int:
    """How many spares of one sort to keep, when so many were taken lately."""
    return min(SPARES_MAX, max(1, taken)) if in_use else 0
