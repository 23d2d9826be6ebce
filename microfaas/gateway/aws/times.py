"""Timestamps as AWS writes them, and as seconds since 1970; numbers in letters. Pure."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from microfaas.errors import ServiceError


def read(text: str, path: str) -> float:
    """Seconds out of ISO 8601, or out of a number in letters. Raises ServiceError."""
    try:
        at = datetime.fromisoformat(text)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        pass
    try:
        return finite(text)
    except ValueError:
        wanted = "ISO 8601, as in 2026-11-23T10:15:00Z"
        raise ServiceError("SerializationException", f"'{path}' is not {wanted}") from None


def write(at_s: float) -> str:
    """ISO 8601 with milliseconds."""
    text = datetime.fromtimestamp(at_s, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def finite(text: str) -> float:
    """A number in letters. Raises ValueError, also for what no JSON can say."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(text)
    return number


def whole(text: str) -> int:
    """A whole number in letters, of no more than 64 bits. Raises ValueError."""
    number = int(text)
    if not is_long(number):
        raise ValueError(text)
    return number


def is_long(number: float) -> bool:
    """Whether it has no more than 64 bits."""
    return -(2**63) <= number < 2**63
