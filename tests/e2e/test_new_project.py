"""What `microfaas init` makes, in every language: it builds, passes its own test, and serves."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
from pathlib import Path

import pytest

from microfaas.cli.init import runtimes
from tests.e2e.project import Project

DOTNET = Path(__file__).parents[1] / "dotnet"
# What .NET's SDK does where there is but the runtime and a compiler.
WITHOUT_SDK = {
    "dotnet publish src -o publish": """
        mkdir publish
        csc publish/Function.dll src/*.cs""",
    "dotnet run --project tests": """
        mkdir tests/bin
        cp publish/Function.dll tests/bin
        cp "$(dirname "$(realpath "$(command -v csc)")")"/csc.d/Csc.runtimeconfig.json \
            tests/bin/Tests.runtimeconfig.json
        csc tests/bin/Tests.dll -exe -r:publish/Function.dll tests/*.cs
        dotnet exec tests/bin/Tests.dll""",
}


@pytest.fixture
def _toolchains(monkeypatch: pytest.MonkeyPatch) -> None:
    subprocess.run([DOTNET / "host.sh"], check=True)
    places = [DOTNET / ".toolchain", DOTNET / ".toolchain" / "dotnet"]
    monkeypatch.setenv("PATH", os.pathsep.join([*map(str, places), os.environ["PATH"]]))


@pytest.mark.usefixtures("_toolchains")
@pytest.mark.parametrize("runtime", runtimes())
def test_a_new_project_does_what_init_says(project: Project, runtime: str) -> None:
    made = project.cli("init", "--runtime", runtime, "my project")
    assert made.returncode == 0, made.stderr
    go, *steps, run, invoke = [line.strip() for line in made.stdout.decode().splitlines()[1:]]
    assert (go, run) == ("cd 'my project'", "microfaas run &")
    project.root = project.root / "my project"
    assert steps
    for step in steps:
        _shell(project.root, step.partition(" #")[0].strip())
    project.start()
    done = project.cli(*shlex.split(invoke)[1:])
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout) == {"message": "Hello, Ada!"}
    assert "greeting Ada" in project.cli("logs", "my-project").stdout.decode()


def _shell(directory: Path, command: str) -> None:
    done = subprocess.run(
        ["bash", "-euc", WITHOUT_SDK.get(command, command)],
        cwd=directory,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout.decode()
