"""A full disk: new work is refused in clear words, what was accepted is kept and run."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.project import Project, until
from tests.faults.books import ended
from tests.faults.load import Load

DISK_MB = 24
HANDLER = """
import time

def handler(event, context):
    time.sleep(0.005)
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "none", str(folder)]
    subprocess.run(mount, check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Somebody else writes until there is no room at all."""
    path = folder / "somebody-elses"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 65536)
        except OSError:
            return path


def test_a_full_disk_refuses_and_recovers(project: Project, small_disk: Path) -> None:
    project.write("code/app.py", HANDLER)
    project.write(
        "microfaas.toml",
        """
        [functions.slow]
        handler = "app.handler"
        code = "code"
        concurrency_max = 10
        """,
    )
    project.start("--data", str(small_disk / "data"))
    project.data = small_disk / "data"
    load = Load("slow", padding="x" * 2000)
    with load.against(project.url):
        time.sleep(0.5)
        other = fill(small_disk)
        until(lambda: load.refusals, "a refusal")
    status, text = load.refusals[-1]
    assert status == 500
    assert "free some space" in text
    refused = len(load.refusals)
    other.unlink()
    with load.against(project.url):
        until(lambda: _accepts(load, refused), "acceptance")
    count = len(load.accepted)
    until(lambda: len(ended(project)) >= count, "all that was accepted to be run", 600)


def _accepts(load: Load, before: int) -> bool:
    accepted = len(load.accepted)
    time.sleep(0.2)
    return len(load.accepted) > accepted
