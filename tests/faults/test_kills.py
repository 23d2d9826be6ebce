"""Killed at any moment, again and again: what was accepted is run, and not after its end."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from pathlib import Path

from tests.e2e.project import Project, until
from tests.faults.books import ended
from tests.faults.load import Load

ROUNDS = 50
ALIVE_S_MAX = 0.6
HANDLER = """
import os, time

def handler(event, context):
    line = f"{time.time():.6f} {context.aws_request_id} {event['number']}\\n"
    log = os.open(os.path.join(os.environ["OUT"], "runs"), os.O_WRONLY | os.O_APPEND)
    os.write(log, line.encode())
    os.close(log)
"""


def prepare(project: Project) -> Path:
    project.write("code/app.py", HANDLER)
    runs = project.write("out/runs", "")
    runs.parent.chmod(0o777)
    runs.chmod(0o666)
    project.write(
        "microfaas.toml",
        """
        [functions.note]
        handler = "app.handler"
        code = "code"
        mounts = { OUT = { path = "out", write = true } }
        """,
    )
    return runs


def runs_of(path: Path) -> dict[str, list[float]]:
    """When each request was begun, by its id."""
    begun: dict[str, list[float]] = defaultdict(list)
    for line in path.read_text().splitlines():
        at_s, request_id, _ = line.split()
        begun[request_id].append(float(at_s))
    return begun


def test_fifty_kills_lose_nothing(project: Project) -> None:
    runs = prepare(project)
    load, chance = Load("note"), random.Random()
    for _ in range(ROUNDS):
        project.start()
        with load.against(project.url):
            time.sleep(chance.uniform(0, ALIVE_S_MAX))
            project.kill()
    project.start()
    assert len(load.accepted) > ROUNDS
    until(lambda: set(load.accepted.values()) <= ended(project).keys(), "all events' ends", 600)
    begun, ends = runs_of(runs), ended(project)
    assert not load.refusals
    for number, request_id in load.accepted.items():
        assert begun[request_id], f"event {number} was accepted and never run"
        end = ends[request_id]
        assert end.status == "ok"
        # It is cut to a millisecond.
        assert max(begun[request_id]) < end.finished_s + 0.001, (
            f"event {number} was run after its end"
        )
