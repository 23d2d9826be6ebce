"""Lambda's Invoke without HTTP: what a call becomes, and what comes back."""

from __future__ import annotations

import base64
import json
import traceback
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from microfaas import lineage
from microfaas.errors import (
    FunctionFailed,
    InvalidRequest,
    MachineError,
    QueueFull,
    TooManyRequests,
)
from microfaas.gateway.lambda_api import ASYNC_EVENT_BYTES_MAX, InvokeCall, LambdaApi, Write
from microfaas.gateway.reply import Reply
from microfaas.model import (
    CLIENT_CONTEXT_BYTES_MAX,
    EVENT_BYTES_MAX,
    Address,
    Invocation,
    Outcome,
    Status,
    Version,
)
from microfaas.pool.instance import OnChunk
from microfaas.testing import FakeInvoker, echo

ERROR = Outcome(status=Status.ERROR, payload=b'{"errorType": "E"}', version="7")


@dataclass
class Submitted:
    """A dispatcher that keeps what it is given."""

    invocations: list[Invocation] = field(default_factory=list)
    fault: Exception | None = None

    async def submit(self, invocation: Invocation) -> str:
        if self.fault:
            raise self.fault
        self.invocations.append(invocation)
        return f"event {len(self.invocations)}"


@dataclass
class World:
    """The API between a fake invoker and a fake dispatcher."""

    invoker: FakeInvoker
    dispatcher: Submitted
    api: LambdaApi

    async def call(self, body: bytes = b"{}", **head: Any) -> Reply:
        prepared = self.api.prepare(InvokeCall(**{"raw_name": "f", **head}))
        return await self.api.invoke(prepared, body)

    @property
    def seen(self) -> Invocation:
        (invocation,) = self.invoker.invocations
        return invocation


@pytest.fixture
def world() -> World:
    invoker, dispatcher = FakeInvoker({"f": echo}), Submitted()
    return World(invoker, dispatcher, LambdaApi(invoker, dispatcher.submit, Address()))


def fields(reply: Reply) -> dict[str, str]:
    """The headers of a reply, in order."""
    lines = reply.headers.removesuffix("\r\n").split("\r\n")
    return dict(line.split(": ", 1) for line in lines)


def answering(world: World, outcome: Outcome | Exception) -> World:
    async def answer(_: Invocation) -> Outcome:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    world.invoker.functions = {"f": answer}
    return world


def encoded(value: object) -> str:
    return base64.b64encode(json.dumps(value).encode()).decode()


async def test_the_event_arrives_as_the_bytes_that_came(world: World) -> None:
    body = b' {"a" : 1.0, "b":"\\u00e9\xc3\xa9"} '
    reply = await world.call(body)
    assert world.seen.event == body
    assert (reply.status, reply.body) == (200, body)


async def test_a_result_has_the_headers_of_lambda(world: World) -> None:
    reply = await world.call(trace_id="Root=1-2-3")
    assert list(fields(reply).items()) == [
        ("Content-Type", "application/json"),
        ("x-amzn-RequestId", world.seen.request_id),
        ("X-Amz-Executed-Version", "$LATEST"),
        ("X-Amzn-Trace-Id", "Root=1-2-3"),
    ]


async def test_an_error_of_the_function_is_a_reply_with_a_header(world: World) -> None:
    reply = await answering(world, ERROR).call()
    assert (reply.status, reply.body) == (200, ERROR.payload)
    assert fields(reply)["X-Amz-Function-Error"] == "Unhandled"
    assert fields(reply)["X-Amz-Executed-Version"] == "7"


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.OK])
async def test_every_bad_end_is_an_unhandled_error(world: World, status: Status) -> None:
    reply = await answering(world, Outcome(status=status, payload=b"{}")).call()
    assert (reply.status, fields(reply)["X-Amz-Function-Error"]) == (200, "Unhandled")


async def test_each_call_has_a_request_id_of_its_own(world: World) -> None:
    ids = {fields(await world.call())["x-amzn-RequestId"] for _ in range(3)}
    assert len(ids) == 3


async def test_a_trace_id_is_made_when_none_came(world: World) -> None:
    reply = await world.call()
    assert fields(reply)["X-Amzn-Trace-Id"] == world.seen.trace_id
    assert world.seen.trace_id.startswith("Root=1-")


@pytest.mark.parametrize("qualifier", ["$LATEST", ""])
async def test_the_qualifier_goes_along(world: World, qualifier: str) -> None:
    await world.call(qualifier=qualifier)
    assert world.seen.qualifier == qualifier


