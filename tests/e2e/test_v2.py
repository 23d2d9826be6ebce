"""The same functions under a kernel that has cgroup v2, whatever this machine's is."""

from __future__ import annotations

from tests import vm


def test_invoking_works_under_cgroup_v2() -> None:
    vm.run_tests("tests/e2e/test_invoke.py", memory="3G")


def test_languages_work_under_cgroup_v2() -> None:
    vm.run_tests("tests/e2e/test_languages.py", "-k", "root", memory="3G")
