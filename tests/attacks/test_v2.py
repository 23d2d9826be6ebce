"""The same attacks under a kernel that has cgroup v2 and no Landlock."""

from __future__ import annotations

from tests import vm


def test_attacks_under_cgroup_v2() -> None:
    vm.run_tests("tests/attacks/test_attacks.py", memory="3G")
