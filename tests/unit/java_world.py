"""The Java host and functions in Java for it, compiled once."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from spare_world import Spare, Spares

from microfaas.runtime import building
from microfaas.runtime.manifest import read_all

TESTS = Path(__file__).parents[1] / "java"
RUNTIME = Path(__file__).parents[2] / "runtimes" / "java"


@cache
def host() -> str:
    """The folder of the host's classes, Lambda's interfaces among them."""
    return building.host(read_all()["java"], str(RUNTIME))


def compile_java(sources: Path, output: Path, class_path: Iterable[str | Path] = ()) -> None:
    """Compile all files below a folder."""
    files = [str(path) for path in sorted(sources.rglob("*.java"))]
    places = os.pathsep.join(str(place) for place in class_path) or host()
    argv = ["javac", "--release", "17", "-encoding", "UTF-8", "-Werror", "-cp", places]
    done = subprocess.run([*argv, "-d", output, *files], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@cache
def functions(folder: str, *class_path: Path) -> Path:
    """The compiled functions of one folder of `tests/java/functions`."""
    output = Path(tempfile.mkdtemp(prefix="microfaas-java-"))
    atexit.register(shutil.rmtree, output)
    compile_java(TESTS / "functions" / folder, output, class_path)
    return output


def pack(classes: Path, jar: Path) -> None:
    """Make a folder a jar."""
    jar.parent.mkdir(parents=True, exist_ok=True)
    archive = shutil.make_archive(str(jar.with_suffix("")), "zip", classes)
    Path(archive).rename(jar)


class JavaSpares(Spares):
    """Starts hosts, which find compiled functions as their code once they are ready."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "java")

    def start(self, files: Mapping[str, str] | None = None, **options: Any) -> Spare:
        spare = super().start(files or {}, libraries=host(), **options)
        shutil.copytree(functions("app"), spare.code, dirs_exist_ok=True)
        return spare

    def loaded(self, handler: str, files: Mapping[str, str] | None = None, **env: str) -> Spare:
        spare = self.start(files)
        answer = spare.load(handler, **env)
        assert answer["kind"] == "loaded", (answer, spare.talk.printed())
        return spare
