"""What is served of a function: its code, built where its language wants that, and its layers."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Collection

import msgspec

from microfaas.errors import MachineError
from microfaas.model import LATEST, EventSettings, Function, Version
from microfaas.runtime import Runtimes, building
from microfaas.runtime.manifest import Code, filled
from microfaas.store import layers
from microfaas.store.code import CodeStore

_DIGITS = 32


class Builder:
    """Makes versions. What was built once is remembered in `directory`, by what it was made of."""

    def __init__(self, runtimes: Runtimes, code: CodeStore, directory: str) -> None:
        self._runtimes = runtimes
        self._code = code
        self._directory = directory

    def version(
        self, function: Function, exclude: Collection[str] = (), number: str = LATEST
    ) -> Version:
        """Blocking; may be called from several threads.

        Raises ConfigError for code that cannot be taken, BuildFailed with the compiler's words.
        """
        os.makedirs(self._directory, exist_ok=True)
        code_dir, sha256 = self._code.snapshot(function.code, exclude)
        recipe = self._runtimes.manifest(function.runtime)[0].code
        if recipe is not None and os.path.exists(os.path.join(code_dir, recipe.when)):
            code_dir, sha256 = self._built(function, recipe, code_dir, sha256)
        layers_dir, layers_sha256 = "", ""
        if function.layers:
            layers_dir, layers_sha256 = layers.merge(self._code, function.layers, self._directory)
        return Version(
            function=function,
            code_dir=code_dir,
            code_sha256=sha256,
            layers_dir=layers_dir,
            layers_sha256=layers_sha256,
            number=number,
            settings_sha256=_digest(function),
        )

    def _built(
        self, function: Function, recipe: Code, code_dir: str, sha256: str
    ) -> tuple[str, str]:
        tool = self._runtimes.find(function.runtime, function.interpreter).interpreter
        made_of = f"{sha256} {tool.version} {recipe!r}".encode()
        note = os.path.join(self._directory, hashlib.sha256(made_of).hexdigest()[:_DIGITS])
        if os.path.exists(note):
            with open(note, encoding="ascii") as file:
                built = file.read()
            if (directory := self._code.find(built)) is not None:
                return directory, built
        with tempfile.TemporaryDirectory(prefix="build-", dir=self._directory) as output:
            sources = shutil.ignore_patterns(*recipe.without)
            shutil.copytree(code_dir, output, symlinks=True, ignore=sources, dirs_exist_ok=True)
            argv = [tool.path, *filled(recipe.command, {"output": output})]
            what = f"{function.name} from {function.code}"
            building.run(argv, code_dir, recipe.environment, what, "install it")
            if not os.path.exists(os.path.join(output, recipe.result)):
                raise MachineError(f"cannot build {what}: that made no {recipe.result}")
            directory, built = self._code.snapshot(output)
        with open(note, "w", encoding="ascii") as file:
            file.write(built)
        return directory, built


def _digest(function: Function) -> str:
    """Of what a process is started with. Where the code came from is not among it, nor how events
    are seen through, nor how many may run, nor how often."""
    limits = msgspec.structs.replace(function.limits, concurrency_max=0, waiting_max=0)
    settings = msgspec.structs.replace(
        function,
        code="",
        layers=(),
        description="",
        recursive_loop="terminate",
        events=EventSettings(),
        limits=limits,
    )
    return hashlib.sha256(msgspec.json.encode(settings, order="sorted")).hexdigest()
