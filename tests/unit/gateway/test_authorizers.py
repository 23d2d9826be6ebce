"""Authorizers that are slow, fail, or are asked about many at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from microfaas.errors import (
    FunctionFailed,
    FunctionNotFound,
    MachineError,
    RecursiveInvocation,
    TooManyRequests,
)
from microfaas.gateway.authorizers import Authorizers
from microfaas.gateway.lambda_api import LambdaApi
from microfaas.gateway.reply import Reply
from microfaas.model import Address, Invocation, Outcome, Status
from microfaas.payloads.authorizers import Authorizer, Source
from microfaas.payloads.http_request import HttpRequest, Occasion
from microfaas.payloads.http_v2 import Api
from microfaas.testing import FakeInvoker

ADDRESS = Address(region="eu-west-1")
KEPT = Authorizer("guard", "", "2.0", False, True, (Source("header", "key"),), ttl_s=60)
REST = Authorizer("guard", "", "1.0", rest=True, sources=KEPT.sources, ttl_s=60)
SEEN = Occasion("id-1", "Root=1-2-3", 0)
YES = b'{"isAuthorized": true}'
PATIENCE_S = 30


class Guard:
    """An authorizer that answers when it is let, with the results or faults it was given."""

    def __init__(self, *answers: bytes | Outcome | Exception) -> None:
        self.answers = list(answers)
        self.let = asyncio.Event()
        self.let.set()
        self.asked: list[dict[str, Any]] = []

    async def __call__(self, invocation: Invocation) -> Outcome:
        self.asked.append(json.loads(invocation.event))
        await self.let.wait()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, bytes):
            return Outcome(status=Status.OK, payload=answer)
        return answer


def world(guard: Guard) -> Authorizers:
    async def submit(_: Invocation) -> str:
        raise AssertionError

    return Authorizers(LambdaApi(FakeInvoker({"guard": guard}), submit, ADDRESS), ADDRESS)


async def ask(
    authorizers: Authorizers, key: str = "a", authorizer: Authorizer = KEPT, path: str = "/"
) -> Mapping[str, Any] | Reply:
    headers = [("Key", key)] if key else []
    request = HttpRequest("GET", path, "", headers, b"", "10.0.0.1", "http", 80)
    return await authorizers.ask(authorizer, "2.0", request, Api("shop", "shop.x"), SEEN)


def status(answer: Mapping[str, Any] | Reply) -> int:
    return answer.status if isinstance(answer, Reply) else 200


async def test_it_is_asked_once_about_the_same_caller() -> None:
    guard = Guard(YES)
    authorizers = world(guard)
    for key in ("a", "a", "b", "a"):
        assert await ask(authorizers, key, path=f"/{key}") == {"lambda": None}
    assert [event["identitySource"] for event in guard.asked] == [["a"], ["b"]]


@pytest.mark.parametrize("change", [{"ttl_s": 0}, {"sources": ()}])
async def test_nothing_is_kept_where_nothing_is_to_be(change: dict[str, Any]) -> None:
    guard = Guard(YES)
    authorizers = world(guard)
    for _ in range(3):
        await ask(authorizers, authorizer=KEPT._replace(**change))
    assert len(guard.asked) == 3


async def test_who_shows_nothing_is_not_asked_about() -> None:
    guard = Guard(YES)
    answer = await ask(world(guard), "")
    assert isinstance(answer, Reply)
    assert (answer.status, answer.body) == (401, b'{"message":"Unauthorized"}')
    assert not guard.asked


async def test_a_denial_is_kept_too() -> None:
    guard = Guard(b'{"isAuthorized": false}', YES)
    authorizers = world(guard)
    assert [status(await ask(authorizers)) for _ in range(3)] == [403] * 3
    assert len(guard.asked) == 1


async def settle() -> None:
    """Let everything run until it waits for the authorizer."""
    for _ in range(100):
        await asyncio.sleep(0)


async def gathered(authorizers: Authorizers, guard: Guard, count: int) -> list[int]:
    """What so many get who come before the authorizer answers the first."""
    guard.let.clear()
    async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as group:
        tasks = [group.create_task(ask(authorizers)) for _ in range(count)]
        await settle()
        guard.let.set()
    return [status(task.result()) for task in tasks]


async def test_a_crowd_with_one_token_waits_for_one_answer() -> None:
    guard = Guard(YES)
    assert await gathered(world(guard), guard, 200) == [200] * 200
    assert len(guard.asked) == 1


@pytest.mark.parametrize(
    "answer",
    [
        Outcome(status=Status.TIMEOUT, payload=b'{"errorMessage": "x"}'),
        Outcome(status=Status.ERROR, payload=b'{"errorMessage": "secret"}'),
        TooManyRequests("too many", 1),
        FunctionNotFound("guard", ""),
        FunctionFailed("guard", "", "its package is gone"),
        RecursiveInvocation("guard", 16),
        b"null",
    ],
)
async def test_a_crowd_is_told_at_once_that_it_failed(answer: bytes | Outcome | Exception) -> None:
    guard = Guard(answer, YES)
    authorizers = world(guard)
    assert await gathered(authorizers, guard, 50) == [500] * 50
    assert len(guard.asked) == 1
    # A failure is not kept.
    assert status(await ask(authorizers)) == 200


async def test_when_who_asked_has_left_another_one_asks() -> None:
    guard = Guard(YES)
    guard.let.clear()
    authorizers = world(guard)
    first, second, third = (asyncio.ensure_future(ask(authorizers)) for _ in range(3))
    async with asyncio.timeout(PATIENCE_S):
        await settle()
        assert len(guard.asked) == 1
        first.cancel()
        await settle()
        guard.let.set()
        assert [status(await each) for each in (second, third)] == [200, 200]
    assert len(guard.asked) == 2


async def test_the_machines_faults_are_the_callers_to_hear() -> None:
    with pytest.raises(MachineError):
        await ask(world(Guard(MachineError("broken"))))


ALLOW = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": "*"}


def result(*statements: dict[str, str]) -> bytes:
    document = {"Version": "2012-10-17", "Statement": statements}
    return json.dumps({"principalId": "p", "policyDocument": document}).encode()


FAILED = Outcome(status=Status.ERROR, payload=b'{"errorMessage": "no", "errorType": "E"}')
SAID = Outcome(status=Status.ERROR, payload=b'{"errorMessage": "Unauthorized"}')


@pytest.mark.parametrize(
    ("answer", "http", "rest"),
    [
        (result(), (403, '{"message":"Forbidden"}', ""),
         (403, '{"Message":"User is not authorized to access this resource"}',
          "AccessDeniedException")),
        (result({**ALLOW, "Effect": "Deny"}), (403, '{"message":"Forbidden"}', ""),
         (403, '{"Message":"User is not authorized to access this resource with an explicit deny"}',
          "AccessDeniedException")),
        (FAILED, (500, '{"message":"Internal Server Error"}', ""),
         (500, '{"message":null}', "AuthorizerFailureException")),
        (b"{}", (500, '{"message":"Internal Server Error"}', ""),
         (500, '{"message":null}', "AuthorizerConfigurationException")),
        (SAID, (401, '{"message":"Unauthorized"}', ""),
         (401, '{"message":"Unauthorized"}', "UnauthorizedException")),
    ],
)  # fmt: skip
async def test_refusals_are_in_the_words_of_each_sort_of_api(
    answer: bytes | Outcome, http: tuple[int, str, str], rest: tuple[int, str, str]
) -> None:
    authorizers = world(Guard(answer))
    for authorizer, expected in ((KEPT._replace(simple=False), http), (REST, rest)):
        told = await ask(authorizers, authorizer=authorizer)
        assert isinstance(told, Reply)
        headers = dict(line.split(": ") for line in told.headers.split("\r\n")[:-1])
        kind = headers.get("x-amzn-ErrorType", "")
        assert (told.status, told.body.decode(), kind) == expected
        assert headers["x-amzn-RequestId"] == "id-1"


async def test_a_kept_policy_is_asked_about_each_call() -> None:
    only = {**ALLOW, "Resource": "arn:aws:execute-api:*:*:shop/*/GET/mine/*"}
    guard = Guard(result(only))
    authorizers, authorizer = world(guard), KEPT._replace(simple=False)
    found = [
        status(await ask(authorizers, authorizer=authorizer, path=path))
        for path in ("/mine/1", "/other", "/mine/2", "/mine", "/other/mine/1")
    ]
    assert found == [200, 403, 200, 403, 403]
    assert len(guard.asked) == 1
