"""Frames and the session: what a host may say.

The first byte is the state of the session, and, from 128 on, says that the rest is the body of
one frame, whose length it need not know. The second is where all of it is cut in two.
"""

from __future__ import annotations

from microfaas.errors import ProtocolError
from microfaas.wire.frames import FRAME_BYTES_MAX, FrameReader, Message, decode_body, encode
from microfaas.wire.session import FIELDS, RECEIVE, Session, State

STATES = tuple(State)


def target(data: bytes) -> None:
    if len(data) < 2:
        return
    state, stream = STATES[data[0] % len(STATES)], data[2:]
    if data[0] >= 128:
        stream = len(stream).to_bytes(4, "big") + stream
    whole = _read([stream])
    cut = data[1] * len(stream) // 256
    assert repr(_read([stream[:cut], stream[cut:]])) == repr(whole)
    assert repr(_read([stream[at : at + 1] for at in range(len(stream))])) == repr(whole)
    for message in whole or []:
        assert repr(decode_body(encode(message)[4:])) == repr(message)
    _converse(state, whole or [])


def _read(pieces: list[bytes]) -> list[Message] | None:
    """All messages; None when the stream is refused somewhere."""
    reader, messages = FrameReader(), []
    for piece in pieces:
        try:
            messages += reader.feed(piece)
        except ProtocolError as error:
            assert len(str(error)) < 1000
            return None
        assert len(reader._buffer) <= FRAME_BYTES_MAX + 4
    return messages


def _converse(state: State, messages: list[Message]) -> None:
    session = Session(state)
    for message in messages:
        before, kind = session.state, message["kind"]
        try:
            session.receive(message)
        except ProtocolError as error:
            assert len(str(error)) < 1000
            assert session.state is before
            return
        assert session.state is RECEIVE[before, kind]
        assert all(type(message[name]) is wanted for name, wanted in FIELDS[kind])


def seeds() -> dict[str, bytes]:
    said = {
        "ready": {"kind": "ready", "protocol": 1, "pid": 7},
        "loaded": {"kind": "loaded", "forkable": True, "why": ""},
        "result": {"kind": "result", "id": "", "payload": b"{}"},
        "error": {"kind": "error", "id": "", "type": "E", "payload": b"{}"},
        "other": {"kind": "?", "a": [None, 1.5, -1, "x", {"b": b""}]},
    }
    alone = {name: b"\0\x80" + encode(message) for name, message in said.items()}
    bodies = {f"{name}-body": b"\x80\x80" + encode(said[name])[4:] for name in said}
    both = b"\4\x40" + encode(said["result"]) + encode(said["ready"])
    return {**alone, **bodies, "two": both, "long": b"\0\0\xff\xff\xff\xff\x80"}
