"""What the packages of functions, versions and layers may take together, and what they do.

Each version counts, as in Lambda, though here equal packages are one file. It is counted as it
changes, for there may be thousands.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from microfaas.control.table import Table
from microfaas.errors import ServiceError


class Storage:
    """The bytes that count are the weights of `tables`."""

    def __init__(self, bytes_max: int, *tables: Table[Any]) -> None:
        self.bytes_max = bytes_max
        self._tables = tables
        self._coming = 0

    @property
    def taken(self) -> int:
        """Bytes of what is kept."""
        return sum(table.weight for table in self._tables)

    def check(self, more: int) -> None:
        """Raises ServiceError unless there is room for so many bytes more; fewer are always right,
        also where the limit was lowered."""
        if more > 0 and self.taken + self._coming + more > self.bytes_max:
            raise ServiceError("CodeStorageExceededException", "Code storage limit exceeded.")

    @contextlib.contextmanager
    def room(self, more: int) -> Iterator[None]:
        """Hold it until what is to take it is kept. Raises ServiceError."""
        self.check(more)
        self._coming += more
        try:
            yield
        finally:
            self._coming -= more
