"""AWS's event stream, read by the reader of AWS's own client."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer

from microfaas.gateway import eventstream
from microfaas.model import Outcome, Status


def read(data: bytes) -> Any:
    buffer = EventStreamBuffer()
    buffer.add_data(data)
    (message,) = list(buffer)
    return message


@pytest.mark.parametrize("payload", [b"x", b"\0\r\n\xff" * 1000, b""])
def test_a_chunk_is_its_bytes(payload: bytes) -> None:
    message = read(eventstream.chunk(payload))
    assert message.payload == payload
    assert message.headers == {
        ":message-type": "event",
        ":event-type": "PayloadChunk",
        ":content-type": "application/octet-stream",
    }


def complete(status: Status, payload: bytes, log_tail: str = "") -> Any:
    message = read(eventstream.complete(Outcome(status=status, payload=payload), log_tail))
    assert message.headers[":event-type"] == "InvokeComplete"
    return json.loads(message.payload)


def test_the_end_of_a_success_says_nothing() -> None:
    assert complete(Status.OK, b"1") == {}


def test_the_end_has_the_log_when_it_was_asked_for() -> None:
    assert complete(Status.OK, b"1", "bG9n") == {"LogResult": "bG9n"}


def test_the_end_of_a_failure_has_type_and_object() -> None:
    payload = '{"errorType": "Fault", "errorMessage": "é"}'
    assert complete(Status.ERROR, payload.encode()) == {
        "ErrorCode": "Fault",
        "ErrorDetails": payload,
    }


@pytest.mark.parametrize("payload", [b"", b"\xff", b"[]", b"{}", b"null", b"[" * 9999])
def test_a_failure_without_a_type_is_unhandled(payload: bytes) -> None:
    assert complete(Status.ERROR, payload)["ErrorCode"] == "Unhandled"
