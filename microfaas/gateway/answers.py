"""Replies as aiohttp sends them: whole, or begun and then written piece by piece."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from aiohttp import web

from microfaas.gateway.reply import Clock, Reply, headers

# Who has taken nothing of a stream for so long will not.
STALLED_S_MAX = 300.0


class Answers:
    """Makes aiohttp's responses of replies, with the same headers as the fast lane's."""

    def __init__(self) -> None:
        self._clock = Clock()

    def whole(self, reply: Reply) -> web.Response:
        response = web.Response(status=reply.status, body=reply.body or None)
        response.headers.clear()
        _set_headers(response, headers(reply, self._clock.date()))
        return response

    async def begun(self, reply: Reply, request: web.Request) -> web.StreamResponse:
        """A response whose head is sent; its body is for the caller to write and to end."""
        response = web.StreamResponse(status=reply.status)
        _set_headers(response, f"Date: {self._clock.date()}\r\n{reply.headers}")
        await response.prepare(request)
        return response

    async def streamed(
        self, reply: Reply, pieces: AsyncGenerator[bytes, None], request: web.Request
    ) -> web.StreamResponse:
        """A response of pieces, as they come; none is asked for before the last one is taken.

        A client that leaves is noticed with the next piece. Raises ConnectionError then.
        """
        async with contextlib.aclosing(pieces):
            response = await self.begun(reply, request)
            try:
                async for piece in pieces:
                    async with asyncio.timeout(STALLED_S_MAX):
                        await response.write(piece)
            except TimeoutError:
                _cut(request)
                raise ConnectionAbortedError from None
            except Exception:
                _cut(request)
                raise
        await response.write_eof()
        return response


def _cut(request: web.Request) -> None:
    """The head is sent already: the connection ends where the stream does."""
    if request.transport is not None:
        request.transport.abort()


def _set_headers(response: web.StreamResponse, lines: str) -> None:
    for line in lines.split("\r\n")[:-1]:
        name, _, value = line.partition(": ")
        response.headers.add(name, value)
