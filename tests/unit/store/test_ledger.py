"""The ledger's pages and look-ups."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from microfaas.store.db import Database
from microfaas.store.objects import KEYS_PER_PAGE, Ledger, Stamp


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = Database(str(tmp_path / "store.db"))
    database.open()
    yield database
    database.close()


STAMP = Stamp(10, 1_700_000_000_123_456_789, 2**63 - 1)


async def test_a_record_is_found_until_it_is_forgotten(db: Database) -> None:
    ledger = Ledger(db)
    await db.write(*ledger.recorded("b", "ü/k", STAMP, 7))
    assert ledger.find("b", "ü/k") == STAMP
    assert ledger.find("other", "ü/k") is None
    assert ledger.last_sequencer("b") == 7
    await db.write(*ledger.recorded("b", "ü/k", STAMP._replace(size=11), 9))
    assert ledger.find_all("b", ["ü/k", "x", 'q"\n']) == {"ü/k": STAMP._replace(size=11)}
    await db.write(*ledger.forgotten("b", ["ü/k"]))
    assert ledger.find("b", "ü/k") is None
    assert ledger.last_sequencer("b") == 0


async def test_pages_of_keys_cover_a_folder_and_no_other(db: Database) -> None:
    ledger = Ledger(db)
    inside = [f"a/{number:04}" for number in range(KEYS_PER_PAGE + 5)]
    outside = ["a", "a0", "a.b/c", "b/a/x", "\U0010fffe"]
    rows = [("b", key, 1, 2, 3, 4, "handled") for key in (*inside, *outside)]
    await db.write("record_objects", rows)

    def walk(folder: str) -> list[str]:
        found: list[str] = []
        while page := ledger.keys("b", folder, found[-1] if found else ""):
            found += page
        return found

    assert walk("a/") == inside
    assert sorted(walk("")) == sorted(inside + outside)
    assert walk("b/a/") == ["b/a/x"]
