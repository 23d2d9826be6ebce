"""Lambda's own protocol: boto3 against a gateway, and what stands in single replies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from service_world import call, listening, refusal

from microfaas import scopes
from microfaas.errors import (
    AccessRefused,
    MachineError,
    RequestTooLarge,
    ServiceError,
    TooManyRequests,
)
from microfaas.gateway.aws.api import AwsApi
from microfaas.gateway.aws.requests import Request
from microfaas.gateway.aws.service import Caller, Params, Service, Services
from microfaas.model import EVENT_BYTES_MAX, Address
from microfaas.scopes import Action
from microfaas.store.keys import Key

CODE_BYTES_MAX = 70_167_211
FUNCTIONS = "/2015-03-31/functions"
ROLE = "arn:aws:iam::123456789012:role/r"


async def create(_: Caller, params: Params) -> Params:
    return {"FunctionName": params["FunctionName"], "CodeSize": len(params["Code"]["ZipFile"])}


async def get(_: Caller, params: Params) -> Params:
    raise ServiceError("ResourceNotFoundException", f"Function not found: {params['FunctionName']}")


async def delete(_: Caller, __: Params) -> Params:
    return {"StatusCode": 204}


async def nothing(_: Caller, __: Params) -> Params:
    return {}


async def tags(_: Caller, params: Params) -> Params:
    return {"Tags": {"resource": params["Resource"]}}


async def mapping(_: Caller, params: Params) -> Params:
    return {"UUID": params["UUID"], "LastModified": 1_700_000_000.5}


async def throttled(_: Caller, __: Params) -> Params:
    raise TooManyRequests("ReservedFunctionConcurrentInvocationLimitExceeded", 7)


async def broken(_: Caller, __: Params) -> Params:
    raise MachineError("cannot write: the disk is full")


LAMBDA = Service(
    "lambda",
    {
        "CreateFunction": create,
        "GetFunction": get,
        "DeleteFunction": delete,
        "DeleteAlias": nothing,
        "ListTags": tags,
        "GetEventSourceMapping": mapping,
        "PublishVersion": throttled,
        "ListFunctions": broken,
    },
)


@pytest_asyncio.fixture
async def port() -> AsyncIterator[int]:
    async with listening([LAMBDA]) as port:
        yield port


async def test_results_have_the_status_that_the_model_gives_them(port: int) -> None:
    code = b"z" * EVENT_BYTES_MAX  # more than any other operation takes, in base64
    params = {"FunctionName": "f", "Role": ROLE, "Code": {"ZipFile": code}}
    made = await call(port, "lambda", "create_function", **params)
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert (made["FunctionName"], made["CodeSize"]) == ("f", len(code))
    gone = await call(port, "lambda", "delete_alias", FunctionName="f", Name="a")
    assert gone["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert (await call(port, "lambda", "delete_function", FunctionName="f"))["StatusCode"] == 204


async def test_a_label_may_be_an_arn_with_slashes(port: int) -> None:
    resource = "arn:aws:lambda:us-east-1:123456789012:layer:l"
    made = await call(port, "lambda", "list_tags", Resource=resource)
    assert made["Tags"] == {"resource": resource}
    _, _, told = await refusal(port, "lambda", "list_tags", Resource="arn:a/b")
    assert told.startswith("1 validation error detected: Value 'arn:a/b' at 'resource' failed")


async def test_times_are_numbers_where_the_model_has_times(port: int) -> None:
    made = await call(port, "lambda", "get_event_source_mapping", UUID="u" * 36)
    assert made["LastModified"].timestamp() == 1_700_000_000.5


async def test_invocations_go_the_gateways_own_way(port: int) -> None:
    text = f"Function not found: {Address().arn('f')}:$LATEST"
    for operation in ("invoke", "invoke_with_response_stream"):
        told = await refusal(port, "lambda", operation, FunctionName="f")
        assert told == ("ResourceNotFoundException", 404, text)


async def test_of_what_there_is_none_clients_are_told_so(port: int) -> None:
    assert (await call(port, "lambda", "list_capacity_providers"))["CapacityProviders"] == []
    listed = await call(port, "lambda", "list_durable_executions_by_function", FunctionName="f")
    assert listed["DurableExecutions"] == []
    told = await refusal(port, "lambda", "get_capacity_provider", CapacityProviderName="p")
    text = "Nothing found for p: microfaas has no capacity providers"
    assert told == ("ResourceNotFoundException", 404, text)


@pytest.mark.parametrize(
    ("operation", "params", "text"),
    [
        (
            "put_resource_policy",
            {"ResourceArn": "a", "Policy": "{}"},
            "microfaas does not serve PutResourcePolicy of AWS Lambda: AddPermission and "
            "RemovePermission change a function's policy",
        ),
        ("get_account_settings", {}, "microfaas does not serve GetAccountSettings of AWS Lambda"),
    ],
)
async def test_what_is_not_served_is_refused_with_the_reason(
    port: int, operation: str, params: dict[str, Any], text: str
) -> None:
    told = await refusal(port, "lambda", operation, **params)
    assert told == ("UnknownOperationException", 400, text)


class Visitor:
    """A visit that notes what it is asked, by a key with some scopes."""

    def __init__(self, allowed: str = "admin", body: bytes = b"{}", key: bool = True) -> None:
        self.asked: list[tuple[str, int]] = []
        self._scopes = scopes.parse(allowed)
        self._body = body
        self._has_key = key

    async def identify(self, body_bytes_max: int) -> Key | None:
        self.asked.append(("identify", body_bytes_max))
        if not self._has_key:
            raise AccessRefused("The token is invalid.", "UnrecognizedClientException")
        return Key("K", b"", self._scopes)

    async def body(self, body_bytes_max: int) -> bytes:
        self.asked.append(("body", body_bytes_max))
        if len(self._body) > body_bytes_max:
            raise RequestTooLarge(body_bytes_max)
        return self._body

    def permit(self, key: Key, actions: tuple[Action, ...], operation: str, name: str) -> None:
        if not any(key.scopes.allow(action, name) for action in actions):
            raise AccessRefused(f"not {operation} of {name or '*'}")

    def refused(self, error: Exception) -> None:
        """Nobody asks."""


async def replied(
    visitor: Visitor, method: str = "GET", path: str = f"{FUNCTIONS}/f"
) -> tuple[int, dict[str, str], bytes]:
    caller = Caller("id-1", "127.0.0.1", "http://here")
    api = AwsApi(Services([LAMBDA, Service("sts", {"GetCallerIdentity": nothing})]))
    reply = await api.answer(Request(method, path, "", {}), caller, visitor)
    lines = dict(line.split(": ", 1) for line in reply.headers.splitlines())
    return reply.status, lines, reply.body


@pytest.mark.parametrize(
    ("method", "path", "limit"),
    [
        ("POST", FUNCTIONS, CODE_BYTES_MAX),
        ("PUT", f"{FUNCTIONS}/f/code", CODE_BYTES_MAX),
        ("POST", "/2018-10-31/layers/l/versions", CODE_BYTES_MAX),
        ("PUT", f"{FUNCTIONS}/f/configuration", EVENT_BYTES_MAX),
        ("GET", f"{FUNCTIONS}/f", EVENT_BYTES_MAX),
        ("POST", "/", EVENT_BYTES_MAX),
    ],
)
async def test_only_code_may_be_large_and_nobody_unknown_may_send_it(
    method: str, path: str, limit: int
) -> None:
    visitor = Visitor()
    await replied(visitor, method, path)
    assert visitor.asked == [("identify", limit), ("body", limit)]
    stranger = Visitor(key=False)
    status, _, _ = await replied(stranger, method, path)
    assert status == 403
    assert stranger.asked == [("identify", limit)]


async def test_who_sends_too_much_learns_the_limit_of_the_operation() -> None:
    status, lines, body = await replied(Visitor(body=b" " * (EVENT_BYTES_MAX + 1)))
    assert (status, lines["x-amzn-ErrorType"]) == (413, "RequestEntityTooLargeException")
    text = f"Request must be smaller than {EVENT_BYTES_MAX} bytes for the GetFunction operation"
    assert json.loads(body) == {"message": text}


async def test_code_that_is_too_large_is_refused_before_it_comes(port: int) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"POST {FUNCTIONS} HTTP/1.1\r\nHost: h\r\nContent-Length: {CODE_BYTES_MAX + 1}\r\n\r\n"
    writer.write(head.encode())
    answer = await reader.readuntil(b"operation")
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert answer.endswith(
        b"Request must be smaller than 70167211 bytes for the CreateFunction operation"
    )
    writer.close()


@pytest.mark.parametrize(
    ("method", "path", "status", "kind", "body"),
    [
        (
            *("GET", f"{FUNCTIONS}/f", 404, "ResourceNotFoundException"),
            {"Type": "User", "Message": "Function not found: f"},
        ),
        (
            *("GET", f"{FUNCTIONS}/a:b:c", 400, "ValidationException"),
            None,
        ),
        (
            *("POST", f"{FUNCTIONS}/f/versions", 429, "TooManyRequestsException"),
            {
                "Type": "User",
                "message": "Rate Exceeded.",
                "Reason": "ReservedFunctionConcurrentInvocationLimitExceeded",
            },
        ),
        (
            *("GET", FUNCTIONS, 500, "ServiceException"),
            {"Type": "Service", "Message": "cannot write: the disk is full"},
        ),
    ],
)
async def test_errors_are_spelled_as_lambda_spells_them(
    method: str, path: str, status: int, kind: str, body: dict[str, str] | None
) -> None:
    found, lines, raw = await replied(Visitor(), method, path)
    assert (found, lines["x-amzn-ErrorType"]) == (status, kind)
    assert lines["x-amzn-RequestId"] == "id-1"
    assert lines["Content-Type"] == "application/json"
    assert lines.get("Retry-After") == ("7" if status == 429 else None)
    told = json.loads(raw)
    assert told == body if body else set(told) == {"message"}


@pytest.mark.parametrize(
    ("allowed", "method", "path", "body", "refused"),
    [
        ("read", "GET", f"{FUNCTIONS}/f:1", b"", ""),
        ("read", "GET", FUNCTIONS, b"", ""),
        ("invoke,send,receive", "GET", FUNCTIONS, b"", "lambda:ListFunctions of *"),
        (
            *("invoke,send,receive", "GET", f"{FUNCTIONS}/f:1", b""),
            "lambda:GetFunction of f",
        ),
        (
            *("invoke,send,receive,read", "POST", FUNCTIONS, b'{"FunctionName": "new"}'),
            "lambda:CreateFunction of new",
        ),
        (
            *("read", "DELETE", f"{FUNCTIONS}/{Address().arn('f')}:1".replace(":", "%3A"), b""),
            "lambda:DeleteFunction of f",
        ),
        ("send:q", "POST", "/", b"Action=GetCallerIdentity", ""),
    ],
)
async def test_who_may_do_what(
    allowed: str, method: str, path: str, body: bytes, refused: str
) -> None:
    status, _, raw = await replied(Visitor(allowed, body), method, path)
    if refused:
        assert status == 403
        assert json.loads(raw) == {"Message": f"not {refused}"}
    else:
        assert status != 403
