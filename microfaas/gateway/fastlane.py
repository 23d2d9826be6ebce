"""The fast lane: the one hot request shape, straight from the socket to the Lambda API.

Theory of operation: every connection starts here. A request whose head is complete and that is
exactly `POST /2015-03-31/functions/NAME/invocations` over HTTP/1.1 with a Content-Length is
answered here; at the first request of any other shape the connection, with the bytes read so
far, is handed to aiohttp for good. Without this file everything still works, only slower. What
a peer may cost before its request is whole is bounded here: bytes of the head, and time.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple, cast
from urllib.parse import parse_qs

import httptools

from microfaas.errors import InvalidRequest
from microfaas.gateway import faults
from microfaas.gateway.lambda_api import InvokeCall, LambdaApi, Prepared
from microfaas.gateway.reply import Clock, Reply, headers
from microfaas.invoke import new_request_id
from microfaas.model import EVENT_BYTES_MAX

HEAD_BYTES_MAX = 64 * 1024
# A peer that sends a request ahead of its turn may fill this much before it has to wait.
AHEAD_BYTES_MAX = 256 * 1024
REQUEST_S_MAX = 60.0
DRAIN_POLL_S = 0.02
# How many times within the keep-alive time unused connections are looked for.
SWEEPS = 5

_METHOD = b"POST "
_PREFIX = b"/2015-03-31/functions/"
_SUFFIX = b"/invocations"
# What the other lane's route matches as well.
_HOT_PATH = re.compile(re.escape(_PREFIX) + rb"[^{}/]+" + _SUFFIX)
_HEAD_END = b"\r\n\r\n"
_STATUS_LINES = {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n" for s in HTTPStatus}


class Lane:
    """What all connections share."""

    def __init__(
        self, api: LambdaApi, other_lane: Callable[[], asyncio.Protocol], keepalive_s: float
    ) -> None:
        self.api = api
        self.other_lane = other_lane
        self.clock = Clock()
        self.connections: set[FastLane] = set()
        self._keepalive_s = keepalive_s
        self._loop = asyncio.get_running_loop()
        self._sweep = self._loop.call_later(keepalive_s / SWEEPS, self._close_unused)

    def _close_unused(self) -> None:
        """Hang up on connections that nobody uses; one timer for all of them."""
        before = self._loop.time() - self._keepalive_s
        for connection in [one for one in self.connections if one.unused_since < before]:
            connection.close_soon()
        self._sweep = self._loop.call_later(self._keepalive_s / SWEEPS, self._close_unused)

    async def drain(self, timeout_s: float) -> None:
        """The server stops: let what runs finish, hang up on the others."""
        self._sweep.cancel()
        deadline = self._loop.time() + timeout_s
        for connection in list(self.connections):
            connection.close_soon()
        while self.connections and self._loop.time() < deadline:  # noqa: ASYNC110  # rare and short
            await asyncio.sleep(DRAIN_POLL_S)
        for connection in list(self.connections):
            connection.abort()


class Head(NamedTuple):
    """A head of the hot shape that was parsed; most clients send the same one again and again."""

    raw: bytes
    length: int
    prepared: Prepared | InvalidRequest


class FastLane(asyncio.Protocol):
    """One connection, as long as its requests are of the hot shape."""

    def __init__(self, lane: Lane) -> None:
        self._lane = lane
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        # While the rest of a body is on its way: what came so far, and how much is missing.
        self._pieces: list[bytes] = []
        self._missing = 0
        self._head = Head(b"", 0, InvalidRequest(""))
        # One task serves all requests of the connection: a task for each would cost more than
        # parsing it. It waits for the next one in `_next`.
        self._task: asyncio.Task[None] | None = None
        self._next: asyncio.Future[bytes | None] | None = None
        self._busy = False
        self._closing = False
        self.unused_since = self._loop.time()
        self._write_paused = False
        self._read_paused = False
        self._timer: asyncio.TimerHandle | None = None
        # Filled by the parser, one request at a time.
        self._url = b""
        self._headers: dict[bytes, bytes] = {}

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._lane.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        # What runs goes on, as in Lambda; only the answer has nowhere to go.
        self._transport = None
        self._stop_timer()
        if not self._busy:
            self._end()

    def data_received(self, data: bytes) -> None:
        if self._missing > 0:
            self._pieces.append(data)
            self._missing -= len(data)
            if self._missing > 0:
                return
            data = b"".join(self._pieces)
            self._pieces.clear()
        self._buffer = self._buffer + data if self._buffer else data
        if not self._busy:
            self._advance()
        elif len(self._buffer) > AHEAD_BYTES_MAX and self._transport is not None:
            self._transport.pause_reading()
            self._read_paused = True

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        if not self._busy:
            self._advance()

    # httptools' callbacks

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.setdefault(name.lower(), value)

    # one request after the other

    def close_soon(self) -> None:
        """Close now, or after the answer that is being made."""
        self._closing = True
        if not self._busy and self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._task is not None:
            self._task.cancel()
        if self._transport is not None:
            self._transport.abort()

    def _advance(self) -> None:
        """Start the request at the head of the buffer once it is whole."""
        buffer = self._buffer
        if not buffer or self._write_paused:
            return
        head_end = buffer.find(_HEAD_END)
        if head_end < 0 or head_end > HEAD_BYTES_MAX:
            self._want_head()
            return
        head_end += len(_HEAD_END)
        if buffer[:head_end] != self._head.raw and not self._parse(buffer[:head_end]):
            self._hand_over()
            return
        end = head_end + self._head.length
        if len(buffer) < end:
            self._missing = end - len(buffer)
            self._pieces.append(buffer)
            self._buffer = b""
            self._start_timer()
            return
        if self._timer is not None:
            self._stop_timer()
        self._buffer = buffer[end:]
        self._busy = True
        self._give(buffer[head_end:end])

    def _give(self, body: bytes) -> None:
        """Hand a whole request to the connection's task."""
        if self._next is not None:
            self._next.set_result(body)
        else:
            self._task = self._loop.create_task(self._serve(body))

    def _end(self) -> None:
        """No more requests will come from here."""
        self._lane.connections.discard(self)
        if self._next is not None and not self._next.done():
            self._next.set_result(None)

    def _want_head(self) -> None:
        """The head is not complete: wait for it, within limits."""
        if not 0x41 <= self._buffer[0] <= 0x5A:
            self._hand_over()  # no method begins so; aiohttp says what is wrong
        elif len(self._buffer) > HEAD_BYTES_MAX:
            text = f"the request's head must not be larger than {HEAD_BYTES_MAX} bytes"
            self._refuse(431, "RequestHeaderFieldsTooLargeException", text)
        else:
            self._start_timer()

    def _parse(self, raw: bytes) -> bool:
        """Take a head apart; False when it is not of the hot shape."""
        if not raw.startswith(_METHOD + _PREFIX):
            return False
        self._url, self._headers = b"", {}
        parser = httptools.HttpRequestParser(self)
        try:
            parser.feed_data(raw)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            return False
        fields = self._headers
        length = fields.get(b"content-length", b"")
        plain = not (b"transfer-encoding" in fields or b"expect" in fields or b"upgrade" in fields)
        path = self._url.partition(b"?")[0]
        hot = (
            plain
            and length.isdigit()
            and int(length) <= EVENT_BYTES_MAX
            and _HOT_PATH.fullmatch(path) is not None
            and parser.get_http_version() == "1.1"
            and parser.should_keep_alive()
        )
        if hot:
            self._head = Head(raw, int(length), self._lane.api.prepare(self._call()))
        return hot

    def _call(self) -> InvokeCall:
        path, _, query = self._url.decode("latin-1").partition("?")
        fields = self._headers
        return InvokeCall(
            path[len(_PREFIX) : -len(_SUFFIX)],
            parse_qs(query).get("Qualifier", [""])[0] if query else "",
            # Decoded as aiohttp decodes them.
            fields.get(b"x-amz-invocation-type", b"").decode("utf-8", "surrogateescape"),
            fields.get(b"x-amz-log-type", b"").decode("utf-8", "surrogateescape"),
            fields.get(b"x-amz-client-context", b"").decode("utf-8", "surrogateescape"),
            fields.get(b"x-amzn-trace-id", b"").decode("utf-8", "surrogateescape"),
        )

    async def _serve(self, first: bytes) -> None:
        """Answer one request after the other until the connection is lost or handed over."""
        body: bytes | None = first
        while body is not None:
            prepared = self._head.prepared
            self._answer(await self._lane.api.invoke(prepared, body))
            if self._transport is None:
                break
            self._next = self._loop.create_future()
            self._busy = False
            self.unused_since = self._loop.time()
            self._advance()
            body = await self._next
        self._lane.connections.discard(self)

    def _answer(self, reply: Reply) -> None:
        transport = self._transport
        # A closed transport may still be here for a moment; it must not be written to.
        if transport is None or transport.is_closing():
            return
        self._write(reply)
        if self._read_paused:
            self._read_paused = False
            transport.resume_reading()
        if self._closing:
            transport.close()

    def _write(self, reply: Reply) -> None:
        lines = headers(reply, self._lane.clock.date())
        head = f"{_STATUS_LINES[reply.status]}{lines}\r\n".encode("latin-1")
        assert self._transport is not None
        self._transport.write(head + reply.body)

    def _refuse(self, status: int, kind: str, text: str) -> None:
        if self._transport is not None:
            closing = "Connection: close\r\n"
            self._write(faults.reply(status, kind, text, new_request_id(), headers=closing))
            self._transport.close()

    def _hand_over(self) -> None:
        """Let aiohttp have this connection from here on."""
        transport, self._transport = self._transport, None
        assert transport is not None
        self._stop_timer()
        self._end()
        protocol = self._lane.other_lane()
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(self._buffer)
        self._buffer = b""

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(REQUEST_S_MAX, self._too_slow)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        text = f"the request was not complete after {REQUEST_S_MAX:.0f} seconds"
        self._refuse(408, "RequestTimeoutException", text)
