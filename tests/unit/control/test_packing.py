"""Packages that functions and layers of the API are made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from microfaas.control import packing
from microfaas.errors import MachineError


def test_a_package_that_is_gone_is_told_of_by_name(tmp_path: Path) -> None:
    with pytest.raises(MachineError) as caught:
        packing.unpacked_bytes([str(tmp_path / "gone.zip")])
    assert str(caught.value) == (
        "cannot read the package gone.zip: No such file or directory; send the code again"
    )
