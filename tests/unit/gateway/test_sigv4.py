"""SigV4 against botocore's own signer and AWS's published example, and what may be wrong."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Any
from unittest import mock
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from hypothesis import given
from hypothesis import strategies as st

from microfaas import sigv4
from microfaas.errors import AccessRefused
from microfaas.sigv4 import Signable

KEY_ID = "MFKAAAAAAAAAAAAAAAAA"
SECRET = "s" * 40
NOW = datetime(2026, 11, 23, 10, 15, tzinfo=UTC)
NOW_S = NOW.timestamp()
HOST = "gateway.example:9000"


def signed(
    method: str = "POST",
    path: str = "/2015-03-31/functions/order/invocations",
    query: str = "",
    headers: dict[str, str] | None = None,
    body: bytes = b"{}",
    *,
    token: str | None = None,
    expires_s: int | None = None,
    at: datetime = NOW,
) -> Signable:
    """What botocore would send."""
    url = f"http://{HOST}{path}" + (f"?{query}" if query else "")
    request = AWSRequest(method, url, {"host": HOST, **(headers or {})}, body)
    credentials = Credentials(KEY_ID, SECRET, token)
    region = ("lambda", "us-east-1")
    signer: Any = (
        SigV4Auth(credentials, *region)
        if expires_s is None
        else SigV4QueryAuth(credentials, *region, expires=expires_s)
    )
    if expires_s is not None:
        request.data = ""  # botocore would make parameters of it
    with mock.patch("botocore.auth.get_current_datetime", return_value=at.replace(tzinfo=None)):
        signer.add_auth(request)
    return Signable(
        method,
        request.url.removeprefix(f"http://{HOST}").encode(),
        [(name.lower().encode(), value.encode()) for name, value in request.headers.items()],
    )


def check(
    request: Signable,
    body: bytes = b"{}",
    *,
    now_s: float = NOW_S,
    secret: str = SECRET,
    private: bool = False,
) -> sigv4.Claim:
    claim = sigv4.read(request)
    assert claim is not None
    key = sigv4.signing_key(secret, claim.scope)
    sigv4.check(claim, request, body, key, now_s, private=private)
    return claim


def refusal(request: Signable, body: bytes = b"{}", **options: Any) -> str:
    with pytest.raises(AccessRefused) as caught:
        check(request, body, **options)
    return f"{caught.value.kind}: {caught.value}"


def changed(request: Signable, name: str, old: str, new: str) -> Signable:
    """The request with a header's value edited."""
    key = name.encode()
    edited = [
        (n, v.replace(old.encode(), new.encode()) if n == key else v) for n, v in request.headers
    ]
    assert edited != request.headers
    return request._replace(headers=edited)


def with_headers(request: Signable, *more: tuple[bytes, bytes]) -> Signable:
    return request._replace(headers=[*request.headers, *more])


text = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)
segments = st.lists(text | st.sampled_from([".", "..", "", "a b", "%", "~", "a:b$*"]), max_size=5)
parameters = st.lists(st.tuples(text.filter(bool), text), max_size=5, unique_by=lambda p: p[0])
names = st.from_regex(r"x-(amz-)?[a-z]{1,8}", fullmatch=True).filter(
    lambda name: name not in ("x-amz-date", "x-amz-security-token", "x-amz-content-sha256")
)
values = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
headers = st.dictionaries(names, values, max_size=4)


