"""Events that nobody waits for, as a user meets them: accepted, awaited, killed, run again."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import botocore.exceptions
import pytest

from tests.e2e.project import Project, until

APP = """import os, time
def handler(event, context):
    number = event.get("n", 0)
    with open(os.path.join(os.environ["OUT"], context.aws_request_id), "a") as file:
        file.write(f"{number}\\n")
    gate = os.path.join(os.environ["OUT"], "gate")
    while event.get("gated") and not os.path.exists(gate):
        time.sleep(0.01)
    if event.get("fails", 0):
        with open(os.path.join(os.environ["OUT"], context.aws_request_id)) as file:
            if len(file.readlines()) <= event["fails"]:
                raise ValueError("not yet")
    return {"n": number, "id": context.aws_request_id}
"""
CONFIG = """[functions.app]
timeout_s = 600
concurrency_max = 2
mounts = {{ OUT = {{ path = "out", write = true }} }}
retry_delay_s = 0.1
{extra}
"""


class Durable:
    """The project, and which events its function has noted, how often."""

    def __init__(self, project: Project, extra: str = "") -> None:
        self.project = project
        self.out = project.root / "out"
        self.out.mkdir()
        project.write("app.py", APP)
        project.write("microfaas.toml", CONFIG.format(extra=extra))
        project.start()

    def accept(self, **event: object) -> str:
        """The request id of an event for later."""
        reply = self.project.lambda_client().invoke(
            FunctionName="app", InvocationType="Event", Payload=json.dumps(event)
        )
        assert reply["StatusCode"] == 202
        request_id: str = reply["ResponseMetadata"]["RequestId"]
        return request_id

    def runs(self) -> Counter[str]:
        return Counter(
            {path.name: len(path.read_text().splitlines()) for path in self.out.iterdir()}
        )

    def cli(self, *arguments: str, code: int = 0) -> str:
        done = self.project.cli(*arguments)
        assert done.returncode == code, done.stderr.decode()
        self.stderr = done.stderr.decode()
        return done.stdout.decode()

    def status(self, request_id: str) -> str:
        shown = json.loads(self.cli("invocations", "--json"))["invocations"]
        (found,) = [row["status"] for row in shown if row["request_id"] == request_id]
        return str(found)


@pytest.fixture
def durable(project: Project) -> Durable:
    return Durable(project)


def test_an_event_is_handed_over_and_its_result_fetched(durable: Durable) -> None:
    durable.cli("invoke", "app", "--async", "-d", '{"n": 7}')
    request_id = durable.stderr.split()[-1]
    result = json.loads(durable.cli("result", request_id, "--wait"))
    assert result == {"n": 7, "id": request_id}
    assert durable.status(request_id) == "ok"
    durable.cli("cancel", request_id, code=100)
    assert "it has ended as ok" in durable.stderr
    durable.cli("result", "8f5c6e0a-0b43-4c5e-9a52-7d3f6a1c9f10", code=100)
    assert "was not accepted here" in durable.stderr


def test_retries_keep_the_request_id_and_are_told(durable: Durable) -> None:
    request_id = durable.accept(n=1, fails=2)
    record = json.loads(durable.cli("result", request_id, "--wait", "--json"))
    assert (record["status"], record["attempts"]) == ("ok", 3)
    assert [attempt["error"] for attempt in record["history"]] == ["ValueError"] * 2
    assert record["payload"] == {"n": 1, "id": request_id}
    assert durable.runs() == {request_id: 3}


def test_dead_letters_are_listed_and_run_again(durable: Durable) -> None:
    gate = durable.out / "gate"
    gate.touch()
    request_id = durable.accept(n=5, fails=3, gated=True)
    durable.cli("result", request_id, "--wait", code=1)
    assert "ended as error, attempts: 3" in durable.stderr
    (letter,) = json.loads(durable.cli("dead", "list", "--json"))["dead_letters"]
    assert (letter["error"], letter["request_id"]) == ("ValueError", request_id)
    assert json.loads(durable.cli("dead", "show", request_id)) == {
        "n": 5,
        "fails": 3,
        "gated": True,
    }
    durable.cli("dead", "redrive", code=2)
    durable.cli("dead", "redrive", "--error", "KeyError")
    assert "redriven: 0" in durable.stderr
    gate.unlink()
    durable.cli("dead", "redrive", str(letter["id"]))
    assert json.loads(durable.cli("dead", "list", "--json"))["dead_letters"] == []
    again = json.loads(durable.cli("invocations", "--json"))["invocations"][0]
    assert again["source"] == f"dead letter of {request_id}"
    assert again["request_id"] != request_id
    gate.touch()
    durable.cli("result", again["request_id"], "--wait", code=1)
    durable.cli("dead", "purge", "--all")
    assert "purged: 1" in durable.stderr


def test_what_waits_and_what_runs_can_be_cancelled(durable: Durable) -> None:
    ids = [durable.accept(gated=True) for _ in range(5)]
    until(lambda: durable.status(ids[0]) == "running", "the first to run")
    assert durable.status(ids[4]) == "waiting"
    durable.cli("result", ids[4], code=111)
    durable.cli("cancel", ids[4])
    durable.cli("cancel", ids[0])
    (durable.out / "gate").touch()
    assert [durable.status(id_) for id_ in (ids[0], ids[4])] == ["cancelled"] * 2
    for request_id in ids[1:4]:
        durable.cli("result", request_id, "--wait")
    assert ids[4] not in durable.runs()


def test_killed_with_events_accepted_it_runs_all_of_them(durable: Durable) -> None:
    """kill -9 while two run and the others wait; after the start all have a result."""
    ids = [durable.accept(n=number, gated=True) for number in range(200)]
    until(lambda: len(durable.runs()) == 2, "two to run")
    durable.project.kill()
    (durable.out / "gate").touch()
    durable.project.start()
    results = [json.loads(durable.cli("result", ids[number], "--wait")) for number in (0, 1, 199)]
    assert [result["n"] for result in results] == [0, 1, 199]
    until(lambda: not _left(durable), "all events", 300)
    runs = durable.runs()
    del runs["gate"]
    assert set(runs) == set(ids)
    # Only what was running at the kill has run twice.
    assert sorted(runs.values()) == [1] * 198 + [2] * 2


def test_a_full_queue_is_told_and_what_is_in_it_kept(project: Project) -> None:
    durable = Durable(project, "events_max = 3")
    ids = [durable.accept(gated=True) for _ in range(3)]
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        durable.accept()
    error = caught.value.response
    assert error["ResponseMetadata"]["HTTPStatusCode"] == 429
    assert error["Error"]["Code"] == "TooManyRequestsException"
    assert "cannot accept more for function:app" in error["Error"]["Message"]
    assert "3 messages" in error["Error"]["Message"]
    (durable.out / "gate").touch()
    for request_id in ids:
        durable.cli("result", request_id, "--wait")
    durable.cli("result", durable.accept(), "--wait")


def test_a_stop_does_not_wait_for_who_waits_for_a_result(durable: Durable, tmp_path: Path) -> None:
    request_id = durable.accept(gated=True, n=1)
    until(lambda: durable.runs()[request_id] == 1, "it to run")
    with (tmp_path / "waiting").open("wb") as output:
        waiting = durable.project.popen("result", request_id, "--wait", output=output)
        (durable.out / "gate").touch()
        assert durable.project.stop() == 0
        assert waiting.wait(30) in (0, 111)


def _left(durable: Durable) -> list[object]:
    shown = json.loads(durable.cli("invocations", "--status", "waiting", "--json"))
    running = json.loads(durable.cli("invocations", "--status", "running", "--json"))
    return [*shown["invocations"], *running["invocations"]]
