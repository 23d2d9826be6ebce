"""Cold starts: from a call that finds no instance to its reply, sandbox included."""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from typing import Any

from bench import floor, server
from bench.client import invoke_path, timings_us
from bench.effort import Effort
from bench.endpoint import Endpoint, open_all
from bench.report import Row, at_most, middle, p99
from bench.venvs import imports_python

MEDIAN_MS_MAX, P99_MS_MAX, READY_MS_MAX = 3.0, 15.0, 1.0
IMPORTS_FACTOR_MAX = 2.0
# The instance before is being torn down; its cost belongs to no call.
TEAR_DOWN_S = 0.005
# Enough for the next ready-ahead instance to be there.
READY_S = 0.02
# `request`: every call gets a fresh instance, so every call is a cold start.
FRESH: dict[str, Any] = {"isolation": "request", "memory_mb": 256}


def run(effort: Effort) -> list[Row]:
    functions = {
        "forced": server.function("echo", ready_ahead=0, **FRESH),
        "ready": server.function("echo", ready_ahead=1, **FRESH),
    }
    forced, ready, forks = [], [], []
    with ExitStack() as stack:
        endpoints, notes = open_all(stack, {"microfaas": partial(server.serving, functions)})
        for _ in range(effort.rounds):
            forks += ms(floor.fork(effort.cold_calls))
            for endpoint in endpoints.values():
                forced += calls_ms(endpoint, "forced", effort, TEAR_DOWN_S)
                ready += calls_ms(endpoint, "ready", effort, READY_S)
    note = "\n".join(notes)
    return [forced_row(forced, forks, note), ready_row(ready, forks)]


def calls_ms(endpoint: Endpoint, name: str, effort: Effort, pause_s: float) -> list[float]:
    path = invoke_path(name)
    return ms(timings_us(endpoint.port, path, effort.cold_calls, pause_s=pause_s, warm_up=3))


def ms(timings: list[float]) -> list[float]:
    return [timing / 1000 for timing in timings]


def forced_row(forced: list[float], forks: list[float], note: str) -> Row:
    half, most = middle(forced), p99(forced)
    in_median, in_p99 = at_most(half, MEDIAN_MS_MAX), at_most(most, P99_MS_MAX)
    return Row(
        scenario="cold",
        unit="ms",
        target=f"≤ {MEDIAN_MS_MAX:g} ms, p99 ≤ {P99_MS_MAX:g} ms",
        median=half,
        p99=most,
        floor=middle(forks),
        met=None if in_median is None else bool(in_median and in_p99),
        note=note,
        details={"calls": len(forced), "floor_p99": p99(forks)},
    )


def ready_row(ready: list[float], forks: list[float]) -> Row:
    return Row(
        scenario="cold: ready ahead",
        unit="ms",
        target=f"≤ {READY_MS_MAX:g} ms",
        median=middle(ready),
        p99=p99(ready),
        floor=middle(forks),
        met=at_most(middle(ready), READY_MS_MAX),
        details={"calls": len(ready)},
    )


def run_imports(effort: Effort) -> list[Row]:
    """Hello and the function that imports numpy and boto3, in turns, on the same interpreter."""
    python = imports_python()
    functions = {
        "hello": server.function("echo", interpreter=python, ready_ahead=0, **FRESH),
        "imports": server.function("imports", interpreter=python, ready_ahead=0, **FRESH),
    }
    hello, imports, forks = [], [], []
    with ExitStack() as stack:
        endpoints, notes = open_all(stack, {"microfaas": partial(server.serving, functions)})
        for _ in range(effort.rounds):
            forks += ms(floor.fork(effort.cold_calls, "--imports", "numpy", "boto3", python=python))
            for endpoint in endpoints.values():
                hello += calls_ms(endpoint, "hello", effort, TEAR_DOWN_S)
                imports += calls_ms(endpoint, "imports", effort, TEAR_DOWN_S)
    return [imports_row(hello, imports, forks, "\n".join(notes))]


def imports_row(hello: list[float], imports: list[float], forks: list[float], note: str) -> Row:
    half = middle(hello)
    limit = None if half is None else half * IMPORTS_FACTOR_MAX
    meaning = "" if half is None else f" ({half:.2f} ms)"
    return Row(
        scenario="cold-imports",
        unit="ms",
        target=f"≤ {IMPORTS_FACTOR_MAX:g} x hello{meaning}",
        median=middle(imports),
        p99=p99(imports),
        floor=middle(forks),
        met=at_most(middle(imports), limit),
        note=note,
        details={"calls": len(imports), "hello": half},
    )
