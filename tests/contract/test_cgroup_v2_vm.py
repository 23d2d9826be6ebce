"""The contract of the cgroup drivers under a kernel that has v2, whatever this machine's is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUITE = ["-m", "pytest", "-p", "no:cacheprovider", "-k", "v2", "tests/contract/test_cgroup.py"]


@pytest.mark.parametrize("user", [[], ["--user", "nobody"]], ids=["root", "delegated"])
def test_cgroup_v2_fulfils_the_contract(user: list[str]) -> None:
    machine = [ROOT / "tests/vm/vm.sh", "--share", ROOT, *user, "--", sys.executable, *SUITE]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    ran = subprocess.run(
        machine, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    print(ran.stdout, ran.stderr, sep="\n")
    assert ran.returncode == 0
    assert " passed" in ran.stdout
