"""Finding what runs a function, and saying why it cannot be had."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from microfaas.errors import ConfigError
from microfaas.model import Function, Limits
from microfaas.runtime import Runtime, RuntimeNotFound, Runtimes, building, interpreters
from microfaas.runtime.building import BuildFailed
from microfaas.runtime.manifest import Build, Manifest, asked_version, read, read_all, runtimes_dir

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
LIBRARIES = "/var/lang/lib/microfaas"
REAL = sys._base_executable  # type: ignore[attr-defined]


@pytest.fixture
def runtimes() -> Runtimes:
    return Runtimes()


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def script(path: Path, text: str) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def manifest(**fields: Any) -> Manifest:
    given: dict[str, Any] = {
        "name": "abc",
        "kind": "spare",
        "identifiers": r"abc(\d+)?",
        "programs": ["abc{version}", "abc"],
        "probe": ["-v"],
        "version": r"abc v(\S+)",
        "install": "buy one",
    }
    return Manifest(**given | fields)


class TestPython:
    def test_is_the_one_that_runs_microfaas(self, runtimes: Runtimes) -> None:
        interpreter = runtimes.find("python").interpreter
        assert interpreter.version == ".".join(map(str, sys.version_info[:3]))
        assert os.path.samefile(interpreter.path, REAL)

    def test_is_the_same_by_its_version(self, runtimes: Runtimes) -> None:
        assert runtimes.find(f"python{HERE}") == runtimes.find("python")

    def test_runs_without_the_packages_of_microfaas(self, runtimes: Runtimes) -> None:
        assert argv(runtimes.find("python")) == ["-S", "/var/runtime/bootstrap.py", LIBRARIES]

    def test_of_ones_own_brings_its_packages(self, runtimes: Runtimes) -> None:
        own = runtimes.find("python", sys.executable)
        assert argv(own) == ["/var/runtime/bootstrap.py", LIBRARIES]

    def test_of_a_virtual_environment_needs_its_base_as_well(
        self, runtimes: Runtimes, tmp_path: Path
    ) -> None:
        subprocess.run([REAL, "-m", "venv", "--without-pip", tmp_path / "own"], check=True)
        own = runtimes.find("python", str(tmp_path / "own/bin/python")).interpreter
        assert own.directories[0] == str(tmp_path / "own")
        assert len(own.directories) == 2

    def test_of_ones_own_must_have_the_version_that_is_named(self, runtimes: Runtimes) -> None:
        with pytest.raises(RuntimeNotFound, match=f"is version {HERE}"):
            runtimes.find("python3.0", sys.executable)

    def test_is_named_in_the_environment(self, runtimes: Runtimes) -> None:
        environment = runtimes.find("python").environment(128, shown=True)
        assert environment["AWS_EXECUTION_ENV"] == f"AWS_Lambda_python{HERE}"

    def test_has_what_the_host_imports(self, runtimes: Runtimes) -> None:
        shown = runtimes.find("python").shown
        assert os.path.isfile(f"{shown['/var/lang/lib/microfaas/msgpack']}/__init__.py")


def argv(runtime: Runtime) -> list[str]:
    made = runtime.argv(128, shown=True)
    assert made[0] == runtime.interpreter.path
    return made[1:]


@pytest.mark.parametrize("name", ["cobol", "cobol85", "Python", "python3.12.1", "", "../python"])
def test_an_unknown_runtime_is_told_with_the_known_ones(runtimes: Runtimes, name: str) -> None:
    with pytest.raises(RuntimeNotFound, match=r"runtimes here are .*python"):
        runtimes.find(name)


@pytest.mark.parametrize(
    ("identifier", "runtime", "version"),
    [
        ("python3.12", "python", "3.12"),
        ("nodejs", "nodejs", ""),
        ("nodejs22.x", "nodejs", "22"),
        ("java21", "java", "21"),
        ("java8.al2", "java", "8"),
        ("provided", "provided", ""),
        ("provided.al2023", "provided", ""),
    ],
)
def test_lambdas_names_are_understood(
    runtimes: Runtimes, identifier: str, runtime: str, version: str
) -> None:
    manifest, found = runtimes.manifest(identifier)
    assert (manifest.name, found) == (runtime, version)


def test_a_version_that_is_not_here_is_told_with_the_remedy(runtimes: Runtimes) -> None:
    with pytest.raises(RuntimeNotFound, match=r'cannot run "python3.98": there is no python 3.98'):
        runtimes.find("python3.98")


class TestFinding:
    def test_the_one_with_the_version_in_its_name_is_tried_first(self, on_path: Path) -> None:
        script(on_path / "abc", "echo abc v7.2.0")
        script(on_path / "abc7", "echo abc v7.3.0")
        assert interpreters.find(manifest(), "7").path == f"{on_path}/abc7"
        assert interpreters.find(manifest(), "").path == f"{on_path}/abc"

    def test_one_of_another_version_is_passed_over(self, on_path: Path, tmp_path: Path) -> None:
        script(on_path / "abc", "echo abc v6.1.0")
        right = script(tmp_path / "opt/abc-7.1/bin/abc", "echo abc v7.1.0 >&2")
        places = [f"{tmp_path}/opt/abc-{{version}}*/bin/abc"]
        assert interpreters.find(manifest(places=places), "7").path == right

    def test_elsewhere_the_newest_is_tried_first(self, on_path: Path, tmp_path: Path) -> None:
        for version in ("7.9.0", "7.10.0"):
            script(tmp_path / f"opt/{version}/abc", f"echo abc v{version}")
        found = interpreters.find(manifest(places=[f"{tmp_path}/opt/*/abc"]), "7")
        assert found.version == "7.10.0"

    @pytest.mark.usefixtures("on_path")
    def test_what_is_nowhere_is_told_with_the_remedy(self) -> None:
        with pytest.raises(RuntimeNotFound, match=r"there is no abc 7 on this machine; buy one"):
            interpreters.find(manifest(), "7")

    def test_what_was_passed_over_is_told(self, on_path: Path) -> None:
        script(on_path / "abc", "echo abc v6.1.0")
        with pytest.raises(RuntimeNotFound, match=r"\(.*/abc is version 6.1.0\); buy one"):
            interpreters.find(manifest(), "7")

    def test_one_that_is_too_old_is_told(self, on_path: Path) -> None:
        script(on_path / "abc", "echo abc v9.1.0")
        with pytest.raises(RuntimeNotFound, match=r"the oldest that will do is 10"):
            interpreters.find(manifest(oldest="10"), "")

    def test_of_several_versions_the_highest_that_fits_counts(self, on_path: Path) -> None:
        script(on_path / "abc", "echo abc v7.1.0; echo abc v7.10.2; echo abc v8.0.0")
        assert interpreters.find(manifest(), "7").version == "7.10.2"

    def test_a_version_is_no_other_that_begins_alike(self) -> None:
        assert interpreters.is_version("3.1.4", "3.1")
        assert not interpreters.is_version("3.11.4", "3.1")

    def test_its_home_is_what_it_needs(self, on_path: Path, tmp_path: Path) -> None:
        real = script(tmp_path / "opt/abc/bin/abc", "echo abc v7.0.0")
        os.symlink(real, on_path / "abc")
        assert interpreters.find(manifest(), "").directories == (f"{tmp_path}/opt/abc",)

    def test_a_launcher_leads_to_the_real_one(self, on_path: Path) -> None:
        said = "echo abc v7.0.0; echo real /opt/x/bin/abc; echo needs /opt/x; echo needs /opt/y"
        script(on_path / "abc", said)
        fields = {"executable": "real (.+)", "directories": "needs (.+)"}
        found = interpreters.find(manifest(**fields), "")
        assert found.path == "/opt/x/bin/abc"
        assert found.directories == ("/opt/x", "/opt/y")


BROKEN: dict[str, tuple[str, str]] = {
    "it says nothing": ("", "it says ''"),
    "it says something else": ("echo hello", "it says 'hello'"),
    "it fails with words": ("echo sorry >&2; exit 3", "sorry"),
    "it fails without words": ("exit 3", "exit status 3"),
}


@pytest.mark.parametrize(("text", "why"), BROKEN.values(), ids=BROKEN.keys())
def test_a_bad_interpreter_is_told_with_what_it_said(
    runtimes: Runtimes, tmp_path: Path, text: str, why: str
) -> None:
    path = script(tmp_path / "python", text)
    with pytest.raises(RuntimeNotFound, match=f"cannot use {path} for python: .*{why}"):
        runtimes.find("python", path)


def test_an_interpreter_that_is_not_there_is_told(runtimes: Runtimes, tmp_path: Path) -> None:
    with pytest.raises(RuntimeNotFound, match=r"cannot use .*/python for python: .*No such file"):
        runtimes.find("python", str(tmp_path / "python"))


def test_what_is_no_program_is_told(runtimes: Runtimes, tmp_path: Path) -> None:
    (tmp_path / "python").write_bytes(b"\x7fELF")
    (tmp_path / "python").chmod(0o755)
    with pytest.raises(RuntimeNotFound, match=r"Exec format error"):
        runtimes.find("python", str(tmp_path / "python"))


class TestCompleting:
    def function(self, runtime: str, handler: str) -> Function:
        return Function(name="f", runtime=runtime, handler=handler, code="", limits=Limits())

    @pytest.mark.parametrize(
        ("runtime", "handler"), [("python", "app.handler"), ("nodejs", "index.handler")]
    )
    def test_who_names_no_handler_has_the_usual_one(
        self, runtimes: Runtimes, runtime: str, handler: str
    ) -> None:
        assert runtimes.complete(self.function(runtime, "")).handler == handler

    def test_who_names_one_keeps_it(self, runtimes: Runtimes) -> None:
        assert runtimes.complete(self.function("python", "a/b.c")).handler == "a/b.c"

    @pytest.mark.parametrize("handler", ["app", ".main", "a/b"])
    def test_what_cannot_be_a_handler_is_refused(self, runtimes: Runtimes, handler: str) -> None:
        with pytest.raises(ConfigError, match=r"functions.f.handler: must be MODULE.FUNCTION, not"):
            runtimes.complete(self.function("python", handler))


class TestBuildingAHost:
    BUILD = Build(
        tool="/bin/sh",
        sources=["src/*"],
        command=["-c", 'for f in "$@"; do cp "$f" "$0"; done', "{output}", "{sources}"],
    )

    @pytest.fixture(autouse=True)
    def cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        return tmp_path / "cache" / "microfaas" / "hosts"

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "abc"
        (folder / "src").mkdir(parents=True)
        (folder / "src/a").write_text("A")
        return folder

    def built(self, folder: Path, build: Build = BUILD) -> Path:
        return Path(building.host(manifest(build=build), str(folder)))

    def test_it_is_made_of_its_sources(self, folder: Path) -> None:
        assert (self.built(folder) / "a").read_text() == "A"

    def test_it_is_made_once(self, folder: Path) -> None:
        first = self.built(folder)
        (first / "mark").touch()
        assert self.built(folder) == first
        assert (first / "mark").exists()

    def test_other_sources_are_another_host(self, folder: Path) -> None:
        first = self.built(folder)
        (folder / "src/a").write_text("B")
        assert (self.built(folder) / "a").read_text() == "B"
        assert (first / "a").read_text() == "A"

    def test_what_came_compiled_is_taken(self, folder: Path) -> None:
        (folder / "built").mkdir()
        assert self.built(folder) == folder / "built"

    def test_what_the_compiler_says_is_told_and_nothing_is_left(
        self, folder: Path, cache: Path
    ) -> None:
        build = msgspec.structs.replace(self.BUILD, command=["-c", "echo line 3: no; exit 1"])
        with pytest.raises(BuildFailed, match=r"the host for abc: sh says:\nline 3: no"):
            self.built(folder, build)
        assert list(cache.iterdir()) == []

    def test_a_missing_compiler_is_told_with_the_remedy(self, folder: Path) -> None:
        build = msgspec.structs.replace(self.BUILD, tool="no-such-compiler")
        with pytest.raises(BuildFailed, match=r"there is no no-such-compiler; buy one"):
            self.built(folder, build)


def test_every_folder_with_a_manifest_is_a_runtime_of_that_name() -> None:
    assert [manifest.name for manifest in read_all().values()] == list(read_all())


def test_every_runtime_answers_to_its_own_name() -> None:
    for name, found in read_all().items():
        assert asked_version(found, name) == ""


def test_every_usual_handler_can_be_one(runtimes: Runtimes) -> None:
    for name in read_all():
        function = Function(name="f", runtime=name, handler="", code="", limits=Limits())
        assert runtimes.complete(function).handler


def test_every_build_has_its_sources() -> None:
    for name, found in read_all().items():
        folder = os.path.join(runtimes_dir(), name)
        assert found.build is None or building._sources(found.build, folder)


def test_a_manifest_with_faults_is_told(tmp_path: Path) -> None:
    path = tmp_path / "runtime.toml"
    path.write_text('name = "x"\nprograms = 1\n')
    with pytest.raises(ConfigError, match=r"runtime.toml"):
        read(str(path))
