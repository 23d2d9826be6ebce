"""The commands, as a user and as a script would call them."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.project import BIN, Project, until

APP = """def handler(event, context):
    print("seen", event)
    if event.get("fail"):
        raise ValueError("as asked")
    return {"got": event}
"""


@pytest.fixture
def served(project: Project) -> Project:
    project.write("app.py", APP)
    project.write("microfaas.toml", "[functions.app]\ndescription = 'for tests'\n")
    project.start()
    return project


def test_invoke_prints_the_result_and_tells_by_its_exit_code(served: Project) -> None:
    done = served.cli("invoke", "app", "-d", '{"a": 1}')
    assert (done.returncode, json.loads(done.stdout)) == (0, {"got": {"a": 1}})
    done = served.cli("invoke", "app", "-", stdin=b'{"b": 2}')
    assert json.loads(done.stdout) == {"got": {"b": 2}}
    event = served.write("event.json", '{"c": 3}')
    assert json.loads(served.cli("invoke", "app", "-f", str(event)).stdout) == {"got": {"c": 3}}
    done = served.cli("invoke", "app", "-d", '{"fail": true}', "--tail")
    assert done.returncode == 1
    assert json.loads(done.stdout)["errorType"] == "ValueError"
    assert b"REPORT RequestId" in done.stderr
    assert served.cli("invoke", "nobody").returncode == 100
    assert served.cli("invoke", "app", "-d", "no json").returncode == 100
    assert served.cli("invoke").returncode == 2


def test_invoke_without_a_server_is_temporary(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    where = ["--endpoint-url", f"http://127.0.0.1:{port}"]
    done = subprocess.run(
        [BIN / "microfaas", "invoke", "app", *where], capture_output=True, cwd=tmp_path
    )
    assert done.returncode == 111
    assert b"microfaas run" in done.stderr


def test_async_list_logs_and_usage(served: Project) -> None:
    assert served.cli("invoke", "app", "--async", "-d", '{"later": 1}').returncode == 0
    until(lambda: b"{'later': 1}" in served.cli("logs", "app").stdout, "the log line")
    rows = json.loads(served.cli("list", "--json").stdout)
    assert "app" in json.dumps(rows)
    served.invoke("app")
    usage = until(lambda: _usage(served, 2), "two invocations in the usage")
    assert usage["errors"] == 0
    assert usage["gb_seconds"] > 0
    assert b"GB" in served.cli("usage").stdout


def test_logs_follow(served: Project) -> None:
    command = [BIN / "microfaas", "logs", "app", "-f"]
    with subprocess.Popen(command, cwd=served.root, stdout=subprocess.PIPE) as follower:
        try:
            time.sleep(0.5)
            served.invoke("app", {"new": 1})
            assert follower.stdout is not None
            line = next(line for line in follower.stdout if b"seen" in line)
            assert b"{'new': 1}" in line
        finally:
            follower.kill()


def test_doctor_tells_how_each_limit_is_kept(tmp_path: Path) -> None:
    done = subprocess.run([BIN / "microfaas", "doctor", "--json"], capture_output=True)
    names = {row["name"] for row in json.loads(done.stdout)["facilities"]}
    assert {"memory", "cpu", "processes", "time", "open files"} <= names


def test_a_new_project_works_and_passes_its_own_test(project: Project) -> None:
    assert project.cli("init", "fresh").returncode == 0
    fresh = project.root / "fresh"
    done = subprocess.run([sys.executable, "-m", "unittest"], cwd=fresh, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert project.cli("init", "fresh").returncode == 2
    project.root = fresh
    project.start()
    (name,) = project.functions()
    assert "Ada" in json.dumps(project.invoke(name, {"name": "Ada"}))


def test_a_wrong_configuration_is_refused_with_every_fault(project: Project) -> None:
    project.write(
        "microfaas.toml",
        'lisen = "x"\n[functions.a]\nmemory_mb = "big"\ncode = "nowhere"\n'
        "[functions.b]\ntimeout_s = 0\n",
    )
    done = project.cli("run")
    assert done.returncode == 2
    for fault in ("lisen", "functions.a.memory_mb", "functions.a.code", "functions.b.timeout_s"):
        assert fault in done.stderr.decode()
    assert b"Traceback" not in done.stderr


def test_a_taken_port_is_told(served: Project, tmp_path: Path) -> None:
    port = served.url.rpartition(":")[2]
    done = subprocess.run(
        [BIN / "microfaas", "run", "--listen", f"127.0.0.1:{port}", "--data", tmp_path],
        cwd=served.root,
        capture_output=True,
    )
    assert done.returncode in (100, 111)
    assert b"cannot listen on 127.0.0.1" in done.stderr


def test_interrupt_stops_it_cleanly(served: Project) -> None:
    assert served.process is not None
    os.killpg(served.process.pid, signal.SIGINT)  # as a terminal does: to all of the group
    assert served.process.wait(30) == 0


def _usage(project: Project, count: int) -> dict[str, float] | None:
    rows = json.loads(project.cli("usage", "--json").stdout)
    text = rows["functions"] if isinstance(rows, dict) else rows
    row: dict[str, float] = next(iter(text), {})
    return row if row.get("invocations", 0) >= count else None
