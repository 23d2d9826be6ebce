"""kill -9 while functions are made, changed, published and deleted through the API."""

from __future__ import annotations

import contextlib
import json
import random
import socket
import threading
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore.exceptions
import pytest

from tests.e2e.control import call, client, create, package
from tests.e2e.project import Project

KILLS = 6
KILLS_MAX = 60
NAMES = ("one", "two", "three")
# How clients meet a server that is gone: in the middle of a call, and before one.
GONE = (botocore.exceptions.HTTPClientError, botocore.exceptions.EndpointConnectionError)
CODE = """
SAYS = {number}

def handler(event, context):
    return [SAYS, context.function_version]
"""


class Operator:
    """Works at one function until the server is gone; knows what was acknowledged."""

    def __init__(self, project: Project, name: str) -> None:
        self.name = name
        self._project = project
        # What the function said when it last was acknowledged, and what it may say since; None
        # where there is none.
        self.acknowledged: int | None = None
        self.attempted: int | None = None
        self.published: dict[str, int] = {}
        # How many versions were looked for after a kill.
        self.checked = 0
        self._number = 0

    def work(self) -> None:
        lambdas = client(self._project)
        with contextlib.suppress(*GONE):
            while True:
                self._step(lambdas)

    def _step(self, lambdas: Any) -> None:
        self._number += 1
        self.attempted = self._number
        data = package(CODE.format(number=self._number))
        if self.acknowledged is None:
            create(lambdas, self.name, CODE.format(number=self._number))
        elif self._number % 7 == 0:
            self.attempted = None
            lambdas.delete_function(FunctionName=self.name)
            self.published.clear()
        else:
            lambdas.update_function_code(FunctionName=self.name, ZipFile=data)
        self.acknowledged = self.attempted
        if self.acknowledged is not None and self._number % 2 == 0:
            made = lambdas.publish_version(FunctionName=self.name)
            self.published[made["Version"]] = self.acknowledged

    def check(self, lambdas: Any) -> None:
        """What was acknowledged is there, or what was attempted when the server was killed."""
        try:
            found = call(lambdas, self.name)[0]
        except lambdas.exceptions.ResourceNotFoundException:
            found = None
        assert found in (self.acknowledged, self.attempted)
        if found is None:
            self.published.clear()
        for version, said in self.published.items():
            assert call(lambdas, self.name, version) == [said, version]
            self.checked += 1
        self.acknowledged = found


@pytest.fixture
def started(project: Project) -> Project:
    project.write("microfaas.toml", "")
    project.start()
    return project


def packages(project: Project) -> set[str]:
    return {path.name for path in (project.data / "packages").glob("*")}


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_was_acknowledged_is_there_after_every_kill(started: Project) -> None:
    chance = random.Random(6)
    operators = [Operator(started, name) for name in NAMES]
    kills = 0
    # A slow machine may publish nothing at first.
    while kills < KILLS or (kills < KILLS_MAX and not any(each.checked for each in operators)):
        kills += 1
        threads = [threading.Thread(target=operator.work) for operator in operators]
        for thread in threads:
            thread.start()
        time.sleep(chance.uniform(0.3, 2.0))
        started.kill()
        for thread in threads:
            thread.join()
        started.start()
        lambdas = client(started)
        for operator in operators:
            operator.check(lambdas)
    assert any(operator.checked for operator in operators)


def half_sent(project: Project, body: bytes) -> socket.socket:
    place = urlsplit(project.url)
    connection = socket.create_connection((place.hostname, place.port))
    head = f"POST /2015-03-31/functions HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body[: len(body) // 2])
    return connection


def test_a_half_uploaded_package_leaves_nothing(started: Project, tmp_path: Path) -> None:
    body = json.dumps({"FunctionName": "half", "Code": {"ZipFile": "A" * 1_000_000}}).encode()
    lambdas = client(started)
    half_sent(started, body).close()  # which is no fault of ours, to be told with a traceback
    with half_sent(started, body):
        create(lambdas, "whole")
        before = packages(started)
        started.kill()
    started.start()
    assert packages(started) == before
    functions = client(started).list_functions()["Functions"]
    assert [each["FunctionName"] for each in functions] == ["whole"]


def test_what_a_crash_left_half_written_is_cleared_away(started: Project) -> None:
    create(client(started), "whole")
    started.kill()
    (started.data / "packages" / ".new-crash").write_bytes(b"half")
    (started.data / "packages" / f"{'ab' * 32}.zip").write_bytes(b"of nobody")
    (started.data / "code" / ".new-crash").mkdir()
    started.start()
    assert len(packages(started)) == 1
    assert not (started.data / "code" / ".new-crash").exists()
    assert call(client(started), "whole")["version"] == "$LATEST"


def test_code_that_is_lost_comes_from_its_package(started: Project) -> None:
    """As when a power cut has torn what nobody synced to disk."""
    create(client(started), "whole", Publish=True)
    started.kill()
    for path in (started.data / "code").rglob("*.py"):
        path.chmod(0o644)
        path.write_text("torn")
    started.start()
    lambdas = client(started)
    for qualifier in ("$LATEST", "1"):
        assert call(lambdas, "whole", qualifier)["version"] == qualifier
