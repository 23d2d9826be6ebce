"""Both lanes of the gateway: whatever is sent, they answer alike and give functions the same.

The first byte is where the rest is cut in two. Both lanes are in this process, with a transport
that only remembers, so that nothing but the loop has to run for an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from microfaas.gateway.fastlane import FastLane
from microfaas.model import Invocation
from tests.contract.lane_world import Lane, invoke, listening, masked, request

# This often in a row the loop may do nothing to be seen before it counts as having settled.
QUIET_TURNS = 12
STREAM_BYTES_MAX = 64 * 1024

# What aiohttp says of garbage quotes as much of it as had come when it saw that it was.
_REFUSED = b"(400 Bad Request)"
_GARBAGE = re.compile(rb"HTTP/1\.0 400 Bad Request\r\n.*", re.DOTALL)

Factory = Callable[[], asyncio.Protocol]


class Wire(asyncio.Transport):
    """A connection whose peer is nobody: it keeps what is written."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.protocol = protocol
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def is_reading(self) -> bool:
        return not self.closed

    def get_write_buffer_size(self) -> int:
        return 0


class World:
    """The two gateways, and the loop that they are in."""

    def __init__(self) -> None:
        logging.getLogger("microfaas").addHandler(logging.NullHandler())
        self.loop = asyncio.new_event_loop()
        self._stack = contextlib.AsyncExitStack()
        self.fast, self.plain = self.loop.run_until_complete(self._start())

    async def _start(self) -> list[tuple[Lane, Factory]]:
        made: list[Factory] = []

        class Listening:
            def close(self) -> None: ...

        async def remember(factory: Factory, **_: object) -> Listening:
            made.append(factory)
            return Listening()

        self.loop.create_server = remember  # type: ignore[assignment,method-assign]
        lanes = [
            await self._stack.enter_async_context(listening(fast=fast)) for fast in (True, False)
        ]
        return list(zip(lanes, made, strict=True))


@dataclass
class Seen:
    """What is answered, what was run, and how the connection is left."""

    answers: bytes
    ran: list[tuple[object, ...]]
    closed: bool
    # For more of a head; the other lane does not tell.
    waits: bool = field(default=False, compare=False)


async def _ask(lane: Lane, factory: Factory, pieces: Iterable[bytes]) -> Seen:
    lane.invoker.invocations.clear()
    lane.submitted.invocations.clear()
    wire = Wire(factory())
    wire.protocol.connection_made(wire)
    for piece in pieces:
        if not wire.closed:
            wire.protocol.data_received(piece)
        await _settle(wire, lane)
    found = Seen(
        _GARBAGE.sub(_REFUSED, masked(wire.written)),
        [*map(_facts, [*lane.invoker.invocations, *lane.submitted.invocations])],
        wire.closed,
    )
    found.waits = isinstance(wire.protocol, FastLane) and bool(wire.protocol._buffer)
    wire.close()
    await _settle(wire, lane)
    return found


async def _settle(wire: Wire, lane: Lane) -> None:
    seen, quiet = (-1, -1), 0
    while quiet < QUIET_TURNS:
        await asyncio.sleep(0)
        now = len(wire.written), len(lane.invoker.invocations)
        quiet = quiet + 1 if now == seen else 0
        seen = now


def _facts(invocation: Invocation) -> tuple[object, ...]:
    """What is the same in both lanes: the id is not, nor is a trace id that is made from it."""
    return (
        invocation.function,
        invocation.event,
        invocation.qualifier,
        invocation.client_context,
        re.sub(r"^Root=1-[0-9a-f]{8}-[0-9a-f]{24};Parent.*", "", invocation.trace_id),
        invocation.tail,
    )


@functools.cache
def world() -> World:
    return World()


def target(data: bytes) -> None:
    if not data or len(data) > STREAM_BYTES_MAX:
        return
    stream = data[1:]
    cut = data[0] * len(stream) // 256
    pieces = [piece for piece in (stream[:cut], stream[cut:]) if piece]
    both = world()
    fast, plain = [
        both.loop.run_until_complete(_ask(*lane, pieces)) for lane in (both.fast, both.plain)
    ]
    answered, refusal, _ = plain.answers.partition(_REFUSED)
    if not refusal:
        assert fast == plain, (fast, plain)
        return
    # aiohttp takes nothing from a read in which something is garbage; the fast lane takes what
    # stands before it, and looks at a head when the whole of it has come.
    assert fast.answers.startswith(answered), (fast, plain)
    assert fast.ran[: len(plain.ran)] == plain.ran, (fast, plain)
    assert fast.waits or fast.answers.endswith(_REFUSED), (fast, plain)


def seeds() -> dict[str, bytes]:
    two = invoke("echo", b"1") + invoke("fail")
    made = {
        "plain": invoke("echo", b'{"a": 1}'),
        "two": two,
        "tail": invoke("echo", X_Amz_Log_Type="Tail"),
        "event": invoke("echo", X_Amz_Invocation_Type="Event"),
        "context": invoke("echo", X_Amz_Client_Context="e30="),
        "trace": invoke("echo", X_Amzn_Trace_Id="Root=1-2-3;Sampled=1"),
        "qualifier": request("/2015-03-31/functions/echo/invocations?Qualifier=%24LATEST&a=b"),
        "arn": invoke("arn:aws:lambda:us-east-1:123456789012:function:echo:$LATEST"),
        "escaped": invoke("%65cho"),
        "chunks": invoke("echo", b"2;x=y\r\n{}\r\n0\r\n\r\n", Transfer_Encoding="chunked"),
        "chunks-and-length": invoke("echo", b"2\r\n{}\r\n0\r\n\r\n", Transfer_Encoding="chunked"),
        "expect": invoke("echo", Expect="100-continue"),
        "close": invoke("echo", Connection="close"),
        "upgrade": invoke("echo", Connection="Upgrade", Upgrade="websocket"),
        "old": invoke("echo", version="HTTP/1.0"),
        "health": request("/_microfaas/v1/health", b"", method="GET"),
        "later": request("/2014-11-13/functions/echo/invoke-async/"),
        "nowhere": request("/nowhere"),
    }
    return {name: b"\x80" + stream for name, stream in made.items()}
