"""Packages that functions and layers of the API are made of."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from microfaas.control import packing
from microfaas.errors import MachineError


@pytest.mark.parametrize("look", [packing.unpacked_bytes, packing.check_there])
def test_a_package_that_is_gone_is_told_of_by_name(
    tmp_path: Path, look: Callable[[list[str]], object]
) -> None:
    with pytest.raises(MachineError) as caught:
        look([str(tmp_path / "gone.zip")])
    assert str(caught.value) == (
        "cannot read the package gone.zip: No such file or directory; send the code again"
    )
