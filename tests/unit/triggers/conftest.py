"""The fixtures of the triggers' tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from trigger_world import World

from microfaas.store.db import Database
from microfaas.store.messages import MessageStore
from microfaas.triggers.watching import Watcher


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = Database(str(tmp_path / "data" / "store.db"))
    database.open()
    yield database
    database.close()


@pytest.fixture
def world(tmp_path: Path, db: Database) -> Iterator[World]:
    made = World(tmp_path, db, Watcher(), MessageStore(db))
    made.inbox.mkdir()
    yield made
    made.watcher.close()
