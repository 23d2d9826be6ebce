"""Frames: any cutting gives the same messages, and nothing malformed gets through."""

from __future__ import annotations

import contextlib
import itertools
import struct
from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from microfaas.errors import ProtocolError
from microfaas.wire.frames import FRAME_BYTES_MAX, FrameReader, Message, decode_body, encode

SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text() | st.binary()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10
)
MESSAGES = st.builds(
    lambda fields, kind: {**fields, "kind": kind}, st.dictionaries(st.text(), VALUES), st.text()
)


def read_all(pieces: list[bytes]) -> list[Message]:
    reader = FrameReader()
    return [message for piece in pieces for message in reader.feed(piece)]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    ends = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[a:b] for a, b in itertools.pairwise(ends)]


def frame(body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + body


@given(st.lists(MESSAGES, max_size=5), st.lists(st.integers(0, 2**20)))
def test_messages_come_out_the_same_however_the_stream_is_cut(
    messages: list[Message], places: list[int]
) -> None:
    stream = b"".join(map(encode, messages))
    assert read_all(cut(stream, places)) == messages


@given(st.lists(MESSAGES, max_size=3))
def test_messages_come_out_the_same_byte_by_byte(messages: list[Message]) -> None:
    stream = b"".join(map(encode, messages))
    assert read_all([bytes([byte]) for byte in stream]) == messages


@given(MESSAGES, st.data())
def test_an_incomplete_frame_yields_nothing(message: Message, data: st.DataObject) -> None:
    whole = encode(message)
    assert read_all([whole[: data.draw(st.integers(0, len(whole) - 1))]]) == []


@given(st.lists(st.binary(max_size=64)))
@example([b"\x00\x00\x00\x01\xc1"])
@example([b"\x00\x00\x00\x00"])
@example([frame(b"\xd6\xff\x00\x00\x00\x00")])
def test_garbage_only_ever_raises_protocol_errors(pieces: list[bytes]) -> None:
    try:
        messages = read_all(pieces)
    except ProtocolError:
        return
    assert all(type(message["kind"]) is str for message in messages)


@given(st.binary(max_size=200))
def test_a_garbage_body_only_ever_raises_protocol_errors(body: bytes) -> None:
    with contextlib.suppress(ProtocolError):
        assert type(decode_body(body)["kind"]) is str


@given(MESSAGES, st.integers(0, 2**20), st.binary(min_size=1, max_size=8))
def test_a_damaged_frame_only_ever_raises_protocol_errors(
    message: Message, place: int, damage: bytes
) -> None:
    whole = bytearray(encode(message))
    place %= len(whole)
    whole[place : place + len(damage)] = damage
    with contextlib.suppress(ProtocolError):
        read_all([bytes(whole)])


@pytest.mark.parametrize("length", [FRAME_BYTES_MAX + 1, 2**32 - 1])
def test_a_length_over_the_bound_is_refused_before_the_body_comes(length: int) -> None:
    with pytest.raises(ProtocolError, match=f"a frame of {length} bytes: {FRAME_BYTES_MAX} at"):
        read_all([struct.pack(">I", length)])


def test_a_frame_of_the_largest_size_is_taken() -> None:
    envelope = len(encode({"kind": "result", "payload": b"x" * 2**16})) - 2**16 - 4
    message = {"kind": "result", "payload": bytes(FRAME_BYTES_MAX - envelope)}
    whole = encode(message)
    assert len(whole) == FRAME_BYTES_MAX + 4
    assert read_all([whole[:1000], whole[1000:]]) == [message]


MALFORMED: dict[str, bytes] = {
    "empty": b"",
    "a list": msgpack.packb([1, 2]),
    "a number": b"\x01",
    "no kind": msgpack.packb({"id": "x"}),
    "a kind of bytes": msgpack.packb({"kind": b"ready"}),
    "a kind of a number": msgpack.packb({"kind": 1}),
    "nested too deeply": b"\x81\xa4kind" + b"\x91" * 100_000 + b"\x01",
    "maps nested too deeply": b"\x81\xa1k" * 100_000 + b"\x01",
    "a list as key": b"\x82\xa4kind\xa1x\x91\x01\x01",
    "a map as key": b"\x82\xa4kind\xa1x\x81\x01\x01\x01",
    "a number as key": b"\x82\xa4kind\xa1x\x01\x01",
    "bytes after the map": msgpack.packb({"kind": "x"}) + b"\x00",
    "a list that is longer than the body": b"\x82\xa4kind\xa1x\xa1l\xdd\xff\xff\xff\xff",
    "bytes that are longer than the body": b"\x82\xa4kind\xa1x\xa1l\xc6\xff\xff\xff\xff",
    "text that is not UTF-8": b"\x82\xa4kind\xa1x\xa1l\xa2\xff\xfe",
    "an unused type": b"\x82\xa4kind\xa1x\xa1l\xc1",
    "a timestamp of a wrong size": b"\x82\xa4kind\xa1x\xa1l\xd4\xff\x00",
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_body_is_a_protocol_error(body: bytes) -> None:
    with pytest.raises(ProtocolError, match="cannot decode a frame"):
        read_all([frame(body)])


def test_a_payload_stays_the_bytes_it_was() -> None:
    payload: Any = bytes(range(256)) * 100
    (message,) = read_all([encode({"kind": "result", "payload": payload})])
    assert message["payload"] == payload
