"""Archives of code: what packers write is unpacked, what attackers write leaves nothing behind."""

from __future__ import annotations

import io
import os
import shutil
import stat
import struct
import subprocess
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from zip_world import Made, archive, deflated, end64

from microfaas.errors import ConfigError
from microfaas.store import archive as unpacker
from microfaas.store.code import CodeStore


@pytest.fixture
def store(tmp_path: Path) -> CodeStore:
    return CodeStore(str(tmp_path / "code"))


def packed(tmp_path: Path, *entries: tuple[str | zipfile.ZipInfo, bytes]) -> str:
    """What Python's own packer makes."""
    path = tmp_path / "code.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in entries:
            file.writestr(name, content)
    return str(path)


def info(name: str, mode: int) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name, (2020, 1, 2, 3, 4, 6))
    made.external_attr = mode << 16
    return made


def tree(folder: str) -> dict[str, bytes | None]:
    """Every path below the folder; files with what is in them."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in Path(folder).rglob("*")
    }


def mode(*parts: str) -> int:
    return stat.S_IMODE(os.stat(os.path.join(*parts)).st_mode)


def snapshot(store: CodeStore, tmp_path: Path, content: bytes) -> dict[str, bytes | None]:
    path = tmp_path / "made.zip"
    path.write_bytes(content)
    return tree(store.snapshot(str(path))[0])


def refused(store: CodeStore, tmp_path: Path, content: bytes) -> str:
    """Have it refused, with nothing written anywhere; what the error says."""
    around = {*tmp_path.iterdir()} | {tmp_path / "made.zip", tmp_path / "code"}
    with pytest.raises(ConfigError) as caught:
        snapshot(store, tmp_path, content)
    assert {*tmp_path.iterdir()} <= around
    assert os.listdir(tmp_path / "code") == []
    return str(caught.value)


def test_a_zip_is_unpacked(store: CodeStore, tmp_path: Path) -> None:
    path = packed(
        tmp_path,
        (info("app.py", 0o100640), b"x" * 1_000_000),
        (info("lib/", 0o40700), b""),
        (info("lib/bin/run", 0o100777), b"y"),
        ("venv/\u00e9.py", b""),
    )
    before = os.umask(0o077)
    folder, digest = store.snapshot(path)
    os.umask(before)
    assert tree(folder) == {
        "app.py": b"x" * 1_000_000,
        **dict.fromkeys(["lib", "lib/bin", "venv"]),
        "lib/bin/run": b"y",
        "venv/\u00e9.py": b"",
    }
    assert (mode(folder, "app.py"), mode(folder, "lib/bin/run")) == (0o644, 0o755)
    assert {mode(folder, name) for name in ("", "lib", "lib/bin", "venv")} == {0o755}
    assert os.stat(f"{folder}/app.py").st_mtime == 1577934246
    other = packed(tmp_path, ("app.py", b"x"), ("venv/kept.py", b"other"))
    assert store.snapshot(other)[1] != digest


def test_what_other_packers_write_is_unpacked(store: CodeStore, tmp_path: Path) -> None:
    """Every packer at hand, from the same folder; Python's is always at hand."""
    source = tmp_path / "source"
    (source / "lib").mkdir(parents=True)
    (source / "lib" / "tool").write_bytes(os.urandom(300_000))
    (source / "app.py").write_text("x = 1\n" * 1000)
    (source / "empty").touch()
    commands = {
        "zip": ["zip", "-qr", "../zip.zip", "."],
        "zip-stream": ["sh", "-c", "zip -qr - . | cat > ../zip-stream.zip"],
        "bsdtar": ["bsdtar", "-a", "-cf", "../bsdtar.zip", "."],
        "7z": ["7z", "a", "-bd", "-bso0", "../7z.zip", "."],
    }
    shutil.make_archive(str(tmp_path / "python"), "zip", source)
    made = ["python"]
    for name, command in commands.items():
        if shutil.which(name.partition("-")[0]):
            subprocess.run(command, cwd=source, check=True)
            made.append(name)
    for name in made:
        folder, _ = store.snapshot(str(tmp_path / f"{name}.zip"))
        assert tree(folder) == tree(str(source)), name


