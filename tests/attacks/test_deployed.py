"""What comes over the network must not reach what lies beside it on the machine."""

from __future__ import annotations

import io
import json
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.control import client, create
from tests.e2e.project import Project


@pytest.fixture
def lambdas(project: Project) -> Any:
    project.write("microfaas.toml", "[streams.clicks]\n")
    project.start()
    made = client(project)
    create(made)
    return made


def put(project: Project, *triggers: dict[str, Any]) -> str:
    """What the control API says to a function's triggers; nothing when it takes them."""
    url = f"{project.url}/_microfaas/v1/functions/f/triggers"
    request = urllib.request.Request(url, json.dumps(triggers).encode(), method="PUT")
    try:
        urllib.request.urlopen(request).close()
    except urllib.error.HTTPError as error:
        return f"{error.code} {error.read().decode()}"
    return ""


def test_a_bucket_may_be_made_below_the_project_alone(project: Project, lambdas: Any) -> None:
    (project.root / "link").symlink_to("/etc")
    for path in ("/etc", "..", ".", "link", "a/../../b", ".microfaas/logs", "link/apt"):
        told = put(project, {"type": "bucket", "path": path})
        assert told.startswith("400 "), path
        assert "must lie below" in told
    assert put(project, {"type": "bucket", "path": "buckets/mine"}) == ""


def test_no_directory_is_written_to(project: Project, lambdas: Any, tmp_path: Path) -> None:
    stream = {"type": "stream", "stream": "clicks", "on_failure": f"directory:{tmp_path}"}
    assert "in microfaas.toml only" in put(project, stream)
    assert put(project, {**stream, "on_failure": "https://localhost/lost"}) == ""


def test_nothing_is_compiled(project: Project, lambdas: Any) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("go.mod", "module x\n\ngo 1.18\n")
        archive.writestr("main.go", "package main\n\nfunc main() {}\n")
    create(lambdas, "compiled", Runtime="go", Code={"ZipFile": buffer.getvalue()})
    reply = lambdas.invoke(FunctionName="compiled")
    assert json.loads(reply["Payload"].read())["errorType"] == "Runtime.InvalidEntrypoint"
    assert not list((project.data / "builds").glob("*"))


def test_code_does_not_leave_its_folder(project: Project, lambdas: Any) -> None:
    for name in ("../outside.py", "/tmp/outside.py", "a/../../outside.py"):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(name, "pass\n")
        with pytest.raises(lambdas.exceptions.InvalidParameterValueException):
            create(lambdas, "outside", Code={"ZipFile": buffer.getvalue()})
    assert not list(project.root.rglob("outside.py"))
