"""Runtimes: the manifests in `runtimes/`, and what of this machine they need."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import Iterable

import msgspec

from microfaas.errors import ConfigError, MicrofaasError, Problem
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

# The runtime of programs that speak the Runtime API, and what it is told to start instead.
CUSTOM = "provided"
RUNTIME_API_PORT = 9001
WRAPPED = "_MICROFAAS_RUNTIME"
WRAPPER_DIR = "/var/lang/lib/microfaas-wrapper"

__all__ = [
    "Found",
    "Interpreter",
    "Manifest",
    "Runtime",
    "RuntimeNotFound",
    "Runtimes",
    "custom_variables",
]


class Runtime(msgspec.Struct, frozen=True, kw_only=True):
    """Everything needed to start one function's host."""

    manifest: Manifest
    interpreter: Interpreter
    # As many parts of it as the language's runtimes are named by.
    version: str
    host_dir: str
    libraries_dir: str
    own: bool
    # The language's own runtime, when this one starts it behind a wrapper or extensions.
    wraps: Runtime | None = None

    @property
    def forks(self) -> bool:
        return self.manifest.kind == "forking"

    @property
    def is_custom(self) -> bool:
        """Whether a host of ours speaks the Runtime API to whatever program it starts."""
        return self.manifest.name == CUSTOM

    @property
    def told(self) -> Runtime:
        """The one that a function's user has asked for."""
        return self.wraps or self

    @property
    def shown(self) -> dict[str, str]:
        """The hosts' directories, by where they are shown in a root of its own."""
        if self.wraps is None:
            return self._shown(RUNTIME_DIR, LIBRARIES_DIR)
        return {
            **self._shown(WRAPPER_DIR, f"{WRAPPER_DIR}-libraries"),
            **self.wraps._shown(RUNTIME_DIR, LIBRARIES_DIR),
        }

    @property
    def directories(self) -> list[str]:
        """What the interpreters cannot do without."""
        wrapped = self.wraps.directories if self.wraps else []
        return list(dict.fromkeys([*self.interpreter.directories, *wrapped]))

    def argv(self, memory_mb: int, *, shown: bool) -> list[str]:
        """The command line: for where the hosts are shown, or for where they really are."""
        if not shown:
            return self._argv(self.host_dir, self.libraries_dir, memory_mb)
        if self.wraps is None:
            return self._argv(RUNTIME_DIR, LIBRARIES_DIR, memory_mb)
        return self._argv(WRAPPER_DIR, f"{WRAPPER_DIR}-libraries", memory_mb)

    def environment(self, memory_mb: int, *, shown: bool) -> dict[str, str]:
        values = self._values(memory_mb)
        variables = {k: v.format_map(values) for k, v in self.manifest.environment.items()}
        if self.wraps is not None:
            variables |= self.wraps.environment(memory_mb, shown=shown)
            # For the host that starts it, which keeps it from the function.
            variables[WRAPPED] = json.dumps(self.wraps.argv(memory_mb, shown=shown))
        return variables

    def boots_with(self, variable: str) -> bool:
        """Whether the interpreter reads this variable only at its start."""
        return any(re.fullmatch(one, variable) for one in self.manifest.boot_variables)

    def _argv(self, host_dir: str, libraries_dir: str, memory_mb: int) -> list[str]:
        arguments = self.manifest.arguments
        if self.own and self.manifest.arguments_own:
            arguments = self.manifest.arguments_own
        places = {"runtime": host_dir, "libraries": libraries_dir}
        return [self.interpreter.path, *filled(arguments, {**places, **self._values(memory_mb)})]

    def _shown(self, host_dir: str, libraries_dir: str) -> dict[str, str]:
        shown = {f"{libraries_dir}/{name}": path for name, path in self._borrows().items()}
        if self.manifest.build:
            shown[libraries_dir] = self.libraries_dir
        return {host_dir: self.host_dir, **self._shares(host_dir), **shown}

    def _values(self, memory_mb: int) -> dict[str, str | int]:
        return {"version": self.version, **memory_values(memory_mb)}

    def _shares(self, host_dir: str) -> dict[str, str]:
        paths = [os.path.normpath(os.path.join(self.host_dir, p)) for p in self.manifest.shares]
        return {f"{host_dir}/{os.path.basename(path)}": path for path in paths}

    def _borrows(self) -> dict[str, str]:
        return {name: os.path.join(self.libraries_dir, name) for name in self.manifest.borrows}


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A language on this machine: its interpreter, or why there is none."""

    name: str
    version: str = ""
    path: str = ""
    why: str = ""


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

    def survey(self) -> list[Found]:
        """What there is on this machine of every language, by its bare name."""
        rows = []
        for name in self._manifests:
            try:
                runtime = self.find(name)
            except MicrofaasError as error:
                # What cannot be run is named already.
                why = str(error).removeprefix(f'cannot run "{name}": ')
                rows.append(Found(name=name, why=why))
            else:
                found = runtime.interpreter
                rows.append(Found(name=name, version=found.version, path=found.path))
        return rows

    def manifest(self, identifier: str) -> tuple[Manifest, str]:
        """The language and the version that an identifier names. Raises RuntimeNotFound."""
        for manifest in self._manifests.values():
            version = asked_version(manifest, identifier)
            if version is not None:
                return manifest, version
        known = ", ".join(self.names)
        raise RuntimeNotFound(f'cannot run "{identifier}": runtimes here are {known}')

    def runner(self, function: Function, *, wrapped: bool = False) -> Runtime:
        """What runs a function, when its code is made: for Go, what runs any program; for one
        that is `wrapped`, what starts its language's runtime as it starts any program.

        Raises RuntimeNotFound, BuildFailed.
        """
        manifest, _ = self.manifest(function.runtime)
        if manifest.code is not None:
            return self.find(manifest.code.runs_as)
        own = self.find(function.runtime, function.interpreter)
        if not wrapped or manifest.name == CUSTOM:
            return own
        return msgspec.structs.replace(self.find(CUSTOM), wraps=own)

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

    def complete_all(self, functions: Iterable[Function], source: str) -> list[Function]:
        """All of a configuration's; all faults are told at once. Raises as `complete` does."""
        completed: list[Function] = []
        problems: list[Problem] = []
        for function in functions:
            try:
                completed.append(self.complete(function))
            except ConfigError as error:
                problems += error.problems
        if problems:
            raise ConfigError(source, problems)
        return completed

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


def custom_variables(account_id: str, *, own_network: bool) -> dict[str, str]:
    """What the host of custom runtimes is told besides, and keeps from the function.

    On the machine's network another program may have Lambda's port.
    """
    port = RUNTIME_API_PORT if own_network else 0
    return {"_MICROFAAS_ACCOUNT_ID": account_id, "_MICROFAAS_PORT": str(port)}


def _packages_dir(manifest: Manifest) -> str:
    """The directory to import from what the host borrows."""
    name = manifest.borrows[0]
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise RuntimeNotFound(f"cannot find {name}, which microfaas was installed with")
    return os.path.dirname(os.path.dirname(spec.origin))