def test_a_zip_that_was_written_to_a_pipe_is_unpacked(store: CodeStore, tmp_path: Path) -> None:
    class Pipe(io.RawIOBase):
        written = b""

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            piece = bytes(data)  # type: ignore[call-overload]
            self.written += piece
            return len(piece)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as file:  # type: ignore[arg-type]
        file.writestr("app.py", "x = 1\n")
        with file.open("large", "w", force_zip64=True) as large:
            large.write(b"0" * 100_000)
    assert snapshot(store, tmp_path, pipe.written) == {
        "app.py": b"x = 1\n",
        "large": b"0" * 100_000,
    }


def test_a_zip_with_large_numbers_is_unpacked(store: CodeStore, tmp_path: Path) -> None:
    wide = struct.pack("<2H2Q", 1, 16, 6, len(deflated(b"x = 1\n")))
    entry = Made(size=0xFFFFFFFF, packed_size=0xFFFFFFFF, extra=b"\7\0\1\0z" + wide)
    at = len(entry.local())
    length = len(entry.central(0))
    end = end64(at, length, 1, at + length)
    whole = archive(entry, before_end=end, count=0xFFFF, length=0xFFFFFFFF, offset=0xFFFFFFFF)
    assert snapshot(store, tmp_path, whole) == {"app.py": b"x = 1\n"}


def test_no_date_is_a_date(store: CodeStore, tmp_path: Path) -> None:
    (tmp_path / "made.zip").write_bytes(archive(Made(date=0)))
    folder, _ = store.snapshot(str(tmp_path / "made.zip"))
    assert os.stat(f"{folder}/app.py").st_mtime == 315532800


@pytest.mark.parametrize(
    "whole",
    [
        archive(Made(), comment=b"by hand"),
        archive(Made(), Made(name=b"empty", content=b"")),
        archive(Made(), Made(name=b"lib/", content=b"", method=0, mode=0o40755)),
        archive(Made(), Made(name=b"lib/", content=b"", method=0, mode=0)),
        archive(Made(), Made(name=b"./lib//x", mode=0)),
        archive(Made(method=0)),
        archive(),
    ],
)
def test_a_plain_zip_is_unpacked(store: CodeStore, tmp_path: Path, whole: bytes) -> None:
    assert snapshot(store, tmp_path, whole).get("app.py") in (b"x = 1\n", None)


NAMES = {
    "/etc/passwd": "inside the archive",
    "../x": "inside the archive",
    "a/../../x": "inside the archive",
    "a/..": "inside the archive",
    "./": "inside the archive",
    "": "inside the archive",
    "c:/x": "inside the archive",
    "C:x": "inside the archive",
    "..\\x": "backslash",
    "a\0.py": "control character",
    "a\nb": "control character",
    "a\x1b[31m": "control character",
    "a\u0085b": "control character",
    "x" * 256: "a name of more than 255 bytes",
    "\u00e9" * 128: "a name of more than 255 bytes",
    "/".join(["x" * 200] * 6): "a path of more than 1024 bytes",
    "a/" * 64 + "x": "more than 64 folders",
}


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_name_is_refused(store: CodeStore, tmp_path: Path, name: str) -> None:
    assert NAMES[name] in refused(store, tmp_path, archive(Made(), Made(name=name.encode())))


MODES = {
    0o020666: "is neither a file nor a folder",
    0o060660: "is neither a file nor a folder",
    0o010644: "is neither a file nor a folder",
    0o140777: "is neither a file nor a folder",
    0o104755: "has a setuid, setgid or sticky",
    0o102755: "has a setuid, setgid or sticky",
    0o101755: "has a setuid, setgid or sticky",
    0o004755: "has a setuid, setgid or sticky",
    0o040755: "is a folder by its mode or by its name",
}


