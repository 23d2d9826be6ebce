"""An HTTP request as a value, and what all events that are made of one have in common. Pure."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

# What concerns the connection and not the request; a body is whole when it becomes an event.
_OF_THE_CONNECTION = frozenset(
    (
        *("connection", "expect", "keep-alive", "proxy-authenticate", "proxy-authorization"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
    )
)
_TEXT_TYPES = frozenset(
    (
        *("application/json", "application/xml", "application/javascript"),
        "application/graphql",
    )
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class HttpRequest(NamedTuple):
    """A request as it came: path and query still encoded, header names as they were written."""

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes
    source_ip: str
    scheme: str
    port: int
    protocol: str = "HTTP/1.1"
    # Version and cipher, where the connection is one of TLS's.
    tls: tuple[str, str] | None = None


class Occasion(NamedTuple):
    """When a request came, and by what names it is known."""

    request_id: str
    trace_id: str
    at_ms: int


def headers(request: HttpRequest, occasion: Occasion, *, proven: bool) -> dict[str, list[str]]:
    """The headers that a function sees, all values of each; names in small letters.

    `proven`: the gateway knows who calls, by an Authorization that is not for the function.
    """
    found: dict[str, list[str]] = {}
    for name, value in request.headers:
        if (key := name.lower()) not in _OF_THE_CONNECTION:
            found.setdefault(key, []).append(value)
    if proven:
        found.pop("authorization", None)
    if request.body:
        found["content-length"] = [str(len(request.body))]
    found["x-forwarded-for"] = [", ".join([*found.get("x-forwarded-for", ()), request.source_ip])]
    found["x-forwarded-port"] = [str(request.port)]
    found["x-forwarded-proto"] = [request.scheme]
    found["x-amzn-trace-id"] = [occasion.trace_id.partition(";")[0]]
    if request.tls is not None:
        version, cipher = request.tls
        found["x-amzn-tls-version"] = [version]
        found["x-amzn-tls-cipher-suite"] = [cipher]
    return found


def one(found: Mapping[str, list[str]], name: str) -> str:
    """A header's values as one text; empty when it is not there."""
    return ",".join(found.get(name, ()))


def body(request: HttpRequest, content_type: str) -> dict[str, Any]:
    """`body`, where there is one, and `isBase64Encoded`."""
    if not request.body:
        return {"isBase64Encoded": False}
    kind = content_type.partition(";")[0].strip().lower()
    if kind.startswith("text/") or kind in _TEXT_TYPES:
        try:
            return {"body": request.body.decode(), "isBase64Encoded": False}
        except UnicodeDecodeError:
            pass  # whatever its type says: as text it could not come back as the bytes it is
    return {"body": base64.b64encode(request.body).decode(), "isBase64Encoded": True}


def time_of(at_ms: int) -> str:
    """As in `12/Mar/2020:19:03:58 +0000`."""
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    # The months of strftime are the locale's.
    return f"{moment.day:02}/{_MONTHS[moment.month - 1]}/{moment:%Y:%H:%M:%S} +0000"
