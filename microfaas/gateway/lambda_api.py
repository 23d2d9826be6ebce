"""Lambda's Invoke, from a parsed HTTP request to a reply; both lanes end here."""

from __future__ import annotations

import base64
import time
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import msgspec

from microfaas import lineage
from microfaas.errors import InvalidRequest, RequestTooLarge
from microfaas.gateway import eventstream, faults, names
from microfaas.gateway.rates import Rates
from microfaas.gateway.reply import JSON, Reply
from microfaas.invoke import Invoker, new_request_id
from microfaas.model import (
    CLIENT_CONTEXT_BYTES_MAX,
    EVENT_BYTES_MAX,
    MIB,
    Address,
    Invocation,
    Outcome,
    Status,
    Version,
)
from microfaas.pool.instance import OnChunk

ASYNC_EVENT_BYTES_MAX = 1 * MIB
STREAMED_TYPES = ("RequestResponse", "DryRun")
INVOCATION_TYPES = ("RequestResponse", "Event", "DryRun")
LOG_TYPES = ("None", "Tail")


# Accepts an event that nobody waits for; its request id once it is on disk. Raises QueueFull and
# MachineError.
Submit = Callable[[Invocation], Awaitable[str]]


# Writes to a client who waits for more; begun with the head of the reply.
Write = Callable[[bytes], Awaitable[None]]
Begin = Callable[[Reply], Awaitable[Write]]


class InvokeCall(NamedTuple):
    """The head of an Invoke request: the path's name as sent, and the headers that matter."""

    raw_name: str
    qualifier: str = ""
    invocation_type: str = ""
    log_type: str = ""
    client_context: str = ""
    trace_id: str = ""


class Prepared(NamedTuple):
    """An InvokeCall that was understood; good for any number of bodies."""

    function: str
    qualifier: str
    kind: str
    tail: bool
    client_context: bytes
    trace_id: str


class LambdaApi:
    """Answers Invoke and InvokeAsync. Errors are replies as well: only cancellation raises."""

    def __init__(self, invoker: Invoker, submit: Submit, address: Address) -> None:
        self._invoker = invoker
        self._submit = submit
        self._address = address
        self._rates = Rates("FunctionInvocationRateLimitExceeded")
        # Checks the syntax and makes nothing of it: the event stays the bytes that came.
        self._check_json = msgspec.json.Decoder(msgspec.Raw).decode

    def prepare(self, call: InvokeCall) -> Prepared | InvalidRequest:
        """Understand a head, or say what is wrong with it."""
        try:
            return self._prepare(call)
        except InvalidRequest as error:
            return error

    async def invoke(self, prepared: Prepared | InvalidRequest, body: bytes) -> Reply:
        """Run it."""
        request_id = new_request_id()
        if isinstance(prepared, InvalidRequest):
            # Not raised: it may be kept for long, and would collect a traceback each time.
            return faults.fault(prepared, request_id, self._address)
        try:
            invocation, version = self._invocation(prepared, body, request_id)
            if prepared.kind == "RequestResponse":
                outcome = await self._invoker.invoke(invocation, version=version)
                return succeeded(outcome, invocation)
            return await self._accept(invocation, prepared.kind)
        except Exception as error:
            return faults.fault(error, request_id, self._address)

    async def stream(self, prepared: Prepared | InvalidRequest, body: bytes, begin: Begin) -> Reply:
        """Run it, and write its result as it comes to what `begin` gives for the first reply.

        The reply to a request that got no further than to the gateway; else an empty one.
        """
        request_id = new_request_id()
        write: Write | None = None

        async def on_chunk(payload: bytes, _: str) -> None:
            nonlocal write
            if write is None:
                write = await begin(Reply(200, _streamed(invocation, version.number), b""))
            if payload:
                await write(eventstream.chunk(payload))

        try:
            if isinstance(prepared, InvalidRequest):
                raise prepared
            # The head names the version, so it is chosen before anything runs.
            invocation, version = self._invocation(prepared, body, request_id)
            if prepared.kind != "RequestResponse":
                _check_member(prepared.kind, "invocationType", STREAMED_TYPES)
                return await self._accept(invocation, prepared.kind)
            outcome = await self._invoker.invoke(invocation, on_chunk, version)
        except Exception as error:
            if write is not None:
                raise  # it is cut off, which nobody takes for its end
            return faults.fault(error, request_id, self._address)
        # What a handler returns at once is one piece.
        await on_chunk(outcome.payload if outcome.ok else b"", "")
        assert write is not None
        await write(eventstream.complete(outcome, base64.b64encode(outcome.log_tail).decode()))
        return Reply(200, "", b"")

    async def run(self, invocation: Invocation, on_chunk: OnChunk) -> Outcome:
        """Run an event that was made of another request than an Invoke.

        Raises RequestTooLarge, FunctionNotFound, RecursiveInvocation, TooManyRequests,
        MachineError.
        """
        if len(invocation.event) > EVENT_BYTES_MAX:
            raise RequestTooLarge(EVENT_BYTES_MAX)
        version = self._count(invocation.function, invocation.qualifier, "RequestResponse")
        return await self._invoker.invoke(invocation, on_chunk, version)

    def fault(self, error: Exception) -> Reply:
        """The reply to a request that got no further than to the gateway."""
        return faults.fault(error, new_request_id(), self._address)

    def _invocation(
        self, prepared: Prepared, body: bytes, request_id: str
    ) -> tuple[Invocation, Version]:
        """What is to run, and which version. Raises InvalidRequest, RequestTooLarge,
        FunctionNotFound, TooManyRequests."""
        self._check(body, prepared.kind)
        version = self._count(prepared.function, prepared.qualifier, prepared.kind)
        invocation = Invocation(
            request_id=request_id,
            function=prepared.function,
            event=body,
            qualifier=prepared.qualifier,
            client_context=prepared.client_context,
            trace_id=prepared.trace_id or lineage.new_trace_id(request_id),
            tail=prepared.tail,
        )
        return invocation, version

    async def _accept(self, invocation: Invocation, kind: str) -> Reply:
        """Event and DryRun: nobody waits for a result."""
        if kind == "DryRun":
            return Reply(204, f"x-amzn-RequestId: {invocation.request_id}\r\n", b"")
        # Lambda passes the client's context to synchronous invocations only.
        request_id = await self._submit(invocation)
        return Reply(202, f"x-amzn-RequestId: {request_id}\r\n", b"")

    def _prepare(self, call: InvokeCall) -> Prepared:
        name, qualifier = names.parse(call.raw_name, call.qualifier, self._address)
        if call.invocation_type:
            _check_member(call.invocation_type, "invocationType", INVOCATION_TYPES)
        if call.log_type:
            _check_member(call.log_type, "logType", LOG_TYPES)
        return Prepared(
            name,
            qualifier,
            call.invocation_type or "RequestResponse",
            call.log_type == "Tail",
            _client_context(call.client_context) if call.client_context else b"",
            lineage.plain(call.trace_id),
        )

    def _count(self, function: str, qualifier: str, kind: str) -> Version:
        """The version that is called. Raises FunctionNotFound, and TooManyRequests past the
        function's rate."""
        version = self._invoker.check(function, qualifier)
        rate_max = version.function.limits.rate_max
        if rate_max is not None and kind != "DryRun":
            self._rates.take(function, rate_max, time.monotonic())
        return version

    def _check(self, body: bytes, kind: str) -> None:
        """Raises InvalidRequest, RequestTooLarge."""
        limit = ASYNC_EVENT_BYTES_MAX if kind == "Event" else EVENT_BYTES_MAX
        if len(body) > limit:
            raise RequestTooLarge(limit)
        try:
            if body:
                self._check_json(body)
            if not body.isascii():
                body.decode()  # what is skipped over is not looked at as text
        except (ValueError, RecursionError) as error:
            raise InvalidRequest(
                "Could not parse request body into json: "
                f"Could not parse payload into json: {error}",
                kind="InvalidRequestContentException",
            ) from None


