"""Tests that are run once more in a machine of another kernel."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_tests(*arguments: str, memory: str = "1G", user: str = "") -> None:
    """Run pytest with these arguments under cgroup v2; all must pass, and some must run."""
    machine = [ROOT / "tests/vm/vm.sh", "--mem", memory, "--share", ROOT, "--timeout", "900"]
    machine += ["--user", user] if user else []
    suite = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(
        [*machine, "--", *suite],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout, done.stderr, sep="\n")
    assert done.returncode == 0
    assert " passed" in done.stdout
