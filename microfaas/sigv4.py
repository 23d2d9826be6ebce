"""AWS's Signature Version 4: reading what a request claims, and checking it. Pure: no clock.

Theory of operation. A signature is an HMAC over a canonical form of the request: method, path,
query, the signed headers and a hash of the body. `read` takes the claim out of the Authorization
header or, for presigned URLs, out of the query; whoever knows the secret of the key it names then
calls `check`. Whatever the gateway acts upon must be signed: `host`, `x-amz-date`, and every
`x-amz-` header there is. Services and regions are the client's choice, as they name nothing here.

A signature is good for five minutes either way of its date (a presigned URL from its date on for
as long as it says), as on AWS. It names a second, not a request: two equal requests in the same
second have the same signature and are both meant. Telling a replay from them is the caller's.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import re
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from microfaas.errors import AccessRefused

ALGORITHM = "AWS4-HMAC-SHA256"
UNSIGNED = "UNSIGNED-PAYLOAD"
SKEW_S = 300
PRESIGNED_S_MAX = 7 * 86400
HEADERS_SIGNED_MAX = 100

_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z")
_EXPIRES = re.compile(r"[0-9]{1,6}")
_HASH = re.compile(r"[0-9a-f]{64}")
_SCOPE = re.compile(
    r"([A-Za-z0-9]{1,128})/([0-9]{8})/([A-Za-z0-9-]{1,64})/([A-Za-z0-9-]{1,64})/aws4_request"
)
_ORIGIN = re.compile(rb"https?://[^/?#]*", re.IGNORECASE)
_ONCE = (b"authorization", b"host", b"x-amz-date", b"x-amz-content-sha256", b"x-amz-security-token")
_AMZ = "x-amz-"
_PARAMETERS = ("Algorithm", "Credential", "Date", "Expires", "SignedHeaders", "Signature")

Pairs = Sequence[tuple[bytes, bytes]]


class Signable(NamedTuple):
    """A request's head as it came: the target still encoded, headers' names in small letters."""

    method: str
    target: bytes
    headers: Pairs


class Claim(NamedTuple):
    """What a request says of who signed it, when and how; nothing of it is proven."""

    key_id: str
    scope: str
    date: str
    at_s: int
    # How long a presigned URL is good for; None for a header.
    expires_s: int | None
    signed: tuple[str, ...]
    signature: str
    token: str
    # The hash of the body, as the request states it; empty when it does not.
    payload: str


def read(request: Signable) -> Claim | None:
    """The claim; None when the request is not signed. Raises AccessRefused for a malformed one."""
    text = _one(request.headers, b"authorization")
    pairs = _query(request.target)
    presigned = any(name == b"X-Amz-Signature" for name, _ in pairs)
    if not text.startswith(ALGORITHM):
        if presigned:
            return _from_query(request, pairs)
        if text.startswith("AWS"):
            raise _incomplete(f"the algorithm must be {ALGORITHM}")
        return None
    if presigned:
        raise _incomplete("a request is signed in its header or in its query, not in both")
    return _from_header(request, text)


def check(
    claim: Claim, request: Signable, body: bytes, key: bytes, now_s: float, *, private: bool
) -> None:
    """Whether the claim is true; `key` is the `signing_key` for its scope.

    `private`: nobody on the way can change the body, so that it need not be signed. Raises
    AccessRefused.
    """
    _check_time(claim, now_s)
    payload = _payload(claim, body, private)
    canonical = _canonical(claim, request, payload)
    text = "\n".join(
        (
            ALGORITHM,
            claim.date,
            claim.scope,
            hashlib.sha256(canonical.encode("latin-1")).hexdigest(),
        )
    )
    if not hmac.compare_digest(_hmac(key, text).hex(), claim.signature):
        raise _mismatch(
            "The request signature we calculated does not match the signature you provided. "
            "Check your AWS Secret Access Key and signing method. Consult the service "
            "documentation for details."
        )


def signing_key(secret: str, scope: str) -> bytes:
    """The key that signs what has that scope (DATE/REGION/SERVICE/aws4_request)."""
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    return key


def sign(
    request: Signable,
    body: bytes,
    key_id: str,
    secret: str,
    now_s: float,
    scope: str = "us-east-1/lambda",
) -> dict[str, str]:
    """The headers that sign a request for a REGION/SERVICE; `host` must be among its headers
    already, and so must a session's token."""
    date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s))
    scope = f"{date[:8]}/{scope}/aws4_request"
    headers = [*request.headers, (b"x-amz-date", date.encode())]
    names = tuple(sorted({name.decode() for name, _ in headers}))
    claim = Claim(key_id, scope, date, int(now_s), None, names, "", "", "")
    whole = request._replace(headers=headers)
    canonical = _canonical(claim, whole, hashlib.sha256(body).hexdigest())
    digest = hashlib.sha256(canonical.encode("latin-1")).hexdigest()
    text = "\n".join((ALGORITHM, date, scope, digest))
    signature = _hmac(signing_key(secret, scope), text).hex()
    authorization = (
        f"{ALGORITHM} Credential={key_id}/{scope}, SignedHeaders={';'.join(names)}, "
        f"Signature={signature}"
    )
    return {"X-Amz-Date": date, "Authorization": authorization}


