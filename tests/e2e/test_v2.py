"""The same functions under a kernel that has cgroup v2, whatever this machine's is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_invoking_works_under_cgroup_v2() -> None:
    suite = ["-m", "pytest", "-p", "no:cacheprovider", "tests/e2e/test_invoke.py"]
    done = subprocess.run(
        [ROOT / "tests/vm/vm.sh", "--mem", "3G", "--share", ROOT, "--", sys.executable, *suite],
        cwd=ROOT,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    print(done.stdout, done.stderr, sep="\n")
    assert done.returncode == 0
    assert " passed" in done.stdout
