"""Fixtures: a fresh project whose server is ended whatever happens."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.project import Project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    root = tmp_path / "project"
    root.mkdir()
    made = Project(root)
    yield made
    if made.process is not None and made.process.poll() is None:
        assert made.stop() == 0, made.output.read_text()
    assert "Traceback" not in (made.output.read_text() if made.output.exists() else "")