# Reading


def _from_header(request: Signable, text: str) -> Claim:
    fields = {}
    for part in text[len(ALGORITHM) :].split(","):
        name, _, value = part.strip().partition("=")
        if name in fields:
            raise _incomplete(f"Authorization header has '{name}' more than once")
        fields[name] = value
    for name in ("Credential", "Signature", "SignedHeaders"):
        if not fields.get(name):
            raise _incomplete(f"Authorization header requires '{name}' parameter")
    date = _one(request.headers, b"x-amz-date")
    if not date:
        raise _incomplete("Authorization header requires existence of an 'X-Amz-Date' header")
    claim = _claim(
        request,
        fields["Credential"],
        date,
        None,
        fields["SignedHeaders"],
        fields["Signature"],
        _one(request.headers, b"x-amz-security-token"),
        _one(request.headers, b"x-amz-content-sha256"),
    )
    if "x-amz-date" not in claim.signed:
        raise _mismatch("'X-Amz-Date' must be a 'SignedHeader' in the AWS Authorization.")
    return claim


def _from_query(request: Signable, pairs: Pairs) -> Claim:
    fields: dict[str, str] = {}
    for name, value in pairs:
        key = name.decode("latin-1")
        if key.startswith("X-Amz-") and key in fields:
            raise _incomplete(f"the query has '{key}' more than once")
        fields[key] = value.decode("latin-1")
    for part in _PARAMETERS:
        if not fields.get(f"X-Amz-{part}"):
            raise _incomplete(f"AWS query-string parameters must include 'X-Amz-{part}'")
    if fields["X-Amz-Algorithm"] != ALGORITHM:
        raise _incomplete(f"the algorithm must be {ALGORITHM}")
    expires = fields["X-Amz-Expires"]
    if not (_EXPIRES.fullmatch(expires) and 1 <= int(expires) <= PRESIGNED_S_MAX):
        raise _incomplete(f"X-Amz-Expires must be 1 to {PRESIGNED_S_MAX} seconds")
    return _claim(
        request,
        fields["X-Amz-Credential"],
        fields["X-Amz-Date"],
        int(expires),
        fields["X-Amz-SignedHeaders"],
        fields["X-Amz-Signature"],
        fields.get("X-Amz-Security-Token", ""),
        fields.get("X-Amz-Content-Sha256", _one(request.headers, b"x-amz-content-sha256")),
    )


def _claim(
    request: Signable,
    credential: str,
    date: str,
    expires_s: int | None,
    signed: str,
    signature: str,
    token: str,
    payload: str,
) -> Claim:
    scope = _SCOPE.fullmatch(credential)
    if scope is None:
        raise _incomplete("Credential must be KEY-ID/YYYYMMDD/REGION/SERVICE/aws4_request")
    at_s = _seconds(date)
    if scope[2] != date[:8]:
        raise _mismatch(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
            f"HTTP: '{scope[2]}' != '{date[:8]}', from '{date}'."
        )
    if not _HASH.fullmatch(signature):
        raise _incomplete("Signature must be 64 hexadecimal digits in small letters")
    names = _signed_names(request.headers, signed)
    rest = credential.partition("/")[2]
    return Claim(scope[1], rest, date, at_s, expires_s, names, signature, token, payload)


