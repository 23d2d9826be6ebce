"""ListFunctions by the page, through Lambda's own API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from lambda_world import World, serving

from microfaas.gateway.aws.lambda_functions import FunctionsApi
from microfaas.gateway.aws.lambda_shapes import Shapes
from microfaas.gateway.aws.service import Call

# Each is how another one begins, and what follows sorts before and behind any separator.
NAMES = ["m", "m-x", "m2", "mA", "m_", "ma"]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    nothing: Any = None

    def made(parts: World) -> Mapping[str, Call]:
        shapes = Shapes(parts.registry, lambda _: 0)
        rest = (parts.layers, nothing, nothing, {})
        return FunctionsApi(parts.registry, parts.lifecycle, shapes, *rest, strict=False).operations

    async with serving(tmp_path, made) as parts:
        for name in NAMES:
            await parts.define(name)
        yield parts


async def pages(world: World, size: int, **params: Any) -> list[str]:
    found: list[str] = []
    marker: dict[str, str] = {}
    while True:
        answer = await world.ask("list_functions", MaxItems=size, **params, **marker)
        found += [each["FunctionArn"].partition(":function:")[2] for each in answer["Functions"]]
        if "NextMarker" not in answer:
            return found
        marker = {"Marker": answer["NextMarker"]}


@pytest.mark.parametrize("size", [1, 2, 5, 50])
async def test_every_function_is_on_one_page(world: World, size: int) -> None:
    assert await pages(world, size) == NAMES


@pytest.mark.parametrize("size", [1, 2, 5, 50])
async def test_so_is_every_version(world: World, size: int) -> None:
    wanted = [f"{name}:{number}" for name in NAMES for number in ("$LATEST", "1")]
    assert await pages(world, size, FunctionVersion="ALL") == wanted
