"""The languages: new instances, warm calls beside Python's, a spare's memory, and leaks.

The functions are those of the conformance suite. A language whose toolchain is not here is left
out, and said to be.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from bench import server
from bench.client import invoke_path, timings_us
from bench.effort import Effort
from bench.endpoint import Endpoint, wait_until
from bench.processes import private_kb, resident_kb, tree
from bench.report import Row, at_most, middle, p99
from microfaas.errors import MicrofaasError
from microfaas.runtime import Runtimes
from runtimes.conformance.suite import Language, languages

EVENT = b'{"case": "echo", "value": 1}'
WARM_FACTOR_MAX = 1.3
RUNTIME_API_US_MAX = 250
# Long enough for the next spare to stand ready, and for a fork's successor to be prepared.
REFILL_S = {"spare": 0.7, "forking": 0.02}
LEAK_CALLS, LEAK_WARM_UP = 10_000, 10_000
LEAK_MB_MAX = 2.0
SPARE_S_MAX = 20.0


class Goal(NamedTuple):
    """What the first call of a new instance may take, and a waiting host's private memory."""

    new_ms: float
    memory_mb: float | None


GOALS: Mapping[str, Goal] = {
    "nodejs": Goal(12, 40),
    "java": Goal(20, 45),
    "dotnet": Goal(20, 35),
    "ruby": Goal(8, 10),
    "go": Goal(12, None),
}
# These speak HTTP to a host of ours, which speaks to the supervisor.
BY_RUNTIME_API = ("go",)


def run(effort: Effort) -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="microfaas-bench-") as built:
        Path(built).chmod(0o755)
        tables, missing = _functions(Path(built))
        rows = _warm(tables, effort)
        for name in tables:
            if name in GOALS:
                rows += _new(name, tables[name], effort)
        rows += [Row(scenario=f"{n}", unit="", target="not measured", note=w) for n, w in missing]
        return rows


def _functions(built: Path) -> tuple[dict[str, dict[str, Any]], list[tuple[str, str]]]:
    """A function's table for each language, and why the others have none."""
    tables: dict[str, dict[str, Any]] = {}
    missing = []
    runtimes = Runtimes()
    for language in languages():
        if language.name != "python" and language.name not in GOALS:
            continue
        try:
            tables[language.name] = _function(language, built / language.name, runtimes)
        except (MicrofaasError, OSError, subprocess.CalledProcessError) as error:
            missing.append((language.name, str(error)))
    return tables, missing


def _function(language: Language, output: Path, runtimes: Runtimes) -> dict[str, Any]:
    interpreter = language.interpreter or None
    runtimes.find(language.name, interpreter)
    table = {
        "runtime": language.name,
        "handler": language.handlers["cases"],
        "code": str(language.code(output)),
        "memory_mb": 256,
    }
    return table | ({"interpreter": interpreter} if interpreter else {})


def _warm(tables: Mapping[str, dict[str, Any]], effort: Effort) -> list[Row]:
    """All languages take turns, Python among them, against which they are held."""
    timings: dict[str, list[float]] = {name: [] for name in tables}
    with server.serving(tables) as endpoint:
        for _ in range(effort.rounds):
            for name in tables:
                timings[name] += timings_us(
                    endpoint.port, invoke_path(name), effort.calls, body=EVENT, warm_up=200
                )
    floor = middle(timings["python"])
    return [_warm_row(name, timings[name], floor) for name in tables if name != "python"]


def _warm_row(name: str, timings: list[float], floor: float | None) -> Row:
    half = middle(timings)
    if name in BY_RUNTIME_API:
        limit = None if floor is None else floor + RUNTIME_API_US_MAX
        target = f"≤ Python's + {RUNTIME_API_US_MAX} us"
    else:
        limit = None if floor is None else floor * WARM_FACTOR_MAX
        target = f"≤ {WARM_FACTOR_MAX:g} x Python's"
    return Row(
        scenario=f"{name}: warm",
        unit="us",
        target=target,
        median=half,
        p99=p99(timings),
        floor=floor,
        met=at_most(half, limit),
        details={"calls": len(timings)},
    )


