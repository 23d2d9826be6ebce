"""Deployments through Lambda's API: until the new code answers, and what calls meanwhile feel."""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from itertools import count, islice
from pathlib import Path

from bench import floor, peers, server
from bench.client import AnswerError, invoke_path
from bench.control import Control, package
from bench.effort import Effort
from bench.endpoint import Endpoint, open_all, wait_until
from bench.load import Calls, Load, calling
from bench.report import Row, at_most, middle, p99

FACTOR_MAX = 3.0
ALIAS = "live"
# While an update is timed: often enough to see when it serves, too few to be in its way.
UPDATED_PAUSE_S = 0.002
CONNECTIONS, PAUSE_S = 8, 0.01
# For every connection to have an instance that has run before.
SETTLE_S = 0.5
SERVES_S_MAX = 10
FAULT_CHARS_MAX = 160
# A peer takes many times as long.
PEER_SHARE = 3
STEPS = ("create", "update", "publish")
# What each of them makes durable: a package, or a version and then an alias.
WRITES = {"create": 1, "update": 1, "publish": 2}


@dataclass
class Findings:
    """One server's times by step, and its calls without deployments and beside them."""

    took_ms: dict[str, list[float]] = field(default_factory=lambda: {step: [] for step in STEPS})
    updated: Calls = field(default_factory=Calls)
    settling: Calls = field(default_factory=Calls)
    quiet: Calls = field(default_factory=Calls)
    beside: Calls = field(default_factory=Calls)
    versions: int = 0
    faults: list[str] = field(default_factory=list)

    def phases(self) -> tuple[Calls, ...]:
        return (self.updated, self.settling, self.quiet, self.beside)


