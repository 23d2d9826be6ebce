"""What Lambda tells of an event's end: to destinations, and to dead-letter queues. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from microfaas.model import Outcome, Status
from microfaas.payloads.s3 import time_of

ERROR_CHARS_MAX = 1024


def record(
    *,
    at_ms: int,
    request_id: str,
    function_arn: str,
    condition: str,
    attempts: int,
    event: bytes,
    outcome: Outcome | None,
) -> bytes:
    """The record that a destination gets. `outcome` is None when the function never ran."""
    table: dict[str, Any] = {
        "version": "1.0",
        "timestamp": time_of(at_ms),
        "requestContext": {
            "requestId": request_id,
            "functionArn": function_arn,
            "condition": condition,
            "approximateInvokeCount": attempts,
        },
        "requestPayload": _as_json(event or b"{}"),
    }
    if outcome is not None:
        response: dict[str, Any] = {"statusCode": 200, "executedVersion": outcome.version}
        if outcome.status is not Status.OK:
            response["functionError"] = "Unhandled"
        table["responseContext"] = response
        table["responsePayload"] = _as_json(outcome.payload or b"null")
    return msgspec.json.encode(table)


def _as_json(payload: bytes) -> msgspec.Raw:
    """A custom runtime may answer with any bytes; the record has to be JSON nonetheless."""
    try:
        payload.decode()
        return _decode_raw(payload)
    except (ValueError, RecursionError):
        return msgspec.Raw(msgspec.json.encode(payload.decode(errors="replace")))


def dead_letter_attributes(
    request_id: str, outcome: Outcome | None, condition: str
) -> dict[str, tuple[str, str]]:
    """The message attributes of an event in a dead-letter queue: name → (type, value)."""
    message = error_of(outcome.payload)[1] if outcome is not None else f"not run: {condition}"
    return {
        "RequestID": ("String", request_id),
        "ErrorCode": ("Number", "200"),
        "ErrorMessage": ("String", message[:ERROR_CHARS_MAX] or "unknown"),
    }


class _Error(msgspec.Struct):
    errorType: str = ""
    errorMessage: str = ""


_decode_raw = msgspec.json.Decoder(msgspec.Raw).decode
_decode_error = msgspec.json.Decoder(_Error).decode


def error_of(payload: bytes) -> tuple[str, str]:
    """The type and the message in a function's error."""
    try:
        error = _decode_error(payload)
    except (ValueError, RecursionError):
        return "", payload[:ERROR_CHARS_MAX].decode(errors="replace")
    return error.errorType, error.errorMessage
