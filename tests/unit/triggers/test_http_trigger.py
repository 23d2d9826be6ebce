"""A route is there for as long as its trigger runs."""

from __future__ import annotations

import asyncio

import pytest
from around import surroundings

from microfaas.config import Trigger
from microfaas.config.http import HttpSettings
from microfaas.control.http_routes import HttpRoutes
from microfaas.triggers import http

TRIGGER = Trigger("f", "http", HttpSettings(route="GET /{id}", payload="1.0", public=True), "live")


@pytest.mark.parametrize("way", ["stopped", "cancelled"])
async def test_it_comes_and_goes_with_the_trigger(way: str) -> None:
    routes, stopping = HttpRoutes(), asyncio.Event()
    running = asyncio.create_task(http.run(TRIGGER, surroundings(routes=routes, stopping=stopping)))
    await asyncio.sleep(0)
    match = routes.find("GET", "/a")
    assert match is not None
    served = match.served
    assert (served.function, served.qualifier, served.payload, served.public) == (
        *("f", "live", "1.0", True),
    )
    if way == "stopped":
        stopping.set()
    else:
        running.cancel()
    await asyncio.wait([running])
    assert routes.find("GET", "/a") is None