@pytest.mark.parametrize(
    "body",
    [
        *(b"{", b"nope", b"{} {}", b"'a'", b"\xef\xbb\xbf{", b'{"a": "\xff"}'),
        # Deeper than anything here follows it.
        b"[" * 10_000 + b"]" * 10_000,
    ],
)
async def test_a_body_that_is_not_json_is_refused(world: World, body: bytes) -> None:
    reply = await world.call(body)
    assert reply.status == 400
    assert fields(reply)["x-amzn-ErrorType"] == "InvalidRequestContentException"
    assert json.loads(reply.body)["message"].startswith("Could not parse request body into json: ")
    assert world.invoker.invocations == []


@pytest.mark.parametrize("body", [b"", b"null", b"1", b'"x"', b"[]", b" {}\n"])
async def test_any_json_and_nothing_at_all_are_events(world: World, body: bytes) -> None:
    assert (await world.call(body)).status == 200
    assert world.seen.event == body


@pytest.mark.parametrize(
    ("kind", "limit"), [("RequestResponse", EVENT_BYTES_MAX), ("Event", ASYNC_EVENT_BYTES_MAX)]
)
async def test_an_event_up_to_the_limit_is_taken(world: World, kind: str, limit: int) -> None:
    body = b'"' + b"x" * (limit - 2) + b'"'
    assert (await world.call(body, invocation_type=kind)).status < 300


@pytest.mark.parametrize(
    ("kind", "limit"), [("RequestResponse", EVENT_BYTES_MAX), ("Event", ASYNC_EVENT_BYTES_MAX)]
)
async def test_an_event_over_the_limit_is_refused(world: World, kind: str, limit: int) -> None:
    reply = await world.call(b'"' + b"x" * (limit - 1) + b'"', invocation_type=kind)
    assert reply.status == 413
    assert f"smaller than {limit} bytes" in json.loads(reply.body)["message"]


async def test_an_event_for_later_is_accepted_and_not_run(world: World) -> None:
    reply = await world.call(b'{"a":1}', invocation_type="Event", trace_id="Root=1")
    assert (reply.status, reply.body) == (202, b"")
    (submitted,) = world.dispatcher.invocations
    assert (submitted.event, submitted.trace_id) == (b'{"a":1}', "Root=1")
    assert fields(reply) == {"x-amzn-RequestId": "event 1"}
    assert world.invoker.invocations == []


async def test_a_full_queue_is_told(world: World) -> None:
    world.dispatcher.fault = QueueFull("function:f", 1000, 1 << 30)
    reply = await world.call(invocation_type="Event")
    assert reply.status == 429
    told = json.loads(reply.body)
    assert told["Reason"] == "EventQueueFull"
    assert "function:f" in told["message"]
    assert "1000 messages or 1024 MiB" in told["message"]


async def test_what_cannot_be_written_was_not_accepted(world: World) -> None:
    world.dispatcher.fault = MachineError("cannot write x: the disk is full")
    reply = await world.call(invocation_type="Event")
    assert reply.status == 500
    assert "the disk is full" in json.loads(reply.body)["Message"]


@pytest.mark.parametrize("kind", ["RequestResponse", "Event", "DryRun"])
async def test_an_unknown_function_is_not_found(world: World, kind: str) -> None:
    reply = await world.call(raw_name="nobody", invocation_type=kind)
    assert reply.status == 404
    assert json.loads(reply.body)["Message"].endswith(":function:nobody:$LATEST")


@pytest.mark.parametrize("kind", ["RequestResponse", "Event", "DryRun"])
async def test_an_unknown_qualifier_is_not_found(world: World, kind: str) -> None:
    assert (await world.call(qualifier="PROD", invocation_type=kind)).status == 404


async def test_a_function_that_has_failed_is_there(world: World) -> None:
    reply = await answering(world, FunctionFailed("f", "$LATEST", "its runtime is gone")).call()
    assert (reply.status, fields(reply)["x-amzn-ErrorType"]) == (409, "ResourceConflictException")
    text = json.loads(reply.body)["message"]
    assert text.endswith("The function is currently in the following state: Failed")


async def test_a_dry_run_runs_nothing(world: World) -> None:
    reply = await world.call(invocation_type="DryRun")
    assert (reply.status, reply.body) == (204, b"")
    assert world.invoker.invocations == world.dispatcher.invocations == []


@pytest.mark.parametrize(
    ("head", "what"),
    [
        ({"invocation_type": "event"}, "'event' at 'invocationType'"),
        ({"log_type": "All"}, "'All' at 'logType'"),
    ],
)
async def test_an_unknown_choice_is_refused_by_name(
    world: World, head: dict[str, str], what: str
) -> None:
    reply = await world.call(**head)
    assert (reply.status, fields(reply)["x-amzn-ErrorType"]) == (400, "ValidationException")
    assert what in json.loads(reply.body)["message"]


