"""Canaries: a share of an alias's calls goes to a new version for a while; then all of them, or,
as soon as a rule is broken, none.

A rollout is a record, changed in the same commit as its alias. It goes on after a restart, with
what has been counted until then forgotten; one whose time ran out meanwhile is completed, for no
rule was broken while anybody looked.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time
import uuid
from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

import msgspec

from microfaas.control.registry import Registry, key
from microfaas.control.routing import Routing
from microfaas.control.table import Table
from microfaas.errors import InvalidRequest, MachineError
from microfaas.invoke import Invoker
from microfaas.model import Status

TICK_S = 0.2
# So many calls tell something; fewer are judged at the end only.
CALLS_MIN = 20
# The latest, of which percentiles are taken.
CALLS_KEPT = 10_000
FOR_S_MAX = 86400
RULE_FORM = "errors>2%, mean>200ms or p99>1.5s"
_RULE = re.compile(r"(errors)>(\d+(?:\.\d+)?)%|(mean|p\d\d?)>(\d+(?:\.\d+)?)(ms|s)")

_log = logging.getLogger("microfaas.control")


class Rule(NamedTuple):
    """What must not be exceeded: `errors` a share of the calls, `mean` and `p99` milliseconds."""

    text: str
    what: str
    limit: float


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """One canary; `before` is the version that the alias meant, `share` what goes to `version`."""

    before: str
    version: str
    share: float
    rules: tuple[str, ...]
    began_ms: int
    ends_ms: int
    state: Literal["running", "completed", "rolled back", "given up"] = "running"
    why: str = ""
    calls: int = 0
    errors: int = 0


class Counts:
    """The calls of one version since it was looked at."""

    def __init__(self) -> None:
        self.calls = 0
        self.errors = 0
        self._wall_ms: list[float] = []

    def add(self, status: Status, wall_ms: float) -> None:
        if len(self._wall_ms) < CALLS_KEPT:
            self._wall_ms.append(wall_ms)
        else:
            self._wall_ms[self.calls % CALLS_KEPT] = wall_ms
        self.calls += 1
        self.errors += status is not Status.OK

    def broken(self, rule: Rule) -> str:
        """What there is to complain of; empty when there is nothing."""
        if not self.calls:
            return ""
        if rule.what == "errors":
            share = self.errors / self.calls
            told = f"{self.errors} of {self.calls} calls failed"
            return f"{told}, {rule.text}" if share > rule.limit else ""
        found_ms = self._statistic(rule.what)
        return f"{rule.what} is {found_ms:.0f} ms, {rule.text}" if found_ms > rule.limit else ""

    def _statistic(self, what: str) -> float:
        if what == "mean":
            return math.fsum(self._wall_ms) / len(self._wall_ms)
        ordered = sorted(self._wall_ms)
        rank = math.ceil(int(what[1:]) / 100 * len(ordered))
        return ordered[max(0, rank - 1)]


def rule_of(text: str) -> Rule:
    """A rule as people write it. Raises InvalidRequest."""
    match = _RULE.fullmatch(text.replace(" ", ""))
    if match is None:
        raise InvalidRequest(f"cannot understand the rule {text!r}: it must be like {RULE_FORM}")
    if match[1]:
        return Rule(text, "errors", float(match[2]) / 100)
    return Rule(text, match[3], float(match[4]) * (1000 if match[5] == "s" else 1))


def check(share: float, for_s: float, rules: Iterable[str]) -> list[Rule]:
    """A canary's rules, when all of it is as it may be. Raises InvalidRequest."""
    if not 0 < share < 1:
        raise InvalidRequest(f"the share must be above 0 and below 1, not {share:g}")
    if not 0 < for_s <= FOR_S_MAX:
        raise InvalidRequest(f"for_s must be above 0 and at most {FOR_S_MAX}, not {for_s:g}")
    return [rule_of(text) for text in rules]


