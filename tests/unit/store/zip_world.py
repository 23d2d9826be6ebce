"""Archives made by hand, so that they can say what no packer would write."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Any


def deflated(content: bytes) -> bytes:
    machine = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    return machine.compress(content) + machine.flush()


@dataclass
class Made:
    """An entry; what is None is as it should be."""

    name: bytes = b"app.py"
    content: bytes = b"x = 1\n"
    method: int = 8
    flags: int = 0x800
    mode: int = 0o100644
    date: int = 0x5000 | 1 << 5 | 1
    packed: bytes | None = None
    crc: int | None = None
    size: int | None = None
    packed_size: int | None = None
    offset: int | None = None
    local_name: bytes | None = None
    local_method: int | None = None
    extra: bytes = b""

    def data(self) -> bytes:
        if self.packed is not None:
            return self.packed
        return deflated(self.content) if self.method == 8 else self.content

    def numbers(self) -> tuple[int, int, int]:
        crc = zlib.crc32(self.content) if self.crc is None else self.crc
        packed = len(self.data()) if self.packed_size is None else self.packed_size
        return crc, packed, len(self.content) if self.size is None else self.size

    def local(self) -> bytes:
        name = self.name if self.local_name is None else self.local_name
        method = self.method if self.local_method is None else self.local_method
        head = (b"PK\3\4", 20, self.flags, method, 0, self.date)
        sizes = [min(number, 0xFFFFFFFF) for number in self.numbers()]
        return struct.pack("<4s5H3L2H", *head, *sizes, len(name), 0) + name + self.data()

    def central(self, offset: int) -> bytes:
        offset = offset if self.offset is None else self.offset
        head = (b"PK\1\2", 3 << 8 | 20, 20, self.flags, self.method, 0, self.date)
        tail = (len(self.name), len(self.extra), 0, 0, 0, self.mode << 16, offset)
        record = struct.pack("<4s6H3L5H2L", *head, *self.numbers(), *tail)
        return record + self.name + self.extra


def archive(*entries: Made, comment: bytes = b"", after: bytes = b"", **end: Any) -> bytes:
    """The whole archive; `end` replaces fields of the end record: count, here, length, offset."""
    body, directory = b"", b""
    for entry in entries:
        directory += entry.central(len(body))
        body += entry.local()
    count = min(end.get("count", len(entries)), 0xFFFF)
    fields = (
        *(0, 0, end.get("here", count), count),
        end.get("length", len(directory)),
        end.get("offset", len(body)),
    )
    record = struct.pack("<4s4H2LH", b"PK\5\6", *fields, len(comment))
    return body + directory + end.get("before_end", b"") + record + comment + after


def end64(offset: int, length: int, count: int, at: int, **fields: int) -> bytes:
    """The end record of a large archive, and its locator."""
    shown = (fields.get("here", count), count, length, offset)
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, *shown)
    return record + struct.pack("<4sLQL", b"PK\6\7", 0, fields.get("locator", at), 1)
