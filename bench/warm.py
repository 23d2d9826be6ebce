"""Warm invocations: one keep-alive connection, one instance that has run before."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from bench import floor, peers, server
from bench.client import timings_us
from bench.effort import Effort
from bench.endpoint import Starter, open_all
from bench.report import Row, at_most, middle, p99

RATIO_MAX = 1.5
# A peer a hundred times slower would make the run a hundred times longer.
PEER_SHARE = 20
OURS = ("floor", "microfaas")

Timings = dict[str, list[float]]


def starters() -> dict[str, Starter]:
    return {
        "floor": partial(floor.echo, workers=1),
        "microfaas": partial(server.serving, {"echo": server.function("echo")}),
        "functions-framework": peers.functions_framework,
        "ministack": peers.ministack,
    }


def run(effort: Effort) -> list[Row]:
    with ExitStack() as stack:
        endpoints, notes = open_all(stack, starters())
        timings: Timings = {name: [] for name in endpoints}
        spun: Timings = {name: [] for name in OURS if name in endpoints}
        for _ in range(effort.rounds):
            for name, endpoint in endpoints.items():
                count = effort.calls if name in OURS else effort.calls // PEER_SHARE
                timings[name] += timings_us(endpoint.port, endpoint.path, count, warm_up=20)
            for name in spun:
                port, path = endpoints[name].port, endpoints[name].path
                spun[name] += timings_us(port, path, effort.calls, warm_up=20, spin=True)
    bottom = middle(timings.get("floor", []))
    peer_rows = [
        row(f"warm: {name}", timings[name], bottom) for name in timings if name not in OURS
    ]
    return [
        judged(row("warm", timings.get("microfaas", []), bottom), notes),
        row("warm: spinning client", spun.get("microfaas", []), middle(spun.get("floor", []))),
        *peer_rows,
    ]


def row(scenario: str, timings: list[float], floor_us: float | None) -> Row:
    return Row(
        scenario=scenario,
        unit="µs",
        target="",
        median=middle(timings),
        p99=p99(timings),
        floor=floor_us,
        details={"calls": len(timings)},
    )


def judged(measured: Row, notes: list[str]) -> Row:
    return replace(
        measured,
        target=f"≤ {RATIO_MAX} x floor",
        met=at_most(measured.ratio, RATIO_MAX),
        note="\n".join(notes),
    )