def _signed_names(headers: Pairs, text: str) -> tuple[str, ...]:
    """The names of the signed headers: all that matter, each there, each once, in order."""
    names = tuple(text.split(";"))
    if len(names) > HEADERS_SIGNED_MAX or list(names) != sorted(set(names)):
        raise _incomplete("SignedHeaders must be in order, and have each name once")
    if "host" not in names:
        raise _mismatch("'Host' must be a 'SignedHeader' in the AWS Authorization.")
    there = {name.decode("latin-1") for name, _ in headers}
    for name in names:
        if name not in there:
            raise _mismatch(f"'{name}' is a 'SignedHeader', but the request has no such header.")
    for name in sorted(there.difference(names)):
        if name.startswith(_AMZ):
            raise _mismatch(f"'{name}' must be a 'SignedHeader' in the AWS Authorization.")
    return names


def _one(headers: Pairs, name: bytes) -> str:
    """A header that may be there once; empty when it is not there."""
    found = [value for key, value in headers if key == name]
    if len(found) > 1 and name in _ONCE:
        raise _incomplete(f"the header '{name.decode()}' is there more than once")
    return found[0].strip().decode("latin-1") if found else ""


def _seconds(date: str) -> int:
    match = _DATE.fullmatch(date)
    with contextlib.suppress(ValueError):
        if match is not None:
            year, month, day, hour, minute, second = map(int, match.groups())
            return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp())
    raise _incomplete(
        "Date must be in ISO-8601 'basic format', as in 20261123T101500Z. "
        "See http://en.wikipedia.org/wiki/ISO_8601"
    )


# Checking


def _check_time(claim: Claim, now_s: float) -> None:
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s))
    if claim.at_s > now_s + SKEW_S:
        raise _mismatch(
            f"Signature not yet current: {claim.date} is still later than {now} + 5 min."
        )
    good_for_s = SKEW_S if claim.expires_s is None else claim.expires_s
    if now_s > claim.at_s + good_for_s:
        raise _mismatch(
            f"Signature expired: {claim.date} is now earlier than {now} - {good_for_s} s."
        )


def _payload(claim: Claim, body: bytes, private: bool) -> str:
    """The last line of the canonical request. Raises AccessRefused when the body is another."""
    stated = claim.payload
    if stated == UNSIGNED:
        if private:
            return stated
        raise _mismatch(f"{UNSIGNED} is accepted over TLS and from this machine only.")
    if stated.startswith("STREAMING-"):
        raise _mismatch(f"{stated} is not supported: sign the whole payload.")
    actual = hashlib.sha256(body).hexdigest()
    if stated and stated != actual:
        raise _mismatch(
            "The provided 'x-amz-content-sha256' header does not match what was computed."
        )
    return actual


def _canonical(claim: Claim, request: Signable, payload: str) -> str:
    lines = [
        request.method,
        _canonical_path(_ORIGIN.sub(b"", request.target, count=1).partition(b"?")[0]),
        _canonical_query(_query(request.target)),
        *(_canonical_header(request.headers, name) for name in claim.signed),
        "",
        ";".join(claim.signed),
        payload,
    ]
    return "\n".join(lines)


def _canonical_path(raw: bytes) -> str:
    """The path, already encoded, without dots and empty segments, and encoded once more."""
    kept: list[bytes] = []
    for segment in raw.split(b"/"):
        if segment == b"..":
            kept = kept[:-1]
        elif segment not in (b"", b"."):
            kept.append(segment)
    end = b"/" if kept and raw.endswith(b"/") else b""
    return quote(b"/" + b"/".join(kept) + end, safe="/~")


def _canonical_query(pairs: Pairs) -> str:
    encoded = [
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in pairs
        if name != b"X-Amz-Signature"
    ]
    return "&".join(f"{name}={value}" for name, value in sorted(encoded))


def _canonical_header(headers: Pairs, name: str) -> str:
    key = name.encode("latin-1")
    values: Iterable[bytes] = (b" ".join(v.split()) for k, v in headers if k == key)
    return f"{name}:{b','.join(values).decode('latin-1')}"


def _query(target: bytes) -> list[tuple[bytes, bytes]]:
    """The parameters, decoded. A plus is a plus: AWS's clients write a space as %20."""
    query = target.partition(b"?")[2]
    pairs = [part.partition(b"=") for part in query.split(b"&") if part]
    return [(unquote_to_bytes(name), unquote_to_bytes(value)) for name, _, value in pairs]


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode("latin-1"), "sha256")


def _incomplete(text: str) -> AccessRefused:
    return AccessRefused(f"{text[0].upper()}{text[1:]}", kind="IncompleteSignatureException")


def _mismatch(text: str) -> AccessRefused:
    return AccessRefused(text, kind="InvalidSignatureException")
