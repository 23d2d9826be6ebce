"""Finding the interpreter for a function, and saying why there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from microfaas.errors import ConfigError
from microfaas.runtime import Runtime, RuntimeNotFound, Runtimes, _read_manifest, runtimes_dir

HERE = f"{sys.version_info[0]}.{sys.version_info[1]}"
REAL = sys._base_executable  # type: ignore[attr-defined]


@pytest.fixture
def runtimes() -> Runtimes:
    return Runtimes()


def script(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all of PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_python_is_the_one_that_runs_microfaas(runtimes: Runtimes) -> None:
    assert runtimes.find("python", None).interpreter.version == HERE


def test_python_by_its_version_is_the_same(runtimes: Runtimes) -> None:
    assert runtimes.find(f"python{HERE}", None) == runtimes.find("python", None)


def test_the_interpreter_is_not_that_of_a_virtual_environment(runtimes: Runtimes) -> None:
    interpreter = runtimes.find("python", None).interpreter
    assert os.path.samefile(interpreter.path, REAL)


def test_another_version_is_looked_for_on_the_path(runtimes: Runtimes, on_path: Path) -> None:
    answer = '["3.99", "/opt/p", "/opt/base", "/opt/p/bin/python3.99"]'
    script(on_path / "python3.99", f"#!/bin/sh\necho '{answer}'\n")
    interpreter = runtimes.find("python3.99", None).interpreter
    assert interpreter.path == "/opt/p/bin/python3.99"
    assert interpreter.directories == ("/opt/p", "/opt/base")


def test_an_interpreter_is_asked_once(runtimes: Runtimes, on_path: Path) -> None:
    count = f'#!/bin/sh\necho x >>{on_path}/asked\necho \'["3.99", "/", "/", "/p"]\'\n'
    script(on_path / "python3.99", count)
    runtimes.find("python3.99", None)
    runtimes.find("python3.99", None)
    assert (on_path / "asked").read_text() == "x\n"


@pytest.mark.usefixtures("on_path")
def test_a_version_that_is_not_here_is_told_with_the_remedy(runtimes: Runtimes) -> None:
    with pytest.raises(RuntimeNotFound, match=r"there is no python3.98 on PATH; install it"):
        runtimes.find("python3.98", None)


@pytest.mark.parametrize("name", ["cobol", "cobol85", "Python", "python3.12.1", "", "../python"])
def test_an_unknown_runtime_is_told_with_the_known_ones(runtimes: Runtimes, name: str) -> None:
    with pytest.raises(RuntimeNotFound, match=r"runtimes here are .*python"):
        runtimes.find(name, None)


def test_an_interpreter_of_another_version_is_refused(runtimes: Runtimes, on_path: Path) -> None:
    script(on_path / "python3.99", '#!/bin/sh\necho \'["3.1", "/", "/", "/p"]\'\n')
    with pytest.raises(RuntimeNotFound, match=r'cannot run "python3.99": /p is version 3.1'):
        runtimes.find("python3.99", None)


def test_an_interpreter_of_ones_own_must_have_the_version_that_is_named(
    runtimes: Runtimes,
) -> None:
    with pytest.raises(RuntimeNotFound, match=f"is version {HERE}"):
        runtimes.find("python3.0", sys.executable)


BROKEN: dict[str, tuple[str, str]] = {
    "it says nothing": ("#!/bin/sh\n", "Expecting value"),
    "it says something else": ("#!/bin/sh\necho hello\n", "Expecting value"),
    "it says too little": ("#!/bin/sh\necho '[1]'\n", "not enough values"),
    "it fails with words": ("#!/bin/sh\necho sorry >&2; exit 3\n", "sorry"),
    "it fails without words": ("#!/bin/sh\nexit 3\n", "exit status 3"),
    "it is no program": ("\x7fELF", "Exec format error"),
}


@pytest.mark.parametrize(("text", "why"), BROKEN.values(), ids=BROKEN.keys())
def test_a_bad_interpreter_is_told_with_what_it_said(
    runtimes: Runtimes, tmp_path: Path, text: str, why: str
) -> None:
    path = script(tmp_path / "python", text)
    with pytest.raises(RuntimeNotFound, match=f"cannot use {path} as a Python .*: .*{why}"):
        runtimes.find("python", path)


def test_an_interpreter_that_is_not_there_is_told(runtimes: Runtimes, tmp_path: Path) -> None:
    with pytest.raises(RuntimeNotFound, match=r"cannot use .*/python as a Python interpreter"):
        runtimes.find("python", str(tmp_path / "python"))


def argv(runtime: Runtime) -> list[str]:
    return runtime.argv("/var/runtime", "/libraries")


def test_python_runs_without_the_packages_of_microfaas(runtimes: Runtimes) -> None:
    runtime = runtimes.find("python", None)
    wanted = ["-S", "/var/runtime/bootstrap.py", "/libraries"]
    assert argv(runtime) == [runtime.interpreter.path, *wanted]


def test_an_interpreter_of_ones_own_brings_its_packages(runtimes: Runtimes) -> None:
    runtime = runtimes.find("python", sys.executable)
    assert argv(runtime)[1:] == ["/var/runtime/bootstrap.py", "/libraries"]


def test_a_virtual_environment_needs_its_base_as_well(runtimes: Runtimes, tmp_path: Path) -> None:
    subprocess.run([REAL, "-m", "venv", "--without-pip", tmp_path / "own"], check=True)
    own = runtimes.find("python", str(tmp_path / "own/bin/python")).interpreter
    assert own.directories[0] == str(tmp_path / "own")
    assert len(own.directories) == 2


def test_the_environment_names_the_version(runtimes: Runtimes) -> None:
    environment = runtimes.find("python", None).environment()
    assert environment["AWS_EXECUTION_ENV"] == f"AWS_Lambda_python{HERE}"


def test_the_hosts_libraries_have_what_it_imports(runtimes: Runtimes) -> None:
    assert os.path.isdir(os.path.join(runtimes.find("python", None).libraries_dir, "msgpack"))


def test_every_folder_with_a_manifest_is_a_runtime_of_that_name() -> None:
    root = runtimes_dir()
    for name in os.listdir(root):
        if os.path.isfile(f"{root}/{name}/runtime.toml"):
            assert _read_manifest(f"{root}/{name}/runtime.toml").name == name


def test_a_manifest_with_faults_is_told(tmp_path: Path) -> None:
    path = tmp_path / "runtime.toml"
    path.write_text('name = "x"\nprogram = 1\n')
    with pytest.raises(ConfigError, match=r"runtime.toml"):
        _read_manifest(str(path))
