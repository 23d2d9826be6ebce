"""The fast lane: the one hot request shape, straight from the socket to the Lambda API.

Theory of operation: every connection starts here. A request whose head is complete and that is
exactly `POST /2015-03-31/functions/NAME/invocations` over HTTP/1.1 with a Content-Length is
answered here; at the first request of any other shape the connection, with the bytes read so
far, is handed to aiohttp for good. Without this file everything still works, only slower. What
a peer may cost before its request is whole is bounded here: bytes of the head, and time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple, cast

from microfaas.config import RequestsTable
from microfaas.errors import AccessRefused, InvalidRequest, MachineError, TooManyRequests
from microfaas.gateway import faults, heads
from microfaas.gateway.auth import Claim, Guard
from microfaas.gateway.connections import Census, Counted, Peer, Ticket, peer_of
from microfaas.gateway.lambda_api import LambdaApi, Prepared
from microfaas.gateway.reply import Clock, Reply, encode
from microfaas.invoke import new_request_id

# A peer that sends a request ahead of its turn may fill this much before it has to wait.
AHEAD_BYTES_MAX = 256 * 1024
DRAIN_POLL_S = 0.02
# How many times within the keep-alive time unused connections are looked for.
SWEEPS = 5

_HEAD_END = b"\r\n\r\n"


class Lane:
    """What all connections share."""

    def __init__(
        self,
        api: LambdaApi,
        guard: Guard | None,
        other_lane: Callable[[], asyncio.Protocol],
        requests: RequestsTable,
    ) -> None:
        self.api = api
        self.guard = guard
        self.other_lane = other_lane
        self.requests = requests
        self.census = Census(requests.connections_max, requests.connections_per_peer_max)
        self.clock = Clock()
        self.connections: set[FastLane] = set()
        self._keepalive_s = keepalive_s = requests.keepalive_s_max
        self._loop = asyncio.get_running_loop()
        self._sweep = self._loop.call_later(keepalive_s / SWEEPS, self._close_unused)

    def _close_unused(self) -> None:
        """Hang up on connections that nobody uses; one timer for all of them."""
        before = self._loop.time() - self._keepalive_s
        for connection in [one for one in self.connections if one.unused_since < before]:
            connection.close_or_abort()
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
    # None where nobody is asked for a key.
    claim: Claim | None = None


class FastLane(asyncio.Protocol):
    """One connection, as long as its requests are of the hot shape."""

    def __init__(self, lane: Lane, ticket: Ticket | None = None, group: str = "") -> None:
        """`group`: as whose the connection counts, if not as its address's."""
        self._lane = lane
        self._ticket = ticket
        self._group = group
        self._peer = Peer("", False)
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

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._peer = peer_of(transport)
        if self._ticket is None:
            self._ticket = self._lane.census.enter(self._group or self._peer.host)
        if self._ticket is None:
            self._lane.census.turn_away(cast(asyncio.Transport, transport))
            return
        self._transport = cast(asyncio.Transport, transport)
        self._lane.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        # What runs goes on, as in Lambda; only the answer has nowhere to go.
        self._transport = None
        self._stop_timer()
        if self._ticket is not None:
            self._ticket.leave()
        if not self._busy:
            self._end()

    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            return  # it was turned away
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

    # one request after the other

    def close_soon(self) -> None:
        """Close now, or after the answer that is being made."""
        self._closing = True
        if not self._busy and self._transport is not None:
            self._transport.close()

    def close_or_abort(self) -> None:
        """Close; when that was of no use before, the peer does not take its answer: hang up."""
        if self._closing and not self._busy and self._transport is not None:
            self._transport.abort()
        else:
            self.close_soon()

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
        if head_end < 0 or head_end > self._lane.requests.head_bytes_max:
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
        elif len(self._buffer) > (limit := self._lane.requests.head_bytes_max):
            text = f"the request's head must not be larger than {limit} bytes"
            self._refuse(431, "RequestHeaderFieldsTooLargeException", text)
        else:
            self._start_timer()

    def _parse(self, raw: bytes) -> bool:
        """Take a head apart; False when it is not of the hot shape."""
        head = heads.read(raw)
        if head is None:
            return False
        claim = None
        if self._lane.guard is not None:
            try:
                claim = self._lane.guard.claim(head.signable, self._peer)
            except (AccessRefused, MachineError):
                return False  # the other lane says so, and need not wait for the body
        self._head = Head(raw, head.length, self._lane.api.prepare(head.call), claim)
        return True

    async def _serve(self, first: bytes) -> None:
        """Answer one request after the other until the connection is lost or handed over."""
        body: bytes | None = first
        while body is not None:
            head = self._head
            refusal = None if head.claim is None else self._refusal(head.claim, head.prepared, body)
            self._answer(refusal or await self._lane.api.invoke(head.prepared, body))
            if self._transport is None:
                break
            self._next = self._loop.create_future()
            self._busy = False
            self.unused_since = self._loop.time()
            self._advance()
            body = await self._next
        self._lane.connections.discard(self)

    def _refusal(
        self, claim: Claim, prepared: Prepared | InvalidRequest, body: bytes
    ) -> Reply | None:
        """What the guard has against a request; None when it may pass."""
        guard = self._lane.guard
        assert guard is not None
        try:
            guard.permit_invoke(guard.identify(claim, body), prepared)
        except (AccessRefused, MachineError, TooManyRequests) as error:
            if isinstance(error, AccessRefused):
                guard.tell(error, claim.head, claim.peer)
            return self._lane.api.fault(error)
        return None

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
        assert self._transport is not None
        self._transport.write(encode(reply, self._lane.clock.date()))

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
        protocol = Counted(self._lane.other_lane(), self._lane.census, self._ticket)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        protocol.data_received(self._buffer)
        self._buffer = b""

    def _start_timer(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(self._lane.requests.request_s_max, self._too_slow)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _too_slow(self) -> None:
        limit_s = self._lane.requests.request_s_max
        text = f"the request was not complete after {limit_s:.0f} seconds"
        self._refuse(408, "RequestTimeoutException", text)
