"""Frames: a 4-byte big-endian length, then one msgpack map. No I/O.

The bytes come from a process that runs somebody's code, so every size and depth is bounded and
whatever is malformed is a ProtocolError.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import msgpack

from microfaas.errors import ProtocolError
from microfaas.model import MIB

Message = dict[str, Any]

# An event or a result of 6 MiB and its envelope fit; nothing that does not fit is ever sent.
FRAME_BYTES_MAX = 8 * MIB
_LENGTH = struct.Struct(">I")
_HEADER_BYTES = _LENGTH.size
_pack_length = _LENGTH.pack
_unpack_length = _LENGTH.unpack_from


def encode(message: Message) -> bytes:
    """One message as a frame."""
    body = encode_body(message)
    return _pack_length(len(body)) + body


def encode_body(message: Message) -> bytes:
    """One message as a datagram, which needs no length."""
    body: bytes = msgpack.packb(message)
    return body


def decode_body(body: bytes) -> Message:
    """The map inside a frame or a datagram."""
    try:
        # No length inside may exceed the body's; how deep it may nest is msgpack's own limit.
        message = msgpack.unpackb(body)
    except (ValueError, msgpack.exceptions.UnpackException) as error:
        raise ProtocolError(f"cannot decode a frame: {type(error).__name__}: {error}") from None
    if type(message) is not dict or type(message.get("kind")) is not str:
        raise ProtocolError("cannot decode a frame: it is not a map with a kind")
    return message


class FrameReader:
    """Cuts a stream of bytes, in whatever pieces it comes, into messages."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Sequence[Message]:
        """The messages that `data` completes."""
        if not self._buffer and len(data) >= _HEADER_BYTES:
            # Nearly always one read is one frame: take it without copying it into the buffer.
            (length,) = _unpack_length(data)
            if len(data) == _HEADER_BYTES + length:
                return (decode_body(data[_HEADER_BYTES:]),)
        self._buffer += data
        return [decode_body(body) for body in iter(self._cut, None)]

    def _cut(self) -> bytes | None:
        buffer = self._buffer
        if len(buffer) < _HEADER_BYTES:
            return None
        (length,) = _unpack_length(buffer)
        if length > FRAME_BYTES_MAX:
            raise ProtocolError(
                f"cannot accept a frame of {length} bytes: {FRAME_BYTES_MAX} at most"
            )
        end = _HEADER_BYTES + length
        if len(buffer) < end:
            return None
        body = bytes(buffer[_HEADER_BYTES:end])
        del buffer[:end]
        return body
