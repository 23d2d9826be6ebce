"""The fixtures of the contracts."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from lane_world import Lane, listening


@pytest.fixture
async def lanes() -> AsyncIterator[tuple[Lane, Lane]]:
    """The gateway with its fast lane, and without."""
    async with listening(fast=True) as fast, listening(fast=False) as plain:
        yield fast, plain


@pytest.fixture(params=[True, False], ids=["fast", "plain"])
async def lane(request: pytest.FixtureRequest) -> AsyncIterator[Lane]:
    """Each of the two, one after the other."""
    async with listening(fast=request.param) as made:
        yield made
