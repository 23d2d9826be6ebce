"""Deploying under load: no call is lost or mixed up, and a bad version goes back by itself."""

from __future__ import annotations

import http.client
import json
import subprocess
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.control import call, client, create, package
from tests.e2e.project import BIN, Project, until

CONNECTIONS = 32
VERSIONS = 50
# Between two calls of one connection, so that what is to be deployed has a processor too.
PAUSE_S = 0.02
PATIENCE_S = 60.0
VERSIONED = """
SAYS = {number}

def handler(event, context):
    assert SAYS != 666 or not event
    return [SAYS, context.function_version]
"""


@pytest.fixture
def lambdas(project: Project) -> Any:
    project.write("microfaas.toml", "")
    project.start()
    return client(project)


class Load:
    """Callers who call an alias without a pause, until told to stop."""

    def __init__(self, project: Project, connections: int, event: Any = None) -> None:
        self._project = project
        self._event = event
        self._stop = threading.Event()
        # The answer, and when it was asked for and given.
        self.answers: list[tuple[Any, float, float]] = []
        self.faults: list[BaseException] = []
        self._threads = [threading.Thread(target=self._run) for _ in range(connections)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def versions(self) -> set[str]:
        """Those that have answered."""
        return {answer[1] for answer, _, _ in list(self.answers)}

    def _run(self) -> None:
        """By bare HTTP: an SDK would take the processors from what is to be deployed."""
        connection = http.client.HTTPConnection(urlsplit(self._project.url).netloc)
        path = "/2015-03-31/functions/f/invocations?Qualifier=live"
        try:
            while not self._stop.is_set():
                begun = time.monotonic()
                connection.request("POST", path, json.dumps(self._event))
                reply = connection.getresponse()
                answer = json.loads(reply.read())
                assert reply.status == 200, answer
                failed = reply.headers["X-Amz-Function-Error"]
                self.answers.append((None if failed else answer, begun, time.monotonic()))
                time.sleep(PAUSE_S)
        except BaseException as fault:
            self.faults.append(fault)
        finally:
            connection.close()


def publish(lambdas: Any, number: int) -> str:
    code = package(VERSIONED.format(number=number))
    made = lambdas.update_function_code(FunctionName="f", ZipFile=code, Publish=True)
    version: str = made["Version"]
    return version


def test_fifty_versions_are_deployed_under_load(project: Project, lambdas: Any) -> None:
    create(lambdas, code=VERSIONED.format(number=1), Publish=True, Timeout=30)
    lambdas.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    # When the alias began to mean each version at the earliest and at the latest.
    began = {1: (0.0, 0.0)}
    with Load(project, CONNECTIONS) as load:
        for number in range(2, VERSIONS + 1):
            assert publish(lambdas, number) == str(number)
            before = time.monotonic()
            lambdas.update_alias(FunctionName="f", Name="live", FunctionVersion=str(number))
            began[number] = before, time.monotonic()
    assert load.faults == []
    assert len(load.answers) > VERSIONS
    for answer, asked_s, told_s in load.answers:
        says, version = answer
        assert str(says) == version
        # It was asked before the next version took over, and answered after this one did.
        assert told_s >= began[says][0]
        assert says == VERSIONS or asked_s <= began[says + 1][1]


def begin(project: Project, **more: Any) -> dict[str, Any]:
    body = {"alias": "live", "version": "2", "share": 0.5, "for_s": 60, **more}
    request = urllib.request.Request(
        f"{project.url}/_microfaas/v1/functions/f/rollouts", json.dumps(body).encode()
    )
    with urllib.request.urlopen(request) as reply:
        found: dict[str, Any] = json.load(reply)
    return found


def state(project: Project) -> dict[str, Any]:
    url = f"{project.url}/_microfaas/v1/functions/f/rollouts?alias=live"
    with urllib.request.urlopen(url) as reply:
        found: dict[str, Any] = json.load(reply)
    return found


def ended(project: Project) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_S
    while (found := state(project))["state"] == "running":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def two_versions(lambdas: Any, second: int) -> None:
    create(lambdas, code=VERSIONED.format(number=1), Publish=True, Timeout=30)
    lambdas.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    assert publish(lambdas, second) == "2"


def test_a_version_that_fails_goes_back(project: Project, lambdas: Any) -> None:
    two_versions(lambdas, second=666)
    begin(project, rollback_on=["errors>2%", "p99>60s"])
    with Load(project, 4, event="fail") as load:
        found = ended(project)
    assert (found["state"], found["version"]) == ("rolled back", "2")
    assert "calls failed, errors>2%" in found["why"]
    assert found["errors"] == found["calls"] > 0
    assert load.faults == []
    assert {call(lambdas, qualifier="live")[1] for _ in range(20)} == {"1"}
    assert "RoutingConfig" not in lambdas.get_alias(FunctionName="f", Name="live")


def test_a_version_that_is_too_slow_goes_back(project: Project, lambdas: Any) -> None:
    two_versions(lambdas, second=2)
    begin(project, rollback_on=["p50>0.0001ms"])
    with Load(project, 4):
        found = ended(project)
    assert (found["state"], found["errors"]) == ("rolled back", 0)
    assert found["why"].startswith("p50 is ")


def test_a_version_that_is_good_takes_over(project: Project, lambdas: Any) -> None:
    two_versions(lambdas, second=2)
    with Load(project, 4) as load:
        until(lambda: load.versions() == {"1"}, "calls before it begins")
        begin(project, for_s=1.0, rollback_on=["errors>2%"])
        found = ended(project)
        until(lambda: load.versions() == {"1", "2"}, "calls of either")
    assert (found["state"], found["errors"]) == ("completed", 0)
    assert {call(lambdas, qualifier="live")[1] for _ in range(20)} == {"2"}


def test_it_goes_on_after_kill_9(project: Project, lambdas: Any) -> None:
    two_versions(lambdas, second=666)
    begin(project, rollback_on=["errors>2%"])
    project.kill()
    project.start()
    with Load(project, 4, event="fail"):
        assert ended(project)["state"] == "rolled back"


def test_who_changes_the_alias_is_right(project: Project, lambdas: Any) -> None:
    two_versions(lambdas, second=2)
    begin(project)
    lambdas.update_alias(
        FunctionName="f", Name="live", RoutingConfig={"AdditionalVersionWeights": {"2": 0.9}}
    )
    assert ended(project)["state"] == "given up"
    weights = lambdas.get_alias(FunctionName="f", Name="live")["RoutingConfig"]
    assert weights == {"AdditionalVersionWeights": {"2": 0.9}}


def deploy(project: Project, source: Path, number: int, *arguments: str) -> tuple[int, str]:
    """Take a version to the gateway by the command; its exit code, and what it says."""
    return write_and_deploy(project, source, number, "[functions.f]\n", *arguments)


def write_and_deploy(
    project: Project, source: Path, number: int, settings: str, *arguments: str
) -> tuple[int, str]:
    source.mkdir(exist_ok=True)
    (source / "app.py").write_text(VERSIONED.format(number=number))
    (source / "microfaas.toml").write_text(settings)
    whole = ["deploy", source, "--gateway", project.url, "--alias", "live", *arguments]
    done = subprocess.run(
        [BIN / "microfaas", *whole],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    return done.returncode, done.stdout + done.stderr


def latest(lambdas: Any) -> tuple[str, list[str]]:
    """What f is now: its code, and its versions."""
    versions = lambdas.list_versions_by_function(FunctionName="f")["Versions"]
    return versions[0]["CodeSha256"], [each["Version"] for each in versions]


def test_the_command_waits_for_what_becomes_of_a_canary(
    project: Project, lambdas: Any, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    rules = ("--canary", "50%", "--rollback-on", "errors>2%", "--for")
    code, told = deploy(project, source, 1, *rules, "30s")
    assert (code, call(lambdas, qualifier="live")[1]) == (0, "1"), told
    with Load(project, 4, event="fail"):
        code, told = deploy(project, source, 666, *rules, "30s")
    assert code == 1, told
    assert "f:live version 2 rolled back: " in told
    assert call(lambdas, qualifier="live") == [1, "1"]
    with Load(project, 4, event="fail"):
        code, told = deploy(project, source, 3, *rules, "1s")
    assert code == 0, told
    assert "f:live version 3 completed (0 of " in told
    assert call(lambdas, qualifier="live") == [3, "3"]


def test_a_deployment_that_cannot_be_whole_changes_nothing(
    project: Project, lambdas: Any, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    route = '[[functions.%s.triggers]]\ntype = "http"\nroute = "GET /taken"\n'
    create(lambdas, "other")
    write_and_deploy(project, source, 1, "[functions.f]\n")
    other = tmp_path / "other"
    told = write_and_deploy(project, other, 1, f"[functions.other]\n{route % 'other'}")
    assert told[0] == 0, told
    before = latest(lambdas)
    canary = ("--canary", "50%", "--for", "1h")
    told = write_and_deploy(project, source, 2, f"[functions.f]\n{route % 'f'}", *canary)
    assert told[0] != 0
    assert "the route 'GET /taken' is taken" in told[1]
    assert latest(lambdas) == before
    assert "RoutingConfig" not in lambdas.get_alias(FunctionName="f", Name="live")
    settings = f"[functions.other]\n[functions.f]\n{route % 'f'}"
    told = write_and_deploy(project, source, 2, settings)
    assert told[0] == 0, told


@pytest.mark.parametrize(
    ("more", "status", "told"),
    [
        ({"share": 1.5}, 400, "share must be above 0 and below 1"),
        ({"for_s": 0}, 400, "for_s must be"),
        ({"rollback_on": ["errors>2"]}, 400, "errors>2%, mean>200ms or p99>1.5s"),
        ({"version": "9"}, 404, "Function not found"),
        ({"version": "1"}, 400, "means version 1 already"),
        ({"alias": "none"}, 404, "Alias not found"),
        ({"extra": 1}, 400, "extra"),
    ],
)
def test_what_cannot_be_begun_is_refused(
    project: Project, lambdas: Any, more: dict[str, Any], status: int, told: str
) -> None:
    two_versions(lambdas, second=2)
    with pytest.raises(urllib.error.HTTPError) as caught:
        begin(project, **more)
    assert caught.value.code == status
    assert told in caught.value.read().decode()
