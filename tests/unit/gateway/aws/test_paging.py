"""Lists by the page."""

from __future__ import annotations

import pytest

from microfaas.errors import ServiceError
from microfaas.gateway.aws.paging import PAGE, page

ROWS = [(f"{number:03d}", number) for number in range(120)]


@pytest.mark.parametrize("size", [1, 7, PAGE, 10_000])
def test_all_pages_together_are_the_list(size: int) -> None:
    found: list[int] = []
    marker: str | None = ""
    while marker is not None:
        values, marker = page(ROWS, {"MaxItems": size, "Marker": marker})
        assert 0 < len(values) <= min(size, PAGE)
        found += values
    assert found == [number for _, number in ROWS]


def test_a_list_that_fits_has_one_page() -> None:
    assert page(ROWS[:PAGE], {}) == ([number for _, number in ROWS[:PAGE]], None)
    assert page([], {}) == ([], None)


@pytest.mark.parametrize("marker", ["?", "wyg=", "abc"])
def test_a_marker_of_another_kind_is_refused(marker: str) -> None:
    with pytest.raises(ServiceError, match="Marker"):
        page(ROWS, {"Marker": marker})
