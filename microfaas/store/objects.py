"""The ledger: which state of which file of a bucket has been handled.

A row is written in one commit with the event that the file gives rise to: so each state of a
file is one event, whenever the machine dies. A row goes with its file, and so the ledger is as
long as the directories are full.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from microfaas.store.db import Database
from microfaas.store.writer import Row

KEYS_PER_PAGE = 500

# What belongs into a batch: a statement and its rows.
Change = tuple[str, Sequence[Row]]


class Stamp(NamedTuple):
    """Two looks at a file saw the same object when these are the same."""

    size: int
    mtime_ns: int
    inode: int


class Ledger:
    """`bucket` is the name of a trigger: rows of different triggers never meet."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def recorded(self, bucket: str, key: str, stamp: Stamp, sequencer: int) -> Change:
        """This state of the file has been handed on."""
        return "record_objects", [(bucket, key, *stamp, sequencer, "handled")]

    def forgotten(self, bucket: str, keys: Sequence[str]) -> Change:
        """The files have gone."""
        return "forget_objects", [(bucket, key) for key in keys]

    def find(self, bucket: str, key: str) -> Stamp | None:
        """The state of the file that was handled last."""
        rows = self._db.read("object", {"bucket": bucket, "key": key})
        return Stamp(*rows[0][1:]) if rows else None

    def find_all(self, bucket: str, keys: Sequence[str]) -> dict[str, Stamp]:
        """Those of the keys that are known; for a scan, some hundreds at a time."""
        encoded = msgspec.json.encode(keys).decode()
        rows = self._db.read("objects", {"bucket": bucket, "keys": encoded})
        return {key: Stamp(size, mtime_ns, inode) for key, size, mtime_ns, inode in rows}

    def keys(self, bucket: str, folder: str, after: str) -> list[str]:
        """The next page of known keys under `folder` ("" or "a/b/"), in order."""
        # "0" follows "/" in order, so it ends a folder; no UTF-8 text is above the last code point.
        before = folder[:-1] + "0" if folder else "\U0010ffff"
        start = max(after, folder)
        params = {"bucket": bucket, "after": start, "before": before, "limit": KEYS_PER_PAGE}
        return [key for (key,) in self._db.read("keys", params)]

    def last_sequencer(self, bucket: str) -> int:
        """The greatest number in use, 0 for a new bucket."""
        return self._db.read("last_sequencer", {"bucket": bucket})[0][0] or 0
