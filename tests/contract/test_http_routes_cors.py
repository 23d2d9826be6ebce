"""Routes that pages of other origins may call: preflights, and what is added to responses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from test_http_routes import ask, serve
from url_world import Response, World, listening, returns

from microfaas.errors import FunctionFailed, FunctionNotFound, MachineError, TooManyRequests
from microfaas.model import Invocation, Outcome
from microfaas.payloads.http_answer import Answer
from microfaas.testing import echo

ORIGIN = "https://shop.example"
CORS = {
    "AllowOrigins": [ORIGIN],
    "AllowMethods": ["GET", "PUT"],
    "AllowHeaders": ["x-a"],
    "ExposeHeaders": ["x-b"],
    "MaxAge": 60,
}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with listening(tmp_path, keys=False) as made:
        yield made


async def preflight(world: World, path: str, method: str = "GET", **headers: str) -> Response:
    fields = {"Origin": ORIGIN, "Access_Control_Request_Method": method, **headers}
    return await ask(world, path, "OPTIONS", **fields)


def told(answer: Response) -> dict[str, str]:
    return {n: v for n, v in answer.headers.items() if n.startswith("access-control-")}


async def test_a_preflight_is_answered_by_the_gateway(world: World) -> None:
    serve(world, "GET /items/{id}", cors=CORS)
    answer = await preflight(world, "/items/7", Access_Control_Request_Headers="x-a")
    assert (answer.status, answer.body) == (204, b"")
    assert told(answer) == {
        "access-control-allow-origin": ORIGIN,
        "access-control-allow-methods": "GET,PUT",
        "access-control-allow-headers": "x-a",
        "access-control-max-age": "60",
    }
    assert not world.invoker.invocations


async def test_another_origin_gets_an_answer_without_permission(world: World) -> None:
    serve(world, "GET /", cors=CORS)
    answer = await preflight(world, "/", Origin="https://other.example")
    assert (answer.status, told(answer)) == (204, {})


@pytest.mark.parametrize("key", ["OPTIONS /", "ANY /", "ANY /{proxy+}", "$default"])
async def test_functions_see_no_preflights_of_routes_with_cors(world: World, key: str) -> None:
    serve(world, key, cors=CORS)
    path = "/a" if "proxy" in key else "/"
    assert (await preflight(world, path)).status == 204
    assert not world.invoker.invocations
    assert (await ask(world, path, "OPTIONS")).status == 200
    assert (await ask(world, path, "OPTIONS", Origin=ORIGIN)).status == 200
    assert len(world.invoker.invocations) == 2


async def test_a_preflight_is_about_the_route_that_is_asked_for(world: World) -> None:
    serve(world, "GET /", cors=CORS)
    serve(world, "PUT /", cors={**CORS, "AllowOrigins": ["https://other.example"]})
    serve(world, "DELETE /")
    serve(world, "OPTIONS /")
    assert told(await preflight(world, "/", "GET"))
    assert not told(await preflight(world, "/", "PUT"))
    assert not world.invoker.invocations
    assert (await preflight(world, "/", "DELETE")).status == 200
    assert len(world.invoker.invocations) == 1


async def test_without_cors_all_of_it_is_the_functions(world: World) -> None:
    own = {"statusCode": 203, "headers": {"Access-Control-Allow-Origin": "own"}}
    serve(world, "ANY /", returns(own))
    for answer in (await preflight(world, "/"), await ask(world, "/", Origin=ORIGIN)):
        assert (answer.status, told(answer)) == (203, {"access-control-allow-origin": "own"})
    assert (await preflight(world, "/nowhere")).status == 404


@pytest.mark.parametrize("payload", ["1.0", "2.0"])
async def test_responses_have_the_gateways_headers_instead_of_the_functions(
    world: World, payload: str
) -> None:
    headers = {"Access-Control-Allow-Origin": "*", "access-control-allow-methods": "X", "X-B": "1"}
    value = {"statusCode": 200, "headers": headers}
    serve(world, "GET /", returns(value), cors=CORS, payload=payload)
    allowed = await ask(world, "/", Origin=ORIGIN)
    assert told(allowed) == {
        "access-control-allow-origin": ORIGIN,
        "access-control-expose-headers": "x-b",
    }
    assert (allowed.headers["x-b"], allowed.headers["vary"]) == ("1", "Origin")
    for more in ({}, {"Origin": "https://other.example"}):
        assert told(await ask(world, "/", **more)) == {}


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (MachineError("broken"), 500),
        (FunctionNotFound("f", ""), 500),
        (FunctionFailed("f", "", "gone"), 500),
        (TooManyRequests("f"), 429),
    ],
)
async def test_what_goes_wrong_can_be_read_by_pages_too(
    world: World, error: Exception, status: int
) -> None:
    async def fail(_: Invocation) -> Outcome:
        raise error

    serve(world, "GET /", fail, cors=CORS)
    answer = await ask(world, "/", Origin=ORIGIN)
    assert (answer.status, told(answer)["access-control-allow-origin"]) == (status, ORIGIN)


async def test_keys_are_asked_for_behind_the_preflight(tmp_path: Path) -> None:
    async with listening(tmp_path, keys=True) as world:
        serve(world, "GET /", cors=CORS)
        permitted = await preflight(world, "/")
        refused = await ask(world, "/", Origin=ORIGIN)
        assert (permitted.status, refused.status) == (204, 403)
        assert told(permitted)["access-control-allow-origin"] == ORIGIN
        assert told(refused)["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize("origin", ["https://\xe4", "https://a\x7f", "https://" + "a" * 4000])
async def test_what_a_client_sends_does_no_harm(world: World, origin: str) -> None:
    cors: dict[str, Any] = {**CORS, "AllowOrigins": ["https://*"], "AllowMethods": ["*"]}
    serve(world, "ANY /", echo, cors=cors)
    answer = await preflight(world, "/", "\xe4", Origin=origin)
    assert answer.status in (204, 400)
    assert told(answer).get("access-control-allow-origin", "https://a").startswith("https://a")


async def test_a_rest_apis_own_answer_is_given_as_it_says(world: World) -> None:
    headers = (("Content-Type", "application/json"), ("Access-Control-Allow-Origin", "*"))
    serve(world, "OPTIONS /", mock=Answer(200, headers, b"{}\n"), payload="1.0")
    own = {"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "own"}}
    serve(world, "GET /", returns(own), payload="1.0")
    answer = await preflight(world, "/")
    assert (answer.status, answer.body) == (200, b"{}\n")
    assert told(answer) == {"access-control-allow-origin": "*"}
    assert not world.invoker.invocations
    assert told(await ask(world, "/", Origin=ORIGIN)) == {"access-control-allow-origin": "own"}
