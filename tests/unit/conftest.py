"""A database of a test's own, and the messages in it; for tests that have none else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from microfaas.store.db import Database
from microfaas.store.messages import MessageStore


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = Database(str(tmp_path / "store.db"))
    database.open()
    yield database
    database.close()


@pytest.fixture
def store(db: Database) -> MessageStore:
    return MessageStore(db)
