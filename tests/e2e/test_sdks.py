"""AWS's SDKs of other languages against topics and queues: from outside, and from a function.

Nothing is configured but what AWS's own documentation says: a region, a key and the addresses of
services outside, and nothing at all inside.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.project import Project, until
from tests.e2e.test_access import create

TESTS = Path(__file__).parents[1]
NODE, GO = TESTS / "node", TESTS / "go"
EVENT = {
    "topic": "arn:aws:sns:us-east-1:123456789012:orders",
    "queue": "q",
    "message": "grüße",
}
LISTENER = """def handler(event, context):
    print("got", event["Records"][0]["Sns"]["Message"], event["Records"][0]["Sns"]["MessageId"])
"""
CONFIG = """
auth = true
[queues.q]
[topics.orders]
[functions.listener]
handler = "listener.handler"
[[functions.listener.triggers]]
type = "topic"
topic = "orders"
"""
NODE_FUNCTION = """
[functions.user]
runtime = "nodejs"
handler = "queues.handler"
code = "code"
layers = ["layer"]
timeout_s = 60
memory_mb = 512
"""
GO_FUNCTION = """
[functions.user]
runtime = "provided"
handler = "bootstrap"
code = "code"
timeout_s = 60
memory_mb = 512
"""


@pytest.fixture(scope="session")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("go") / "bootstrap"
    environment = {**os.environ, "CGO_ENABLED": "0"}
    argv = ["go", "build", "-buildvcs=false", "-trimpath", "-o", made, "."]
    subprocess.run(argv, cwd=GO, env=environment, check=True)
    return made


def started(project: Project, function: str = "") -> Project:
    project.write("listener.py", LISTENER)
    project.write("microfaas.toml", CONFIG + function)
    project.start()
    project.key = create(project, "invoke,send,receive")
    return project


def outside(project: Project, argv: Sequence[str | Path]) -> Any:
    """Run a program as somebody who has a key."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(project.root),
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": project.key[0],
        "AWS_SECRET_ACCESS_KEY": project.key[1],
        "AWS_ENDPOINT_URL_SNS": project.url,
        "AWS_ENDPOINT_URL_SQS": project.url,
    }
    done = subprocess.run(
        argv, input=json.dumps(EVENT).encode(), capture_output=True, env=environment
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def check(project: Project, answer: dict[str, str], attribute: str) -> None:
    assert (answer["body"], answer["attribute"]) == (EVENT["message"], attribute)
    said = f"got {EVENT['message']} {answer['messageId']}"
    until(lambda: said in project.log("listener"), "the message that was published")


def packages(*clients: str) -> list[str]:
    """What the SDK's clients need of what is installed, by the lock file."""
    locked = json.loads((NODE / "package-lock.json").read_text())["packages"]
    found: list[str] = []
    left = list(clients)
    while left:
        name = left.pop()
        if name not in found:
            found.append(name)
            left.extend(locked[f"node_modules/{name}"].get("dependencies", {}))
    return found


class TestNode:
    def test_from_outside(self, project: Project) -> None:
        started(project)
        check(project, outside(project, ["node", NODE / "queues.js"]), "node")

    def test_from_a_function(self, project: Project) -> None:
        for name in packages("@aws-sdk/client-sns", "@aws-sdk/client-sqs"):
            there = project.root / "layer" / "nodejs" / "node_modules" / name
            shutil.copytree(NODE / "node_modules" / name, there)
        (project.root / "code").mkdir()
        shutil.copy(NODE / "queues.js", project.root / "code")
        started(project, NODE_FUNCTION)
        check(project, project.invoke("user", EVENT), "node")


class TestGo:
    def test_from_outside(self, project: Project, binary: Path) -> None:
        started(project)
        check(project, outside(project, [binary]), "go")

    def test_from_a_function(self, project: Project, binary: Path) -> None:
        (project.root / "code").mkdir()
        shutil.copy(binary, project.root / "code")
        started(project, GO_FUNCTION)
        check(project, project.invoke("user", EVENT), "go")