async def test_the_tail_of_the_log_comes_when_asked_for(world: World) -> None:
    reply = await world.call(log_type="Tail")
    assert world.seen.tail
    assert base64.b64decode(fields(reply)["X-Amz-Log-Result"]) == b"echoed\n"


@pytest.mark.parametrize("log_type", ["", "None"])
async def test_the_tail_of_the_log_does_not_come_unasked(world: World, log_type: str) -> None:
    reply = await world.call(log_type=log_type)
    assert not world.seen.tail
    assert "X-Amz-Log-Result" not in fields(reply)


# Within the bytes that it may have.
DEEP = base64.b64encode(b"[" * 1300 + b"]" * 1300).decode()


async def test_a_client_context_arrives_as_the_json_inside(world: World) -> None:
    await world.call(client_context=encoded({"custom": {"a": "é"}}))
    assert json.loads(world.seen.client_context) == {"custom": {"a": "é"}}


@pytest.mark.parametrize(
    "text", ["%%%", "e30", encoded([1]), encoded(1), "e30=\u00e9", "/w==", DEEP]
)
async def test_a_malformed_client_context_is_refused(world: World, text: str) -> None:
    reply = await world.call(client_context=text)
    assert reply.status == 400
    assert fields(reply)["x-amzn-ErrorType"] == "InvalidRequestContentException"


async def test_a_client_context_that_is_too_large_is_refused(world: World) -> None:
    text = encoded({"custom": "x" * CLIENT_CONTEXT_BYTES_MAX})
    reply = await world.call(client_context=text)
    assert f"no more than {CLIENT_CONTEXT_BYTES_MAX} bytes" in json.loads(reply.body)["message"]


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (TooManyRequests("ConcurrentInvocationLimitExceeded"), 429),
        (MachineError("no room"), 500),
        (RuntimeError("a bug"), 500),
    ],
)
async def test_what_goes_wrong_is_a_reply(world: World, error: Exception, status: int) -> None:
    assert (await answering(world, error).call()).status == status


async def test_what_was_prepared_once_serves_any_number_of_bodies(world: World) -> None:
    prepared = world.api.prepare(InvokeCall("f"))
    replies = [await world.api.invoke(prepared, b"%d" % number) for number in range(3)]
    assert [reply.body for reply in replies] == [b"0", b"1", b"2"]


async def test_a_head_that_was_refused_keeps_nothing_of_the_bodies_it_came_with(
    world: World,
) -> None:
    refused = world.api.prepare(InvokeCall("f g"))
    assert isinstance(refused, InvalidRequest)
    await world.api.invoke(refused, b"{}")
    before = len(traceback.extract_tb(refused.__traceback__))
    await world.api.invoke(refused, b"{}")
    assert len(traceback.extract_tb(refused.__traceback__)) == before


@pytest.mark.parametrize("streamed", [False, True])
async def test_which_version_runs_is_decided_once(streamed: bool) -> None:
    invoker = Weighted({"f": echo})
    api = LambdaApi(invoker, Submitted().submit, Address())
    prepared, begun = api.prepare(InvokeCall("f")), []

    async def begin(reply: Reply) -> Write:
        begun.append(reply)
        return nothing

    if streamed:
        await api.stream(prepared, b"{}", begin)
        assert fields(begun[0])["X-Amz-Executed-Version"] == "1"
    else:
        await api.invoke(prepared, b"{}")
    assert (invoker.asked, invoker.ran) == (1, ["1"])


async def test_a_recursive_loop_is_told_as_awss_model_has_it(world: World) -> None:
    own = lineage.hash_of(Address().arn("f"))
    reply = await world.call(trace_id=f"Root=1;Lineage=1:{own}:15")
    assert (reply.status, world.invoker.invocations) == (400, [])
    assert fields(reply)["x-amzn-ErrorType"] == "RecursiveInvocationException"
    told = json.loads(reply.body)
    assert (told["Type"], told["Message"][:29]) == ("User", "Recursive invocation detected")
    assert (await world.call(trace_id=f"Root=1;Lineage=1:{own}:14")).status == 200
    accepted = await world.call(trace_id=f"Root=1;Lineage=1:{own}:15", invocation_type="Event")
    assert accepted.status == 202


async def nothing(_: bytes) -> None:
    """Where what is streamed goes."""


class Weighted(FakeInvoker):
    """Its alias means another version each time."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.asked = 0
        self.ran: list[str] = []

    def check(self, name: str, qualifier: str) -> Version:
        self.asked += 1
        return msgspec.structs.replace(super().check(name, qualifier), number=str(self.asked))

    async def invoke(
        self,
        invocation: Invocation,
        on_chunk: OnChunk | None = None,
        version: Version | None = None,
    ) -> Outcome:
        assert version is not None
        self.ran.append(version.number)
        return await echo(invocation)