def _new(name: str, table: dict[str, Any], effort: Effort) -> Iterator[Row]:
    forks = name in ("ruby", *BY_RUNTIME_API)
    fresh = {**table, "isolation": "request", "ready_ahead": 0}
    count = effort.cold_calls if forks else max(5, effort.cold_calls // 5)
    pause_s = REFILL_S["forking" if forks else "spare"]
    kept = {**table, "ready_ahead": 0, "concurrency_max": 1}
    with server.serving({"fresh": fresh, "kept": kept}) as endpoint:
        timings: list[float] = []
        for _ in range(effort.rounds):
            path = invoke_path("fresh")
            timings += timings_us(
                endpoint.port, path, count, body=EVENT, pause_s=pause_s, warm_up=2
            )
        half = middle([timing / 1000 for timing in timings])
        yield Row(
            scenario=f"{name}: new instance",
            unit="ms",
            target=f"≤ {GOALS[name].new_ms:g} ms",
            median=half,
            p99=p99([timing / 1000 for timing in timings]),
            met=at_most(half, GOALS[name].new_ms),
            details={"calls": len(timings)},
        )
        yield from _memory(name, endpoint, forks)
        yield _leaks(name, endpoint)


def _memory(name: str, endpoint: Endpoint, forks: bool) -> Iterator[Row]:
    limit_mb = GOALS[name].memory_mb
    if limit_mb is None:
        return
    waiting = _instances(endpoint) if forks else _spares(endpoint)
    private = [private_kb(pid) / 1024 for pid in waiting]
    half = middle(private)
    yield Row(
        scenario=f"{name}: {'idle instance' if forks else 'spare'}",
        unit="MB",
        target=f"≤ {limit_mb:g} MB private",
        median=half,
        met=at_most(half, limit_mb),
        note="" if private else "found none",
    )


def _instances(endpoint: Endpoint) -> list[int]:
    timings_us(endpoint.port, invoke_path("kept"), 1, body=EVENT)
    return [instance["pid"] for instance in server.instances(endpoint.port, "kept")]


def _spares(endpoint: Endpoint) -> list[int]:
    found: list[int] = []

    def some() -> bool:
        found[:] = [pid for pid in tree(endpoint.pid) if "/spare-" in _groups(pid)]
        return bool(found)

    wait_until(some, SPARE_S_MAX)
    time.sleep(1)  # one that still starts has not all its memory yet
    return found


def _groups(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cgroup").read_text()
    except OSError:
        return ""


def _leaks(name: str, endpoint: Endpoint) -> Row:
    """What one instance holds after many calls, next to what it held when it was warm."""
    path = invoke_path("kept")
    timings_us(endpoint.port, path, LEAK_WARM_UP, body=EVENT)
    before = _held(endpoint)
    timings_us(endpoint.port, path, LEAK_CALLS, body=EVENT)
    after = _held(endpoint)
    growth_mb = (after[0] - before[0]) / 1024
    flat = after[1:] == before[1:]
    return Row(
        scenario=f"{name}: after {LEAK_CALLS} calls",
        unit="MB",
        target=f"≤ {LEAK_MB_MAX:g} MB more, nothing else",
        median=growth_mb,
        met=growth_mb <= LEAK_MB_MAX and flat,
        note="" if flat else f"descriptors and threads: {before[1:]} before, {after[1:]} after",
    )


def _held(endpoint: Endpoint) -> tuple[int, int, int]:
    """kB of memory, descriptors and threads of all processes of the one instance."""
    (instance,) = server.instances(endpoint.port, "kept")[:1]
    pids = tree(instance["pid"])
    return (
        sum(map(resident_kb, pids)),
        sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in pids),
        sum(len(os.listdir(f"/proc/{pid}/task")) for pid in pids),
    )
