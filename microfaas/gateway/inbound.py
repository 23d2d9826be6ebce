"""A request of aiohttp's as the value that events are made of."""

from __future__ import annotations

import re
import ssl
import time
from urllib.parse import urlsplit

from aiohttp import web

from microfaas import lineage
from microfaas.gateway.connections import peer_of
from microfaas.invoke import new_request_id
from microfaas.payloads.http_request import HttpRequest, Occasion
from microfaas.store.keys import Key

_ORIGIN = re.compile(r"https?://[^/?#]*", re.IGNORECASE)


def read(request: web.Request, body: bytes, prefix: int = 0) -> HttpRequest:
    """The request, without the first `prefix` segments of its path."""
    return HttpRequest(
        method=request.method,
        path=path(request, prefix),
        query=_target(request).partition("?")[2],
        headers=[(_text(name), _text(value)) for name, value in request.raw_headers],
        body=body,
        source_ip=peer_of(request.transport).host,
        scheme=request.scheme,
        port=_port(request),
        protocol=f"HTTP/{request.version.major}.{request.version.minor}",
        tls=_tls(request),
    )


def path(request: web.Request, prefix: int = 0) -> str:
    """The path, still encoded, without its first `prefix` segments."""
    whole = _target(request).partition("?")[0]
    return "/" + "/".join(whole.split("/")[prefix + 1 :])


def occasion(request: web.Request, *, stranger: bool) -> Occasion:
    """A request that came just now.

    A stranger's begins a new chain of events: one that he made up could have functions stopped
    which are called for others too.
    """
    request_id = new_request_id()
    trace_id = lineage.plain(request.headers.get("X-Amzn-Trace-Id", ""))
    if stranger and lineage.MARK in trace_id:
        trace_id = lineage.begun_anew(trace_id)
    trace_id = trace_id or lineage.new_trace_id(request_id)
    return Occasion(request_id, trace_id, int(time.time() * 1000))


def iam(key: Key, account_id: str) -> dict[str, str]:
    """Who has shown a key, as events tell of it."""
    return {
        "accessKey": key.id,
        "accountId": account_id,
        "callerId": key.id,
        "userArn": f"arn:aws:iam::{account_id}:user/{key.id}",
        "userId": key.id,
    }


def host(request: web.Request) -> str:
    """The name by which the client called, without a port."""
    return request.headers.get("Host", "").partition(":")[0].lower()


def _target(request: web.Request) -> str:
    """Path and query, also where a whole URL was sent as to a proxy."""
    target = _ORIGIN.sub("", _text(request.raw_path.encode("utf-8", "surrogateescape")), count=1)
    return target if target.startswith("/") else f"/{target}"


def _text(raw: bytes) -> str:
    """UTF-8 where it is that; else each byte is a character, so that nothing is lost."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _port(request: web.Request) -> int:
    """The port that was called: the one in the name, or else the scheme's own."""
    try:
        named = urlsplit(f"//{request.headers.get('Host', '')}").port
    except ValueError:
        named = None
    return named or (443 if request.secure else 80)


def _tls(request: web.Request) -> tuple[str, str] | None:
    tls = None if request.transport is None else request.transport.get_extra_info("ssl_object")
    if not isinstance(tls, ssl.SSLObject) or (cipher := tls.cipher()) is None:
        return None
    return cipher[1], cipher[0]
