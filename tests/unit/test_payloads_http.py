"""Events that are made of HTTP requests, and responses that are made of results."""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microfaas.payloads import http_answer, http_request, http_v2
from microfaas.payloads.http_answer import (
    DELIMITER,
    PRELUDE_BYTES_MAX,
    PRELUDE_TYPE,
    Answer,
    Malformed,
    Opening,
)
from microfaas.payloads.http_request import HttpRequest, Occasion
from microfaas.payloads.http_v2 import Api

REQUEST = HttpRequest(
    method="GET",
    path="/",
    query="",
    headers=[("Host", "h")],
    body=b"",
    source_ip="192.0.2.7",
    scheme="https",
    port=443,
    tls=("TLSv1.3", "TLS_AES_128_GCM_SHA256"),
)
OCCASION = Occasion(
    "id", "Root=1-62ecd163-5f302e550dcde3b12402207d;Parent=a;Sampled=0", 1583348638390
)
API = Api("urlid", "urlid.lambda-url.us-east-1.on.aws")


def event(api: Api = API, **changes: object) -> dict[str, object]:
    made: dict[str, object] = json.loads(
        http_v2.event(REQUEST._replace(**changes), api, OCCASION)  # type: ignore[arg-type]
    )
    return made


def test_over_tls_the_function_sees_how() -> None:
    assert event()["headers"] == {
        "host": "h",
        "x-forwarded-for": "192.0.2.7",
        "x-forwarded-port": "443",
        "x-forwarded-proto": "https",
        "x-amzn-trace-id": "Root=1-62ecd163-5f302e550dcde3b12402207d",
        "x-amzn-tls-version": "TLSv1.3",
        "x-amzn-tls-cipher-suite": "TLS_AES_128_GCM_SHA256",
    }


def test_the_times_are_lambdas() -> None:
    context = event()["requestContext"]
    assert isinstance(context, dict)
    assert context["time"] == "04/Mar/2020:19:03:58 +0000"
    assert context["timeEpoch"] == 1583348638390


def test_what_a_client_says_of_its_connection_is_not_the_functions() -> None:
    headers = [("Connection", "close"), ("TE", "trailers"), ("X-Forwarded-Proto", "ftp")]
    seen = event(headers=headers)["headers"]
    assert isinstance(seen, dict)
    assert seen.keys().isdisjoint({"connection", "te"})
    assert seen["x-forwarded-proto"] == "https"


def test_cookies_of_several_headers_are_one_list() -> None:
    made = event(headers=[("Cookie", "a=1;b=2; "), ("cookie", "c=3")])
    assert made["cookies"] == ["a=1", "b=2", "c=3"]
    assert isinstance(made["headers"], dict)
    assert "cookie" not in made["headers"]


def test_function_urls_give_cookies_twice() -> None:
    """As AWS does: aws-lambda-go reads the one, and others the other."""
    made = event(API._replace(cookie_header=True), headers=[("Cookie", "a=1; b=2")])
    assert made["cookies"] == ["a=1", "b=2"]
    assert isinstance(made["headers"], dict)
    assert made["headers"]["cookie"] == "a=1; b=2"


@given(st.binary(max_size=64), st.sampled_from(["text/plain", "application/json", "image/png", ""]))
def test_no_body_is_changed(body: bytes, content_type: str) -> None:
    made = event(body=body, headers=[("Content-Type", content_type)])
    given = made.get("body", "")
    assert isinstance(given, str)
    assert (base64.b64decode(given) if made["isBase64Encoded"] else given.encode()) == body


DEEP = b"[" * 10_000 + b"]" * 10_000


@pytest.mark.parametrize("payload", [b'{"a": NaN}', b"\xff\x00", b"", b"not json", DEEP])
def test_what_is_no_json_is_passed_on_as_it_is(payload: bytes) -> None:
    assert http_answer.of_result(payload) == Answer(
        200, (("Content-Type", "application/json"),), payload
    )


def test_several_values_of_a_header_win_over_one() -> None:
    payload = {
        "statusCode": 200,
        "headers": {"x-a": "single", "Content-Type": "text/plain"},
        "multiValueHeaders": {"X-A": ["1", "2"]},
    }
    answer = http_answer.of_result(json.dumps(payload).encode())
    assert answer.headers == (("Content-Type", "text/plain"), ("X-A", "1"), ("X-A", "2"))


@given(st.binary(max_size=40), st.lists(st.integers(1, 7), min_size=1))
def test_a_prelude_may_come_in_any_pieces(body: bytes, sizes: list[int]) -> None:
    whole = b'{"statusCode":201}' + DELIMITER + body
    opening, got, rest = Opening(), None, b""
    while whole:
        size = sizes[len(whole) % len(sizes)]
        piece, whole = whole[:size], whole[size:]
        if got is None:
            got = opening.take(piece, PRELUDE_TYPE)
        else:
            rest += piece
    assert got is not None
    assert (got.status, got.body + rest) == (201, body)


def test_a_prelude_has_a_limit() -> None:
    opening = Opening()
    assert opening.take(b" " * PRELUDE_BYTES_MAX, PRELUDE_TYPE) is None
    with pytest.raises(Malformed, match="more than 1048576 bytes"):
        opening.take(b" ", "")


def test_a_prelude_without_a_status_is_an_ok() -> None:
    assert Opening().take(b"{}" + DELIMITER, PRELUDE_TYPE) == Answer(
        200, (("Content-Type", "application/octet-stream"),), b""
    )


def test_months_are_not_the_locales() -> None:
    assert http_request.time_of(0) == "01/Jan/1970:00:00:00 +0000"
