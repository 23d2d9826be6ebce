"""An HTTP answer as a value, and its headers in the one order that both lanes write."""

from __future__ import annotations

import time
from email.utils import formatdate
from http import HTTPStatus
from types import MappingProxyType
from typing import NamedTuple

import msgspec

JSON = "Content-Type: application/json\r\n"
_STATUS_LINES = MappingProxyType(
    {s.value: f"HTTP/1.1 {s.value} {s.phrase}\r\n" for s in HTTPStatus}
)


class Reply(NamedTuple):
    """Status, headers as they are written (each line with its end), body."""

    status: int
    headers: str
    body: bytes


def as_json(value: object, request_id: str) -> Reply:
    """A 200 with a value of microfaas's own API."""
    head = f"x-amzn-RequestId: {request_id}\r\n{JSON}"
    return Reply(200, head, msgspec.json.encode(value))


class Clock:
    """The Date header, made once a second."""

    def __init__(self) -> None:
        self._second = 0
        self._text = ""

    def date(self) -> str:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._text = formatdate(second, usegmt=True)
        return self._text


def headers(reply: Reply, date: str) -> str:
    """All headers of a reply. 204 and 304 have no body, so they have no length either."""
    length = "" if reply.status in (204, 304) else f"Content-Length: {len(reply.body)}\r\n"
    return f"Date: {date}\r\n{reply.headers}{length}"


def encode(reply: Reply, date: str) -> bytes:
    """All of a reply, as it goes to the socket."""
    head = f"{_STATUS_LINES[reply.status]}{headers(reply, date)}\r\n"
    return head.encode("latin-1") + reply.body
