"""Functions' routes, byte by byte: events of both formats, responses, and who may call."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from lane_world import invoke
from url_world import Response, World, listening, returns

from microfaas.config.http import parse_route
from microfaas.control.http_routes import Served
from microfaas.model import Invocation, Outcome, Status
from microfaas.testing import Answer, echo

HOST = "shop.execute-api.eu-west-1.localhost"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with listening(tmp_path, keys=False) as made:
        yield made


def serve(world: World, key: str, answer: Answer = echo, **more: Any) -> None:
    world.define("f", answer)
    world.routes.add(Served(parse_route(key), "f", **more))


async def ask(
    world: World, path: str, method: str = "GET", body: bytes = b"", **headers: str
) -> Response:
    fields = {"Host": HOST, **headers}
    if body:
        fields["Content-Length"] = str(len(body))
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    raw = "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "", ""]).encode() + body
    (answer,) = await world.lane.ask(raw)
    return Response(answer)


async def test_the_event_of_an_http_api(world: World) -> None:
    serve(world, "GET /items/{id}")
    await ask(world, "/items/a%20b?x=1", User_Agent="u")
    event = world.event()
    context = event["requestContext"]
    assert (event["version"], event["routeKey"]) == ("2.0", "GET /items/{id}")
    assert (event["rawPath"], event["rawQueryString"]) == ("/items/a%20b", "x=1")
    assert event["pathParameters"] == {"id": "a b"}
    assert (context["apiId"], context["domainName"]) == ("shop", HOST)
    assert (context["accountId"], context["routeKey"]) == ("123456789012", "GET /items/{id}")
    assert context["stage"] == "$default"


@pytest.mark.parametrize("public", [True, False])
async def test_what_strangers_make_up_is_no_chain_of_events(world: World, public: bool) -> None:
    serve(world, "GET /", public=public)
    chain = "Root=1;Lineage=1:aaaaaaaa:15"
    await ask(world, "/", X_Amzn_Trace_Id=chain)
    assert world.invoker.invocations[0].trace_id == ("Root=1" if public else chain)


async def test_the_event_of_a_rest_api(world: World) -> None:
    serve(world, "POST /items/{id}", payload="1.0")
    await ask(
        *(world, "/items/7?a=1&a=2&b", "POST", b"text"),
        Content_Type="text/plain",
        X_One="a",
        x_one="b",
        Cookie="c=d",
    )
    event = world.event()
    context = event["requestContext"]
    assert context.pop("requestTime")
    assert context.pop("requestTimeEpoch")
    assert context.pop("requestId") == context.pop("extendedRequestId")
    assert context.pop("identity")["sourceIp"] == "127.0.0.1"
    assert context == {
        "accountId": "123456789012",
        "apiId": "shop",
        "domainName": HOST,
        "domainPrefix": "shop",
        "httpMethod": "POST",
        "path": "/items/7",
        "protocol": "HTTP/1.1",
        "resourceId": None,
        "resourcePath": "/items/{id}",
        "stage": "$default",
    }
    assert event.pop("requestContext") is context
    headers, several = event.pop("headers"), event.pop("multiValueHeaders")
    assert (headers["Content-Type"], headers["Cookie"]) == ("text/plain", "c=d")
    assert (headers["X-One"], several["X-One"]) == ("b", ["a", "b"])
    assert headers["X-Forwarded-For"] == "127.0.0.1"
    assert event == {
        "version": "1.0",
        "resource": "/items/{id}",
        "path": "/items/7",
        "httpMethod": "POST",
        "queryStringParameters": {"a": "2", "b": ""},
        "multiValueQueryStringParameters": {"a": ["1", "2"], "b": [""]},
        "pathParameters": {"id": "7"},
        "stageVariables": None,
        "body": "text",
        "isBase64Encoded": False,
    }


async def test_a_rest_event_has_nulls_for_what_is_not_there(world: World) -> None:
    serve(world, "GET /", payload="1.0")
    await ask(world, "/")
    event = world.event()
    names = ("queryStringParameters", "multiValueQueryStringParameters", "pathParameters", "body")
    assert [event[name] for name in names] == [None] * 4


async def test_any_host_has_the_routes_below_the_prefix(world: World) -> None:
    serve(world, "ANY /{proxy+}")
    await ask(world, "/http/a/b", "PUT", Host="edge.lan")
    event = world.event()
    assert (event["rawPath"], event["pathParameters"]) == ("/a/b", {"proxy": "a/b"})
    assert event["requestContext"]["domainName"] == "edge.lan"


async def test_a_path_like_an_invoke_is_the_hosts(world: World) -> None:
    serve(world, "$default")
    await ask(world, "/2015-03-31/functions/g/invocations", "POST", b"{}")
    assert world.event()["routeKey"] == "$default"


@pytest.mark.parametrize("path", ["/nowhere", "/items/"])
async def test_what_fits_no_route_is_not_found(world: World, path: str) -> None:
    serve(world, "GET /items")
    answer = await ask(world, path)
    assert (answer.status, answer.body) == (404, b'{"message":"Not Found"}')


@pytest.mark.parametrize("payload", ["1.0", "2.0"])
async def test_a_response_is_what_the_function_says(world: World, payload: str) -> None:
    value = {
        "statusCode": 201,
        "headers": {"X-A": "1"},
        "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2"]},
        "body": "eA==",
        "isBase64Encoded": True,
    }
    serve(world, "GET /", returns(value), payload=payload)
    answer = await ask(world, "/")
    assert (answer.status, answer.headers["x-a"], answer.body) == (201, "1", b"x")
    assert [each for name, each in answer.pairs if name == "set-cookie"] == ["a=1", "b=2"]


async def test_only_the_newer_format_makes_a_response_of_anything(world: World) -> None:
    serve(world, "GET /new", returns({"a": 1}))
    serve(world, "GET /old", returns({"a": 1}), payload="1.0")
    new, old = await ask(world, "/new"), await ask(world, "/old")
    assert (new.status, new.body) == (200, b'{"a":1}')
    assert (old.status, old.body) == (500, b'{"message":"Internal Server Error"}')


async def test_a_function_that_fails_is_an_internal_error(world: World) -> None:
    async def fail(_: Invocation) -> Outcome:
        return Outcome(status=Status.ERROR, payload=b'{"errorMessage": "secret"}')

    serve(world, "GET /", fail)
    answer = await ask(world, "/")
    assert (answer.status, answer.body) == (500, b'{"message":"Internal Server Error"}')


async def test_callers_need_the_key_that_an_invoke_needs(tmp_path: Path) -> None:
    async with listening(tmp_path, keys=True) as world:
        world.define("signed", echo)
        world.define("other", echo)
        world.routes.add(Served(parse_route("GET /mine"), "signed"))
        world.routes.add(Served(parse_route("GET /other"), "other"))
        world.routes.add(Served(parse_route("GET /open"), "other", public=True))
        bearer = "Bearer {}.{}".format(*world.key)
        bare = await ask(world, "/mine")
        nowhere = await ask(world, "/nowhere")
        mine = await ask(world, "/mine", Authorization=bearer)
        other = await ask(world, "/other", Authorization=bearer)
        own = await ask(world, "/open", Authorization="Bearer of-the-applications-own")
    missing = "MissingAuthenticationTokenException"
    kinds = [each.headers["x-amzn-errortype"] for each in (bare, nowhere, other)]
    assert kinds == [missing, missing, "AccessDeniedException"]
    assert mine.status == 200
    event = json.loads(mine.body)
    assert event["requestContext"]["authorizer"]["iam"]["accessKey"] == world.key[0]
    assert "authorization" not in event["headers"]
    headers = json.loads(own.body)["headers"]
    assert headers["authorization"] == "Bearer of-the-applications-own"


async def test_a_route_ends_with_its_trigger(world: World) -> None:
    served = Served(parse_route("GET /"), "f")
    world.define("f", returns("x"))
    world.routes.add(served)
    assert (await ask(world, "/")).body == b"x"
    world.routes.remove(served)
    assert (await ask(world, "/")).status == 404
    (answer,) = await world.lane.ask(invoke("f"))
    assert b" 200 " in answer.partition(b"\r\n")[0]
