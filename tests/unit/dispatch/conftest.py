"""The fixtures of the dispatcher's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from microfaas.store.db import Database
from microfaas.store.messages import MessageStore

settings.load_profile("ci")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = Database(str(tmp_path / "store.db"))
    database.open()
    yield database
    database.close()


@pytest.fixture
def store(db: Database) -> MessageStore:
    return MessageStore(db)
