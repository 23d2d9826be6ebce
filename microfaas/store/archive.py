"""Unpacks a .zip of code, trusting nothing in it.

A deployment package may be built by others, so a path must not lead out of the folder, a link
or device must not be made, and what it claims to contain is counted before it is written.
"""

from __future__ import annotations

import calendar
import os
import shutil
import stat
import zipfile
import zlib
from pathlib import PurePosixPath

from microfaas.errors import ConfigError, Problem

# Lambda's limit, and its words.
UNPACKED_BYTES_MAX = 262_144_000
ENTRIES_MAX = 100_000
COPY_BYTES = 1024 * 1024
_ENCRYPTED = 0x1


def unpack(source: str, target: str) -> None:
    """Write the archive's files below the existing folder `target`."""
    try:
        with zipfile.ZipFile(source) as archive:
            problems = _problems(archive)
            if problems:
                raise ConfigError(source, problems)
            for info in archive.infolist():
                _extract(archive, info, target)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise _fault(source, f"is not a sound .zip: {error}") from error
    except NotImplementedError as error:
        raise _fault(source, f"cannot be unpacked: {error}; use deflate") from error
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        name = os.path.relpath(str(error.filename), target)
        raise _fault(source, f"contains {name} more than once, or as file and folder") from error


def _fault(source: str, text: str) -> ConfigError:
    return ConfigError(source, [Problem(os.path.basename(source), text)])


def _problems(archive: zipfile.ZipFile) -> list[Problem]:
    infos = archive.infolist()
    where = os.path.basename(str(archive.filename))
    if len(infos) > ENTRIES_MAX:
        return [Problem(where, f"must have at most {ENTRIES_MAX} entries, not {len(infos)}")]
    # zipfile never yields more than an entry declares, so the sum of claims is a bound.
    if sum(info.file_size for info in infos) >= UNPACKED_BYTES_MAX:
        text = f"Unzipped size must be smaller than {UNPACKED_BYTES_MAX} bytes"
        return [Problem(where, text)]
    faults = ((info.filename, _fault_of(info)) for info in infos)
    return [Problem(name, fault) for name, fault in faults if fault]


def _fault_of(info: zipfile.ZipInfo) -> str | None:
    path = PurePosixPath(info.filename.replace("\\", "/"))
    if path.is_absolute() or ".." in path.parts or not path.parts:
        return "must lie inside the archive's folder"
    if info.flag_bits & _ENCRYPTED:
        return "is encrypted; code must not be"
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return "is a symbolic link; put the file itself into the archive"
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "is neither a file nor a folder"
    return None


def _extract(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: str) -> None:
    place = os.path.join(target, *PurePosixPath(info.filename).parts)
    if info.is_dir():
        os.makedirs(place, mode=0o755, exist_ok=True)
        return
    os.makedirs(os.path.dirname(place), mode=0o755, exist_ok=True)
    with archive.open(info) as packed, open(place, "xb") as file:
        shutil.copyfileobj(packed, file, COPY_BYTES)
        # Whoever packs with umask 077 still means his function to be able to read it.
        os.fchmod(file.fileno(), (info.external_attr >> 16) & 0o777 | 0o444)
    made_s = calendar.timegm((*info.date_time, 0, 0, 0))
    os.utime(place, (made_s, made_s))
