"""Routes with authorizers, byte by byte: who gets in, and what the function is told of him."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from test_http_routes import HOST, ask, serve
from url_world import Response, World, listening

from microfaas.model import Invocation, Outcome, Status
from microfaas.payloads.authorizers import Authorizer, Source
from microfaas.payloads.http_answer import Answer

TOKEN = Source("header", "authorization")
NEW = Authorizer("guard", "live", "2.0", simple=True, sources=(TOKEN,), ttl_s=60)
REST = Authorizer("guard", "", "token", rest=True, sources=(TOKEN,), ttl_s=60)
ORIGIN = "https://shop.example"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A gateway that asks for keys."""
    async with listening(tmp_path, keys=True) as made:
        made.define("guard", guard)
        yield made


async def guard(invocation: Invocation) -> Outcome:
    """Lets in who says so, and fails for who wants that."""
    event = json.loads(invocation.event)
    token = event.get("authorizationToken") or event["headers"].get("authorization")
    if token == "fail":
        return Outcome(status=Status.TIMEOUT, payload=b'{"errorMessage": "timed out"}')
    context = {"user": "u", "level": 7}
    effect = "Allow" if token == "yes" else "Deny"
    statement = {"Effect": effect, "Action": "execute-api:Invoke", "Resource": "*"}
    policy = {"principalId": "p", "policyDocument": {"Statement": [statement]}}
    answer: dict[str, Any] = {"isAuthorized": token == "yes"} if "version" in event else policy
    return Outcome(status=Status.OK, payload=json.dumps({**answer, "context": context}).encode())


def asked_of(world: World, function: str) -> list[Invocation]:
    return [each for each in world.invoker.invocations if each.function == function]


async def test_the_function_is_told_who_calls(world: World) -> None:
    serve(world, "GET /items/{id}", authorizer=NEW)
    answer = await ask(world, "/items/7", Authorization="yes")
    assert answer.status == 200
    event = world.event()
    assert event["requestContext"]["authorizer"] == {"lambda": {"user": "u", "level": 7}}
    assert event["headers"]["authorization"] == "yes"
    asked = json.loads(asked_of(world, "guard")[0].event)
    arn = "arn:aws:execute-api:eu-west-1:123456789012:shop/$default/GET/items/7"
    assert (asked["routeArn"], asked["identitySource"]) == (arn, ["yes"])
    assert asked_of(world, "guard")[0].qualifier == "live"
    assert "authorizer" not in asked["requestContext"]


async def test_the_older_event_has_it_flat(world: World) -> None:
    serve(world, "GET /", authorizer=REST, payload="1.0")
    await ask(world, "/", Authorization="yes")
    told = world.event()["requestContext"]["authorizer"]
    assert isinstance(told.pop("integrationLatency"), int)
    assert told == {"user": "u", "level": "7", "principalId": "p"}


@pytest.mark.parametrize(
    ("token", "status", "body"),
    [
        ("", 401, b'{"message":"Unauthorized"}'),
        ("no", 403, b'{"message":"Forbidden"}'),
        ("fail", 500, b'{"message":"Internal Server Error"}'),
    ],
)
async def test_who_may_not_gets_no_further(
    world: World, token: str, status: int, body: bytes
) -> None:
    serve(world, "GET /", authorizer=NEW, cors={"AllowOrigins": [ORIGIN]})
    answer = await ask(world, "/", Origin=ORIGIN, **({"Authorization": token} if token else {}))
    assert (answer.status, answer.body) == (status, body)
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert not asked_of(world, "f")


async def test_a_key_opens_nothing_where_an_authorizer_decides(world: World) -> None:
    serve(world, "GET /", authorizer=NEW)
    bearer = "Bearer {}.{}".format(*world.key)
    assert (await ask(world, "/", Authorization=bearer)).status == 403


async def test_preflights_are_not_asked_about(world: World) -> None:
    serve(world, "ANY /{proxy+}", authorizer=NEW, cors={"AllowOrigins": [ORIGIN]})
    headers = {"Origin": ORIGIN, "Access_Control_Request_Method": "GET"}
    assert (await ask(world, "/a", "OPTIONS", **headers)).status == 204
    assert (await ask(world, "/a", "OPTIONS")).status == 401
    assert not world.invoker.invocations


async def test_an_answer_of_the_apis_own_may_have_an_authorizer(world: World) -> None:
    serve(world, "OPTIONS /", authorizer=REST, mock=Answer(200, (), b"{}"), payload="1.0")
    found = [(await ask(world, "/", "OPTIONS", Authorization=t)).status for t in ("yes", "no")]
    assert found == [200, 403]


async def test_an_authorizer_that_is_not_there_is_the_gateways_fault(world: World) -> None:
    serve(world, "GET /", authorizer=NEW._replace(function="absent"))
    world.invoker.functions.pop("any")  # what stands for any function
    answer = await ask(world, "/", Authorization="yes")
    assert (answer.status, answer.body) == (500, b'{"message":"Internal Server Error"}')


async def test_who_may_not_need_not_send_his_body(world: World) -> None:
    serve(world, "POST /", authorizer=NEW)
    lines = (f"Host: {HOST}", "Authorization: no", "Content-Length: 6000000")
    raw = "\r\n".join(["POST / HTTP/1.1", *lines, "", ""]).encode()
    (answer,) = await world.lane.ask(raw)
    assert Response(answer).status == 403


async def test_large_and_many_headers_do_no_harm(world: World) -> None:
    serve(world, "GET /", authorizer=NEW)
    many = {f"x-{number}": "y" for number in range(50)}
    answer = await ask(world, "/", Authorization="z" * 7000, **many)
    assert answer.status == 403
    for number in range(300):
        assert (await ask(world, "/", Authorization=f"no-{number}")).status == 403
    assert len(asked_of(world, "guard")) == 301
