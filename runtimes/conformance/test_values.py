"""What goes in and what comes out: every JSON type, text, sizes, bytes, streams."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runtimes.conformance.suite import Served, event

# What Lambda takes and gives at most.
EVENT_BYTES_MAX = 6 * 1024 * 1024
NESTED_MAX = 100


def nested(depth: int) -> Any:
    value: Any = "deep"
    for _ in range(depth // 2):
        value = [{"a": value}]
    return value


VALUES: dict[str, Any] = {
    "null": None,
    "true": True,
    "false": False,
    "zero": 0,
    "a whole number": -17,
    "the largest that every language has": 2**53 - 1,
    "the smallest that every language has": -(2**53) + 1,
    "a fraction": 0.1,
    "a large number": 1.5e300,
    "a tiny number": 5e-324,
    "an empty text": "",
    "a long text": "x" * 100_000,
    "an empty list": [],
    "an empty object": {},
    "a mixed list": [None, True, 1, 0.5, "a", [], {}, [[1]], {"b": [2]}],
    "an object": {"a": {"b": None}, "": 1, "with space": [1], "case": "echo"},
    "deep nesting": nested(NESTED_MAX),
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_every_json_type_comes_back(served: Served, value: Any) -> None:
    assert served.call("echo", value=value) == value


TEXTS: dict[str, str] = {
    "latin": "\u00e4\u00f6\u00fc\u00df \u00a0",
    "beyond the basic plane": "\U0001f600 \U00010348",
    "zero": "a\0b",
    "controls": "".join(map(chr, range(32))) + "\x7f\x80",
    "escapes": "\"\\/\b\f\n\r\t'</script>",
    "separators": "\u2028\u2029\ufeff\ufffe\uffff",
    "right to left": "\u05e9\u05dc\u05d5\u05dd \u202e",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
@pytest.mark.parametrize("escaped", [True, False], ids=["escaped", "as it is"])
def test_every_text_comes_back(served: Served, text: str, escaped: bool) -> None:
    value = {"text": text, text: 1}
    payload = json.dumps({"case": "echo", "value": value}, ensure_ascii=escaped).encode()
    reply = served.invoke("cases", payload)
    assert reply.value == value
    assert json.loads(reply.payload.decode()) == value


@pytest.mark.parametrize("size", [60_000, 65_536, 1_000_000, EVENT_BYTES_MAX])
def test_large_events_and_results_pass(served: Served, size: int) -> None:
    text = "x" * (size - len(event("echo", value="")))
    assert served.call("echo", value=text) == text


def test_nothing_is_null(served: Served) -> None:
    assert served.invoke("cases", event("null")).payload == b"null"


@pytest.mark.needs("raw")
@pytest.mark.parametrize("payload", [b"{}", b'{ "a" :\t[1.0, "\\u00e4\xc3\xa4"] }', b'"x"', b"[]"])
def test_bytes_come_back_as_they_are(served: Served, payload: bytes) -> None:
    reply = served.invoke("raw", payload)
    assert (reply.payload, reply.failed) == (payload, False)


PIECES = [["a"], ["a", "\u00e4\U0001f600", "c"], ["x" * 100_000] * 10, [str(n) for n in range(500)]]


@pytest.mark.needs("stream")
@pytest.mark.parametrize("pieces", PIECES, ids=["one", "three", "large", "many"])
def test_a_stream_is_whole_in_the_end(served: Served, pieces: list[str]) -> None:
    reply = served.invoke("stream", json.dumps({"pieces": pieces, "fail": False}).encode())
    assert (reply.payload, reply.failed) == ("".join(pieces).encode(), False)


@pytest.mark.needs("stream")
def test_a_stream_that_fails_fails_the_invocation(served: Served) -> None:
    reply = served.invoke("stream", b'{"pieces": ["a", "b"], "fail": true}')
    assert "broken while streaming" in reply.error["errorMessage"]
    assert served.invoke("stream", b'{"pieces": ["a"], "fail": false}').payload == b"a"
