"""Runtimes: the manifests in `runtimes/`, and what of this machine they need."""

from __future__ import annotations

import importlib.util
import os
import re

import msgspec

from microfaas.errors import ConfigError, Problem
from microfaas.model import Function
from microfaas.runtime import building, interpreters
from microfaas.runtime.interpreters import Interpreter, RuntimeNotFound
from microfaas.runtime.manifest import (
    LIBRARIES_DIR,
    RUNTIME_DIR,
    Manifest,
    asked_version,
    filled,
    memory_values,
    read_all,
    runtimes_dir,
)

__all__ = ["Interpreter", "Manifest", "Runtime", "RuntimeNotFound", "Runtimes"]


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """Everything needed to start one function's host."""

    manifest: Manifest
    interpreter: Interpreter
    # As many parts of it as the language's runtimes are named by.
    version: str
    host_dir: str
    libraries_dir: str
    own: bool

    @property
    def forks(self) -> bool:
        return self.manifest.kind == "forking"

    @property
    def shown(self) -> dict[str, str]:
        """The host's directories, by where they are shown in a root of its own."""
        shares = {f"{RUNTIME_DIR}/{os.path.basename(p)}": p for p in self._shares()}
        borrows = {f"{LIBRARIES_DIR}/{name}": p for name, p in self._borrows().items()}
        built = {LIBRARIES_DIR: self.libraries_dir} if self.manifest.build else {}
        return {RUNTIME_DIR: self.host_dir, **shares, **borrows, **built}

    def argv(self, host_dir: str, libraries_dir: str, memory_mb: int) -> list[str]:
        """The command line, for the places where the host will find itself."""
        arguments = self.manifest.arguments
        if self.own and self.manifest.arguments_own:
            arguments = self.manifest.arguments_own
        places = {"runtime": host_dir, "libraries": libraries_dir}
        return [self.interpreter.path, *filled(arguments, {**places, **self._values(memory_mb)})]

    def environment(self, memory_mb: int) -> dict[str, str]:
        values = self._values(memory_mb)
        return {k: v.format_map(values) for k, v in self.manifest.environment.items()}

    def boots_with(self, variable: str) -> bool:
        """Whether the interpreter reads this variable only at its start."""
        return any(re.fullmatch(one, variable) for one in self.manifest.boot_variables)

    def _values(self, memory_mb: int) -> dict[str, str | int]:
        return {"version": self.version, **memory_values(memory_mb)}

    def _shares(self) -> list[str]:
        return [os.path.normpath(os.path.join(self.host_dir, p)) for p in self.manifest.shares]

    def _borrows(self) -> dict[str, str]:
        return {name: os.path.join(self.libraries_dir, name) for name in self.manifest.borrows}


class Runtimes:
    """Finds runtimes; asks each interpreter, and makes each host, only once."""

    def __init__(self) -> None:
        self._manifests = read_all()
        self._found: dict[tuple[str, str | None], Runtime] = {}

    @property
    def names(self) -> list[str]:
        return list(self._manifests)

    def find(self, identifier: str, program: str | None = None) -> Runtime:
        """The runtime for `python` or `python3.12`; `program` is an interpreter to use instead.

        Raises RuntimeNotFound with what is there and how to get what is missing, BuildFailed when
        its host cannot be compiled.
        """
        key = identifier, program
        if key not in self._found:
            self._found[key] = self._find(identifier, program)
        return self._found[key]

    def manifest(self, identifier: str) -> tuple[Manifest, str]:
        """The language and the version that an identifier names. Raises RuntimeNotFound."""
        for manifest in self._manifests.values():
            version = asked_version(manifest, identifier)
            if version is not None:
                return manifest, version
        known = ", ".join(self.names)
        raise RuntimeNotFound(f'cannot run "{identifier}": runtimes here are {known}')

    def runner(self, function: Function) -> Runtime:
        """What runs a function, when its code is made: for Go, what runs any program."""
        manifest, _ = self.manifest(function.runtime)
        if manifest.code is not None:
            return self.find(manifest.code.runs_as)
        return self.find(function.runtime, function.interpreter)

    def complete(self, function: Function) -> Function:
        """The function, with the language's usual handler when it names none.

        Raises RuntimeNotFound, and ConfigError for a handler that cannot be one.
        """
        manifest, _ = self.manifest(function.runtime)
        handler = function.handler or manifest.handler_default
        if not re.fullmatch(manifest.handler, handler):
            what = f'must be {manifest.handler_form}, not "{handler}"'
            raise ConfigError("", [Problem(f"functions.{function.name}.handler", what)])
        return msgspec.structs.replace(function, handler=handler)

    def _find(self, identifier: str, program: str | None) -> Runtime:
        manifest, version = self.manifest(identifier)
        if program is None:
            try:
                found = interpreters.find(manifest, version)
            except RuntimeNotFound as error:
                raise RuntimeNotFound(f'cannot run "{identifier}": {error}') from None
        else:
            found = interpreters.ask(manifest, program, version)
            interpreters.check(manifest, found, version)
        folder = os.path.join(runtimes_dir(), manifest.name)
        libraries = building.host(manifest, folder) if manifest.build else ""
        return Runtime(
            manifest=manifest,
            interpreter=found,
            version=found.short_version(manifest.version_parts),
            host_dir=folder,
            libraries_dir=libraries or (_packages_dir(manifest) if manifest.borrows else ""),
            own=program is not None,
        )


def _packages_dir(manifest: Manifest) -> str:
    """The directory to import from what the host borrows."""
    name = manifest.borrows[0]
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise RuntimeNotFound(f"cannot find {name}, which microfaas was installed with")
    return os.path.dirname(os.path.dirname(spec.origin))
