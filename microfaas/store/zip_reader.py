"""Reads .zip archives that nobody vouches for: their directory, then what each entry holds.

Theory of operation. Python's zipfile takes an archive at its word: it reads the whole directory
and makes an object of every entry before it can be asked how many there are, and lets entries
share bytes, of which bombs are made. Here everything is bounded before it is read, and whatever
the archive says twice must be the same: the directory lies where the end record says, a local
header has the name that the directory has, no two entries share a byte, and an entry unpacks to
exactly the size and checksum it claims. It reads what packers of code write, stored and deflated
entries with zip64 where it is needed, and refuses the rest: encryption, volumes, other methods.
"""

from __future__ import annotations

import datetime
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

# A hundred thousand names of 280 bytes each. An archive with more has nothing but names in it.
DIRECTORY_BYTES_MAX = 32 * 1024 * 1024
READ_BYTES = 256 * 1024

_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_CENTRAL = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_COMMENT_BYTES_MAX = 0xFFFF
_IN_ZIP64 = 0xFFFFFFFF
_ZIP64_EXTRA = 1
# By a password, or by a certificate.
_ENCRYPTED = 0x1 | 0x40
_PATCH = 0x20
_UTF8 = 0x800
_STORED, _DEFLATED = 0, 8
# What a DOS date that is none stands for: the first there is.
_EPOCH_S = 315_532_800


class Unsound(Exception):
    """The archive contradicts itself or is more than it may be; the text says how."""


class ZipEntry(NamedTuple):
    """One entry as the directory has it; `mode` is 0 where no Unix made it."""

    name: str
    raw_name: bytes
    method: int
    crc: int
    packed_bytes: int
    bytes: int
    offset: int
    mode: int
    made_s: int


class ZipReader:
    """An archive in an open file that can be read at any place. Raises Unsound."""

    def __init__(self, fd: int, entries_max: int) -> None:
        self._fd = fd
        self._size = os.fstat(fd).st_size
        count, length, self._directory_at = self._find_directory()
        if count > entries_max:
            raise Unsound(f"must have at most {entries_max} entries, not {count}")
        if length > DIRECTORY_BYTES_MAX:
            raise Unsound(f"has a directory of {length} bytes: {DIRECTORY_BYTES_MAX} at most")
        self.entries: Sequence[ZipEntry] = self._read_directory(count, length)
        self._content_at = self._check_headers()

    def content(self, entry: ZipEntry) -> Iterator[bytes]:
        """What the entry holds, in pieces that together are never more than it claims."""
        left, crc = entry.bytes, 0
        for piece in self._unpacked(entry):
            left -= len(piece)
            if left < 0:
                raise Unsound(f"{entry.name!r} is larger than the {entry.bytes} bytes it claims")
            crc = zlib.crc32(piece, crc)
            yield piece
        if left or crc != entry.crc:
            raise Unsound(f"{entry.name!r} is damaged: its size or checksum is another")

    def _find_directory(self) -> tuple[int, int, int]:
        """Number of entries, bytes and offset of the directory; none of it has been read yet."""
        at = self._find_end()
        _, *disks, here, count, length, offset, _ = self._unpack(_END, at)
        end = at
        locator_at = at - _END64_LOCATOR.size
        if locator_at >= 0 and self._read(locator_at, 4) == b"PK\6\7":
            end = self._find_end64(locator_at)
            _, _, _, _, *disks, here, count, length, offset = self._unpack(_END64, end)
        if any(disks) or here != count:
            raise Unsound("is one of several volumes")
        if offset + length != end:
            raise Unsound("has its directory elsewhere than it says")
        return count, length, offset

    def _find_end(self) -> int:
        """The end record is the last thing but for a comment, whose length it has."""
        tail_at = max(0, self._size - _END.size - _COMMENT_BYTES_MAX)
        tail = self._read(tail_at, self._size - tail_at)
        at = tail.rfind(b"PK\5\6")
        if at < 0 or at + _END.size > len(tail):
            raise Unsound("has no directory")
        if at + _END.size + _END.unpack_from(tail, at)[-1] != len(tail):
            raise Unsound("goes on after its end")
        return tail_at + at

    def _find_end64(self, locator_at: int) -> int:
        """A large archive's end record, which lies before its locator."""
        _, disk, at, disks = self._unpack(_END64_LOCATOR, locator_at)
        if disk or disks > 1 or at + _END64.size != locator_at or self._read(at, 4) != b"PK\6\6":
            raise Unsound("has no directory where it says")
        return int(at)

    def _read_directory(self, count: int, length: int) -> list[ZipEntry]:
        data = self._read(self._directory_at, length)
        entries, at = [], 0
        for _ in range(count):
            entry, at = _parse_entry(data, at)
            entries.append(entry)
        if at != length:
            raise Unsound(f"has more in its directory than the {count} entries it claims")
        return entries

    def _check_headers(self) -> dict[int, int]:
        """Where the content of the entry at each offset begins; no two of them share a byte."""
        found = {}
        in_order = sorted(self.entries, key=lambda entry: entry.offset)
        ends = [*(entry.offset for entry in in_order), self._directory_at][1:]
        for entry, end in zip(in_order, ends, strict=True):
            found[entry.offset] = self._content_of(entry)
            if found[entry.offset] + entry.packed_bytes > end:
                raise Unsound(f"{entry.name!r} overlaps with another entry")
        return found

    def _content_of(self, entry: ZipEntry) -> int:
        """Where it begins, behind a local header that says the same as the directory."""
        header = self._read(entry.offset, _LOCAL.size + len(entry.raw_name))
        signature, _, _, method, *_, name_bytes, extra_bytes = _LOCAL.unpack_from(header)
        same_name = name_bytes == len(entry.raw_name) and header.endswith(entry.raw_name)
        if signature != b"PK\3\4" or method != entry.method or not same_name:
            raise Unsound(f"{entry.name!r} has a local header that says something else")
        return int(entry.offset + len(header) + extra_bytes)

    def _unpacked(self, entry: ZipEntry) -> Iterator[bytes]:
        start = self._content_at[entry.offset]
        end = start + entry.packed_bytes
        pieces = (self._read(at, min(READ_BYTES, end - at)) for at in range(start, end, READ_BYTES))
        return pieces if entry.method == _STORED else _inflated(entry.name, pieces)

    def _unpack(self, form: struct.Struct, at: int) -> tuple[Any, ...]:
        return form.unpack(self._read(at, form.size))

    def _read(self, at: int, count: int) -> bytes:
        """So many bytes at a place, all of them."""
        data = os.pread(self._fd, count, at) if 0 <= at <= self._size - count else b""
        if len(data) != count:
            raise Unsound("points to what lies outside of it")
        return data


