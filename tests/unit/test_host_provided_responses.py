"""Responses of custom runtimes: their sizes, streams, and what breaks off."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from provided_world import RUNTIME, World, fields_of, give

RESPONSE_BYTES_MAX = 6 * 1024 * 1024 + 100


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def test_a_response_as_large_as_may_be_goes_through(world: World) -> None:
    instance, runtime = world.ready()
    give(instance)
    runtime.receive()
    large = f"'x' * {RESPONSE_BYTES_MAX}"
    assert _post(runtime, large) == 202
    runtime.ask()
    assert len(instance.receive()["payload"]) == RESPONSE_BYTES_MAX


@pytest.mark.parametrize("chunked", [False, True])
def test_a_response_that_is_too_large_is_an_error(world: World, chunked: bool) -> None:
    instance, runtime = world.ready()
    give(instance)
    runtime.receive()
    assert _post(runtime, f"'x' * {RESPONSE_BYTES_MAX + 1}", chunked) == 413
    runtime.ask()
    kind, message = fields_of(instance.receive())
    assert kind == "Function.ResponseSizeTooLarge"
    assert message.endswith("payload size (6291556 bytes).")


def _post(runtime: Any, expression: str, chunked: bool = False) -> int:
    """The status of the answer to a body that is made where it is sent."""
    code = f"""
body = ({expression}).encode()
head = "POST {RUNTIME}invocation/id/response HTTP/1.1\\r\\n"
if {chunked}:
    head += "Transfer-Encoding: chunked\\r\\n"
    body = b"%x\\r\\n%s\\r\\n0\\r\\n\\r\\n" % (len(body), body)
else:
    head += "Content-Length: %d\\r\\n" % len(body)
connection("a")[0].sendall(head.encode() + b"\\r\\n" + body)
result = receive("a")[0]
"""
    status: int = runtime.do("run", code)
    return status


def test_a_client_that_waits_for_a_word_before_the_body_gets_it(world: World) -> None:
    instance, runtime = world.ready()
    give(instance)
    runtime.receive()
    head = f"POST {RUNTIME}invocation/id/response HTTP/1.1\r\nContent-Length: 2\r\n"
    runtime.raw(head.encode() + b"Expect: 100-continue\r\n\r\n")
    word = runtime.receive()
    assert word is not None
    assert word.status == 100
    runtime.raw(b"{}")
    answer = runtime.receive()
    assert answer is not None
    assert answer.status == 202


def stream(runtime: Any, body: bytes, *headers: str) -> None:
    lines = [
        f"POST {RUNTIME}invocation/id/response HTTP/1.1",
        "Lambda-Runtime-Function-Response-Mode: streaming",
        "Transfer-Encoding: chunked",
        *headers,
    ]
    runtime.raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def test_a_stream_is_passed_on_as_it_comes(world: World) -> None:
    instance, runtime = world.ready()
    give(instance)
    runtime.receive()
    stream(runtime, b"3\r\none\r\n", "Content-Type: text/html")
    first = {"kind": "chunk", "id": "id", "payload": b"one", "content_type": "text/html"}
    assert instance.receive() == first
    runtime.raw(b"3;extra=1\r\ntwo\r\n")
    assert instance.receive() == {"kind": "chunk", "id": "id", "payload": b"two"}
    runtime.raw(b"0\r\n\r\n")
    assert runtime.receive()
    runtime.ask()
    assert instance.receive() == {"kind": "result", "id": "id", "payload": b""}


def test_an_empty_stream_still_says_of_what_type_it_is(world: World) -> None:
    instance, runtime = world.ready()
    give(instance)
    runtime.receive()
    stream(runtime, b"0\r\n\r\n", "Content-Type: text/html")
    assert instance.receive()["content_type"] == "text/html"


def test_a_stream_may_end_in_an_error(world: World) -> None:
    instance, runtime = world.ready()
    give(instance)
    runtime.receive()
    payload = b'{"errorType": "Own", "errorMessage": "half way"}'
    trailers = (
        b"Lambda-Runtime-Function-Error-Type: Function.Own\r\n"
        b"Lambda-Runtime-Function-Error-Body: " + base64.b64encode(payload) + b"\r\n"
    )
    stream(runtime, b"3\r\none\r\n0\r\n" + trailers + b"\r\n")
    runtime.receive()
    runtime.ask()
    assert instance.receive()["kind"] == "chunk"
    assert instance.receive() == {"kind": "error", "id": "id", "type": "Own", "payload": payload}


@pytest.mark.parametrize(
    ("content_type", "streams"), [("application/json", False), ("application/octet-stream", True)]
)
def test_what_announces_an_error_at_its_end_need_not_say_that_it_streams(
    world: World, content_type: str, streams: bool
) -> None:
    """So does aws-lambda-go."""
    instance, runtime = world.ready()
    give(instance)
    runtime.receive()
    head = (
        f"POST {RUNTIME}invocation/id/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n"
        f"Content-Type: {content_type}\r\nTrailer: Lambda-Runtime-Function-Error-Type\r\n\r\n"
    )
    runtime.raw(head.encode() + b"3\r\none\r\n0\r\n\r\n")
    assert runtime.receive()
    runtime.ask()
    messages = [instance.receive() for _ in range(2 if streams else 1)]
    assert b"".join(message["payload"] for message in messages) == b"one"
    assert messages[-1]["kind"] == "result"


def test_a_response_that_does_not_stream_may_end_in_an_error_too(world: World) -> None:
    instance, runtime = world.ready()
    give(instance)
    runtime.receive()
    head = f"POST {RUNTIME}invocation/id/response HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"
    trailer = b"Lambda-Runtime-Function-Error-Type: Function.Own\r\n"
    runtime.raw(head.encode() + b"3\r\none\r\n0\r\n" + trailer + b"\r\n")
    assert runtime.receive()
    runtime.ask()
    wanted = {"kind": "error", "id": "id", "type": "Function.Own", "payload": b""}
    assert instance.receive() == wanted


def test_a_response_mode_that_is_unknown_is_refused_and_told(world: World) -> None:
    instance, runtime = world.ready()
    give(instance)
    runtime.receive()
    refused = runtime.respond(Lambda_Runtime_Function_Response_Mode="sideways")
    assert refused.fault == (400, "InvalidFunctionResponseMode")
    runtime.ask()
    assert fields_of(instance.receive())[0] == "Runtime.InvalidResponseModeHeader"


@pytest.mark.parametrize("mode", ["streaming", "buffered"])
def test_a_response_that_breaks_off_is_an_error(world: World, mode: str) -> None:
    instance, runtime = world.ready()
    give(instance)
    runtime.receive()
    head = f"POST {RUNTIME}invocation/id/response HTTP/1.1\r\nContent-Length: 9\r\n"
    head += f"Lambda-Runtime-Function-Response-Mode: {mode}\r\n\r\n"
    runtime.raw(head.encode() + b"[1")
    runtime.do("close", "a")
    runtime.ask()
    messages = [instance.receive()]
    if mode == "streaming":
        assert messages == [{"kind": "chunk", "id": "id", "payload": b"[1"}]
        messages.append(instance.receive())
    assert fields_of(messages[-1])[0] == "Runtime.TruncatedResponse"
