"""Throughput: wrk with 32 connections on the same machine, everyone in turn."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench import floor, peers, server
from bench.effort import Effort
from bench.endpoint import Endpoint, MissingError, Starter, open_all
from bench.report import Row, at_least, divide, middle

SCRIPT = Path(__file__).parent / "post.lua"
CONNECTIONS = 32
WORKERS = 4
WARM_UP_S = 3
FLOOR_SHARE_MIN = 0.7
PEER_FACTORS_MIN = {"functions-framework": 10, "ministack": 100}

Load = dict[str, float]


def starters() -> dict[str, Starter]:
    echo = server.function("echo", concurrency_max=WORKERS)
    return {
        "floor": partial(floor.echo, workers=WORKERS),
        "microfaas": partial(server.serving, {"echo": echo}),
        "functions-framework": peers.functions_framework,
        "ministack": peers.ministack,
    }


def run(effort: Effort) -> list[Row]:
    if not shutil.which("wrk"):
        raise MissingError("wrk is missing: apt-get install wrk")
    with ExitStack() as stack:
        endpoints, notes = open_all(stack, starters())
        loads: dict[str, list[Load]] = {name: [] for name in endpoints}
        for endpoint in endpoints.values():
            load(endpoint, WARM_UP_S)  # everyone has all its workers before the first turn
        for _ in range(effort.rounds):
            for name, endpoint in endpoints.items():
                loads[name].append(load(endpoint, effort.load_s))
    return rows(loads, notes)


def load(endpoint: Endpoint, seconds: int) -> Load:
    """One turn of wrk, as `post.lua` reports it, with the rate of good answers."""
    url = f"http://127.0.0.1:{endpoint.port}{endpoint.path}"
    argv = ["wrk", f"-c{CONNECTIONS}", "-t2", f"-d{seconds}", "-s", str(SCRIPT), url]
    printed = subprocess.run(argv, capture_output=True, text=True, check=True)
    turn: Load = json.loads(printed.stdout.splitlines()[-1])
    return turn | {"per_s": (turn["requests"] - turn["refused"]) / turn["took_us"] * 1e6}


def rows(loads: Mapping[str, list[Load]], notes: list[str]) -> list[Row]:
    rate = {name: middle([turn["per_s"] for turn in turns]) for name, turns in loads.items()}
    subject, bottom = rate.get("microfaas"), rate.get("floor")
    failed = {name: sum(t["refused"] + t["broken"] for t in loads[name]) for name in loads}
    notes = notes + [f"{name}: {count:.0f} calls failed" for name, count in failed.items() if count]
    first = Row(
        scenario="throughput",
        unit="req/s",
        target=f"≥ {FLOOR_SHARE_MIN} x floor",
        median=subject,
        floor=bottom,
        met=at_least(divide(subject, bottom), FLOOR_SHARE_MIN),
        note="\n".join(notes),
        details={"turns": dict(loads)},
    )
    return [
        first,
        *(peer_row(name, subject, rate[name]) for name in PEER_FACTORS_MIN if name in rate),
    ]


def peer_row(name: str, subject: float | None, peer: float | None) -> Row:
    """The subject again, with the peer in the floor's place."""
    factor = PEER_FACTORS_MIN[name]
    return Row(
        scenario=f"throughput: {name}",
        unit="req/s",
        target=f"≥ {factor} x peer",
        median=subject,
        floor=peer,
        met=at_least(divide(subject, peer), factor),
        note="the floor's column shows the peer",
    )
