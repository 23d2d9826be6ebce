"""Fairness: how long a function's warm calls take while another one attacks the machine."""

from __future__ import annotations

import json
import os
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any

from bench import server
from bench.client import AnswerError, Connection, invoke_path
from bench.effort import Effort
from bench.endpoint import Endpoint, StartError, wait_until
from bench.processes import tree
from bench.report import Row, at_most, middle, p99

RATIO_MAX = 2.0
WARM_UP = 20
# Memory enough for as many processes as it may have, and a /tmp that fills before memory does.
# It gives the attacker four times the victim's share of the CPU.
ARMED: dict[str, Any] = {"memory_mb": 512, "tmp_mb": 64}
# From an attack's first call until it is under way.
SETTLE_S = 0.2
# For what the hostile function left behind to be gone, with its server.
GONE_S_MAX = 5


@dataclass(frozen=True)
class Attack:
    """What `functions/hostile.py` does, in how many instances at once, and for how long."""

    does: str
    instances: int = 1
    timeout_s: float = 1


ATTACKS = {
    "fork bomb": Attack("fork_bomb"),
    "memory bomb": Attack("memory_bomb"),
    "disk filler": Attack("disk_filler"),
    "log flood": Attack("log_flood", timeout_s=20),  # a gigabyte, however long that takes
    "fd exhauster": Attack("fd_exhauster"),
    "busy loop": Attack("busy_loop"),
    "8 busy loops": Attack("busy_loop", instances=8),
}


@dataclass
class Findings:
    """The victim's calls without and under attack, and what became of the attackers' calls."""

    quiet_us: list[float] = field(default_factory=list)
    attacked_us: list[float] = field(default_factory=list)
    ends: Counter[str] = field(default_factory=Counter)
    survivors: set[int] = field(default_factory=set)


def run(effort: Effort) -> list[Row]:
    return [row_of(name, attack, effort) for name, attack in ATTACKS.items()]


def row_of(name: str, attack: Attack, effort: Effort) -> Row:
    """A row whatever happens: that the victim's calls fail is a result, too."""
    found, fault = Findings(), ""
    try:
        measure(attack, effort, found)
    except (AnswerError, StartError, OSError) as error:
        fault = str(error)
    return row(name, found, fault)


def measure(attack: Attack, effort: Effort, found: Findings) -> None:
    """Quiet and attacked by turns, on one server that has served nobody else."""
    functions = {
        "victim": server.function("echo"),
        "hostile": server.function(
            "hostile", concurrency_max=attack.instances, timeout_s=attack.timeout_s, **ARMED
        ),
    }
    seen: set[int] = set()
    try:
        with (
            server.serving(functions) as endpoint,
            Connection(endpoint.port, endpoint.path) as victim,
        ):
            for _ in range(WARM_UP):
                victim.call()
            for _ in range(effort.rounds):
                found.quiet_us += calls_us(victim, effort.attack_s)
                with attacking(endpoint, attack, found.ends):
                    time.sleep(SETTLE_S)
                    found.attacked_us += calls_us(victim, effort.attack_s)
                    seen |= tree(endpoint.pid)
    finally:
        found.survivors = alive(seen)


def calls_us(victim: Connection, seconds: float) -> list[float]:
    """One call after the other, for so long."""
    until = time.monotonic() + seconds
    timings = []
    while time.monotonic() < until:
        timings.append(victim.timed_us())
    return timings


@contextmanager
def attacking(endpoint: Endpoint, attack: Attack, ends: Counter[str]) -> Iterator[None]:
    """Attackers call the hostile function again as soon as it has ended, until the block ends."""
    over = threading.Event()
    body = json.dumps({"attack": attack.does}).encode()

    def attacker() -> None:
        while not over.is_set():
            ends[end_of_one(endpoint.port, body)] += 1

    with ExitStack() as stack:
        for _ in range(attack.instances):
            thread = threading.Thread(target=attacker)
            thread.start()
            # It ends when its last attack does: by itself or by its timeout.
            stack.callback(thread.join)
        stack.callback(over.set)
        yield


def end_of_one(port: int, body: bytes) -> str:
    """Attack once; how it came to its end."""
    try:
        with Connection(port, invoke_path("hostile"), body) as connection:
            connection.call()
    except AnswerError as error:
        named = re.search(r'"(?:errorType|Message)": ?"([^"]+)"', str(error))
        return named[1] if named else str(error)
    except OSError as error:
        return str(error)
    return "ended by itself"


def alive(pids: set[int]) -> set[int]:
    """Those that do not go away."""
    wait_until(lambda: not any(map(exists, pids)), GONE_S_MAX)
    return {pid for pid in pids if exists(pid)}


def exists(pid: int) -> bool:
    return os.path.exists(f"/proc/{pid}")


def row(name: str, found: Findings, fault: str) -> Row:
    quiet, attacked = middle(found.quiet_us), middle(found.attacked_us)
    limit = None if quiet is None else quiet * RATIO_MAX
    broken = bool(fault or found.survivors)
    return Row(
        scenario=f"fairness: {name}",
        unit="µs",
        target=f"≤ {RATIO_MAX:g} x quiet",
        median=attacked,
        p99=p99(found.attacked_us),
        floor=quiet,
        met=False if broken else at_most(attacked, limit),
        note="\n".join(remarks(found, fault)),
        details={
            "calls": len(found.attacked_us),
            "quiet_calls": len(found.quiet_us),
            "quiet_p99": p99(found.quiet_us),
            "ends": dict(found.ends),
        },
    )


def remarks(found: Findings, fault: str) -> Iterator[str]:
    quiet_us = p99(found.quiet_us)
    if quiet_us is not None:
        ends = ", ".join(f"{count} x {end}" for end, count in found.ends.most_common())
        # Calls that wait long are few: the rate shows them where a median does not.
        calls = f"{len(found.quiet_us):,} calls quiet, {len(found.attacked_us):,} attacked"
        yield f"quiet p99 {quiet_us:,.0f} µs; {calls}, in the same time; attacks: {ends}"
    if fault:
        yield f"the victim: {fault}"
    if found.survivors:
        yield f"still running after the server's end: {sorted(found.survivors)}"