@pytest.mark.parametrize("made_mode", MODES)
def test_a_hostile_mode_is_refused(store: CodeStore, tmp_path: Path, made_mode: int) -> None:
    whole = archive(Made(name=b"first"), Made(mode=made_mode))
    assert f"'app.py': {MODES[made_mode]}" in refused(store, tmp_path, whole)


LINK = 0o120777


def test_links_within_the_folder_are_made(store: CodeStore, tmp_path: Path) -> None:
    path = tmp_path / "made.zip"
    path.write_bytes(
        archive(
            Made(name=b"lib/libz.so", content=b"../lib/./libz.so.1", mode=LINK),
            Made(name=b"lib/libz.so.1", content=b"elf"),
            Made(name=b"top", content=b"lib", mode=LINK),
            Made(name=b"lib/here", content=b"..", mode=LINK),
            Made(name=b"later", content=b"not/there", mode=LINK),
        )
    )
    folder = Path(store.snapshot(str(path))[0])
    assert (folder / "top" / "here" / "top" / "libz.so").read_bytes() == b"elf"
    assert os.readlink(folder / "later") == "not/there"


ESCAPES = {
    "absolute": [(b"a", b"/etc/passwd")],
    "the data directory": [(b"a", b"../../..")],
    "by its way": [(b"a", b"lib/../../x")],
    # As texts both stay inside; on disk x/y/z is the folder itself, and above it is outside.
    "by another link": [(b"x/y/z", b"../.."), (b"a", b"x/y/z/..")],
    "by one that dangles": [(b"a", b"b/../../c"), (b"b", b"../d")],
}


@pytest.mark.parametrize("links", ESCAPES.values(), ids=ESCAPES.keys())
def test_a_link_that_leads_out_is_refused(
    store: CodeStore, tmp_path: Path, links: list[tuple[bytes, bytes]]
) -> None:
    made = [Made(name=name, content=content, mode=LINK) for name, content in links]
    text = refused(store, tmp_path, archive(Made(), Made(name=b"x/y/f"), *made))
    assert "'a': links to " in text
    assert "outside the archive" in text


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is a link that leads nowhere"),
        (b"x" * 1025, "is a link that leads nowhere"),
        (b"a\0b", "a NUL character"),
    ],
)
def test_a_link_to_no_name_is_refused(
    store: CodeStore, tmp_path: Path, content: bytes, why: str
) -> None:
    method = 8 if content else 0
    made = Made(name=b"a", content=content, method=method, mode=LINK)
    assert why in refused(store, tmp_path, archive(Made(), made))


def test_nothing_is_written_through_a_link(store: CodeStore, tmp_path: Path) -> None:
    entries = (Made(name=b"a", content=b"/tmp", mode=LINK), Made(name=b"a/x"))
    assert "'a': is a file and a folder" in refused(store, tmp_path, archive(*entries))


TWICE = {
    "the same file": (Made(), Made()),
    "the same file by another path": (Made(), Made(name=b"./app.py")),
    "a file and a folder": (Made(), Made(name=b"app.py/", content=b"", method=0, mode=0o40755)),
    "a file and what is in it": (Made(name=b"app.py/x"), Made()),
    "a file and what is deep in it": (Made(), Made(name=b"app.py/x/y/z")),
}


@pytest.mark.parametrize("entries", TWICE.values(), ids=TWICE.keys())
def test_one_name_for_two_things_is_refused(
    store: CodeStore, tmp_path: Path, entries: tuple[Made, Made]
) -> None:
    text = refused(store, tmp_path, archive(*entries))
    assert "'app.py': is in it more than once" in text or "'app.py': is a file and a folder" in text