class TestAgainstBotocore:
    @given(
        method=st.sampled_from(["GET", "POST", "PUT", "DELETE"]),
        path=segments,
        query=parameters,
        headers=headers,
        body=st.binary(max_size=50),
        token=st.none() | st.from_regex(r"[A-Za-z0-9+/=]{1,30}", fullmatch=True),
    )
    def test_every_signed_request_is_accepted(
        self,
        method: str,
        path: list[str],
        query: list[tuple[str, str]],
        headers: dict[str, str],
        body: bytes,
        token: str | None,
    ) -> None:
        raw = "/" + "/".join(quote(segment, safe="") for segment in path)
        asked = "&".join(f"{quote(n, safe='-_.~')}={quote(v, safe='-_.~')}" for n, v in query)
        request = signed(method, raw, asked, headers, body, token=token)
        claim = check(request, body)
        assert (claim.key_id, claim.token) == (KEY_ID, token or "")
        assert "InvalidSignature" in refusal(request, body + b"x")
        assert "InvalidSignature" in refusal(request._replace(method="PATCH"), body)
        assert "InvalidSignature" in refusal(request, body, secret="other")

    @given(path=segments, query=parameters, expires_s=st.integers(1, 604800))
    def test_every_presigned_url_is_accepted(
        self, path: list[str], query: list[tuple[str, str]], expires_s: int
    ) -> None:
        raw = "/" + "/".join(quote(segment, safe="") for segment in path)
        asked = "&".join(f"{quote(n, safe='-_.~')}={quote(v, safe='-_.~')}" for n, v in query)
        request = signed("GET", raw, asked, body=b"", expires_s=expires_s)
        assert check(request, b"").expires_s == expires_s
        check(request, b"", now_s=NOW_S + expires_s)
        assert "Signature expired" in refusal(request, b"", now_s=NOW_S + expires_s + 1)
        assert "InvalidSignature" in refusal(request._replace(target=request.target + b"&a=1"), b"")
        assert "InvalidSignature" in refusal(request, b"x")

    @given(header=names, value=values)
    def test_our_own_signer_makes_what_botocore_makes(self, header: str, value: str) -> None:
        wanted = signed(headers={header: value})
        mine = sigv4.sign(
            Signable(
                "POST", wanted.target, [(b"host", HOST.encode()), (header.encode(), value.encode())]
            ),
            b"{}",
            KEY_ID,
            SECRET,
            NOW_S,
        )
        assert mine["Authorization"].encode() == dict(wanted.headers)[b"authorization"]


def test_the_published_example() -> None:
    """The one of AWS's general reference: ListUsers of IAM on 2015-08-30."""
    secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
    authorization = (
        b"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        b"SignedHeaders=content-type;host;x-amz-date, "
        b"Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
    )
    request = Signable(
        "GET",
        b"/?Action=ListUsers&Version=2010-05-08",
        [
            (b"content-type", b"application/x-www-form-urlencoded; charset=utf-8"),
            (b"host", b"iam.amazonaws.com"),
            (b"x-amz-date", b"20150830T123600Z"),
            (b"authorization", authorization),
        ],
    )
    at = datetime(2015, 8, 30, 12, 36, tzinfo=UTC).timestamp()
    claim = check(request, b"", now_s=at, secret=secret)
    assert claim.key_id == "AKIDEXAMPLE"
    key = sigv4.signing_key(secret, claim.scope)
    assert key.hex() == "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9"


class TestTime:
    @pytest.mark.parametrize("seconds", [-300, 0, 300])
    def test_five_minutes_either_way(self, seconds: int) -> None:
        check(signed(), now_s=NOW_S + seconds)

    def test_later_is_expired_and_earlier_not_yet_current(self) -> None:
        assert "Signature expired: 20261123T101500Z" in refusal(signed(), now_s=NOW_S + 301)
        assert "Signature not yet current" in refusal(signed(), now_s=NOW_S - 301)
        assert "not yet current" in refusal(signed(expires_s=60), b"", now_s=NOW_S - 301)

    def test_the_scopes_date_is_the_date(self) -> None:
        wrong = changed(signed(), "authorization", "/20261123/", "/20261122/")
        assert "Date in Credential scope does not match" in refusal(wrong)

    @pytest.mark.parametrize("date", ["20261323T101500Z", "2026-11-23T10:15:00Z", "now"])
    def test_what_is_no_date_is_refused(self, date: str) -> None:
        wrong = changed(signed(), "x-amz-date", "20261123T101500Z", date)
        assert "IncompleteSignatureException: Date must be" in refusal(wrong)


