"""Unpacks a .zip of code, trusting nothing in it.

A deployment package may be built by others, so neither a path nor a link may lead out of the
folder, a device must not be made, and what it claims to contain is counted before any of it is
written. Links are made last: nothing is written through them.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from microfaas import strict
from microfaas.errors import ConfigError, Problem
from microfaas.store import tree
from microfaas.store.zip_reader import Unsound, ZipEntry, ZipReader

# Lambda's limit, and its words.
UNPACKED_BYTES_MAX = 262_144_000
# Of files and folders together, also of folders that are only there because of what is in them.
ENTRIES_MAX = 100_000
# What Linux allows for one name; and for a path enough that it fits below any data directory.
NAME_BYTES_MAX = 255
PATH_BYTES_MAX = 1024
# More would hide the first ones.
PROBLEMS_SHOWN_MAX = 20

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DRIVE = re.compile(r"[A-Za-z]:")


class _Plan(NamedTuple):
    """What is to be made: every folder after the one that it is in, the files, the links."""

    folders: Sequence[str]
    files: Sequence[tuple[str, ZipEntry]]
    links: Sequence[tuple[str, ZipEntry]]


def unpack(source: str, target: str) -> None:
    """Write the archive's files below the existing, empty folder `target`.

    Raises ConfigError. What was written until then is the caller's to remove.
    """
    with _opened(source) as (archive, plan):
        for folder in plan.folders:
            place = os.path.join(target, folder)
            os.mkdir(place)
            os.chmod(place, tree.FOLDER_MODE)  # whatever the umask is
        for path, entry in plan.files:
            _extract(archive, entry, os.path.join(target, path))
        for path, entry in plan.links:
            _link(archive, entry, os.path.join(target, path))
        _check_links(source, target, [path for path, _ in plan.links])


def unpacked_bytes(source: str) -> int:
    """What the archive's files take together, as it says itself. Raises ConfigError."""
    with _opened(source) as (_, plan):
        return sum(entry.bytes for _, entry in plan.files)


@contextlib.contextmanager
def _opened(source: str) -> Iterator[tuple[ZipReader, _Plan]]:
    with open(source, "rb") as file:
        try:
            archive = ZipReader(file.fileno(), ENTRIES_MAX)
            yield archive, _plan(source, archive.entries)
        except Unsound as error:
            raise refused(source, [Problem(os.path.basename(source), str(error))]) from None


def refused(source: str, problems: Sequence[Problem]) -> ConfigError:
    """The error that names what is wrong with code, as far as anybody would read."""
    if len(problems) > PROBLEMS_SHOWN_MAX:
        more = f"and {len(problems) - PROBLEMS_SHOWN_MAX} more of that kind"
        problems = [*problems[:PROBLEMS_SHOWN_MAX], Problem(os.path.basename(source), more)]
    return ConfigError(source, problems)


def _plan(source: str, entries: Sequence[ZipEntry]) -> _Plan:
    """Raises ConfigError with all that is wrong, before anything is written."""
    where = os.path.basename(source)
    if sum(entry.bytes for entry in entries) >= UNPACKED_BYTES_MAX:
        text = f"Unzipped size must be smaller than {UNPACKED_BYTES_MAX} bytes"
        raise ConfigError(source, [Problem(where, text)])
    faults = ((entry.name, _fault_of(entry)) for entry in entries)
    problems = [Problem(strict.shown(name), fault) for name, fault in faults if fault]
    if problems:
        raise refused(source, problems)
    folders: set[str] = set()
    files: dict[str, ZipEntry] = {}
    for entry in entries:
        path = "/".join(_parts(entry.name))
        if not entry.name.endswith("/"):
            if path in files:
                problems.append(Problem(strict.shown(path), "is in it more than once"))
            files[path] = entry
            path = os.path.dirname(path)
        _add_folders(path, folders)
        if len(folders) + len(files) > ENTRIES_MAX:
            text = f"must have at most {ENTRIES_MAX} files and folders"
            raise ConfigError(source, [Problem(where, text)])
    both = (Problem(strict.shown(path), "is a file and a folder") for path in folders & {*files})
    problems += both
    if problems:
        raise refused(source, problems)
    links = [(path, entry) for path, entry in files.items() if _is_link(entry)]
    plain = [(path, entry) for path, entry in files.items() if not _is_link(entry)]
    return _Plan(sorted(folders), plain, links)


def _add_folders(path: str, folders: set[str]) -> None:
    """A folder and all that it lies in."""
    while path and path not in folders:
        folders.add(path)
        path = os.path.dirname(path)


def _parts(name: str) -> list[str]:
    return [part for part in name.split("/") if part not in ("", ".")]


def _fault_of(entry: ZipEntry) -> str | None:
    fault = _fault_of_name(entry.name)
    if fault:
        return fault
    kind, folder = stat.S_IFMT(entry.mode), entry.name.endswith("/")
    if _is_link(entry) and not folder:
        return None if 0 < entry.bytes <= PATH_BYTES_MAX else "is a link that leads nowhere"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is neither a file nor a folder"
    if kind and (kind == stat.S_IFDIR) != folder:
        return "is a folder by its mode or by its name, but not by both"
    if folder and entry.bytes:
        return "is a folder with content"
    if not folder and entry.mode & tree.SPECIAL_BITS:
        return "has a setuid, setgid or sticky bit; pack it without"
    return None


def _is_link(entry: ZipEntry) -> bool:
    return stat.S_ISLNK(entry.mode)


def _fault_of_name(name: str) -> str | None:
    parts = _parts(name)
    if name.startswith("/") or _DRIVE.match(name) or ".." in parts or not parts:
        return "must lie inside the archive's folder"
    if "\\" in name:
        return 'has a backslash in its name; folders are separated by "/"'
    if _CONTROL.search(name):
        return "has a control character in its name"
    if len(parts) > tree.DEPTH_MAX:
        return f"lies in more than {tree.DEPTH_MAX} folders"
    return _fault_of_length(parts)


def _fault_of_length(parts: Iterable[str]) -> str | None:
    lengths = [len(os.fsencode(part)) for part in parts]
    if max(lengths) > NAME_BYTES_MAX:
        return f"has a name of more than {NAME_BYTES_MAX} bytes"
    if sum(lengths) + len(lengths) > PATH_BYTES_MAX:
        return f"has a path of more than {PATH_BYTES_MAX} bytes"
    return None


def _extract(archive: ZipReader, entry: ZipEntry, place: str) -> None:
    with open(place, "xb") as file:
        for piece in archive.content(entry):
            file.write(piece)
        os.fchmod(file.fileno(), tree.file_mode(entry.mode))
    os.utime(place, (entry.made_s, entry.made_s))


def _link(archive: ZipReader, entry: ZipEntry, place: str) -> None:
    content = b"".join(archive.content(entry))
    if b"\0" in content:
        raise Unsound(f"{entry.name!r} links to a name with a NUL character")
    os.symlink(content, place)


def _check_links(source: str, target: str, links: Iterable[str]) -> None:
    """Raises ConfigError for those that lead out of the folder, also by way of others."""
    inside = os.path.realpath(target)
    problems = []
    for link in links:
        place = os.path.join(target, link)
        leads_to = os.path.realpath(place)
        if os.path.commonpath([inside, leads_to]) != inside:
            shown = strict.shown(os.readlink(place))
            problems.append(Problem(strict.shown(link), f"links to {shown}, outside the archive"))
    if problems:
        raise refused(source, problems)
