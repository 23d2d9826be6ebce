from __future__ import annotations

from pathlib import Path

import pytest
from template_world import Load, loader


@pytest.fixture
def load(tmp_path: Path) -> Load:
    (tmp_path / "shop").mkdir()
    return loader(tmp_path / "shop")
