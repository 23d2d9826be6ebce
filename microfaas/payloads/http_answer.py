"""What a function's result means as an HTTP response, whole or streamed. Pure.

Theory of operation. A whole result is JSON: an object with a `statusCode` says what the response
is; anything else is its body. A streamed result is bytes. Where its content type is `PRELUDE_TYPE`
it begins with a prelude, which is JSON with status, headers and cookies, and eight zero bytes;
without one it is the body alone. `Opening` waits for as much of it as the response needs to begin.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, NamedTuple

import msgspec

PRELUDE_TYPE = "application/vnd.awslambda.http-integration-response"
PRELUDE_BYTES_MAX = 1024 * 1024
DELIMITER = bytes(8)
_JSON = ("Content-Type", "application/json")
_BYTES = "application/octet-stream"
# What the gateway says itself.
_OURS = frozenset(
    (
        *("connection", "content-length", "date", "keep-alive", "transfer-encoding"),
        *("x-amzn-requestid", "x-amzn-trace-id"),
    )
)
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

Scalar = str | int | float | bool | None


class Malformed(ValueError):
    """A result that is no HTTP response."""


class Answer(NamedTuple):
    """A response: the status, header names with values, and the body, or what there is of it."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class _Response(msgspec.Struct):
    """An object with a `statusCode`. A prelude is one without a body."""

    statusCode: int | str | None = None  # AWS's names
    headers: dict[str, Scalar] | None = None
    multiValueHeaders: dict[str, list[Scalar]] | None = None
    cookies: list[str] | None = None
    body: Any = None
    isBase64Encoded: bool | None = None


def of_result(payload: bytes) -> Answer:
    """The response that a whole result means. Raises Malformed."""
    try:
        payload.decode()
        msgspec.json.decode(payload, type=msgspec.Raw)
    except (ValueError, RecursionError):
        # A custom runtime's, or with Python's NaN in it: it is what it is.
        return Answer(200, (_JSON,), payload)
    first = payload.lstrip()[:1]
    if first == b'"':
        return Answer(200, (_JSON,), msgspec.json.decode(payload, type=str).encode())
    if first == b"{" and "statusCode" in msgspec.json.decode(payload, type=dict[str, msgspec.Raw]):
        return of_response(payload)
    return Answer(200, (_JSON,), msgspec.json.format(payload, indent=-1))


def of_response(payload: bytes) -> Answer:
    """The response that an object with a `statusCode` is. Raises Malformed for anything else."""
    response = _decode(payload)
    text = response.body
    if text is None:
        text = ""
    elif not isinstance(text, str):
        raise Malformed("its body is no text")
    body = text.encode()
    if response.isBase64Encoded:
        try:
            body = base64.b64decode(body, validate=True)
        except binascii.Error as error:
            raise Malformed(f"its body is no base64: {error}") from None
    return Answer(_status(response.statusCode), _headers(response, _JSON[1]), body)


def is_ours(name: str) -> bool:
    """Whether a header is one that the gateway says itself."""
    return name.lower() in _OURS


def is_sendable(name: str, value: str) -> bool:
    """Whether they are a header, and nothing but that."""
    return _NAME.fullmatch(name) is not None and _CONTROL.search(value) is None


class Opening:
    """The beginning of a streamed result, until it says how the response begins."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._prelude: bool | None = None

    def take(self, piece: bytes, content_type: str) -> Answer | None:
        """The response, with as much of the body as there is, once that is known.

        `content_type` counts with the first piece alone. Raises Malformed.
        """
        if self._prelude is None:
            self._prelude = content_type == PRELUDE_TYPE
        if not self._prelude:
            return Answer(200, (("Content-Type", content_type or _BYTES),), piece)
        # It may have begun in the piece before.
        start = max(0, len(self._held) - len(DELIMITER) + 1)
        self._held += piece
        end = self._held.find(DELIMITER, start)
        if end > PRELUDE_BYTES_MAX or (end < 0 and len(self._held) > PRELUDE_BYTES_MAX):
            raise Malformed(f"its prelude has more than {PRELUDE_BYTES_MAX} bytes")
        if end < 0:
            return None
        response = _decode(bytes(self._held[:end]))
        body = bytes(self._held[end + len(DELIMITER) :])
        return Answer(_status(response.statusCode or 200), _headers(response, _BYTES), body)


def _decode(data: bytes) -> _Response:
    try:
        return msgspec.json.decode(data, type=_Response)
    except (ValueError, RecursionError) as error:
        raise Malformed(str(error)) from None


def _status(given: int | str | None) -> int:
    status = int(given) if isinstance(given, str) and given.isascii() and given.isdigit() else given
    if not isinstance(status, int) or not 200 <= status <= 599:
        raise Malformed(f"its statusCode is {given!r}: it must be 200 to 599")
    return status


def _headers(response: _Response, content_type: str) -> tuple[tuple[str, str], ...]:
    """All headers, cookies among them; of a repeated name `multiValueHeaders` count. Raises
    Malformed."""
    several = response.multiValueHeaders or {}
    names = {name.lower() for name in several}
    single = {k: v for k, v in (response.headers or {}).items() if k.lower() not in names}
    pairs = [(name, _text(value)) for name, value in single.items()]
    pairs += [(name, _text(value)) for name, values in several.items() for value in values]
    pairs += [("Set-Cookie", cookie) for cookie in response.cookies or ()]
    kept = [(name, value) for name, value in pairs if not is_ours(name)]
    for name, value in kept:
        if not is_sendable(name, value):
            raise Malformed(f"its header {name!r} cannot be sent")
    if not any(name.lower() == "content-type" for name, _ in kept):
        kept.insert(0, ("Content-Type", content_type))
    return tuple(kept)


def _text(value: Scalar) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