def succeeded(outcome: Outcome, invocation: Invocation) -> Reply:
    """The reply to a RequestResponse invoke that ran, however it ended."""
    headers = (
        f"{JSON}x-amzn-RequestId: {invocation.request_id}\r\n"
        f"X-Amz-Executed-Version: {outcome.version}\r\n"
        f"X-Amzn-Trace-Id: {invocation.trace_id}\r\n"
    )
    if outcome.status is not Status.OK:
        headers += "X-Amz-Function-Error: Unhandled\r\n"
    if invocation.tail:
        headers += f"X-Amz-Log-Result: {base64.b64encode(outcome.log_tail).decode()}\r\n"
    return Reply(200, headers, outcome.payload)


def _streamed(invocation: Invocation, version: str) -> str:
    return (
        f"{eventstream.CONTENT_TYPE}x-amzn-RequestId: {invocation.request_id}\r\n"
        f"X-Amz-Executed-Version: {version}\r\n"
        f"X-Amzn-Trace-Id: {invocation.trace_id}\r\n"
    )


def _check_member(value: str, field: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise InvalidRequest(
            f"1 validation error detected: Value '{value}' at '{field}' failed to satisfy "
            f"constraint: Member must satisfy enum value set: [{', '.join(known)}]",
            kind="ValidationException",
        )


def _client_context(text: str) -> bytes:
    """The JSON inside X-Amz-Client-Context."""
    if len(text) > CLIENT_CONTEXT_BYTES_MAX:
        raise InvalidRequest(
            f"Client context must be no more than {CLIENT_CONTEXT_BYTES_MAX} bytes when encoded",
            kind="InvalidRequestContentException",
        )
    try:
        decoded = base64.b64decode(text, validate=True)
        if not isinstance(msgspec.json.decode(decoded), dict):
            raise ValueError("it is not an object")
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(
            f"Could not parse client context as base64 of a JSON object: {error}",
            kind="InvalidRequestContentException",
        ) from None
    return decoded