FOLDER = Made(name=b"lib/", content=b"", method=0, mode=0o42755)
CONTRADICTIONS = {
    "another local name": (archive(Made(local_name=b"run.py")), "local header"),
    "a longer local name": (archive(Made(local_name=b"app.py2")), "local header"),
    "another local method": (archive(Made(local_method=0)), "local header"),
    "another checksum": (archive(Made(crc=1)), "damaged"),
    "a smaller size": (archive(Made(size=2)), "larger than the 2 bytes it claims"),
    "a larger size": (archive(Made(size=99)), "damaged"),
    "a stored entry of two sizes": (archive(Made(method=0, size=2)), "of two sizes"),
    "content that is not deflated": (archive(Made(packed=b"\xff" * 9)), "cannot be unpacked"),
    "content that is cut": (archive(Made(packed=deflated(b"x = 1\n")[:-1])), "ends too early"),
    "content that goes on": (archive(Made(packed=deflated(b"x = 1\n") + b"x")), "goes on"),
    "no content": (archive(Made(packed=b"")), "ends too early"),
    "an encrypted entry": (archive(Made(flags=1)), "is encrypted"),
    "a strongly encrypted entry": (archive(Made(flags=0x840)), "is encrypted"),
    "a patch": (archive(Made(flags=0x820)), "is a patch"),
    "bzip2": (archive(Made(method=12)), "by method 12; use deflate"),
    "a name that is not UTF-8": (archive(Made(name=b"\xff")), "not UTF-8"),
    "a name that is a surrogate": (archive(Made(name=b"\xed\xb2\x80")), "not UTF-8"),
    "an offset outside": (archive(Made(offset=10_000)), "outside"),
    "an offset into nothing": (archive(Made(offset=3)), "local header"),
    "a folder with content": (archive(Made(name=b"lib/", mode=0o40755)), "folder with content"),
    "more entries than there are": (archive(Made(), count=2), "ends too early"),
    "fewer entries than there are": (archive(Made(), Made(name=b"b"), count=1), "more in its"),
    "two volumes": (archive(Made(), here=0), "volumes"),
    "a directory elsewhere": (archive(Made(), offset=3), "elsewhere"),
    "a directory outside": (archive(Made(), offset=2**31), "elsewhere"),
    "a short directory": (archive(Made(), length=10), "elsewhere"),
    "bytes before the end": (archive(Made(), before_end=b"PK"), "elsewhere"),
    "bytes after the end": (archive(Made(), after=b"x"), "after its end"),
    "a size without its 64 bits": (archive(Made(size=0xFFFFFFFF)), "lacks a size"),
    "no zip": (b"nothing", "no directory"),
    "an empty file": (b"", "no directory"),
    "half an end": (archive(Made())[:-3], "no directory"),
    "a locator to nothing": (archive(Made(), before_end=end64(0, 0, 0, 7)), "where it says"),
}


@pytest.mark.parametrize(("whole", "text"), CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_a_zip_that_contradicts_itself_is_refused(
    store: CodeStore, tmp_path: Path, whole: bytes, text: str
) -> None:
    assert text in refused(store, tmp_path, whole)


def test_entries_that_share_bytes_are_refused(store: CodeStore, tmp_path: Path) -> None:
    """A kernel of zeros that every entry's content leads into, as in the bombs of David Fifield."""
    same = [Made(name=b"a", offset=0), Made(name=b"a", offset=0)]
    assert "overlaps" in refused(store, tmp_path, archive(*same))
    kernel = Made(name=b"k", content=b"\0" * 1000)
    inner = kernel.local()
    # A stored block of the kernel's header, so that deflating goes on into the kernel's content.
    quoted = b"\0" + struct.pack("<2H", len(inner[:31]), len(inner[:31]) ^ 0xFFFF)
    outer = Made(name=b"q", content=inner[:31] + kernel.content, packed=quoted)
    first = outer.local()
    directory = [
        Made(name=b"q", content=outer.content, packed=quoted + inner).central(0),
        kernel.central(len(first)),
    ]
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 2, 2, len(b"".join(directory)), 0, 0)
    body = first + inner
    end = end[:16] + struct.pack("<L", len(body)) + end[20:]
    assert "'q' overlaps" in refused(store, tmp_path, body + b"".join(directory) + end)


