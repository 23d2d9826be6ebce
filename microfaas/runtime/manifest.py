"""Manifests: what `runtimes/NAME/runtime.toml` says about a language. The page for people is
`runtimes/PROTOCOL.md`."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from typing import Literal

import msgspec

from microfaas import strict
from microfaas.errors import ConfigError, Problem
from microfaas.model import MIB

FILE_NAME = "runtime.toml"
# Where a host finds itself and what it borrows; what cannot be shown there is where it is.
RUNTIME_DIR = "/var/runtime"
LIBRARIES_DIR = "/var/lang/lib/microfaas"
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# What a managed heap may take of a function's memory: the rest is for the interpreter itself.
_HEAP_SHARE = (7, 8)

Values = Mapping[str, str | int]


class Build(msgspec.Struct, frozen=True, kw_only=True):
    """How a host that must be compiled is made, when it does not come compiled."""

    tool: str
    sources: list[str]
    command: list[str]


class Code(msgspec.Struct, frozen=True, kw_only=True):
    """How a function's code is made into what another runtime runs: done when the file `when` is
    in it, by `command`, which must make the file `result`. The sources (`without`) stay behind."""

    runs_as: str
    when: str
    command: list[str]
    result: str
    without: list[str] = []
    environment: dict[str, str] = {}


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """One `runtime.toml`."""

    name: str
    kind: Literal["forking", "spare", "build"]
    identifiers: str
    programs: list[str]
    version: str
    version_parts: int = 1
    install: str
    probe: list[str]
    places: list[str] = []
    executable: str = ""
    directories: str = ""
    home: str = ".."
    oldest: str = ""
    handler: str = ".*"
    handler_form: str = ""
    handler_default: str = ""
    arguments: list[str] = []
    arguments_own: list[str] = []
    borrows: list[str] = []
    shares: list[str] = []
    snapshot: Literal["auto", "off"] = "auto"
    boot_variables: list[str] = []
    environment: dict[str, str] = {}
    build: Build | None = None
    code: Code | None = None


def runtimes_dir() -> str:
    """Where the manifests and hosts are: in the wheel, or beside the package in a checkout."""
    inside = os.path.join(_PACKAGE, "_runtimes")
    return inside if os.path.isdir(inside) else os.path.join(os.path.dirname(_PACKAGE), "runtimes")


def read(path: str) -> Manifest:
    """Raises ConfigError."""
    with open(path, "rb") as file:
        table = tomllib.load(file)
    problems: list[Problem] = []
    manifest = strict.convert(table, Manifest, "", problems)
    if manifest is None:
        raise ConfigError(path, problems)
    return manifest


def read_all() -> dict[str, Manifest]:
    """All languages, by name."""
    root = runtimes_dir()
    paths = {name: os.path.join(root, name, FILE_NAME) for name in sorted(os.listdir(root))}
    return {name: read(path) for name, path in paths.items() if os.path.isfile(path)}


def filled(texts: list[str], values: Values) -> list[str]:
    """The texts with placeholders replaced."""
    return [text.format_map(values) for text in texts]


def memory_values(memory_mb: int) -> dict[str, int]:
    """What a function's limit gives to placeholders."""
    part, whole = _HEAP_SHARE
    heap_mb = memory_mb * part // whole
    return {
        "memory_mb": memory_mb,
        "memory_bytes": memory_mb * MIB,
        "heap_mb": heap_mb,
        "heap_bytes": heap_mb * MIB,
    }


def asked_version(manifest: Manifest, identifier: str) -> str | None:
    """The version that a runtime's identifier names, empty when none; None when it is another
    runtime's."""
    match = re.fullmatch(manifest.identifiers, identifier)
    if match is None:
        return None
    return next((group for group in match.groups() if group), "")
