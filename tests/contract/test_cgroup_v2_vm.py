"""The contract of the cgroup drivers under a kernel that has v2, whatever this machine's is."""

from __future__ import annotations

import pytest

from tests import vm


@pytest.mark.parametrize("user", ["", "nobody"], ids=["root", "delegated"])
def test_cgroup_v2_fulfils_the_contract(user: str) -> None:
    vm.run_tests("-k", "v2", "tests/contract/test_cgroup.py", user=user)
