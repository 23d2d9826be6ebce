"""Packages as they come in: kept when they are .zip archives, refused in Lambda's words else."""

from __future__ import annotations

import asyncio
import base64
import os
import zipfile
from collections.abc import Callable, Iterable
from io import BytesIO
from typing import TypeVar

from microfaas.control.records import Package
from microfaas.control.refusal import refuse
from microfaas.errors import ConfigError, MachineError, ServiceError
from microfaas.store import archive
from microfaas.store.packages import Packages

T = TypeVar("T")
UNZIP_FAULT = "Could not unzip uploaded file. Please check your file, then try to upload again."


async def keep(packages: Packages, data: bytes) -> Package:
    """Raises ServiceError for what is no .zip, MachineError."""
    if not zipfile.is_zipfile(BytesIO(data)):
        raise ServiceError("InvalidParameterValueException", UNZIP_FAULT)
    sha256 = await asyncio.to_thread(packages.put, data)
    return Package(sha256, len(data), sha256)


def unpacked_bytes(paths: Iterable[str]) -> int:
    """What packages take once they are unpacked. Blocking. Raises ServiceError for more than
    Lambda's limit, ConfigError for one that cannot be taken, MachineError for one that is gone."""
    found = sum(_of(path, archive.unpacked_bytes) for path in paths)
    if found >= archive.UNPACKED_BYTES_MAX:
        text = f"Unzipped size must be smaller than {archive.UNPACKED_BYTES_MAX} bytes"
        raise ServiceError("InvalidParameterValueException", text)
    return found


def check_there(paths: Iterable[str]) -> None:
    """Packages that were taken once. Blocking. Raises MachineError for one that is gone."""
    for path in paths:
        _of(path, os.stat)


def _of(path: str, look: Callable[[str], T]) -> T:
    try:
        return look(path)
    except OSError as error:
        what = f"{os.path.basename(path)}: {error.strerror}"
        raise MachineError(f"cannot read the package {what}; send the code again") from None


def shown_sha256(package: Package) -> str:
    """CodeSha256, as the API writes it."""
    return base64.b64encode(bytes.fromhex(package.code_sha256)).decode()


def check(package: Package, sha256: str) -> None:
    """Raises ServiceError when the caller means another CodeSha256 than $LATEST's."""
    current = shown_sha256(package)
    if sha256 and sha256 != current:
        refuse(
            f"CodeSHA256 ({sha256}) is different from current CodeSHA256 in $LATEST "
            f"({current}). Please try again with the CodeSHA256 in $LATEST."
        )


def refusal(error: ConfigError, path: str) -> ServiceError:
    """What is wrong with a package; whoever sent it does not know where it lies."""
    text = "; ".join(
        problem.what if problem.where == os.path.basename(path) else str(problem)
        for problem in error.problems
    )
    return ServiceError("InvalidParameterValueException", text)