def test_a_bomb_is_refused_before_anything_is_written(store: CodeStore, tmp_path: Path) -> None:
    size = unpacker.UNPACKED_BYTES_MAX
    text = f"Unzipped size must be smaller than {size} bytes"
    honest = archive(Made(content=b"\0" * size))
    assert text in refused(store, tmp_path, honest)
    many = archive(*(Made(name=b"%d" % n, size=size // 10) for n in range(10)))
    assert text in refused(store, tmp_path, many)


def test_a_bomb_that_lies_about_its_size_stops_at_what_it_claims(
    store: CodeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    write = os.fchmod
    monkeypatch.setattr(os, "fchmod", lambda fd, mode: (written.append(fd), write(fd, mode)))
    liar = archive(Made(content=b"\0" * 300_000_000, size=1000))
    tracemalloc.start()
    assert "larger than the 1000 bytes it claims" in refused(store, tmp_path, liar)
    assert tracemalloc.get_traced_memory()[1] < 8_000_000
    tracemalloc.stop()
    assert written == []


def test_too_many_entries_are_refused_before_they_are_read(
    store: CodeStore, tmp_path: Path
) -> None:
    """Neither the count that is claimed nor the bytes there are cost memory."""
    entry = Made(name=b"", content=b"", method=0).central(0)
    million = entry * 1_000_000
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 65535, 65535, len(million), 0, 0)
    for claimed, text in (
        (10**6, "at most 100000 entries, not"),
        (10**5, "a directory of 46000000"),
    ):
        path = tmp_path / "made.zip"
        path.write_bytes(million + end64(0, len(million), claimed, len(million)) + end)
        tracemalloc.start()
        with pytest.raises(ConfigError, match=text):
            store.snapshot(str(path))
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
        tracemalloc.stop()


def test_folders_that_are_only_implied_count_as_well(
    store: CodeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacker, "ENTRIES_MAX", 100)
    entries = [Made(name=b"%d/" % number + b"a/" * 50 + b"x") for number in range(3)]
    assert "at most 100 files and folders" in refused(store, tmp_path, archive(*entries))


def test_all_that_is_wrong_is_told_as_far_as_anybody_reads(
    store: CodeStore, tmp_path: Path
) -> None:
    entries = [Made(name=b"../%d" % number) for number in range(1000)]
    text = refused(store, tmp_path, archive(*entries))
    assert "'../0': must lie" in text
    assert "and 980 more" in text
    assert len(text.splitlines()) == 22


def test_special_bits_of_a_folder_mean_nothing_and_are_dropped(
    store: CodeStore, tmp_path: Path
) -> None:
    (tmp_path / "made.zip").write_bytes(archive(FOLDER))
    folder, _ = store.snapshot(str(tmp_path / "made.zip"))
    assert mode(folder, "lib") == 0o755


def test_a_tar_is_no_zip(store: CodeStore, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "code.zip", "w") as file:
        file.add(__file__, "app.py")
    with pytest.raises(ConfigError, match="no directory"):
        store.snapshot(str(tmp_path / "code.zip"))


def test_any_damage_is_found_or_harmless(store: CodeStore, tmp_path: Path) -> None:
    """Each byte of an archive turned over: nothing but what was packed ever comes out of it."""
    whole = archive(Made(), Made(name=b"lib/a", content=b"a" * 100, method=0))
    wanted = {"app.py": b"x = 1\n", "lib": None, "lib/a": b"a" * 100}
    for place in range(len(whole)):
        damaged = whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :]
        try:
            found = snapshot(store, tmp_path, damaged)
        except ConfigError:
            continue
        assert {*found.values()} <= {*wanted.values()}
    assert not [name for name in os.listdir(tmp_path / "code") if name.startswith(".")]
