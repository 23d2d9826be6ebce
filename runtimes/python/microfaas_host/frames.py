"""Frames on blocking pipes: a 4-byte big-endian length, then one msgpack map."""

import os
import struct

PROTOCOL_VERSION = 1
REQUESTS = 3
REPLIES = 4
CONTROL = 5

_LENGTH = struct.Struct(">I")
_codec = {}


def use(msgpack):
    """Take the codec that bootstrap borrowed."""
    _codec["pack"] = msgpack.packb
    _codec["unpack"] = msgpack.unpackb


def pack(message):
    return _codec["pack"](message)


def unpack(body):
    return _codec["unpack"](body)


def read():
    """The next message, or None when the supervisor is gone."""
    head = _read_exactly(_LENGTH.size)
    if head is None:
        return None
    body = _read_exactly(_LENGTH.unpack(head)[0])
    return None if body is None else unpack(body)


def write(message, fd=REPLIES):
    body = pack(message)
    frame = _LENGTH.pack(len(body)) + body
    sent = os.write(fd, frame)
    if sent < len(frame):
        rest = memoryview(frame)[sent:]
        while rest:
            rest = rest[os.write(fd, rest) :]


def take(buffer):
    """The messages that are whole at the start of a bytearray, which loses them."""
    messages = []
    while len(buffer) >= _LENGTH.size:
        end = _LENGTH.size + _LENGTH.unpack_from(buffer)[0]
        if len(buffer) < end:
            break
        messages.append(unpack(bytes(buffer[_LENGTH.size : end])))
        del buffer[:end]
    return messages


def _read_exactly(count):
    data = os.read(REQUESTS, count)
    if len(data) == count:
        return data
    pieces = [data]
    missing = count - len(data)
    while data and missing:
        data = os.read(REQUESTS, min(missing, 1 << 20))
        pieces.append(data)
        missing -= len(data)
    return b"".join(pieces) if data else None
