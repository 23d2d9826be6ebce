"""Lambda authorizers: functions that are asked who may call a route, before its function is.

What one has said of somebody counts for a while, for all routes that have the same authorizer; of
the policy it gave, what it says of each call. Requests of one and the same caller that come while
the function is being asked about it wait for that answer.

AWS: "Control access to HTTP APIs with AWS Lambda authorizers"; for REST APIs "Gateway response
types for API Gateway", and "Use API Gateway Lambda authorizers" for the 401 of a function whose
error is "Unauthorized" and nothing else.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Any

import msgspec

from microfaas.control import verdicts
from microfaas.control.kept_verdicts import KeptVerdicts, Subject, subject
from microfaas.control.verdicts import Malformed, Verdict
from microfaas.errors import (
    FunctionFailed,
    FunctionNotFound,
    MachineError,
    RecursiveInvocation,
    TooManyRequests,
)
from microfaas.gateway.lambda_api import LambdaApi
from microfaas.gateway.reply import JSON, Reply
from microfaas.invoke import new_request_id
from microfaas.model import Address, Invocation, Outcome, qualified
from microfaas.payloads import authorizers
from microfaas.payloads.authorizers import Authorizer
from microfaas.payloads.http_request import HttpRequest, Occasion
from microfaas.payloads.http_v2 import Api

_UNAUTHORIZED = Reply(401, JSON, b'{"message":"Unauthorized"}')
_FORBIDDEN = Reply(403, JSON, b'{"message":"Forbidden"}')
_FAILED = Reply(500, JSON, b'{"message":"Internal Server Error"}')
_REFUSAL = "User is not authorized to access this resource"
_NOT_RUN = (FunctionNotFound, FunctionFailed, RecursiveInvocation, TooManyRequests)

_log = logging.getLogger("microfaas.gateway")


class _Failed(Exception):
    """The authorizer could not be asked, or has nothing to say."""

    def __init__(self, why: str, kind: str = "AuthorizerFailureException") -> None:
        super().__init__(why)
        self.kind = kind


class _Unauthorized(Exception):
    """Who calls has not shown who that is."""


# What an authorizer returned, or why it did not.
_Answer = bytes | Exception


class _Question:
    """Somebody an authorizer is being asked about. No answer: who asked has left."""

    def __init__(self) -> None:
        self.answered = asyncio.Event()
        self.answer: _Answer | None = None


class Authorizers:
    """Asks them, and keeps what they said."""

    def __init__(self, api: LambdaApi, address: Address) -> None:
        self._api = api
        self._address = address
        self._kept = KeptVerdicts()
        self._asking: dict[Subject, _Question] = {}

    async def ask(
        self, authorizer: Authorizer, payload: str, request: HttpRequest, api: Api, seen: Occasion
    ) -> Mapping[str, Any] | Reply:
        """What the function that is called gets to know of who calls, in its event's version; or
        the answer to somebody who may not. Raises MachineError. The body is not looked at."""
        began_s = time.monotonic()
        try:
            verdict = await self._verdict(authorizer, request, api, seen)
        except _Unauthorized:
            return _refused(authorizer, _UNAUTHORIZED, "UnauthorizedException", seen)
        except _Failed as error:
            name = qualified(authorizer.function, authorizer.qualifier)
            _log.warning("request %s: the authorizer %s failed: %s", seen.request_id, name, error)
            return _failure(authorizer, error.kind, seen)
        if not verdict.allowed:
            return _denial(authorizer, verdict, seen)
        took_ms = int((time.monotonic() - began_s) * 1000)
        return verdicts.told(authorizer, verdict, payload, took_ms)

    async def _verdict(
        self, authorizer: Authorizer, request: HttpRequest, api: Api, seen: Occasion
    ) -> Verdict:
        values = authorizers.identity(authorizer, request, api, seen)
        if values is None:
            raise _Unauthorized
        arn = authorizers.arn_of(self._address, request, api)
        invocation = Invocation(
            request_id=new_request_id(),
            function=authorizer.function,
            event=authorizers.event(authorizer, arn, values, request, api, seen),
            qualifier=authorizer.qualifier,
            trace_id=seen.trace_id,
        )
        about = subject(authorizer, api.id, values)
        if about is None:
            return _understood(authorizer, await self._run(invocation), arn)
        if (kept := self._kept.get(about, time.monotonic())) is not None:
            return _understood(authorizer, kept, arn)
        answer, fresh = await self._answer(about, invocation)
        verdict = _understood(authorizer, answer, arn)
        if fresh and isinstance(answer, bytes):
            self._kept.put(about, answer, time.monotonic())
        return verdict

    async def _answer(self, about: Subject, invocation: Invocation) -> tuple[_Answer, bool]:
        """What is said of somebody, and whether it was this request that asked."""
        while (question := self._asking.get(about)) is not None:
            await question.answered.wait()
            if question.answer is not None:
                return question.answer, False
        question = self._asking[about] = _Question()
        try:
            question.answer = await self._run(invocation)
        finally:
            # Who asked may have left: then another one of those who wait asks.
            del self._asking[about]
            question.answered.set()
        return question.answer, True

    async def _run(self, invocation: Invocation) -> _Answer:
        """Faults are values, since all who wait for the answer get them."""
        try:
            outcome = await self._api.run(invocation, _pass_over)
        except _NOT_RUN as error:
            return _Failed(str(error))
        except MachineError as error:
            return error
        if outcome.ok:
            return outcome.payload
        if _says_unauthorized(outcome):
            return _Unauthorized()
        return _Failed(f"it ended with {outcome.status}")


def _understood(authorizer: Authorizer, answer: _Answer, arn: str) -> Verdict:
    """Raises _Unauthorized, _Failed, MachineError."""
    if isinstance(answer, Exception):
        raise answer
    try:
        return verdicts.verdict(authorizer, answer, arn)
    except Malformed as error:
        why = f"cannot understand what it returned: {error}"
        raise _Failed(why, "AuthorizerConfigurationException") from None


def _says_unauthorized(outcome: Outcome) -> bool:
    try:
        told = msgspec.json.decode(outcome.payload)
    except (ValueError, RecursionError):
        return False
    return isinstance(told, dict) and told.get("errorMessage") == "Unauthorized"


def _denial(authorizer: Authorizer, verdict: Verdict, seen: Occasion) -> Reply:
    why = " with an explicit deny" if verdict.denied else ""
    body = b'{"Message":"%s"}' % f"{_REFUSAL}{why}".encode()
    reply = _FORBIDDEN._replace(body=body) if authorizer.rest else _FORBIDDEN
    return _refused(authorizer, reply, "AccessDeniedException", seen)


def _failure(authorizer: Authorizer, kind: str, seen: Occasion) -> Reply:
    reply = _FAILED._replace(body=b'{"message":null}') if authorizer.rest else _FAILED
    return _refused(authorizer, reply, kind, seen)


def _refused(authorizer: Authorizer, reply: Reply, kind: str, seen: Occasion) -> Reply:
    """With the request's id, and for REST APIs the error's name."""
    named = f"x-amzn-ErrorType: {kind}\r\n" if authorizer.rest else ""
    return reply._replace(headers=f"x-amzn-RequestId: {seen.request_id}\r\n{named}{reply.headers}")


async def _pass_over(_: bytes, __: str) -> None:
    """A piece of a streamed result: what an authorizer says is whole."""
