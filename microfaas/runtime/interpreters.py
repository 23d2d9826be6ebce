"""The interpreters of this machine: where they are looked for, and what they say they are."""

from __future__ import annotations

import glob
import os
import re
import shutil
import subprocess
import sys

import msgspec

from microfaas.errors import MicrofaasError
from microfaas.runtime.manifest import Manifest

_ASK_S_MAX = 30.0
_OUTPUT_CHARS_MAX = 300


class RuntimeNotFound(MicrofaasError):
    """No runtime of that name, or no interpreter for it on this machine."""


class Interpreter(msgspec.Struct, frozen=True, kw_only=True):
    """A program of this machine, and the directories that it cannot do without."""

    path: str
    version: str
    directories: tuple[str, ...]

    def short_version(self, parts: int) -> str:
        """The first parts of its version, as runtimes are named by them."""
        return ".".join(self.version.split(".")[:parts])


def find(manifest: Manifest, version: str) -> Interpreter:
    """The first that fits, on PATH or where such programs are. Raises RuntimeNotFound."""
    unfit: list[str] = []
    for path in _candidates(manifest, version):
        try:
            found = ask(manifest, path, version)
        except RuntimeNotFound as error:
            unfit.append(str(error))
            continue
        fault = _fault(manifest, found, version)
        if not fault:
            return found
        unfit.append(f"{found.path} {fault}")
    wanted = f"{manifest.name} {version}".strip()
    seen = f" ({'; '.join(unfit)})" if unfit else ""
    raise RuntimeNotFound(f"there is no {wanted} on this machine{seen}; {manifest.install}")


def ask(manifest: Manifest, path: str, version: str = "") -> Interpreter:
    """What a program says it is; a launcher script leads to the real one."""
    try:
        asked = subprocess.run(
            [path, *manifest.probe],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ASK_S_MAX,
            check=True,
        )
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip() or f"exit status {error.returncode}"
        raise _useless(manifest, path, said) from None
    except (OSError, subprocess.SubprocessError) as error:
        raise _useless(manifest, path, str(error)) from None
    said = (asked.stdout + asked.stderr).decode(errors="replace")
    versions = sorted(re.findall(manifest.version, said), key=_numbers)
    if not versions:
        raise _useless(manifest, path, f"it says {said[:_OUTPUT_CHARS_MAX].strip()!r}")
    fitting = [one for one in versions if is_version(one, version)]
    executable = _one(manifest.executable, said) or os.path.realpath(path)
    home = os.path.normpath(os.path.join(os.path.dirname(executable), manifest.home))
    directories = re.findall(manifest.directories, said) if manifest.directories else [home]
    return Interpreter(
        path=executable,
        version=(fitting or versions)[-1],
        directories=tuple(dict.fromkeys(directories)),
    )


def check(manifest: Manifest, found: Interpreter, version: str) -> None:
    """Whether an interpreter that somebody names will do. Raises RuntimeNotFound."""
    if fault := _fault(manifest, found, version):
        wanted = f"{manifest.name} {version}".strip()
        raise RuntimeNotFound(f"cannot run {wanted}: {found.path} {fault}")


def is_version(version: str, wanted: str) -> bool:
    """Whether 3.12.4 is 3.12, or 3."""
    return not wanted or f"{version}.".startswith(f"{wanted}.")


def _fault(manifest: Manifest, found: Interpreter, version: str) -> str:
    if not is_version(found.version, version):
        return f"is version {found.version}"
    if _numbers(found.version) < _numbers(manifest.oldest):
        return f"is version {found.version}, and the oldest that will do is {manifest.oldest}"
    return ""


def _candidates(manifest: Manifest, version: str) -> list[str]:
    """Paths to try, best first. For Python the one that runs microfaas comes first."""
    names = [name for name in manifest.programs if version or "{version}" not in name]
    names = [name.format(version=version) for name in names]
    own = [getattr(sys, "_base_executable", sys.executable)] if manifest.borrows else []
    on_path = [path for name in names if (path := shutil.which(name))]
    patterns = [os.path.expanduser(place.format(version=version)) for place in manifest.places]
    elsewhere = [path for pattern in patterns for path in _newest_first(glob.glob(pattern))]
    return list(dict.fromkeys(map(str, [*own, *on_path, *elsewhere])))


def _newest_first(paths: list[str]) -> list[str]:
    return sorted(paths, key=_numbers, reverse=True)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(digits) for digits in re.findall(r"\d+", text))


def _one(pattern: str, text: str) -> str:
    match = re.search(pattern, text) if pattern else None
    return match[1] if match else ""


def _useless(manifest: Manifest, path: str, why: str) -> RuntimeNotFound:
    return RuntimeNotFound(f"cannot use {path} for {manifest.name}: {why}")
