"""Making versions of functions: code that is built, once, and what is said when it cannot be."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from microfaas.builder import Builder
from microfaas.errors import MachineError
from microfaas.model import Function, Limits
from microfaas.runtime.building import BuildFailed
from microfaas.runtime.manifest import Code
from microfaas.store.code import CodeStore

# Counts its runs, and makes a program of all sources.
COMPILE = 'echo run >>"$COUNT"; cat *.src >"$0/program"'


class Compilers:
    """Stands in for the runtimes: the compiler is the shell."""

    def __init__(self, count: Path, command: str = COMPILE) -> None:
        self.recipe: Code | None = Code(
            runs_as="provided",
            when="build.me",
            command=["-c", command, "{output}"],
            result="program",
            without=["*.src", "build.me"],
            environment={"COUNT": str(count)},
        )
        self.version = "1.0"

    def manifest(self, _: str) -> tuple[Any, str]:
        return SimpleNamespace(code=self.recipe), ""

    def find(self, *_: object) -> Any:
        return SimpleNamespace(interpreter=SimpleNamespace(path="/bin/sh", version=self.version))


class World:
    def __init__(self, root: Path) -> None:
        self.count = root / "count"
        self.compilers = Compilers(self.count)
        self.source = root / "source"
        self.source.mkdir()
        for name, text in {"a.src": "A", "build.me": "", "data.txt": "data"}.items():
            (self.source / name).write_text(text)
        self.code = CodeStore(str(root / "copies"))
        runtimes: Any = self.compilers
        self.builder = Builder(runtimes, self.code, str(root / "builds"))

    def build(self) -> Path:
        function = Function(
            name="f", runtime="abc", handler="", code=str(self.source), limits=Limits()
        )
        return Path(self.builder.version(function, ()).code_dir)

    @property
    def runs(self) -> int:
        return self.count.read_text().count("run") if self.count.exists() else 0


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_what_is_built_has_all_but_the_sources(world: World) -> None:
    assert files(world.build()) == {"program": "A", "data.txt": "data"}


def test_the_same_code_is_built_once(world: World) -> None:
    assert world.build() == world.build()
    assert world.runs == 1


def test_other_code_is_built(world: World) -> None:
    world.build()
    (world.source / "a.src").write_text("B")
    assert files(world.build())["program"] == "B"


def test_by_another_compiler_it_is_built_again(world: World) -> None:
    world.build()
    world.compilers.version = "2.0"
    world.build()
    assert world.runs == 2


def test_what_was_built_and_removed_is_built_again(world: World) -> None:
    world.build()
    world.code.prune([])
    assert files(world.build())["program"] == "A"


def test_code_that_is_not_to_be_built_is_taken_as_it_is(world: World) -> None:
    (world.source / "build.me").unlink()
    assert files(world.build()) == {"a.src": "A", "data.txt": "data"}
    assert world.runs == 0


def test_what_the_compiler_says_is_told(world: World) -> None:
    assert world.compilers.recipe is not None
    world.compilers.recipe.command[1] = "echo a.src:3: no such thing; exit 2"
    with pytest.raises(BuildFailed, match=r"cannot build f from .*source: sh says:\na.src:3: no"):
        world.build()


def test_a_compiler_that_makes_nothing_is_told(world: World) -> None:
    assert world.compilers.recipe is not None
    world.compilers.recipe.command[1] = "true"
    with pytest.raises(MachineError, match=r"that made no program"):
        world.build()


def test_nothing_is_left_of_a_build(world: World, tmp_path: Path) -> None:
    world.build()
    (note,) = (tmp_path / "builds").iterdir()
    assert note.is_file()
