"""Records of one kind: in memory to be read, on disk before anybody sees them."""

from __future__ import annotations

import bisect
import functools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

import msgspec

from microfaas.store.resources import Change, Resource, Resources

T = TypeVar("T", bound=msgspec.Struct)
# In the order of names behind all that go on from a prefix: no name has it.
_PAST = "\U0010ffff"


class Table(Generic[T]):
    """Records by their names; `commit` writes what `put` and `remove` give."""

    def __init__(
        self,
        resources: Resources,
        kind: str,
        of: type[T],
        weigh: Callable[[T], int] = lambda _: 0,
    ) -> None:
        """`weigh` says what counts of a record."""
        self.kind = kind
        self._resources = resources
        self._of = of
        self._weigh = weigh
        self._rows: dict[str, T] = {}
        self._names: list[str] = []  # in their order: those that begin alike are beside each other
        # Of all records together.
        self.weight = 0
        # How often something was changed: whoever keeps an index sees by it when to make it anew.
        self.changes = 0

    def open(self) -> None:
        """Read what is on disk. Raises MachineError."""
        rows = self._resources.all(self.kind)
        self._rows = {row.name: msgspec.json.decode(row.settings, type=self._of) for row in rows}
        self._names = sorted(self._rows)
        self.weight = sum(map(self._weigh, self._rows.values()))
        self.changes += 1

    def get(self, name: str) -> T | None:
        return self._rows.get(name)

    def all(self, prefix: str = "") -> Iterator[tuple[str, T]]:
        """Names and records, in the order of the names."""
        first = bisect.bisect_left(self._names, prefix)
        past = bisect.bisect_left(self._names, prefix + _PAST, first)
        for name in self._names[first:past]:
            yield name, self._rows[name]

    def __contains__(self, name: str) -> bool:
        return name in self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def put(self, name: str, record: T) -> Edit:
        """It is made or changed, once the edit is committed."""
        row = Resource(name, int(time.time() * 1000), msgspec.json.encode(record))
        return Edit(
            self._resources.stored(self.kind, row),
            functools.partial(self._show, name, record),
        )

    def remove(self, name: str) -> Edit:
        """It is no more, once the edit is committed."""
        return Edit(
            self._resources.removed(self.kind, name),
            functools.partial(self._show, name, None),
        )

    def remove_all(self, prefix: str) -> list[Edit]:
        """None of those whose names begin so is there any more."""
        return [self.remove(name) for name, _ in self.all(prefix)]

    def _show(self, name: str, record: T | None) -> None:
        self.changes += 1
        old = self._rows.pop(name, None)
        self.weight -= self._weigh(old) if old is not None else 0
        if record is not None:
            self._rows[name] = record
            self.weight += self._weigh(record)
        if old is None and record is not None:
            bisect.insort(self._names, name)
        elif old is not None and record is None:
            del self._names[bisect.bisect_left(self._names, name)]


class Edit(NamedTuple):
    """A change to one record, to be committed alone or with others; then it is seen."""

    change: Change
    show: Callable[[], object]


async def commit(resources: Resources, edits: Iterable[Edit]) -> None:
    """Write all of it or nothing; then it is seen. Raises MachineError."""
    edits = list(edits)
    await resources.commit([edit.change for edit in edits])
    for edit in edits:
        edit.show()
