"""Enough of msgpack for a forger: maps of text, bytes and booleans."""

import struct


def frame(message):
    body = bytes([0x80 | len(message)]) + b"".join(_pack(k) + _pack(v) for k, v in message.items())
    return struct.pack(">I", len(body)) + body


def _pack(value):
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, bytes):
        return b"\xc5" + struct.pack(">H", len(value)) + value
    text = value.encode()
    return b"\xda" + struct.pack(">H", len(text)) + text
