"""Layers: several folders of code seen as one, the later over the earlier, as Lambda's in /opt."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Sequence

from microfaas.errors import MachineError
from microfaas.store import tree
from microfaas.store.code import CodeStore


def merge(code: CodeStore, sources: Sequence[str], scratch: str) -> tuple[str, str]:
    """A copy of all in one folder; where it is, and its SHA-256. `scratch` is a folder to work in.

    Blocking. Raises ConfigError for what cannot be taken, MachineError when it cannot be written.
    """
    snapshots = [code.snapshot(source) for source in sources]
    if len(snapshots) == 1:
        return snapshots[0]
    key = " ".join(("layers", *(sha256 for _, sha256 in snapshots)))
    if (known := code.origins.known(key)) is not None:
        return known
    try:
        with tempfile.TemporaryDirectory(prefix="layers-", dir=scratch) as union:
            for copy, _ in snapshots:
                _put_over(copy, union)
            directory, sha256 = code.snapshot(union)
            code.origins.remember(key, directory, sha256)
            return directory, sha256
    except OSError as error:
        raise MachineError(f"cannot put layers together in {scratch}: {error.strerror}") from error


def _put_over(source: str, target: str) -> None:
    for entry in tree.walk(source):
        place = os.path.join(target, entry.name)
        folder = stat.S_ISDIR(entry.status.st_mode)
        if os.path.isdir(place) and not os.path.islink(place):
            if folder:
                continue
            shutil.rmtree(place)
        elif os.path.lexists(place):
            os.unlink(place)
        if folder:
            os.mkdir(place)
        else:
            shutil.copy2(entry.path, place, follow_symlinks=False)
