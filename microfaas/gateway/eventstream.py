"""AWS's event stream: messages with headers and checksums, in which results are streamed. Pure.

A message is its length, its headers' length and a CRC-32 of those two; headers; payload; and a
CRC-32 of all before. Lengths and checksums are 32 bits, big-endian. A header is a name with an
8-bit length, the type 7 (text), and a value with a 16-bit length.
"""

from __future__ import annotations

import json
import struct
import zlib

from microfaas.model import Outcome, Status

CONTENT_TYPE = "Content-Type: application/vnd.amazon.eventstream\r\n"
_TEXT = 7
_OVERHEAD_BYTES = 16


def chunk(payload: bytes) -> bytes:
    """A piece of a function's result."""
    return event("PayloadChunk", "application/octet-stream", payload)


def complete(outcome: Outcome, log_tail: str) -> bytes:
    """The last message; what is not there is left out."""
    fields = {}
    if outcome.status is not Status.OK:
        fields["ErrorCode"] = _error_type(outcome)
        fields["ErrorDetails"] = outcome.payload.decode(errors="replace")
    if log_tail:
        fields["LogResult"] = log_tail
    return event("InvokeComplete", "application/json", json.dumps(fields).encode())


def _error_type(outcome: Outcome) -> str:
    try:
        return str(json.loads(outcome.payload)["errorType"])
    except (ValueError, TypeError, KeyError, RecursionError):
        return "Unhandled"


def event(kind: str, content_type: str, payload: bytes) -> bytes:
    """One of the events that a service's model names."""
    return _message("event", kind, content_type, payload)


def exception(kind: str, content_type: str, payload: bytes) -> bytes:
    """An error of the model, with which the stream ends."""
    return _message("exception", kind, content_type, payload)


def _message(what: str, kind: str, content_type: str, payload: bytes) -> bytes:
    headers = b"".join(
        _header(name, value)
        for name, value in (
            (":message-type", what),
            (f":{what}-type", kind),
            (":content-type", content_type),
        )
    )
    total = _OVERHEAD_BYTES + len(headers) + len(payload)
    prelude = struct.pack(">II", total, len(headers))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + headers + payload
    return body + struct.pack(">I", zlib.crc32(body))


def _header(name: str, value: str) -> bytes:
    encoded = value.encode()
    return (
        struct.pack(">B", len(name))
        + name.encode()
        + struct.pack(">BH", _TEXT, len(encoded))
        + encoded
    )
