"""The HTTP of the Runtime API: what it takes for a request, and what it makes of one."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from host_world import RUNTIMES
from provided_world import EXTENSION, RUNTIME, World

sys.path.append(str(RUNTIMES / "provided"))
from custom_host import http11


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def test_a_head_is_read() -> None:
    request = http11.Parser().parse(b"GET /a/b?c=d HTTP/1.1\r\nHost: x\r\nTwo:  a b \r\nTwo: c")
    assert (request.method, request.path) == ("GET", "/a/b")
    assert request.headers == {"host": "x", "two": "a b, c"}
    assert (request.keep_alive, request.body) == (True, None)


def test_the_same_lines_are_not_taken_for_others() -> None:
    parser = http11.Parser()
    variants = itertools.product("12", "01", "12")
    heads = [f"GET /{a} HTTP/1.{b}\r\nHost: {c}".encode() for a, b, c in variants]
    for head in heads * 2:
        request = parser.parse(head)
        words = head.decode().split()
        assert request.path == words[1]
        assert request.keep_alive is words[2].endswith("1")
        assert request.headers == {"host": words[4]}


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        ("HTTP/1.1", True),
        ("HTTP/1.1\r\nConnection: close", False),
        ("HTTP/1.1\r\nConnection: keep-alive", True),
        ("HTTP/1.0", False),
        ("HTTP/1.0\r\nConnection: Keep-Alive", True),
    ],
)
def test_a_connection_is_kept_as_the_request_wants(lines: str, kept: bool) -> None:
    assert http11.Parser().parse(f"GET / {lines}".encode()).keep_alive is kept


MALFORMED = {
    "not a request": b"hello",
    "another protocol": b"GET / HTTP/2.0",
    "no path": b"GET  HTTP/1.1",
    "an absolute address": b"GET http://x/ HTTP/1.1",
    "a blank before the colon": b"GET / HTTP/1.1\r\nHost : x",
    "a folded line": b"GET / HTTP/1.1\r\nHost: x\r\n y",
    "a header without a name": b"GET / HTTP/1.1\r\n: x",
    "a bare line feed": b"GET / HTTP/1.1\r\nHost: x\nTwo: y",
    "a bare carriage return": b"GET / HTTP/1.1\r\nHost: x\rTwo: y",
    "a null byte": b"GET / HTTP/1.1\r\nHost: x\0",
    "two lengths": b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1",
    "a length and chunks": b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked",
    "a length with a sign": b"POST / HTTP/1.1\r\nContent-Length: +1",
    "a length in other digits": "POST / HTTP/1.1\r\nContent-Length: ²".encode("latin-1"),
    "a length without end": b"POST / HTTP/1.1\r\nContent-Length: " + b"9" * 16,
    "an empty length": b"POST / HTTP/1.1\r\nContent-Length:",
    "another coding": b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip, chunked",
}


@pytest.mark.parametrize("head", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_head_that_can_be_misunderstood_is_refused(head: bytes) -> None:
    parser = http11.Parser()
    for _ in range(2):
        with pytest.raises(http11.BadRequest):
            parser.parse(head)


BODY = b"3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nOne: 1\r\ntwo:  2 \r\n\r\n"


@pytest.mark.parametrize("size", [1, 2, 3, 7, len(BODY)])
def test_chunks_are_put_together_however_they_arrive(size: int) -> None:
    body = http11.Chunked()
    buffer = bytearray()
    pieces: list[bytes] = []
    whole = False
    for start in range(0, len(BODY), size):
        assert not whole
        buffer += BODY[start : start + size]
        found, whole = body.feed(buffer)
        pieces += found
    assert whole
    assert b"".join(pieces) == b"abc0123456789"
    assert body.trailers == {"one": "1", "two": "2"}


@pytest.mark.parametrize("data", [b"2\r\n{}\r\n0\r\n\r\n", b"2;x\r\n{}\r\n0\r\n\r\n", b"0\r\n\r\n"])
@pytest.mark.parametrize("more", [b"", b"GET", b"0\r\n\r\n"])
def test_what_follows_a_body_is_left(data: bytes, more: bytes) -> None:
    buffer = bytearray(data + more)
    pieces, whole = http11.Chunked().feed(buffer)
    assert whole
    assert b"".join(pieces) == (b"" if data.startswith(b"0") else b"{}")
    assert buffer == more


@pytest.mark.parametrize(
    "data",
    [
        b"x\r\n",
        b"-1\r\n",
        b"123456789\r\n",
        b"1\r\nab\r\n",
        b"\r\n",
        b"1" * 300,
        b"0\r\nno\r\n\r\n",
    ],
)
def test_chunks_that_are_malformed_are_refused(data: bytes) -> None:
    body = http11.Chunked()
    with pytest.raises(http11.BadRequest):
        body.feed(bytearray(data))


def test_what_is_no_request_is_answered_and_hung_up_on(world: World) -> None:
    _, runtime = world.runtime()
    runtime.raw(b"hello\r\n\r\n")
    refused = runtime.receive()
    assert refused is not None
    assert (refused.status, refused.headers["connection"]) == (400, "close")
    assert runtime.receive() is None


def test_a_head_without_end_is_not_kept(world: World) -> None:
    _, runtime = world.runtime()
    code = """
