"""AWS's signatures: the claim that a request makes, and that none is believed without its key.

The bytes are a request: its head, of which each line after the first is a header, and its body.
"""

from __future__ import annotations

import contextlib

from microfaas import sigv4
from microfaas.errors import AccessRefused
from microfaas.sigv4 import Claim, Signable

SECRET = "s" * 40
NOW_S = 1_795_429_000.0
OURS = (b"authorization", b"x-amz-date", b"host")


def target(data: bytes) -> None:
    request, body = _request(data)
    claim = _claim(request)
    if claim is not None:
        _refused(claim, request, body, sigv4.signing_key("another", claim.scope))
    _sign_and_spoil(request, body)


def _request(data: bytes) -> tuple[Signable, bytes]:
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    method, _, rest = first.partition(b" ")
    pairs = [line.partition(b":") for line in lines]
    headers = [(name.lower(), value.strip()) for name, _, value in pairs]
    return Signable(method.decode("latin-1"), rest.partition(b" ")[0], headers), body


def _claim(request: Signable) -> Claim | None:
    with contextlib.suppress(AccessRefused):
        return sigv4.read(request)
    return None


def _refused(claim: Claim, request: Signable, body: bytes, key: bytes) -> None:
    for private in (False, True):
        # At the moment that the claim names, so that it is not for its age that it is refused.
        try:
            sigv4.check(claim, request, body, key, claim.at_s, private=private)
        except AccessRefused:
            continue
        raise AssertionError("a signature was believed that its key has not made")


def _sign_and_spoil(request: Signable, body: bytes) -> None:
    """What we sign is believed, and no longer when anything of it is another."""
    names = {name for name, _ in request.headers}
    if not all(name.isascii() and name.isalnum() for name in names - set(OURS)):
        return
    headers = [(name, value) for name, value in request.headers if name not in OURS]
    whole = request._replace(headers=[*headers, (b"host", b"h")])
    if b"X-Amz-" in whole.target or b"%" in whole.target:
        return
    made = sigv4.sign(whole, body, "MFKA", SECRET, NOW_S)
    more = [(name.lower().encode(), value.encode("latin-1")) for name, value in made.items()]
    signed = whole._replace(headers=[*whole.headers, *more])
    claim = _claim(signed)
    if claim is None:
        assert len(names) > sigv4.HEADERS_SIGNED_MAX
        return
    key = sigv4.signing_key(SECRET, claim.scope)
    sigv4.check(claim, signed, body, key, NOW_S, private=False)
    _refused(claim, signed, body + b"x", key)
    _refused(claim, signed._replace(method=signed.method + "x"), body, key)
    _refused(claim, signed._replace(target=signed.target + b"x"), body, key)


def seeds() -> dict[str, bytes]:
    plain = Signable("POST", b"/2015-03-31/functions/f/invocations?a=b", [(b"host", b"h")])
    made = sigv4.sign(plain, b"{}", "MFKA", SECRET, NOW_S)
    lines = [f"{name}: {value}" for name, value in made.items()]
    head = "POST /2015-03-31/functions/f/invocations?a=b HTTP/1.1\r\nhost: h\r\n"
    parameters = (
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=MFKA%2F20261123%2Fus-east-1%2Flambda"
        "%2Faws4_request&X-Amz-Date=20261123T101500Z&X-Amz-Expires=300&X-Amz-SignedHeaders=host"
    )
    presigned = f"GET /f?{parameters}&X-Amz-Signature={'0' * 64} HTTP/1.1\r\nhost: h\r\n\r\n"
    return {
        "signed": (head + "\r\n".join(lines) + "\r\n\r\n{}").encode(),
        "presigned": presigned.encode(),
        "unsigned": (head + "\r\n").encode(),
        "dots": b"GET /a/./../b//c/?x&y=&x=1 HTTP/1.1\r\nhost: h\r\na:  b   c \r\n\r\n",
    }