class TestPayload:
    def test_a_stated_hash_must_be_true(self) -> None:
        stated = {"x-amz-content-sha256": hashlib.sha256(b"{}").hexdigest()}
        check(signed(headers=stated))
        assert "does not match what was computed" in refusal(signed(headers=stated), b"[]")

    def test_an_unsigned_payload_is_for_private_ways(self) -> None:
        request = signed(headers={"x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
        check(request, b"anything", private=True)
        assert "over TLS and from this machine only" in refusal(request)

    def test_streams_of_signed_pieces_are_refused_by_name(self) -> None:
        kind = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
        assert f"{kind} is not supported" in refusal(signed(headers={"x-amz-content-sha256": kind}))


class TestWhatIsSigned:
    def test_not_signed_at_all_is_no_claim(self) -> None:
        for headers in ([], [(b"authorization", b"Bearer x")], [(b"authorization", b"Basic x")]):
            assert sigv4.read(Signable("GET", b"/?a=b", headers)) is None

    @pytest.mark.parametrize("name", ["host", "x-amz-date", "x-amz-log-type"])
    def test_what_matters_must_be_signed(self, name: str) -> None:
        request = signed(headers={"x-amz-log-type": "Tail"})
        key = b"authorization"
        edited = re.sub(rf"(?<=[=;]){name};?".encode(), b"", dict(request.headers)[key]).replace(
            b";,", b","
        )
        wrong = request._replace(
            headers=[*((n, v) for n, v in request.headers if n != key), (key, edited)]
        )
        assert "must be a 'SignedHeader'" in refusal(wrong)

    def test_a_header_that_is_added_later_is_refused(self) -> None:
        wrong = with_headers(signed(), (b"x-amz-invocation-type", b"Event"))
        assert "'x-amz-invocation-type' must be a 'SignedHeader'" in refusal(wrong)
        wrong = with_headers(signed(expires_s=60), (b"x-amz-invocation-type", b"Event"))
        assert "'x-amz-invocation-type' must be a 'SignedHeader'" in refusal(wrong, b"")

    def test_a_signed_header_twice_counts_both(self) -> None:
        request = signed(headers={"x-amz-log-type": "None"})
        assert "InvalidSignature" in refusal(with_headers(request, (b"x-amz-log-type", b"Tail")))

    @pytest.mark.parametrize("name", [b"authorization", b"x-amz-date"])
    def test_what_there_is_once_must_not_be_there_twice(self, name: bytes) -> None:
        assert "more than once" in refusal(with_headers(signed(), (name, b"x")))

    def test_a_header_that_is_gone_is_missed(self) -> None:
        request = signed(headers={"x-a": "1"})
        wrong = request._replace(headers=[pair for pair in request.headers if pair[0] != b"x-a"])
        assert "the request has no such header" in refusal(wrong)

    def test_headers_that_nobody_signs_may_change(self) -> None:
        check(with_headers(signed(), (b"x-amzn-trace-id", b"Root=1"), (b"user-agent", b"x")))

    def test_the_whole_url_as_target_is_the_same(self) -> None:
        request = signed(query="Qualifier=1")
        check(request._replace(target=f"http://{HOST}".encode() + request.target))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("Credential=", "Credentia=", "requires 'Credential'"),
        ("Signature=", "Sig=", "requires 'Signature'"),
        ("SignedHeaders=", "Headers=", "requires 'SignedHeaders'"),
        ("SignedHeaders=host;", "SignedHeaders=x-amz-date;host;", "must be in order"),
        ("SignedHeaders=host;", "SignedHeaders=host;host;", "must be in order"),
        ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256", "algorithm must be"),
        ("AWS4-HMAC-SHA256", "AWS", "algorithm must be"),
        ("aws4_request", "aws5_request", "Credential must be"),
        ("us-east-1", "us/east", "Credential must be"),
        ("Signature=", "Signature=A", "64 hexadecimal digits"),
        ("Credential=", "Credential=x, Credential=", "more than once"),
    ],
)
def test_a_malformed_header_says_what_is_wrong(old: str, new: str, words: str) -> None:
    found = refusal(changed(signed(), "authorization", old, new))
    assert found.startswith("IncompleteSignatureException")
    assert words.lower() in found.lower()


def test_a_signature_needs_a_date() -> None:
    request = signed()
    wrong = request._replace(headers=[p for p in request.headers if p[0] != b"x-amz-date"])
    assert "requires existence of" in refusal(wrong)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("X-Amz-Expires=60", "X-Amz-Expires=0", "1 to 604800"),
        ("X-Amz-Expires=60", "X-Amz-Expires=604801", "1 to 604800"),
        ("X-Amz-Expires=60", "X-Amz-Expires=0000000019999", "1 to 604800"),
        ("X-Amz-Expires=60", "X-Amz-Expires=60&X-Amz-Expires=600", "more than once"),
        ("X-Amz-Date=", "X-Amz-Dat=", "must include 'X-Amz-Date'"),
        ("=AWS4-HMAC-SHA256", "=AWS4", "algorithm must be"),
    ],
)
def test_a_malformed_url_says_what_is_wrong(old: str, new: str, words: str) -> None:
    request = signed(expires_s=60)
    wrong = request._replace(target=request.target.replace(old.encode(), new.encode()))
    assert wrong != request
    assert words.lower() in refusal(wrong, b"").lower()


def test_a_signature_in_both_places_is_refused() -> None:
    request = signed(expires_s=60)
    both = with_headers(request, (b"authorization", dict(signed().headers)[b"authorization"]))
    assert "not in both" in refusal(both)
