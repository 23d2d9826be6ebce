"""kill -9 of everything, at any moment: nothing stays behind, and the next call works."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import botocore.exceptions
import pytest

from microfaas.linux.cgroup import tree_name
from tests.e2e.project import Project, until

APP = """import os, time
def handler(event, context):
    time.sleep(event.get("s", 0))
    return os.getpid()
"""
# Outcomes that a caller may see while things are being killed: never a hang, never nonsense.
ALLOWED = {"Runtime.ExitError", "ServiceException", "TooManyRequestsException"}


@pytest.fixture
def loaded(project: Project) -> Project:
    project.write("app.py", APP)
    project.write("microfaas.toml", "[functions.app]\nconcurrency_max = 4\ntimeout_s = 30\n")
    project.start()
    project.invoke("app")
    return project


@pytest.mark.parametrize("victim", ["instance", "zygote", "nursery"])
def test_a_killed_process_is_replaced(loaded: Project, victim: str) -> None:
    for _ in range(3):
        until(lambda: _kill(loaded, victim), f"a living {victim}")
        until(lambda: _answers(loaded), f"an answer after the death of the {victim}")


def test_under_load_every_call_is_answered(loaded: Project) -> None:
    """Processes die at random moments while four clients call."""
    stop = threading.Event()
    seen: list[str] = []

    def call() -> None:
        while not stop.is_set():
            seen.append(_outcome(loaded))

    clients = [threading.Thread(target=call) for _ in range(4)]
    for client in clients:
        client.start()
    chance = random.Random(1)
    for _ in range(12):
        time.sleep(chance.random() * 0.3)
        victim = chance.choice(["instance", "instance", "zygote", "nursery"])
        _kill(loaded, victim)
    stop.set()
    for client in clients:
        client.join(60)
        assert not client.is_alive()
    assert set(seen) <= ALLOWED | {"ok"}
    assert "ok" in seen
    until(lambda: _answers(loaded), "an answer when it is over")


def test_a_killed_server_leaves_nothing_behind(loaded: Project) -> None:
    pids = loaded.pids() | {_pid(loaded, "nursery")}
    waiting = threading.Thread(target=_outcome, args=(loaded, {"s": 2}))
    waiting.start()
    until(lambda: _busy(loaded), "the call to run")
    pids |= loaded.pids()
    loaded.kill()
    waiting.join()
    until(lambda: not [pid for pid in pids if _lives(pid)], "all processes to end")
    until(lambda: not _own_groups(loaded), "the cgroups to go")
    loaded.start()
    assert _answers(loaded)


def test_after_a_power_cut_the_next_start_sweeps(loaded: Project) -> None:
    """Server and nursery at once: nobody is left to clear up but the next server."""
    nursery = _pid(loaded, "nursery")
    pids = loaded.pids()
    os.kill(nursery, signal.SIGSTOP)
    loaded.kill()
    os.kill(nursery, signal.SIGKILL)
    until(lambda: not [pid for pid in pids if _lives(pid)], "all processes to end")
    loaded.start()
    assert _answers(loaded)
    assert loaded.stop() == 0
    assert not _own_groups(loaded)


def test_stopping_waits_for_what_runs_and_takes_nothing_new(loaded: Project) -> None:
    results: list[str] = []
    running = threading.Thread(target=lambda: results.append(_outcome(loaded, {"s": 1})))
    running.start()
    until(lambda: _busy(loaded), "the call to run")
    pids = loaded.pids()
    assert loaded.stop() == 0
    running.join()
    assert results == ["ok"]
    assert not [pid for pid in pids if _lives(pid)]
    assert not _own_groups(loaded)


def test_stopping_ends_what_runs_and_keeps_the_events_that_wait(loaded: Project) -> None:
    client = loaded.lambda_client()
    for _ in range(12):
        client.invoke(FunctionName="app", InvocationType="Event", Payload=b'{"s": 2}')
    until(lambda: _busy(loaded), "an event to run")
    assert loaded.stop() == 0
    ended = loaded.log("app").count("REPORT RequestId") - 1
    assert 1 <= ended < 12
    assert loaded.log("app").count("START RequestId") - 1 == ended
    loaded.start()
    until(lambda: loaded.log("app").count("REPORT RequestId") == 1 + 12, "the rest to run")


def test_two_servers_do_not_share_a_data_directory(loaded: Project) -> None:
    second = subprocess.run(
        [Path(loaded.process.args[0]), "run", "--listen", "127.0.0.1:0"],  # type: ignore[union-attr,index]
        cwd=loaded.root,
        capture_output=True,
    )
    assert second.returncode != 0
    assert b"another microfaas" in second.stderr


def _pid(project: Project, what: str) -> int:
    assert project.process is not None
    if what == "nursery":
        children = Path(f"/proc/{project.process.pid}/task/{project.process.pid}/children")
        return int(children.read_text().split()[0])
    row = project.functions()["app"]
    pid: int = row["zygote_pid"] if what == "zygote" else row["instances"][0]["pid"]
    return pid


def _kill(project: Project, what: str) -> bool:
    """False when it had just died, or is being replaced."""
    try:
        os.kill(_pid(project, what), signal.SIGKILL)
    except (ProcessLookupError, IndexError, TypeError):
        return False
    return True


def _outcome(project: Project, event: Any = None) -> str:
    try:
        client = project.lambda_client(read_timeout=60)
        reply = client.invoke(FunctionName="app", Payload=json.dumps(event or {}))
    except botocore.exceptions.ClientError as error:
        return str(error.response["Error"]["Code"])
    except botocore.exceptions.BotoCoreError as error:
        return type(error).__name__
    payload = json.loads(reply["Payload"].read())
    return str(payload["errorType"]) if "FunctionError" in reply else "ok"


def _answers(project: Project) -> bool:
    return _outcome(project) == "ok"


def _busy(project: Project) -> bool:
    return any(i["state"] == "busy" for i in project.functions()["app"]["instances"])


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[1].split()[0] != "Z"
    except OSError:
        return False


def _own_groups(project: Project) -> list[Path]:
    name = tree_name(str(project.data))
    # Unlike a glob, this minds none of other servers' groups that go meanwhile.
    walk = os.walk("/sys/fs/cgroup")
    return [Path(folder, name) for folder, names, _ in walk if name in names]
