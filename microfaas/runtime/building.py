"""Making what must be compiled: hosts that do not come compiled, and functions' code."""

from __future__ import annotations

import glob
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping

from microfaas.errors import MachineError
from microfaas.runtime.manifest import Build, Manifest, Values, filled

BUILT = "built"
BUILD_S_MAX = 600.0


class BuildFailed(MachineError):
    """A compiler is missing, or did not like what it was given."""


def host(manifest: Manifest, folder: str) -> str:
    """The directory with the compiled host: what came along, or was made here once before."""
    ready = os.path.join(folder, BUILT)
    if manifest.build is None or os.path.isdir(ready):
        return ready
    sources = _sources(manifest.build, folder)
    place = os.path.join(_cache_dir(), f"{manifest.name}-{_digest(manifest.build, sources)}")
    if not os.path.isdir(place):
        _build_host(manifest, manifest.build, folder, sources, place)
    return place


def run(
    argv: list[str], directory: str, environment: Mapping[str, str], what: str, remedy: str
) -> None:
    """Run a compiler; what it says is in the error. Raises BuildFailed. Blocking."""
    try:
        done = subprocess.run(
            argv,
            cwd=directory,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=BUILD_S_MAX,
            check=False,
        )
    except FileNotFoundError:
        raise BuildFailed(f"cannot build {what}: there is no {argv[0]}; {remedy}") from None
    except subprocess.TimeoutExpired:
        raise BuildFailed(f"cannot build {what}: {argv[0]} takes too long") from None
    except OSError as error:
        raise BuildFailed(f"cannot build {what}: {argv[0]}: {error}") from None
    if done.returncode != 0:
        said = done.stdout.decode(errors="replace").strip()
        raise BuildFailed(f"cannot build {what}: {os.path.basename(argv[0])} says:\n{said}")


def _build_host(
    manifest: Manifest, build: Build, folder: str, sources: list[str], place: str
) -> None:
    os.makedirs(os.path.dirname(place), exist_ok=True)
    part = tempfile.mkdtemp(prefix=".new-", dir=os.path.dirname(place))
    try:
        values: Values = {"runtime": folder, "output": part}
        argv = [build.tool]
        for text in build.command:
            argv += sources if text == "{sources}" else filled([text], values)
        run(argv, folder, {}, f"the host for {manifest.name}", manifest.install)
        os.chmod(part, 0o755)
        # Another process may have been first.
        if not os.path.isdir(place):
            os.rename(part, place)
    except OSError as error:
        raise BuildFailed(f"cannot build the host for {manifest.name}: {error}") from None
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _sources(build: Build, folder: str) -> list[str]:
    found = (glob.glob(os.path.join(folder, pattern), recursive=True) for pattern in build.sources)
    return sorted(path for paths in found for path in paths)


def _digest(build: Build, sources: list[str]) -> str:
    total = hashlib.sha256(repr(build).encode())
    for path in sources:
        with open(path, "rb") as file:
            total.update(hashlib.sha256(file.read()).digest())
    return total.hexdigest()[:16]


def _cache_dir() -> str:
    """As the XDG base directory specification has it."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return os.path.join(base, "microfaas", "hosts")
