"""Replies as aiohttp sends them: whole, or begun and then written piece by piece."""

from __future__ import annotations

from aiohttp import web

from microfaas.gateway.reply import Clock, Reply, headers


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


def _set_headers(response: web.StreamResponse, lines: str) -> None:
    for line in lines.split("\r\n")[:-1]:
        name, _, value = line.partition(": ")
        response.headers.add(name, value)
