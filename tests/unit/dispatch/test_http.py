"""Posting to HTTP endpoints: what their answers mean, with a real server."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from delivery_world import endpoint

from microfaas.dispatch import http
from microfaas.dispatch.http import HttpSender


@pytest_asyncio.fixture
async def sender() -> AsyncIterator[HttpSender]:
    made = HttpSender()
    yield made
    await made.close()


async def test_it_posts_the_body_as_it_is(sender: HttpSender) -> None:
    async with endpoint() as there:
        body = bytes(range(256))
        verdict = await sender.post(there.url, body, {"X-Mine": "1", "Content-Type": "text/plain"})
        assert verdict.action == "done"
    [(headers, got)] = there.got
    assert got == body
    assert (headers["x-mine"], headers["content-type"]) == ("1", "text/plain")


@pytest.mark.parametrize(
    ("status", "action"),
    [
        *((200, "done"), (202, "done"), (204, "done"), (299, "done")),
        *((400, "never"), (401, "never"), (403, "never"), (404, "never"), (410, "never")),
        *((408, "later"), (425, "later"), (429, "later")),
        *((500, "later"), (502, "later"), (503, "later"), (599, "later")),
    ],
)
async def test_a_status_is_a_verdict(sender: HttpSender, status: int, action: str) -> None:
    async with endpoint([status]) as there:
        verdict = await sender.post(there.url, b"", {})
    assert verdict.action == action
    if action != "done":
        assert verdict.why == f"{there.url} answered {status}: its words"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_redirects_are_not_followed(sender: HttpSender, status: int) -> None:
    async with endpoint([status]) as there:
        assert (await sender.post(there.url, b"", {})).action == "later"
    assert len(there.got) == 1


async def test_nobody_listens(sender: HttpSender) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        verdict = await sender.post(url, b"", {})
    assert verdict.action == "later"
    assert verdict.why.startswith(f"cannot post to {url}: ")


@pytest.mark.parametrize("url", ["http://name.invalid/", "http://127.0.0.1:99999/", "http://"])
async def test_there_is_no_such_place(sender: HttpSender, url: str) -> None:
    assert (await sender.post(url, b"", {})).action == "later"


async def test_one_that_does_not_answer(
    sender: HttpSender, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "ANSWER_S_MAX", 0.2)
    async with endpoint([0]) as there:
        verdict = await sender.post(there.url, b"", {})
    assert verdict == ("later", f"cannot post to {there.url}: no answer within 0.2 s")


async def test_one_that_speaks_no_http(sender: HttpSender) -> None:
    async def garble(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"\0\0\0\0\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(garble, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert (await sender.post(f"http://127.0.0.1:{port}/", b"", {})).action == "later"


async def test_of_a_long_refusal_the_begin_is_told(sender: HttpSender) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 No\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        verdict = await sender.post(f"http://127.0.0.1:{port}/", b"", {})
    assert verdict.action == "never"
    assert verdict.why.endswith("x" * http.ANSWER_BYTES_MAX)
    assert len(verdict.why) < 1000


async def test_it_keeps_no_cookies(sender: HttpSender) -> None:
    seen: list[bytes] = []

    async def bake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n")
        writer.write(b"Connection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(bake, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        for _ in range(2):
            assert (await sender.post(f"http://localhost:{port}/", b"", {})).action == "done"
    assert b"cookie" not in b"".join(seen).lower()


async def test_one_that_was_never_used_can_be_closed() -> None:
    await HttpSender().close()
