"""Code as it is uploaded: a .zip whose bytes are the same whenever the code is."""

from __future__ import annotations

import base64
import hashlib
import os
import tempfile
from collections.abc import Collection
from typing import NamedTuple

from microfaas.store import packages
from microfaas.store.code import CodeStore


class Package(NamedTuple):
    """A .zip in base64, and its SHA-256 in base64, both as the API has them."""

    data: str
    sha256: str


def pack(code: str, exclude: Collection[str]) -> Package:
    """A folder or a .zip. `exclude` has paths in it that are no code.

    Raises ConfigError for what is no code, MachineError for what cannot be packed.
    """
    data = _bytes(code, exclude)
    digest = hashlib.sha256(data).digest()
    return Package(base64.b64encode(data).decode(), base64.b64encode(digest).decode())


def _bytes(code: str, exclude: Collection[str]) -> bytes:
    if not os.path.isdir(code):
        with open(code, "rb") as file:
            return file.read()
    # By a copy, as `run` makes one: with the same faults, and the same things left out.
    with tempfile.TemporaryDirectory(prefix="microfaas-") as directory:
        copy, _ = CodeStore(directory).snapshot(code, exclude)
        return packages.zipped(copy)
