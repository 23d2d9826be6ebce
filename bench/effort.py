"""How much work a run does: enough for steady medians, or just enough to see that all works."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Effort:
    """Counts and durations of one run."""

    rounds: int  # subject, floor and peers take turns so often
    calls: int  # warm calls in each turn
    cold_calls: int  # new instances in each turn
    load_s: int  # one turn of wrk
    rest_s: int  # how long the idle server is watched
    idle_instances: int
    drops: int  # files dropped one at a time
    burst_drops: int  # files dropped as fast as they can be written
    attack_s: float  # each turn of the victim, quiet or attacked
    deploys: int  # of each kind in each turn


FULL = Effort(
    rounds=5,
    calls=2000,
    cold_calls=100,
    load_s=3,
    rest_s=20,
    idle_instances=500,
    drops=200,
    burst_drops=10_000,
    attack_s=1.0,
    deploys=10,
)
QUICK = Effort(
    rounds=2,
    calls=500,
    cold_calls=30,
    load_s=1,
    rest_s=5,
    idle_instances=100,
    drops=30,
    burst_drops=1000,
    attack_s=0.3,
    deploys=3,
)
