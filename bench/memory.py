"""What microfaas takes while it does nothing: idle instances, and the supervisor at rest."""

from __future__ import annotations

import time

from bench import floor, server
from bench.client import Volley, timings_us
from bench.effort import Effort
from bench.endpoint import Endpoint
from bench.processes import cpu_s, private_kb, resident_kb, shared_fairly_kb, tree
from bench.report import Row, at_most, middle, p99

INSTANCE_MB_MAX, ALL_MB_MAX, ALL_INSTANCES = 1.5, 1024, 500
REST_MB_MAX, REST_PERCENT_MAX = 70, 0.2
# Long enough that the last of the calls starts before the first has ended.
HOLD = b'{"seconds": 5}'


def run_idle(effort: Effort) -> list[Row]:
    count = effort.idle_instances
    function = server.function(
        "sleep", concurrency_max=count, waiting_max=count, timeout_s=60, memory_mb=64
    )
    forks = floor.fork(5, "--memory")
    with server.serving({"sleep": function}) as endpoint:
        with Volley(endpoint.port, endpoint.path, HOLD, count) as volley:
            volley.fire_us()
        time.sleep(1)
        return idle_rows(endpoint, count, [kb / 1024 for kb in forks])


def idle_rows(endpoint: Endpoint, count: int, forks: list[float]) -> list[Row]:
    pids = {instance["pid"] for instance in server.instances(endpoint.port, "sleep")}
    private = [private_kb(pid) / 1024 for pid in pids]
    everyone = shared_fairly_kb(tree(endpoint.pid) | pids) / 1024
    # Fewer instances than the target names say nothing about it.
    enough = len(pids) >= ALL_INSTANCES
    each = Row(
        scenario="idle-memory",
        unit="MB",
        target=f"≤ {INSTANCE_MB_MAX} MB private",
        median=middle(private),
        p99=p99(private),
        floor=middle(forks),
        met=at_most(middle(private), INSTANCE_MB_MAX),
        details={"instances": len(pids)},
    )
    whole = Row(
        scenario=f"idle-memory: {len(pids)} instances",
        unit="MB",
        target=f"{ALL_INSTANCES} in ≤ {ALL_MB_MAX} MB",
        median=everyone,
        met=at_most(everyone, ALL_MB_MAX) if enough else None,
        note="" if enough else f"asked for {count}, found {len(pids)}",
        details={"instances": len(pids), "processes": len(tree(endpoint.pid) | pids)},
    )
    return [each, whole]


def run_at_rest(effort: Effort) -> list[Row]:
    """After some work: a server that never served would flatter itself."""
    with server.serving({"echo": server.function("echo")}) as endpoint:
        timings_us(endpoint.port, endpoint.path, effort.calls)
        time.sleep(2)
        before_s = cpu_s(endpoint.pid)
        time.sleep(effort.rest_s)
        percent = (cpu_s(endpoint.pid) - before_s) / effort.rest_s * 100
        resident = resident_kb(endpoint.pid) / 1024
    return [
        Row(
            scenario="at-rest: memory",
            unit="MB",
            target=f"≤ {REST_MB_MAX} MB RSS",
            median=resident,
            met=at_most(resident, REST_MB_MAX),
        ),
        Row(
            scenario="at-rest: CPU",
            unit="%",
            target=f"≤ {REST_PERCENT_MAX} % CPU",
            median=percent,
            met=at_most(percent, REST_PERCENT_MAX),
            details={"seconds": effort.rest_s},
        ),
    ]
