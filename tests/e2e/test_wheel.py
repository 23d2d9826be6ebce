"""What `pip install .` gives works from any directory, without this checkout."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

from tests.e2e import project as project_module
from tests.e2e.project import Project

ROOT = Path(__file__).parents[2]


def test_an_installed_microfaas_serves(project: Project, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    environment = tmp_path / "venv"
    venv.create(environment, with_pip=True)
    pip = [environment / "bin" / "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, ROOT], check=True, stdout=sys.stderr)
    monkeypatch.setattr(project_module, "BIN", environment / "bin")
    assert project.cli("init", "fresh").returncode == 0
    project.root = project.root / "fresh"
    project.start()
    (name,) = project.functions()
    assert project.invoke(name)