class Rollouts:
    """Begins canaries and sees them to their end."""

    def __init__(
        self,
        registry: Registry,
        routing: Routing,
        invoker: Invoker,
        lock: Callable[[str], asyncio.Lock],
        tasks: asyncio.TaskGroup,
    ) -> None:
        """`lock` is held by whoever changes that function."""
        self._registry = registry
        self._routing = routing
        self._invoker = invoker
        self._lock = lock
        self._tasks = tasks
        self._table = Table(registry.resources, "rollout", Rollout)

    def open(self) -> None:
        """Go on with what the last run began. Raises MachineError."""
        self._table.open()
        for qualified, rollout in self._table.all():
            if rollout.state == "running":
                self._tasks.create_task(self._watch(qualified, rollout))

    def find(self, name: str, called: str) -> Rollout | None:
        """The last one of an alias."""
        return self._table.get(key(name, called))

    async def forget(self, name: str) -> None:
        """The function is to be no more; another one of its name had none. Raises MachineError."""
        await self._registry.commit(*self._table.remove_all(f"{name}:"))

    async def begin(
        self, name: str, called: str, version: str, share: float, for_s: float, rules: list[str]
    ) -> Rollout:
        """Have a share of an alias's calls go to a version. Raises InvalidRequest, ServiceError."""
        checked = check(share, for_s, rules)
        async with self._lock(name):
            self._registry.edition(name, version)
            alias = self._registry.alias(name, called)
            if alias is None:
                arn = self._registry.arn(name, called)
                raise InvalidRequest(f"Alias not found: {arn}", "ResourceNotFoundException")
            running = self.find(name, called)
            if running is not None and running.state == "running":
                text = f"a rollout of {name}:{called} to version {running.version} is running"
                raise InvalidRequest(text, "ResourceConflictException")
            if alias.version == version:
                raise InvalidRequest(f"{name}:{called} means version {version} already")
            now_ms = int(time.time() * 1000)
            rollout = Rollout(
                before=alias.version,
                version=version,
                share=share,
                rules=tuple(rule.text for rule in checked),
                began_ms=now_ms,
                ends_ms=now_ms + int(for_s * 1000),
            )
            await self._put(name, called, rollout, alias.version, {version: share})
        self._tasks.create_task(self._watch(key(name, called), rollout))
        return rollout

    async def _watch(self, qualified: str, rollout: Rollout) -> None:
        name, _, called = qualified.partition(":")
        rules = [rule_of(text) for text in rollout.rules]
        counts = Counts()
        self._invoker.watch(name, rollout.version, counts.add)
        try:
            while self._is_own(name, called, rollout):
                over = time.time() * 1000 >= rollout.ends_ms
                judged = over or counts.calls >= CALLS_MIN
                why = next(filter(None, map(counts.broken, rules)), "") if judged else ""
                if (why or over) and await self._end(name, called, rollout, counts, why):
                    return
                await asyncio.sleep(TICK_S)
            await self._give_up(name, called, rollout, counts)
        finally:
            self._invoker.unwatch(name, rollout.version)

    def _is_own(self, name: str, called: str, rollout: Rollout) -> bool:
        """Whether nobody else has changed where the alias leads."""
        alias = self._registry.alias(name, called)
        leads = (alias.version, alias.weights) if alias is not None else None
        return leads == (rollout.before, {rollout.version: rollout.share})

    async def _end(
        self, name: str, called: str, rollout: Rollout, counts: Counts, why: str
    ) -> bool:
        """The alias means one version again; False when that could not be written, or somebody
        else has changed it meanwhile."""
        ended = msgspec.structs.replace(
            rollout,
            state="rolled back" if why else "completed",
            why=why,
            calls=counts.calls,
            errors=counts.errors,
        )
        version = rollout.before if why else rollout.version
        try:
            async with self._lock(name):
                if not self._is_own(name, called, rollout):
                    return False
                await self._put(name, called, ended, version, {})
        except MachineError as error:
            _log.error("cannot end the rollout of %s:%s: %s", name, called, error)
            return False
        _log.info("%s:%s means version %s: %s %s", name, called, version, ended.state, why)
        return True

    async def _give_up(self, name: str, called: str, rollout: Rollout, counts: Counts) -> None:
        """Somebody else has changed the alias, and is right."""
        given_up = msgspec.structs.replace(
            rollout,
            state="given up",
            why="the alias was changed meanwhile",
            calls=counts.calls,
            errors=counts.errors,
        )
        table, qualified = self._table, key(name, called)
        gone = not self._registry.exists(name, called)
        try:
            edit = table.remove(qualified) if gone else table.put(qualified, given_up)
            await self._registry.commit(edit)
        except MachineError as error:
            _log.error("cannot record the end of the rollout of %s: %s", qualified, error)

    async def _put(
        self, name: str, called: str, rollout: Rollout, version: str, weights: dict[str, float]
    ) -> None:
        old = self._registry.alias(name, called)
        assert old is not None
        alias = msgspec.structs.replace(
            old, version=version, weights=weights, revision=str(uuid.uuid4())
        )
        await self._routing.put(name, called, alias, self._table.put(key(name, called), rollout))
