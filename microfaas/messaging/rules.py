"""EventBridge's rules on the default bus: what matches an event, or is due, is sent to targets.

An event that is put, or a tick, and all that it gives rise to are one commit. Rules that are made
through the API are kept among the resources; those of functions' triggers are declared anew
at each start, and the API neither shows nor changes them.
"""

from __future__ import annotations

import asyncio
import functools
import time
import uuid
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from microfaas.errors import MicrofaasError, ServiceError
from microfaas.messaging.schedules import Plan, Schedules
from microfaas.messaging.targets import Target, Targets
from microfaas.model import Address
from microfaas.patterns import InvalidPattern, Pattern, compile_pattern
from microfaas.payloads import eventbridge
from microfaas.payloads.eventbridge import Occurrence, Tick
from microfaas.store.messages import Batch, MessageStore
from microfaas.store.resources import Resource, Resources
from microfaas.timetable import InvalidSchedule, parse

KIND = "rule"
BUS = eventbridge.BUS
# AWS's, for one bus; and twenty times AWS's for one rule.
RULES_MAX = 300
TARGETS_MAX = 100


class Rule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is listened for, and who is told."""

    name: str
    description: str = ""
    pattern: str = ""
    expression: str = ""
    state: str = "ENABLED"
    role: str = ""
    targets: tuple[Target, ...] = ()
    tags: dict[str, str] = {}
    # It is a function's trigger, and asks nobody.
    declared: bool = False

    @property
    def enabled(self) -> bool:
        return self.state != "DISABLED"

    @property
    def key(self) -> str:
        return f"{KIND}:{self.name}"


class _Listening(msgspec.Struct, frozen=True):
    """A rule that is enabled, with its pattern compiled."""

    rule: Rule
    pattern: Pattern


_decode = msgspec.json.Decoder(Rule).decode
_encode = msgspec.json.Encoder().encode


class Rules:
    """All rules of the default bus."""

    def __init__(
        self,
        store: MessageStore,
        resources: Resources,
        schedules: Schedules,
        targets: Targets,
        address: Address,
        declared: Iterable[Rule] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._resources = resources
        self._schedules = schedules
        self._targets = targets
        self._address = address
        self._clock = clock
        self._rows = {row.name: row for row in resources.all(KIND)}
        self._rules = {name: _decode(row.settings) for name, row in self._rows.items()}
        self.declare(declared)
        self._listening = {name: _compiled(rule) for name, rule in self._rules.items()}
        self._changing = asyncio.Lock()

    async def open(self) -> None:
        """Go on with the schedules of rules."""
        rules = [rule for rule in self._rules.values() if rule.expression and rule.enabled]
        await self._schedules.begin([self._plan(rule) for rule in rules])

    def declare(self, rules: Iterable[Rule]) -> None:
        """Those of functions' triggers are these, and no others any more."""
        self._declared = [_Listening(rule, compile_pattern(rule.pattern)) for rule in rules]

    def all(self) -> list[Rule]:
        """Those of the API, in the order of their names."""
        return [self._rules[name] for name in sorted(self._rules)]

    def get(self, name: str) -> Rule:
        """Raises ServiceError when there is none."""
        rule = self._rules.get(name)
        if rule is None:
            text = f"Rule {name} does not exist on EventBus {BUS}."
            raise ServiceError("ResourceNotFoundException", text)
        return rule

    def arn(self, name: str) -> str:
        return eventbridge.rule_arn(self._address, name)

    async def put(self, rule: Rule) -> None:
        """Make a rule, or change it; its targets and tags stay. Raises ServiceError."""
        check(rule)
        async with self._changing:
            before = self._rules.get(rule.name)
            if before is None and len(self._rules) >= RULES_MAX:
                text = f"The requested resource exceeds the maximum number allowed: {RULES_MAX}"
                raise ServiceError("LimitExceededException", text)
            if before is not None:
                rule = msgspec.structs.replace(rule, targets=before.targets, tags=before.tags)
            await self._change(rule)

    async def switch(self, name: str, state: str) -> None:
        """Enable or disable one. Raises ServiceError."""
        async with self._changing:
            await self._change(msgspec.structs.replace(self.get(name), state=state))

    async def tag(self, name: str, tags: Mapping[str, str], gone: Container[str] = ()) -> None:
        """Add tags, and take others away. Raises ServiceError."""
        async with self._changing:
            rule = self.get(name)
            kept = {key: value for key, value in rule.tags.items() if key not in gone}
            await self._change(msgspec.structs.replace(rule, tags={**kept, **tags}))

    async def put_targets(self, name: str, targets: Sequence[Target]) -> None:
        """Add targets, in place of those with the same ids. Raises ServiceError."""
        async with self._changing:
            rule = self.get(name)
            whole = {target.id: target for target in (*rule.targets, *targets)}
            if len(whole) > TARGETS_MAX:
                text = f"The requested resource exceeds the maximum number allowed: {TARGETS_MAX}"
                raise ServiceError("LimitExceededException", text)
            await self._change(msgspec.structs.replace(rule, targets=tuple(whole.values())))

    async def remove_targets(self, name: str, ids: Sequence[str]) -> list[str]:
        """Remove targets; the ids of which there are none. Raises ServiceError."""
        async with self._changing:
            rule = self.get(name)
            left = tuple(target for target in rule.targets if target.id not in ids)
            await self._change(msgspec.structs.replace(rule, targets=left))
            known = {target.id for target in rule.targets}
            return [each for each in ids if each not in known]

    async def delete(self, name: str) -> None:
        """Nothing happens when there is none. Raises ServiceError while it has targets."""
        async with self._changing:
            rule = self._rules.get(name)
            if rule is None:
                return
            if rule.targets:
                text = "Rule can't be deleted since it has targets."
                raise ServiceError("ValidationException", text)
            batch = Batch()
            batch.also(*self._resources.removed(KIND, name))
            await self._schedules.remove(rule.key, batch)
            for book in (self._rules, self._rows, self._listening):
                book.pop(name, None)

    async def publish(self, occurrences: Iterable[Occurrence], trace_id: str = "") -> None:
        """Send events to whoever listens for them. Raises ServiceError, QueueFull, MachineError."""
        batch = Batch()
        try:
            for occurrence in occurrences:
                self._add(batch, occurrence, trace_id)
        except RecursionError:
            # Within an event a detail is nested deeper, and may be too deep only then.
            raise ServiceError("ValidationException", "Detail is nested too deep.") from None
        await self._store.commit(batch)

    def sink(self, batch: Batch, _: str, body: bytes, __: object, trace_id: str = "") -> None:
        """A destination's way in: the record of an invocation's end. Raises MicrofaasError."""
        if not self._declared and not any(self._listening.values()):
            return
        at_ms = int(self._clock() * 1000)
        try:
            record = msgspec.json.decode(body)
            end = eventbridge.of_end(self._address, str(uuid.uuid4()), at_ms, record)
            # Within an event it is nested deeper, and may be too deep only then.
            self._add(batch, end, trace_id)
        except (msgspec.DecodeError, RecursionError) as error:
            raise MicrofaasError(f"cannot put the record on the bus: {error}") from None

    def _add(self, batch: Batch, occurrence: Occurrence, trace_id: str) -> None:
        """Put what whoever listens is sent into a batch."""
        event = eventbridge.event(self._address, occurrence)
        for each in (*self._declared, *self._listening.values()):
            if each is not None and each.pattern.matches(event):
                self._tell(batch, each.rule, event, trace_id)

    def _tell(self, batch: Batch, rule: Rule, event: dict[str, Any], trace_id: str = "") -> None:
        about = self.arn(rule.name), rule.name
        asks = "" if rule.declared else about[0]
        for target in rule.targets:
            body = target.body(event, about)
            self._targets.send(batch, target, body, event, rule.key, asks, trace_id)

    async def _change(self, rule: Rule) -> None:
        """Store a rule and act on it from now on."""
        before = self._rules.get(rule.name)
        listening = _compiled(rule)
        at_ms = int(self._clock() * 1000)
        row = self._rows.get(rule.name, Resource(rule.name, at_ms, b""))
        row = row._replace(settings=_encode(rule))
        batch = Batch()
        batch.also(*self._resources.stored(KIND, row))
        if not rule.expression:
            await self._schedules.remove(rule.key, batch)
        else:
            resumed = before is not None and not before.enabled
            plan = self._plan(rule) if rule.enabled else None
            await self._schedules.change(rule.key, batch, plan, resumed=resumed)
        self._rules[rule.name], self._rows[rule.name] = rule, row
        self._listening[rule.name] = listening

    def _plan(self, rule: Rule) -> Plan:
        return Plan(
            key=rule.key,
            name=rule.name,
            target=", ".join(target.arn for target in rule.targets),
            expression=rule.expression,
            timezone="UTC",
            schedule=parse(rule.expression),
            fire=functools.partial(self._fire, rule),
        )

    def _fire(self, rule: Rule, batch: Batch, at_ms: int) -> None:
        tick = Tick(at_ms=at_ms, id=str(uuid.uuid4()))
        event = eventbridge.of_rule(self._address, self.arn(rule.name), tick)
        self._tell(batch, rule, event)


def check(rule: Rule) -> None:
    """Whether a rule means something. Raises ServiceError."""
    if not rule.pattern and not rule.expression:
        text = "Parameter(s) EventPattern or ScheduleExpression must be specified."
        raise ServiceError("ValidationException", text)
    if rule.pattern:
        compiled(rule.pattern)
    if rule.expression:
        try:
            if not rule.expression.startswith(("rate(", "cron(")):
                raise InvalidSchedule("write rate(…) or cron(…)")
            parse(rule.expression)
        except InvalidSchedule as error:
            text = f"Parameter ScheduleExpression is not valid. Reason: {error}"
            raise ServiceError("ValidationException", text) from None


def compiled(pattern: str) -> Pattern:
    """An event pattern. Raises ServiceError."""
    try:
        return compile_pattern(pattern)
    except InvalidPattern as error:
        raise ServiceError("InvalidEventPatternException", str(error)) from None


def _compiled(rule: Rule) -> _Listening | None:
    if not rule.pattern or not rule.enabled:
        return None
    return _Listening(rule, compile_pattern(rule.pattern))
