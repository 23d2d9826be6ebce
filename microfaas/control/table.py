"""Records of one kind: in memory to be read, on disk before anybody sees them."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar

import msgspec

from microfaas.store.resources import Change, Resource, Resources

T = TypeVar("T", bound=msgspec.Struct)


class Table(Generic[T]):
    """Records by their names; `commit` writes what `put` and `remove` give."""

    def __init__(self, resources: Resources, kind: str, of: type[T]) -> None:
        self.kind = kind
        self._resources = resources
        self._of = of
        self._rows: dict[str, T] = {}
        # How often something was changed: whoever keeps an index sees by it when to make it anew.
        self.changes = 0

    def open(self) -> None:
        """Read what is on disk. Raises MachineError."""
        rows = self._resources.all(self.kind)
        self._rows = {row.name: msgspec.json.decode(row.settings, type=self._of) for row in rows}
        self.changes += 1

    def get(self, name: str) -> T | None:
        return self._rows.get(name)

    def all(self, prefix: str = "") -> Iterator[tuple[str, T]]:
        """Names and records, in the order of the names."""
        for name in sorted(name for name in self._rows if name.startswith(prefix)):
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
        if record is None:
            self._rows.pop(name, None)
        else:
            self._rows[name] = record


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
