"""A burst: 100 simultaneous calls of a 100 ms sleep that find no instance at all."""

from __future__ import annotations

import json
from contextlib import ExitStack
from functools import partial

from bench import floor, server
from bench.client import Connection, Volley
from bench.effort import Effort
from bench.endpoint import Endpoint, open_all, wait_until
from bench.report import Row, at_most, middle

CALLS, SLEEP_S, ALL_MS_MAX = 100, 0.1, 350
IDLE_S = 1
EVENT = json.dumps({"seconds": SLEEP_S}).encode()


def run(effort: Effort) -> list[Row]:
    function = server.function(
        "sleep", concurrency_max=CALLS, idle_s_max=IDLE_S, ready_ahead=0, memory_mb=64
    )
    bursts, forks = [], []
    with ExitStack() as stack:
        start = partial(server.serving, {"sleep": function})
        endpoints, notes = open_all(stack, {"microfaas": start})
        for _ in range(effort.rounds):
            forks += floor.fork(1, "--together", str(CALLS), "--sleep-ms", str(SLEEP_S * 1000))
            for endpoint in endpoints.values():
                bursts.append(burst_us(endpoint, notes))
    all_ms = [took / 1000 for took in bursts]
    return [
        Row(
            scenario="burst",
            unit="ms",
            target=f"all in ≤ {ALL_MS_MAX} ms",
            median=middle(all_ms),
            p99=max(all_ms, default=None),
            floor=middle([took / 1000 for took in forks]),
            met=at_most(middle(all_ms), ALL_MS_MAX),
            note="\n".join(notes),
            details={"bursts": all_ms},
        )
    ]


def burst_us(endpoint: Endpoint, notes: list[str]) -> float:
    """One burst, once the function has been loaded and its instances are gone again."""
    with Connection(endpoint.port, endpoint.path, b'{"seconds": 0}') as first:
        first.call()
    if not wait_until(lambda: not server.instances(endpoint.port, "sleep"), IDLE_S * 10):
        notes.append(f"instances were still there {IDLE_S * 10} s after the call before the burst")
    with Volley(endpoint.port, endpoint.path, EVENT, CALLS) as volley:
        return volley.fire_us()
