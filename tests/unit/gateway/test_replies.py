"""Faults in AWS's shape to the letter, and the headers of every reply."""

from __future__ import annotations

import logging

import pytest

from microfaas.errors import (
    FunctionNotFound,
    InvalidRequest,
    MachineError,
    RequestTooLarge,
    ShuttingDown,
    TooManyRequests,
)
from microfaas.gateway.faults import fault
from microfaas.gateway.reply import Clock, Reply, headers
from microfaas.model import Address

ADDRESS = Address(region="eu-west-3")
DATE = "Thu, 01 Jan 1970 00:00:00 GMT"

FAULTS: list[tuple[Exception, int, str, bytes]] = [
    (
        FunctionNotFound("f", "PROD"),
        404,
        "ResourceNotFoundException",
        b'{"Type":"User","Message":"Function not found: '
        b'arn:aws:lambda:eu-west-3:123456789012:function:f:PROD"}',
    ),
    (
        RequestTooLarge(6291456),
        413,
        "RequestEntityTooLargeException",
        b'{"Type":"User","message":"Request must be smaller than 6291456 bytes for the '
        b'InvokeFunction operation"}',
    ),
    (
        TooManyRequests("ConcurrentInvocationLimitExceeded"),
        429,
        "TooManyRequestsException",
        b'{"Reason":"ConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}',
    ),
    (
        InvalidRequest("no \u00e9", kind="ValidationException"),
        400,
        "ValidationException",
        b'{"Type":"User","message":"no \\u00e9"}',
    ),
    (
        InvalidRequest("no"),
        400,
        "InvalidParameterValueException",
        b'{"Type":"User","message":"no"}',
    ),
    (
        InvalidRequest("elsewhere", kind="ResourceNotFoundException"),
        404,
        "ResourceNotFoundException",
        b'{"Type":"User","Message":"elsewhere"}',
    ),
    (
        ShuttingDown(),
        503,
        "ServiceUnavailableException",
        b'{"Type":"Service","message":"cannot take the request: microfaas is stopping"}',
    ),
    (
        MachineError("cannot start a process"),
        500,
        "ServiceException",
        b'{"Type":"Service","Message":"cannot start a process"}',
    ),
    (
        RuntimeError("a secret"),
        500,
        "ServiceException",
        b'{"Type":"Service","Message":"cannot answer: an internal error, logged under id"}',
    ),
]


@pytest.mark.parametrize(("error", "status", "kind", "body"), FAULTS)
def test_a_fault_has_the_shape_of_aws(
    error: Exception, status: int, kind: str, body: bytes
) -> None:
    reply = fault(error, "id", ADDRESS)
    assert (reply.status, reply.body) == (status, body)
    assert reply.headers.split("\r\n")[:2] == ["x-amzn-RequestId: id", f"x-amzn-ErrorType: {kind}"]
    assert reply.headers.endswith("\r\nContent-Type: application/json\r\n")


def test_who_is_throttled_is_told_when_to_come_back() -> None:
    reply = fault(TooManyRequests("R", retry_after_s=3), "id", ADDRESS)
    assert "\r\nRetry-After: 3\r\n" in reply.headers


@pytest.mark.parametrize("error", [RuntimeError("a secret"), MachineError("no room")])
def test_what_is_our_fault_is_logged_under_the_request(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR):
        fault(error, "id", ADDRESS)
    assert "request id" in caplog.text
    assert str(error) in caplog.text


@pytest.mark.parametrize("error", [InvalidRequest("no"), FunctionNotFound("f", "")])
def test_what_is_the_callers_fault_is_not_logged(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        fault(error, "id", ADDRESS)
    assert caplog.text == ""


def test_headers_stand_in_one_order() -> None:
    reply = Reply(200, "x-amzn-RequestId: id\r\nContent-Type: t\r\n", b"four")
    wanted = [f"Date: {DATE}", "x-amzn-RequestId: id", "Content-Type: t", "Content-Length: 4", ""]
    assert headers(reply, DATE).split("\r\n") == wanted


def test_a_reply_without_content_has_no_length() -> None:
    assert headers(Reply(204, "", b""), DATE) == f"Date: {DATE}\r\n"


def test_a_reply_with_an_empty_body_has_a_length() -> None:
    assert "\r\nContent-Length: 0\r\n" in headers(Reply(202, "", b""), DATE)


def test_the_clock_writes_dates_as_http_wants_them(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("time.time", lambda: 784111777.9)
    assert clock.date() == "Sun, 06 Nov 1994 08:49:37 GMT"
    monkeypatch.setattr("time.time", lambda: 784111778.0)
    assert clock.date() == "Sun, 06 Nov 1994 08:49:38 GMT"
