"""The .NET host and functions in C# for it, compiled once by the tests' own toolchain."""

from __future__ import annotations

import atexit
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from spare_world import RUNTIMES, Spare, Spares

TESTS = Path(__file__).parents[1] / "dotnet"
PROGRAM = TESTS / ".toolchain" / "dotnet" / "dotnet"


@cache
def host() -> str:
    """The folder of the compiled host."""
    subprocess.run([TESTS / "host.sh"], check=True)
    return str(RUNTIMES / "dotnet" / "built")


def compile_cs(output: Path, *sources: Path, references: tuple[Path, ...] = ()) -> None:
    host()
    argv = [TESTS / ".toolchain" / "csc", output, *(f"-r:{path}" for path in references), *sources]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr


@cache
def functions() -> Path:
    """The compiled functions of `tests/dotnet/functions`, and the library that they refer to."""
    output = Path(tempfile.mkdtemp(prefix="microfaas-dotnet-"))
    atexit.register(shutil.rmtree, output)
    core = output / "Amazon.Lambda.Core.dll"
    compile_cs(core, TESTS / "core" / "Core.cs")
    sources = sorted((TESTS / "functions").glob("*.cs"))
    compile_cs(output / "App.dll", *sources, references=(core,))
    return output


class DotnetSpares(Spares):
    """Starts hosts, which find compiled functions as their code once they are ready."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "dotnet")

    def start(self, files: Mapping[str, str] | None = None, **options: Any) -> Spare:
        options = {"program": str(PROGRAM), "libraries": host(), **options}
        spare = super().start(files or {}, **options)
        shutil.copytree(functions(), spare.code, dirs_exist_ok=True)
        return spare

    def loaded(self, handler: str, **env: str) -> Spare:
        """One that has loaded a `Class::Method` of the tests' functions."""
        spare = self.start()
        answer = spare.load(f"App::App.{handler}", **env)
        assert answer["kind"] == "loaded", (answer, spare.talk.printed())
        return spare