def _parse_entry(data: bytes, at: int) -> tuple[ZipEntry, int]:
    """The directory's entry at a place, and the place of the next."""
    if at + _CENTRAL.size > len(data):
        raise Unsound("has a directory that ends too early")
    fields = _CENTRAL.unpack_from(data, at)
    signature, _, _, flags, method, time, date, crc, packed, size, *rest = fields
    name_bytes, extra_bytes, comment_bytes, disk, _, attributes, offset = rest
    name_at = at + _CENTRAL.size
    extra_at = name_at + name_bytes
    end = extra_at + extra_bytes + comment_bytes
    if signature != b"PK\1\2" or end > len(data):
        raise Unsound("has a directory that cannot be read")
    raw_name = data[name_at:extra_at]
    name = _decoded(raw_name, flags)
    if flags & _ENCRYPTED:
        raise Unsound(f"{name!r} is encrypted; code must not be")
    if flags & _PATCH:
        raise Unsound(f"{name!r} is a patch; pack whole files")
    if method not in (_STORED, _DEFLATED):
        raise Unsound(f"{name!r} is packed by method {method}; use deflate")
    if disk:
        raise Unsound("is one of several volumes")
    extra = data[extra_at : extra_at + extra_bytes]
    size, packed, offset = _widened((size, packed, offset), extra, name)
    if method == _STORED and size != packed:
        raise Unsound(f"{name!r} is stored, but of two sizes")
    made_s = _seconds(date, time)
    mode = attributes >> 16
    return ZipEntry(name, raw_name, method, crc, packed, size, offset, mode, made_s), end


def _decoded(raw: bytes, flags: int) -> str:
    try:
        return raw.decode("utf-8" if flags & _UTF8 else "cp437")
    except UnicodeDecodeError:
        raise Unsound(f"has a name that is not UTF-8: {raw[:64]!r}") from None


def _widened(values: Sequence[int], extra: bytes, name: str) -> list[int]:
    """Each value, or the 64 bits of it in the extra field where it says that they are there."""
    wide = _zip64_of(extra)
    found = []
    for value in values:
        if value == _IN_ZIP64:
            if len(wide) < 8:
                raise Unsound(f"{name!r} lacks a size or an offset")
            value, wide = int.from_bytes(wide[:8], "little"), wide[8:]
        found.append(value)
    return found


def _zip64_of(extra: bytes) -> bytes:
    while len(extra) >= 4:
        kind, length = struct.unpack_from("<2H", extra)
        if kind == _ZIP64_EXTRA:
            return extra[4 : 4 + length]
        extra = extra[4 + length :]
    return b""


def _seconds(date: int, time: int) -> int:
    """A DOS date and time, taken as UTC, in seconds since 1970."""
    try:
        made = datetime.datetime(
            1980 + (date >> 9),
            date >> 5 & 0xF,
            date & 0x1F,
            time >> 11,
            time >> 5 & 0x3F,
            (time & 0x1F) * 2,
            tzinfo=datetime.UTC,
        )
    except ValueError:
        return _EPOCH_S
    return int(made.timestamp())


def _inflated(name: str, packed: Iterator[bytes]) -> Iterator[bytes]:
    """Deflated bytes unpacked, at most READ_BYTES at a time whatever they expand to."""
    machine = zlib.decompressobj(-zlib.MAX_WBITS)
    over = False
    try:
        for data in packed:
            over = machine.eof
            while data and not machine.eof:
                yield machine.decompress(data, READ_BYTES)
                data = machine.unconsumed_tail
        while not machine.eof and (rest := machine.decompress(b"", READ_BYTES)):
            yield rest
    except zlib.error as error:
        raise Unsound(f"{name!r} cannot be unpacked: {error}") from None
    if over or not machine.eof or machine.unused_data:
        raise Unsound(f"{name!r} ends too early or goes on after its end")
