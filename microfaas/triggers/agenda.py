"""The book a bucket keeps of its keys: to be looked at, in somebody's hands, or in doubt.

Pure bookkeeping without I/O or clock. A key is in flight at most once; what is heard about it
meanwhile is remembered and puts it back on the list when it lands. The list is bounded: what
does not fit is dropped, and `overflowed` then asks for a scan, which finds it again.
"""

from __future__ import annotations

import enum
from collections import OrderedDict
from dataclasses import dataclass

PENDING_MAX = 10_000
DOUBTFUL_MAX = 10_000


class Heard(enum.IntEnum):
    """Why a key is to be looked at; of two reasons the greater one counts."""

    CREATED = 0  # a name appeared in the watched tree; its writer's close will be heard
    FOUND = 1  # a scan or a removal: whatever is there, is there
    CLOSED = 2  # a writer closed the file, or it was renamed into place
    REWRITTEN = 3  # the same, and the stamp cannot show it: it came too soon after the last look


@dataclass(slots=True)
class _Flight:
    racy: bool
    again: Heard | None = None


@dataclass(slots=True, frozen=True)
class _Doubt:
    heard: Heard
    due_s: float


class Agenda:
    """Times are whatever clock the caller keeps to."""

    def __init__(self) -> None:
        self.overflowed = False
        self._pending: OrderedDict[str, Heard] = OrderedDict()
        self._flying: dict[str, _Flight] = {}
        self._doubtful: dict[str, _Doubt] = {}

    def __len__(self) -> int:
        return len(self._pending)

    @property
    def has_room(self) -> bool:
        """Whether a scan may go on; events may use the other half."""
        return len(self._pending) < PENDING_MAX // 2

    def offer(self, key: str, heard: Heard) -> None:
        """Have a key looked at, soon or after it has landed."""
        flight = self._flying.get(key)
        if flight is not None:
            flight.again = heard if flight.again is None else max(heard, flight.again)
        elif key in self._pending:
            self._pending[key] = max(heard, self._pending[key])
        elif len(self._pending) < PENDING_MAX:
            self._pending[key] = heard
        else:
            self.overflowed = True

    def take(self) -> tuple[str, Heard]:
        """The key that has waited longest; there must be one."""
        key, heard = self._pending.popitem(last=False)
        self._doubtful.pop(key, None)
        return key, heard

    def fly(self, key: str, racy: bool) -> None:
        """It is in somebody's hands now. Racy: a write after the look may not change the stamp."""
        self._flying[key] = _Flight(racy)

    def land(self, key: str) -> bool:
        """It has been dealt with; True when it is to be looked at again."""
        flight = self._flying.pop(key)
        again = flight.again
        if again is None:
            return False
        if again is Heard.CLOSED and flight.racy:
            again = Heard.REWRITTEN
        self.offer(key, again)
        return True

    def doubt(self, key: str, heard: Heard, due_s: float) -> None:
        """Look at it again later; a word about its close comes first."""
        if key in self._doubtful or len(self._doubtful) < DOUBTFUL_MAX:
            self._doubtful[key] = _Doubt(heard, due_s)
        else:
            self.overflowed = True

    def settle_doubts(self, now_s: float) -> bool:
        """Put what is due back on the list; True when anything was."""
        due = [key for key, doubt in self._doubtful.items() if doubt.due_s <= now_s]
        for key in due:
            self.offer(key, self._doubtful.pop(key).heard)
        return bool(due)
