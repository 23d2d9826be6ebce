"""Archives of code: raw bytes, or, when the first is odd, a description of an archive.

Of an archive that is made from its description all is sound but what the bytes say: a fuzzer
would not find a checksum by itself.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
import tempfile
import zipfile
from pathlib import Path

from microfaas.errors import ConfigError
from microfaas.store import archive as unpacker
from tests.unit.store.zip_world import Made, archive

NAMES = (b"a", b"a/", b"a/b", b"../x", b"/x", b"a/../../x", b"./a", b"\xff", b"c:x", b"a\\b", b"")
NUMBERS = (None, 0, 1, 30, 0xFFFF, 0xFFFFFFFF)


def target(data: bytes) -> None:
    whole = _described(data[1:]) if data[:1] and data[0] % 2 else data[1:]
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        source, folder = Path(place, "code.zip"), Path(place, "folder")
        source.write_bytes(whole)
        folder.mkdir()
        try:
            unpacker.unpack(str(source), str(folder))
        except ConfigError as error:
            assert len(str(error)) < 100_000
        else:
            _compare(whole, folder)
        assert sorted(os.listdir(place)) == ["code.zip", "folder"]
        assert source.read_bytes() == whole
        _check_tree(folder)


def _check_tree(folder: Path) -> None:
    """Only files and folders that lend nobody's rights, and not more than there may be; links stay
    inside."""
    size = 0
    for path in folder.rglob("*"):
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            assert path.resolve().is_relative_to(folder.resolve()), path
            continue
        size += status.st_size if path.is_file() else 0
        assert stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode), path
        assert not status.st_mode & 0o7022, path
    assert size < unpacker.UNPACKED_BYTES_MAX


def _compare(whole: bytes, folder: Path) -> None:
    """What is taken from an archive is what Python's own reader finds in it."""
    # That one refuses what claims to need a packer of the future.
    with (
        contextlib.suppress(NotImplementedError),
        zipfile.ZipFile(io.BytesIO(whole)) as other,
    ):
        for info in other.infolist():
            path = folder / info.filename
            if path.is_symlink():
                assert os.fsencode(os.readlink(path)) == other.read(info)
                continue
            assert path.is_dir() if info.is_dir() else path.read_bytes() == other.read(info)


def _described(data: bytes) -> bytes:
    """Nine bytes to an entry, three to the end record before them."""
    choices = iter(data)

    def choose(options: int) -> int:
        return next(choices, 0) % options

    end = {
        name: number
        for name in ("count", "length", "offset")
        if (number := NUMBERS[choose(len(NUMBERS))]) is not None
    }
    entries = []
    for _ in range(min(4, (len(data) - 3) // 9)):
        entry = Made(
            name=NAMES[choose(len(NAMES))],
            content=b"x" * choose(256),
            method=(8, 0, 12, 99)[choose(4)],
            flags=(0x800, 0, 1, 8)[choose(4)],
            mode=choose(256) << 8 | 0o644,
            size=NUMBERS[choose(len(NUMBERS))],
            packed_size=NUMBERS[choose(len(NUMBERS))],
            offset=NUMBERS[choose(len(NUMBERS))],
            date=choose(256) << 4,
        )
        entries.append(entry)
    return archive(*entries, **end)


def seeds() -> dict[str, bytes]:
    plain = archive(Made(), Made(name=b"lib/a", method=0), comment=b"c")
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/b.py", "x = 1\n" * 100)
        with file.open("c", "w", force_zip64=True) as large:
            large.write(b"0" * 1000)
    entry = bytes([2, 50, 0, 0, 0x81, 0, 0, 0, 9])
    return {
        "plain": b"\0" + plain,
        "python": b"\0" + whole.getvalue(),
        "described": b"\1\0\0\0" + entry,
        "described-two": b"\1\0\0\0" + entry + bytes([0]) + entry[1:],
        "described-end": b"\1\3\0\2" + entry,
    }
