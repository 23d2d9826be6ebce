"""Lambda's control API with AWS's SDKs of other languages, which ask more of a reply than boto3:
types of exceptions and of members, waiters, paginators, streams of events.

Each runs the same scenario, signs with a key, and tells what it saw.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.control import ECHO, ROLE, call, client, create, package
from tests.e2e.project import Project, until
from tests.e2e.test_access import create as create_key

TESTS = Path(__file__).parents[1]
WHERE = "us-east-1:123456789012"
ARN = f"arn:aws:lambda:{WHERE}:function:f"
FIRST, SECOND = package(), package(ECHO.replace('"said"', '"told"'))
EVENT = {
    "first": base64.b64encode(FIRST).decode(),
    "second": base64.b64encode(SECOND).decode(),
    "layer": base64.b64encode(package("WORD = 'shared'\n", "python/shared.py")).decode(),
    "group": "/aws/lambda/f",
    "role": ROLE,
    "queue": f"arn:aws:sqs:{WHERE}:q",
}
# Changes take a while, so that there is something to wait for.
CONFIG = """
auth = true
[api]
update_s = 1
[queues.q]
"""
NODE = ("node", TESTS / "node" / "control.js")


@pytest.fixture(scope="session")
def go(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path]:
    made = tmp_path_factory.mktemp("go") / "control"
    argv = ["go", "build", "-buildvcs=false", "-trimpath", "-o", made, "./control"]
    subprocess.run(argv, cwd=TESTS / "go", check=True)
    return (made,)


@pytest.fixture
def served(project: Project) -> Project:
    project.write("microfaas.toml", CONFIG)
    project.start()
    project.key = create_key(project, "admin")
    return project


def told(project: Project, program: Sequence[str | Path], scenario: str) -> Any:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(project.root),
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": project.key[0],
        "AWS_SECRET_ACCESS_KEY": project.key[1],
        "AWS_ENDPOINT_URL": project.url,
    }
    done = subprocess.run(
        [*program, scenario],
        input=json.dumps(EVENT).encode(),
        capture_output=True,
        env=environment,
    )
    assert done.returncode == 0, done.stderr.decode()
    return json.loads(done.stdout)


def echoed(event: Any, version: str = "$LATEST", qualifier: str = "", **said: str) -> Any:
    arn = f"{ARN}:{qualifier}" if qualifier else ARN
    return {"event": event, "version": version, "arn": arn, **said, "kind": "on-demand"}


def check_functions(saw: Any) -> None:
    sha256 = base64.b64encode(hashlib.sha256(FIRST).digest()).decode()
    assert saw["created"] == [ARN, "Pending", 3, sha256]
    for name in ("answered", "changed", "live"):
        saw[name][2] = json.loads(saw[name][2])
    assert saw["answered"] == [200, "$LATEST", echoed({"a": 1}, said="one")]
    assert saw["accepted"] == [202, "", ""]
    assert saw["tried"] == [204, "", ""]
    assert saw["streamed"] == ["$LATEST", echoed({"b": 2}, said="one")]
    assert saw["changed"] == [200, "$LATEST", echoed({}, told="two")]
    assert saw["alias"] == [f"{ARN}:live", {"2": 0.25}]
    assert saw["live"] == [200, "1", echoed({}, "1", "live", said="one")]
    assert saw["url"] is True
    assert saw["mapping"] == ["Creating", True]
    assert saw["lists"] == [["f", "g"], ["$LATEST", "1", "2"], ["live"], [True], 1]
    assert [each[:2] for each in saw["faults"]] == [
        ["ResourceNotFoundException", 404],
        ["ResourceConflictException", 409],
        ["ValidationException", 400],
        ["InvalidParameterValueException", 400],
        ["PreconditionFailedException", 412],
        ["InvalidRequestContentException", 400],
        ["ResourceNotFoundException", 404],
        ["ResourceNotFoundException", 404],
        ["ResourceNotFoundException", 404],
    ]
    assert saw["faults"][0][2].endswith("Function not found: " + ARN[:-1] + "h")
    assert saw["left"] == []


def check_resources(saw: Any) -> None:
    assert saw["layer"] == [f"arn:aws:lambda:{WHERE}:layer:l:1", 1]
    assert saw["policy"] == ["s"]
    assert saw["tags"] == {"b": "2"}
    assert saw["stopped"] == ["TooManyRequestsException", 429, "Rate Exceeded."]
    assert saw["provisioned"] == "IN_PROGRESS"
    assert saw["lists"] == [1, 1, 1, 1, 1]
    assert [each[:2] for each in saw["faults"]] == [
        ["ResourceNotFoundException", 404],
        ["ProvisionedConcurrencyConfigNotFoundException", 404],
        ["ResourceNotFoundException", 404],
        ["ResourceNotFoundException", 404],
    ]
    assert saw["account"] == "123456789012"


class TestNode:
    def test_functions(self, served: Project) -> None:
        check_functions(told(served, NODE, "functions"))

    def test_what_stands_round_them(self, served: Project) -> None:
        check_resources(told(served, NODE, "resources"))

    def test_the_log(self, served: Project) -> None:
        lambdas = client(served)
        create(lambdas)
        for _ in range(3):
            call(lambdas)
        # What was written is found a moment later.
        until(lambda: told(served, NODE, "logs") == 3 * ["START"], "three invocations in the log")

    def test_the_log_as_it_grows(self, served: Project) -> None:
        assert told(served, NODE, "liveTail") == [["123456789012:followed"], "seen"]


class TestGo:
    def test_functions(self, served: Project, go: tuple[Path]) -> None:
        check_functions(told(served, go, "functions"))

    def test_what_stands_round_them(self, served: Project, go: tuple[Path]) -> None:
        check_resources(told(served, go, "resources"))
