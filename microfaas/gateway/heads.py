"""Heads of the hot request shape: which bytes are one, and what it asks. No I/O."""

from __future__ import annotations

import re
from typing import NamedTuple
from urllib.parse import parse_qs

import httptools

from microfaas.gateway.lambda_api import InvokeCall
from microfaas.model import EVENT_BYTES_MAX
from microfaas.sigv4 import Signable

# What the other lane takes of lines and headers; it says what is wrong with more.
LINE_BYTES_MAX = 8190
HEADERS_MAX = 128

_METHOD = b"POST "
_PREFIX = b"/2015-03-31/functions/"
_SUFFIX = b"/invocations"
# As the other lane's route, but of characters alone that have one meaning in a target.
_HOT_TARGET = re.compile(
    re.escape(_PREFIX) + rb"[A-Za-z0-9:._$%~-]+" + _SUFFIX + rb"(\?[A-Za-z0-9=&._$%~-]*)?"
)
# In the names of hosts that are functions' own, where this path too is theirs.
_OWN_HOST = re.compile(rb"\.(lambda-url|execute-api)\.", re.IGNORECASE)
# Headers that make more of a request than a head and a body.
_SPECIAL = (b"transfer-encoding", b"expect", b"upgrade", b"sec-websocket-key1")


class HotHead(NamedTuple):
    """One that was taken apart: its body's length in bytes, the call, and what may be signed."""

    length: int
    call: InvokeCall
    signable: Signable


class _Heard:
    """What the parser has found."""

    def __init__(self) -> None:
        self.url = b""
        self.headers: list[tuple[bytes, bytes]] = []

    def on_url(self, url: bytes) -> None:
        self.url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.lower(), value))


def read(raw: bytes) -> HotHead | None:
    """A whole head taken apart; None when it is of another shape."""
    if not raw.startswith(_METHOD + _PREFIX):
        return None
    heard = _Heard()
    parser = httptools.HttpRequestParser(heard)
    try:
        parser.feed_data(raw)
    except (httptools.HttpParserError, httptools.HttpParserUpgrade):
        return None
    url, headers = heard.url, heard.headers
    fields = dict(headers)
    length = fields.get(b"content-length", b"")
    # Which headers may be there twice, and what is wrong with some, is the other lane's to say.
    plain = (
        b"host" in fields
        and _OWN_HOST.search(fields[b"host"]) is None
        and len(fields) == len(headers)
        and fields.keys().isdisjoint(_SPECIAL)
    )
    hot = (
        plain
        and length.isdigit()
        and int(length) <= EVENT_BYTES_MAX
        and _HOT_TARGET.fullmatch(url) is not None
        and parser.get_http_version() == "1.1"
        and parser.should_keep_alive()
        and _fits(url, headers)
    )
    return HotHead(int(length), _call(url, fields), Signable("POST", url, headers)) if hot else None


def _fits(url: bytes, headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether the other lane would take lines as long and headers as many."""
    longest = max(len(name) + len(value) for name, value in headers)
    return max(longest, len(url)) <= LINE_BYTES_MAX and len(headers) <= HEADERS_MAX


def _call(url: bytes, fields: dict[bytes, bytes]) -> InvokeCall:
    path, _, query = url.decode("latin-1").partition("?")
    return InvokeCall(
        path[len(_PREFIX) : -len(_SUFFIX)],
        parse_qs(query).get("Qualifier", [""])[0] if query else "",
        # Decoded as aiohttp decodes them.
        fields.get(b"x-amz-invocation-type", b"").decode("utf-8", "surrogateescape"),
        fields.get(b"x-amz-log-type", b"").decode("utf-8", "surrogateescape"),
        fields.get(b"x-amz-client-context", b"").decode("utf-8", "surrogateescape"),
        fields.get(b"x-amzn-trace-id", b"").decode("utf-8", "surrogateescape"),
    )
