"""Runtimes: the manifests in `runtimes/`, and the interpreters of this machine that they need."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from typing import Annotated

import msgspec

from microfaas import strict
from microfaas.errors import ConfigError, MicrofaasError, Problem

_PACKAGE = os.path.dirname(os.path.abspath(__file__))
_RUNTIME_PATTERN = re.compile(r"([a-z]+)(\d+(?:\.\d+)?)?")
_ASK_PYTHON = (
    "import json, sys; print(json.dumps(["
    "'%d.%d' % sys.version_info[:2], sys.prefix, sys.base_prefix, sys.executable]))"
)
_ASK_S_MAX = 30.0


class RuntimeNotFound(MicrofaasError):
    """No runtime of that name, or no interpreter for it on this machine."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One `runtimes/NAME/runtime.toml`."""

    name: str
    program: str
    arguments: list[str]
    arguments_own: list[str]
    environment: Annotated[dict[str, str], msgspec.Meta()] = {}


class Interpreter(msgspec.Struct, frozen=True, kw_only=True):
    """A program of this machine, and the directories that it cannot do without."""

    path: str
    version: str
    directories: tuple[str, ...]


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """Everything needed to start one function's host."""

    manifest: Manifest
    interpreter: Interpreter
    host_dir: str
    libraries_dir: str
    own: bool

    def argv(self, host_dir: str, libraries_dir: str) -> list[str]:
        """The command line, for the places where the host will find itself."""
        arguments = self.manifest.arguments_own if self.own else self.manifest.arguments
        places = {"runtime": host_dir, "libraries": libraries_dir}
        return [self.interpreter.path, *(text.format_map(places) for text in arguments)]

    def environment(self) -> dict[str, str]:
        version = {"version": self.interpreter.version}
        return {k: v.format_map(version) for k, v in self.manifest.environment.items()}


def runtimes_dir() -> str:
    """Where the manifests and hosts are: in the wheel, or beside the package in a checkout."""
    inside = os.path.join(_PACKAGE, "_runtimes")
    return inside if os.path.isdir(inside) else os.path.join(os.path.dirname(_PACKAGE), "runtimes")


class Runtimes:
    """Finds runtimes; asks each interpreter only once what it is."""

    def __init__(self) -> None:
        self._asked: dict[str, Interpreter] = {}

    def find(self, name: str, program: str | None = None) -> Runtime:
        """The runtime for `python` or `python3.12`; `program` is an interpreter to use instead.

        Raises RuntimeNotFound with what is there and how to get what is missing.
        """
        match = _RUNTIME_PATTERN.fullmatch(name)
        folder = os.path.join(runtimes_dir(), match[1]) if match else ""
        if not match or not os.path.isfile(os.path.join(folder, "runtime.toml")):
            raise RuntimeNotFound(f'cannot run "{name}": runtimes here are {", ".join(_known())}')
        manifest = _read_manifest(os.path.join(folder, "runtime.toml"))
        interpreter = self._ask(program or _search(manifest, match[2] or ""))
        if match[2] and interpreter.version != match[2]:
            raise RuntimeNotFound(
                f'cannot run "{name}": {interpreter.path} is version {interpreter.version}'
            )
        return Runtime(
            manifest=manifest,
            interpreter=interpreter,
            host_dir=folder,
            libraries_dir=_msgpack_parent(),
            own=program is not None,
        )

    def _ask(self, program: str) -> Interpreter:
        if program not in self._asked:
            self._asked[program] = _ask(program)
        return self._asked[program]


def _known() -> list[str]:
    root = runtimes_dir()
    return sorted(n for n in os.listdir(root) if os.path.isfile(f"{root}/{n}/runtime.toml"))


def _read_manifest(path: str) -> Manifest:
    with open(path, "rb") as file:
        table = tomllib.load(file)
    problems: list[Problem] = []
    manifest = strict.convert(table, Manifest, "", problems)
    if manifest is None:
        raise ConfigError(path, problems)
    return manifest


def _search(manifest: Manifest, version: str) -> str:
    """The interpreter on PATH, or the one that runs microfaas when its version is right."""
    own = getattr(sys, "_base_executable", sys.executable)
    if version in ("", f"{sys.version_info[0]}.{sys.version_info[1]}"):
        return str(own)
    found = shutil.which(f"{manifest.program}{version}")
    if found is None:
        raise RuntimeNotFound(
            f'cannot run "{manifest.name}{version}": there is no {manifest.program}{version} on '
            f'PATH; install it, or write runtime = "{manifest.name}" to use {own}'
        )
    return found


def _ask(path: str) -> Interpreter:
    """Ask an interpreter what it is; a launcher script leads to the real one."""
    try:
        asked = subprocess.run(
            [path, "-c", _ASK_PYTHON],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_ASK_S_MAX,
            check=True,
        )
        version, prefix, base_prefix, executable = json.loads(asked.stdout)
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip() or f"exit status {error.returncode}"
        raise RuntimeNotFound(f"cannot use {path} as a Python interpreter: {said}") from None
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise RuntimeNotFound(f"cannot use {path} as a Python interpreter: {error}") from None
    directories = tuple(dict.fromkeys([prefix, base_prefix]))
    return Interpreter(path=executable, version=version, directories=directories)


def _msgpack_parent() -> str:
    """The directory to import the host's msgpack from."""
    spec = importlib.util.find_spec("msgpack")
    if spec is None or spec.origin is None:
        raise RuntimeNotFound("cannot find msgpack, which microfaas was installed with")
    return os.path.dirname(os.path.dirname(spec.origin))
