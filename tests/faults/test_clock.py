"""The wall clock is set while the server runs, and between two of its runs: nothing is given up,
nothing waits for the time to come back."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.project import Project, until
from tests.faults.books import End, ended

FAILS_ONCE = """
import os

def handler(event, context):
    with open(os.path.join(os.environ["OUT"], context.aws_request_id), "a") as file:
        file.write("x")
    if os.stat(file.name).st_size == 1:
        raise RuntimeError("only the first time")
"""


class Clock:
    """The server's clock, which is the machine's and an offset."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "offset"
        self.set(0)

    def set(self, offset_s: int) -> None:
        # Replaced in one step: the server may look at any moment.
        part = self._file.with_suffix(".part")
        part.write_text(f"{offset_s:+d}")
        part.replace(self._file)

    @property
    def command(self) -> list[str]:
        found = subprocess.run(["dpkg", "-L", "libfaketime"], capture_output=True, text=True)
        [library] = [line for line in found.stdout.split() if line.endswith("libfaketimeMT.so.1")]
        return [
            "env",
            f"LD_PRELOAD={library}",
            f"FAKETIME_TIMESTAMP_FILE={self._file}",
            "FAKETIME_NO_CACHE=1",
            "FAKETIME_DONT_FAKE_MONOTONIC=1",
            sys.executable,
            str(Path(__file__).with_name("faked.py")),
        ]


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path)


@pytest.fixture
def failing(project: Project, clock: Clock) -> Project:
    project.write("code/app.py", FAILS_ONCE)
    (project.root / "out").mkdir()
    (project.root / "out").chmod(0o777)
    project.write(
        "microfaas.toml",
        """
        [functions.f]
        handler = "app.handler"
        code = "code"
        retry_delay_s = 1.5
        mounts = { OUT = { path = "out", write = true } }
        """,
    )
    project.start(command=clock.command)
    return project


def hand_over(project: Project) -> str:
    reply = project.lambda_client().invoke(FunctionName="f", InvocationType="Event", Payload=b"{}")
    request_id: str = reply["ResponseMetadata"]["HTTPHeaders"]["x-amzn-requestid"]
    return request_id


def runs(project: Project, request_id: str) -> int:
    path = project.root / "out" / request_id
    return path.stat().st_size if path.exists() else 0


def end(project: Project, request_id: str) -> End:
    found: End = until(lambda: ended(project).get(request_id), "the event's end")
    return found


@pytest.mark.parametrize("offset_s", [-86_400, 86_400, -3600, 400 * 86_400])
def test_set_while_it_runs(failing: Project, clock: Clock, offset_s: int) -> None:
    before = hand_over(failing)
    until(lambda: runs(failing, before), "the first run")
    clock.set(offset_s)
    after = hand_over(failing)
    for request_id in (before, after):
        until(lambda one=request_id: runs(failing, one) == 2, "the second run")
        assert end(failing, request_id).status == "ok"


@pytest.mark.parametrize(("before_s", "after_s"), [(0, -86_400), (-3600, 0)])
def test_set_while_it_is_down(failing: Project, clock: Clock, before_s: int, after_s: int) -> None:
    clock.set(before_s)
    waits = hand_over(failing)
    until(lambda: runs(failing, waits), "the first run")
    failing.kill()
    clock.set(after_s)
    failing.start(command=clock.command)
    until(lambda: runs(failing, waits) == 2, "the second run")
    assert end(failing, waits).status == "ok"


def test_the_offset_is_the_servers(failing: Project, clock: Clock) -> None:
    """Else these tests would prove nothing."""
    clock.set(86_400)
    request_id = hand_over(failing)
    until(lambda: runs(failing, request_id) == 2, "its runs")
    assert end(failing, request_id).finished_s > time.time() + 80_000