def run(effort: Effort) -> list[Row]:
    starters = {
        "microfaas": partial(server.serving, {"echo": server.function("echo")}),
        "ministack": peers.ministack,
    }
    floors: dict[str, list[float]] = {step: [] for step in STEPS}
    with ExitStack() as stack:
        folder = stack.enter_context(server.project())
        endpoints, notes = open_all(stack, starters)
        found = {name: Findings() for name in endpoints}
        releases = count()
        for _ in range(effort.rounds):
            for step in STEPS:
                floors[step] += floor_ms(folder, effort.deploys, WRITES[step])
            for name, endpoint in endpoints.items():
                share = 1 if name == "microfaas" else PEER_SHARE
                turn(endpoint, effort.deploys // share, releases, found[name])
    subject = found.pop("microfaas", Findings())
    return [
        *rows("", subject, floors, notes),
        *(row for name in found for row in rows(f": {name}", found[name], floors, [])),
    ]


def floor_ms(folder: Path, times: int, writes: int) -> list[float]:
    zipped = folder / "package.zip"
    zipped.write_bytes(package(0))
    arguments = ["--package", str(zipped), "--folder", str(folder), "--writes", str(writes)]
    return floor.figures("deploy.py", times, *arguments)


def turn(endpoint: Endpoint, times: int, releases: Iterator[int], found: Findings) -> None:
    """Every step TIMES times; what comes after one that fails waits for the next turn."""
    try:
        with Control(endpoint.port) as control:
            for _ in range(times):
                found.took_ms["create"].append(created_ms(control, next(releases)))
            # Of its own in every turn: the next one finds nothing of one that failed.
            name = prepare(control, next(releases))
            update(endpoint, control, name, islice(releases, times), found)
            for release in islice(releases, times):
                found.took_ms["publish"].append(published_ms(control, name, release))
            deploy_beside(endpoint, control, name, islice(releases, times), found)
            control.delete(name)
    except (AnswerError, OSError, http.client.HTTPException) as error:
        found.faults.append(str(error) or type(error).__name__)


def created_ms(control: Control, release: int) -> float:
    """A new function under a new name; gone again, so that they do not pile up."""
    name = f"created-{release}"
    start = time.perf_counter()
    control.create(name, release)
    until_answers(control, name, release)
    took = time.perf_counter() - start
    control.delete(name)
    return took * 1000


def until_answers(control: Control, target: str, release: int) -> None:
    if not wait_until(lambda: control.invoke(target) == release, SERVES_S_MAX):
        raise AnswerError(f"cannot call release {release} of {target}: still not served")


def until_seen(load: Load, release: int) -> None:
    if not wait_until(lambda: str(release).encode() in load.first_s, SERVES_S_MAX):
        raise AnswerError(f"cannot call release {release} at {load.path}: still not served")


def prepare(control: Control, release: int) -> str:
    """A function with an alias, both of which have been called."""
    name = f"released-{release}"
    control.create(name, release)
    until_answers(control, name, release)
    control.make_alias(name, ALIAS, control.publish(name))
    until_answers(control, f"{name}:{ALIAS}", release)
    return name


def update(
    endpoint: Endpoint, control: Control, name: str, releases: Iterator[int], found: Findings
) -> None:
    """From sending the package to the end of the first call that runs it, seen by a caller."""
    path = invoke_path(name)
    with calling(
        endpoint.port, path, found.updated, connections=1, pause_s=UPDATED_PAUSE_S
    ) as load:
        time.sleep(SETTLE_S)
        for release in releases:
            answer = str(release).encode()
            start_s = time.perf_counter()
            control.update(name, release)
            until_seen(load, release)
            found.took_ms["update"].append((load.first_s[answer] - start_s) * 1000)


def published_ms(control: Control, name: str, release: int) -> float:
    """From PublishVersion to the answer of the alias; the code was there before."""
    control.update(name, release)
    until_answers(control, name, release)
    start = time.perf_counter()
    control.move_alias(name, ALIAS, control.publish(name))
    until_answers(control, f"{name}:{ALIAS}", release)
    return (time.perf_counter() - start) * 1000


def deploy_beside(
    endpoint: Endpoint, control: Control, name: str, releases: Iterator[int], found: Findings
) -> None:
    """Versions, one after the other, under calls; then as long without."""
    path = invoke_path(f"{name}:{ALIAS}")
    with calling(
        endpoint.port, path, found.settling, connections=CONNECTIONS, pause_s=PAUSE_S
    ) as load:
        time.sleep(SETTLE_S)
        load.calls, start = found.beside, time.monotonic()
        for release in releases:
            control.update(name, release)
            control.move_alias(name, ALIAS, control.publish(name))
            # Else one that loads nothing before it is called would publish in no time.
            until_seen(load, release)
            found.versions += 1
        took_s = time.monotonic() - start
        load.calls = found.settling
        time.sleep(SETTLE_S)
        load.calls = found.quiet
        time.sleep(took_s)
        load.calls = found.settling


def rows(
    suffix: str, found: Findings, floors: dict[str, list[float]], notes: list[str]
) -> Iterator[Row]:
    """A peer (SUFFIX) is shown in the subject's place, and not judged."""
    notes = notes + [f"a turn ended early: {shown(fault)}" for fault in found.faults]
    for step in STEPS:
        yield step_row(step, suffix, found, middle(floors[step]), notes)
        notes = []
    yield beside_row(suffix, found)


def step_row(
    step: str, suffix: str, found: Findings, floor_ms: float | None, notes: list[str]
) -> Row:
    took = middle(found.took_ms[step])
    limit = None if floor_ms is None else floor_ms * FACTOR_MAX
    return Row(
        scenario=f"deploy: {step}{suffix}",
        unit="ms",
        target="" if suffix else f"≤ {FACTOR_MAX:g} x floor",
        median=took,
        p99=p99(found.took_ms[step]),
        floor=floor_ms,
        met=None if suffix else False if found.faults else at_most(took, limit),
        note="\n".join(notes),
        details={"deployments": len(found.took_ms[step])},
    )


def beside_row(suffix: str, found: Findings) -> Row:
    """All phases' failures count: deployments must not be felt before or after them either."""
    beside, quiet = middle(found.beside.took_us), middle(found.quiet.took_us)
    failed = sum(calls.failed for calls in found.phases())
    return Row(
        scenario=f"deploy: calls beside{suffix}",
        unit="µs",
        target="" if suffix else "no call fails",
        median=beside,
        p99=p99(found.beside.took_us),
        floor=quiet,
        met=None if suffix or beside is None else not failed,
        note="\n".join(remarks(found, failed)),
        details={
            "calls": len(found.beside.took_us),
            "quiet_calls": len(found.quiet.took_us),
            "quiet_p99": p99(found.quiet.took_us),
            "failed": failed,
            "versions": found.versions,
        },
    )


def remarks(found: Findings, failed: int) -> Iterator[str]:
    quiet_us = p99(found.quiet.took_us)
    if quiet_us is not None:
        calls = f"{len(found.beside.took_us):,} calls beside {found.versions} versions"
        yield f"quiet p99 {quiet_us:,.0f} µs; {calls}, {len(found.quiet.took_us):,} quiet"
    if failed:
        fault = next(calls.fault for calls in found.phases() if calls.failed)
        yield f"{failed} calls failed, one of them: {shown(fault)}"


def shown(fault: str) -> str:
    return " ".join(fault.split())[:FAULT_CHARS_MAX]
