"""What the fence costs: cold and warm with all of its layers, less each of them, with none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

from bench import server
from bench.client import invoke_path, timings_us
from bench.cold import FRESH, MEDIAN_MS_MAX, READY_S, TEAR_DOWN_S
from bench.effort import Effort
from bench.endpoint import Endpoint, Starter, open_all
from bench.report import Row, at_most, middle, p99

WARM_RATIO_MAX = 1.1
# Layers cost less than what the machine's speed varies from one second to the next: so turns are
# short and many.
TURNS = 5
WHOLE, NONE, OWN_NETWORK = "all on", "all off", "all on, own network"
OFF = {
    # Without namespaces there are neither cells nor networks, and other users cannot get to the
    # code, which lies in a directory of root's.
    "no namespaces, users": ("namespaces", "users"),
    **{f"no {layer}": (layer,) for layer in ("cells", "networks", "users", "seccomp", "landlock")},
    NONE: ("namespaces", "cells", "networks", "users", "seccomp", "landlock"),
}


class Measure(NamedTuple):
    """One way of calling, and the function that is called so."""

    unit: str
    units_per_us: float
    settings: dict[str, Any]
    share: int  # one turn has one in so many of the effort's calls
    warm_up: int
    pause_s: float = 0


MEASURES = {
    "cold": Measure("ms", 0.001, {"ready_ahead": 0, **FRESH}, 10, 1, TEAR_DOWN_S),
    "ready": Measure("ms", 0.001, {"ready_ahead": 1, **FRESH}, 10, 1, READY_S),
    "warm": Measure("µs", 1, {}, 20, 10),
}


class Variant(NamedTuple):
    """What is called with what part of the fence."""

    name: str
    server: str
    prefix: str = ""


Timings = dict[tuple[str, str], list[float]]  # by measure and variant


def starters() -> dict[str, Starter]:
    plain = {name: server.function("echo", **each.settings) for name, each in MEASURES.items()}
    own = {f"own-{name}": table | {"network": "none"} for name, table in plain.items()}
    return {
        WHOLE: partial(server.serving, plain | own),
        **{
            name: partial(server.serving, plain, sandbox_off=list(layers))
            for name, layers in OFF.items()
        },
    }


def variants(servers: Sequence[str]) -> Iterator[Variant]:
    for name in servers:
        yield Variant(name, name)
        if name == WHOLE:
            yield Variant(OWN_NETWORK, name, "own-")


def run(effort: Effort) -> list[Row]:
    with ExitStack() as stack:
        endpoints, notes = open_all(stack, starters())
        order = list(variants(list(endpoints)))
        timings: Timings = {(measure, each.name): [] for measure in MEASURES for each in order}
        for number in range(effort.rounds * TURNS):
            # Nobody always comes first, or right after the same other one.
            first = number % len(order)
            turns = (order[first:] + order[:first])[:: 1 if number % 2 else -1]
            for name, measure in MEASURES.items():
                for each in turns:
                    path = invoke_path(each.prefix + name)
                    timings[name, each.name] += turn(endpoints[each.server], path, measure, effort)
    table = [row(name, each.name, timings) for name in MEASURES for each in order]
    return [replace(table[0], note="\n".join([table[0].note, *notes]).strip()), *table[1:]]


def turn(endpoint: Endpoint, path: str, measure: Measure, effort: Effort) -> list[float]:
    """One variant's calls in one round, in the measure's unit."""
    count = (effort.cold_calls if measure.pause_s else effort.calls) // measure.share
    timings = timings_us(
        endpoint.port, path, count, pause_s=measure.pause_s, warm_up=measure.warm_up
    )
    return [took * measure.units_per_us for took in timings]


def row(measure: str, variant: str, timings: Timings) -> Row:
    taken = timings[measure, variant]
    made = Row(
        scenario=f"fence: {measure}, {variant}",
        unit=MEASURES[measure].unit,
        target="",
        median=middle(taken),
        p99=p99(taken),
        floor=middle(timings.get((measure, NONE), [])),
        details={"calls": len(taken)},
    )
    return judged(made, measure) if variant == WHOLE else made


def judged(whole: Row, measure: str) -> Row:
    if measure == "cold":
        met = at_most(whole.median, MEDIAN_MS_MAX)
        return replace(whole, target=f"≤ {MEDIAN_MS_MAX:g} ms", met=met)
    if measure == "warm":
        met = at_most(whole.ratio, WARM_RATIO_MAX)
        return replace(whole, target=f"≤ {WARM_RATIO_MAX} x {NONE}", met=met)
    return whole
