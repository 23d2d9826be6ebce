"""What `microfaas init` makes, in every language: it builds, passes its own test, and serves."""

from __future__ import annotations

import json
import shlex

import pytest

from microfaas.cli.init import runtimes
from tests.e2e.project import Project, until
from tests.e2e.toolchains import build, provide_dotnet


@pytest.mark.parametrize("runtime", runtimes())
def test_a_new_project_does_what_init_says(
    project: Project, monkeypatch: pytest.MonkeyPatch, runtime: str
) -> None:
    provide_dotnet(monkeypatch)
    made = project.cli("init", "--runtime", runtime, "my project")
    assert made.returncode == 0, made.stderr
    go, *steps, run, invoke = [line.strip() for line in made.stdout.decode().splitlines()[1:]]
    assert (go, run) == ("cd 'my project'", "microfaas run &")
    project.root = project.root / "my project"
    project.data = project.root / ".microfaas"
    assert steps
    for step in steps:
        build(project.root, step)
    project.start()
    done = project.cli(*shlex.split(invoke)[1:])
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout) == {"message": "Hello, Ada!"}
    until(lambda: "greeting Ada" in project.log("my-project"), "the log")
