"""A gateway of each kind over the same fake functions, and a client that sees every byte."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from microfaas.config import RequestsTable
from microfaas.errors import TooManyRequests
from microfaas.gateway.app import Gateway, bind
from microfaas.gateway.auth import Guard
from microfaas.gateway.control_api import ControlApi
from microfaas.gateway.lambda_api import LambdaApi
from microfaas.gateway.reply import Reply
from microfaas.model import MIB, Address, Invocation, Limits, Outcome, Status, Version
from microfaas.testing import FakeInvoker, echo

PATIENCE_S = 60.0
STREAM_BYTES_MAX = 16 * MIB

_MASKS = (
    (re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"), b"ID"),
    (re.compile(rb"(?<=\r\nDate: )[^\r]+"), b"DATE"),
    (re.compile(rb"Root=1-[0-9a-f-]+;Parent=[0-9a-f]+;Sampled=0"), b"TRACE"),
)


class Rated(FakeInvoker):
    """Its function `rated` may be called once in a thousand seconds."""

    def check(self, name: str, qualifier: str) -> Version:
        version = super().check(name, qualifier)
        limits = Limits(rate_max=0.001 if name == "rated" else None)
        function = msgspec.structs.replace(version.function, limits=limits)
        return msgspec.structs.replace(version, function=function)


@dataclass
class Submitted:
    """A dispatcher that keeps what it is given."""

    invocations: list[Invocation] = field(default_factory=list)

    async def submit(self, invocation: Invocation) -> str:
        self.invocations.append(invocation)
        return invocation.request_id


class Health(ControlApi):
    """The control API of a server that has nothing."""

    def __init__(self) -> None:
        """Without the parts that the real one reads."""

    def functions(self, request_id: str) -> Reply:
        return Reply(200, f"x-amzn-RequestId: {request_id}\r\n", b"{}")


@dataclass
class Functions:
    """What the fake functions do; `slow` and `done` let a test stand between."""

    started: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    finished: asyncio.Event = field(default_factory=asyncio.Event)

    async def fail(self, _: Invocation) -> Outcome:
        return Outcome(status=Status.ERROR, payload=b'{"errorType": "E"}')

    async def busy(self, _: Invocation) -> Outcome:
        raise TooManyRequests("ReservedFunctionConcurrentInvocationLimitExceeded")

    async def broken(self, _: Invocation) -> Outcome:
        raise RuntimeError("a bug")

    async def large(self, _: Invocation) -> Outcome:
        return Outcome(status=Status.OK, payload=b'"' + b"x" * (6 * MIB - 2) + b'"')

    async def slow(self, invocation: Invocation) -> Outcome:
        self.started.set()
        await self.go_on.wait()
        self.finished.set()
        return await echo(invocation)


@dataclass
class Lane:
    """One gateway that listens, and what its functions were given."""

    port: int
    functions: Functions
    invoker: FakeInvoker
    submitted: Submitted
    gateway: Gateway
    guard: Guard | None = None

    async def answers_again(self) -> None:
        """Returns when a new connection is served, which may take until an old one is missed."""
        answer = b""
        while b" 200 " not in answer:
            await asyncio.sleep(0.01)
            answer = await self.ask_to_the_end(invoke("echo", Connection="close"))

    async def ask(self, *pieces: bytes, answers: int = 1) -> list[bytes]:
        """Send the pieces one by one; the raw answers, what differs by nature masked."""
        async with self.connected() as client:
            await client.send(pieces)
            return [await client.answer() for _ in range(answers)]

    async def ask_to_the_end(self, *pieces: bytes) -> bytes:
        """Send the pieces; all that comes until the gateway hangs up, masked."""
        async with self.connected() as client:
            await client.send(pieces)
            return masked(await client.rest())

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[Client]:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, limit=STREAM_BYTES_MAX
        )
        try:
            async with asyncio.timeout(PATIENCE_S):
                yield Client(reader, writer)
        finally:
            writer.transport.abort()


@dataclass
class Client:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, pieces: Iterable[bytes]) -> None:
        # A gateway that refuses early hangs up early: what it said counts.
        with contextlib.suppress(ConnectionError):
            for piece in pieces:
                self.writer.write(piece)
                await self.writer.drain()
                await asyncio.sleep(0)

    async def answer(self) -> bytes:
        """One HTTP answer with all its bytes, masked."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"\r\nContent-Length: (\d+)\r\n", head)
        body = await self.reader.readexactly(int(length[1])) if length else b""
        return masked(head + body)

    async def rest(self) -> bytes:
        received = b""
        with contextlib.suppress(ConnectionError):
            while piece := await self.reader.read(MIB):
                received += piece
        return received


def masked(data: bytes) -> bytes:
    for pattern, mask in _MASKS:
        data = pattern.sub(mask, data)
    return data


@contextlib.asynccontextmanager
async def listening(
    *, fast: bool, guard: Guard | None = None, requests: RequestsTable | None = None
) -> AsyncIterator[Lane]:
    """A gateway on a port of its own."""
    functions, submitted = Functions(), Submitted()
    names = ("fail", "busy", "broken", "large", "slow")
    invoker = Rated(
        {"echo": echo, "rated": echo, **{name: getattr(functions, name) for name in names}}
    )
    address = Address(region="us-east-1")
    api = LambdaApi(invoker, submitted.submit, address)
    gateway = Gateway(
        *(api, Health(), address),
        drain_s_max=PATIENCE_S,
        guard=guard,
        requests=requests,
        fast=fast,
    )
    with bind("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        await gateway.listen(listener)
        yield Lane(port, functions, invoker, submitted, gateway, guard)
        functions.go_on.set()
        await gateway.close()


def request(
    path: str,
    body: bytes = b"{}",
    *,
    method: str = "POST",
    version: str = "HTTP/1.1",
    length: int | None = None,
    **headers: str,
) -> bytes:
    """A raw request; `X_Amz_Log_Type` becomes the header X-Amz-Log-Type."""
    lines = [f"{method} {path} {version}", "Host: localhost"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    if "Transfer_Encoding" not in headers:
        lines.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def invoke(name: str, body: bytes = b"{}", **headers: Any) -> bytes:
    """A raw Invoke."""
    return request(f"/2015-03-31/functions/{name}/invocations", body, **headers)