made = connection("a")[0]
made.sendall(b"GET / HTTP/1.1\\r\\nHost: ")
try:
    for _ in range(20):
        made.sendall(b"x" * 100000)
    result = receive("a")
except OSError:
    result = None
"""
    answer = runtime.do("run", code)
    assert answer is None or answer[0] == 431
    assert runtime.exchange("GET", "/ping", connection="b").status == 200


def test_requests_may_come_by_bytes_or_all_at_once(world: World) -> None:
    _, runtime = world.runtime()
    for byte in b"GET /ping HTTP/1.1\r\n\r\n":
        runtime.raw(bytes([byte]))
    runtime.raw(b"GET /ping HTTP/1.1\r\n\r\n" * 3)
    for _ in range(4):
        answer = runtime.receive()
        assert answer is not None
        assert answer.body == b"pong"


def test_a_request_that_waits_behind_another_is_served_after_it(world: World) -> None:
    instance, runtime = world.ready()
    runtime.raw(b"GET /ping HTTP/1.1\r\n\r\n")
    instance.send("invoke", id="id", event=b"[1]", deadline_ms=0, arn="a")
    event, pong = runtime.receive(), runtime.receive()
    assert event is not None
    assert pong is not None
    assert (event.body, pong.body) == (b"[1]", b"pong")


@pytest.mark.parametrize("version", ["", "/2018-06-01"])
def test_it_can_be_pinged(world: World, version: str) -> None:
    _, runtime = world.runtime()
    answer = runtime.exchange("GET", f"{version}/ping")
    assert (answer.status, answer.body) == (200, b"pong")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/2018-06-01/runtime/nothing", 404),
        ("GET", RUNTIME + "restore/next", 404),
        ("POST", RUNTIME + "restore/error", 404),
        ("POST", RUNTIME + "invocation/next", 405),
        ("GET", RUNTIME + "invocation/id/response", 405),
        ("GET", RUNTIME + "init/error", 405),
        ("GET", EXTENSION + "register", 405),
        ("POST", EXTENSION + "event/next", 405),
        ("GET", "/2022-07-01/telemetry", 405),
    ],
)
def test_what_is_not_there_is_told(world: World, method: str, path: str, status: int) -> None:
    _, runtime = world.runtime()
    body = b"{}" if method == "POST" else b""
    assert runtime.exchange(method, path, {}, body).status == status
    assert runtime.exchange("GET", "/ping").status == 200


@pytest.mark.parametrize(
    ("path", "kind", "message"),
    [
        ("/2022-07-01/telemetry", "Telemetry.NotSupported", "Telemetry API is not supported"),
        ("/2020-08-15/logs", "Logs.NotSupported", "Logs API is not supported"),
    ],
)
def test_logs_for_extensions_are_accepted_and_not_supported(
    world: World, path: str, kind: str, message: str
) -> None:
    _, runtime = world.runtime()
    answer = runtime.exchange("PUT", path, {}, b'{"types": []}')
    assert answer.status == 202
    assert answer.json() == {"errorType": kind, "errorMessage": message}
