"""EventBridge Scheduler's schedules, in its default group."""

from __future__ import annotations

import asyncio
import functools
import time
import uuid
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from microfaas.config.schedules import JITTER_S_MAX
from microfaas.errors import ServiceError
from microfaas.messaging.schedules import Plan, Schedules
from microfaas.messaging.targets import Target, Targets
from microfaas.model import Address
from microfaas.payloads import eventbridge
from microfaas.payloads.eventbridge import Tick
from microfaas.store.messages import Batch
from microfaas.store.resources import Resource, Resources
from microfaas.timetable import InvalidSchedule, parse, zone_named

KIND = "schedule"
GROUP = "default"
SCHEDULES_MAX = 10_000


class Timed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A schedule as it was made. `told` is what AWS keeps of it and nobody asks here."""

    name: str
    expression: str
    target: Target
    timezone: str = "UTC"
    state: Literal["ENABLED", "DISABLED"] = "ENABLED"
    # None: no flexible window.
    window_min: int | None = None
    start_s: float | None = None
    end_s: float | None = None
    after: Literal["NONE", "DELETE"] = "NONE"
    created_s: float = 0.0
    changed_s: float = 0.0
    told: dict[str, Any] = {}

    @property
    def key(self) -> str:
        return f"scheduler:{GROUP}/{self.name}"


_decode = msgspec.json.Decoder(Timed).decode
_encode = msgspec.json.Encoder().encode


class Scheduler:
    """All of them."""

    def __init__(
        self,
        resources: Resources,
        schedules: Schedules,
        targets: Targets,
        address: Address,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._resources = resources
        self._schedules = schedules
        self._targets = targets
        self._address = address
        self._clock = clock
        self._timed = {row.name: _decode(row.settings) for row in resources.all(KIND)}
        self._changing = asyncio.Lock()

    async def open(self) -> None:
        """Go on with those that are enabled."""
        enabled = [timed for timed in self._timed.values() if timed.state == "ENABLED"]
        await self._schedules.begin([self._plan(timed) for timed in enabled])

    def all(self) -> list[Timed]:
        """In the order of their names."""
        return [self._timed[name] for name in sorted(self._timed)]

    def get(self, name: str) -> Timed:
        """Raises ServiceError when there is none."""
        timed = self._timed.get(name)
        if timed is None:
            text = f"Schedule {name} does not exist."
            raise ServiceError("ResourceNotFoundException", text)
        return timed

    def arn(self, name: str) -> str:
        return eventbridge.schedule_arn(self._address, name, GROUP)

    async def create(self, timed: Timed) -> None:
        """Raises ServiceError, also when there is one of that name."""
        check(timed)
        async with self._changing:
            if timed.name in self._timed:
                raise ServiceError("ConflictException", f"Schedule {timed.name} already exists.")
            if len(self._timed) >= SCHEDULES_MAX:
                text = f"There are {SCHEDULES_MAX} schedules, and more are not kept."
                raise ServiceError("ServiceQuotaExceededException", text)
            now_s = self._clock()
            await self._change(
                msgspec.structs.replace(timed, created_s=now_s, changed_s=now_s), None
            )

    async def update(self, timed: Timed) -> None:
        """Replace one as a whole. Raises ServiceError."""
        check(timed)
        async with self._changing:
            before = self.get(timed.name)
            after = msgspec.structs.replace(
                timed, created_s=before.created_s, changed_s=self._clock()
            )
            await self._change(after, before)

    async def delete(self, name: str) -> None:
        """Raises ServiceError when there is none."""
        async with self._changing:
            timed = self.get(name)
            batch = Batch()
            batch.also(*self._resources.removed(KIND, name))
            await self._schedules.remove(timed.key, batch)
            self._timed.pop(name, None)

    async def _change(self, timed: Timed, before: Timed | None) -> None:
        """Store it and act on it from now on."""
        batch = Batch()
        row = Resource(timed.name, int(timed.created_s * 1000), _encode(timed))
        batch.also(*self._resources.stored(KIND, row))
        resumed = before is not None and before.state != "ENABLED"
        plan = self._plan(timed) if timed.state == "ENABLED" else None
        await self._schedules.change(timed.key, batch, plan, resumed=resumed)
        self._timed[timed.name] = timed

    def _plan(self, timed: Timed) -> Plan:
        window_s = (timed.window_min or 0) * 60
        return Plan(
            key=timed.key,
            name=timed.name,
            target=timed.target.arn,
            expression=timed.expression,
            timezone=timed.timezone,
            schedule=parse(timed.expression),
            zone=zone_named(timed.timezone),
            fire=functools.partial(self._fire, timed),
            # Any moment of the window will do; none is later than a message may wait.
            jitter_s=min(window_s, JITTER_S_MAX),
            start_ms=None if timed.start_s is None else int(timed.start_s * 1000),
            end_ms=None if timed.end_s is None else int(timed.end_s * 1000),
            at_once=True,
            ended=functools.partial(self._ended, timed) if timed.after == "DELETE" else None,
        )

    def _fire(self, timed: Timed, batch: Batch, at_ms: int) -> None:
        arn, tick = self.arn(timed.name), Tick(at_ms=at_ms, id=str(uuid.uuid4()))
        target = timed.target
        event = eventbridge.of_schedule(self._address, arn, tick)
        if target.input is None:
            body = eventbridge.encode(event)
        else:
            body = eventbridge.filled(target.input, arn, tick).encode()
        self._targets.send(batch, target, body, event, timed.key)

    def _ended(self, timed: Timed, batch: Batch) -> None:
        """It has run for the last time, and is to be deleted then."""
        batch.also(*self._resources.removed(KIND, timed.name))
        self._timed.pop(timed.name, None)


def check(timed: Timed) -> None:
    """Whether a schedule means something. Raises ServiceError."""
    try:
        if not timed.expression.startswith(("rate(", "cron(", "at(")):
            raise InvalidSchedule("write rate(…), cron(…) or at(…)")
        parse(timed.expression)
    except InvalidSchedule as error:
        text = f"Invalid Schedule Expression {timed.expression}. Reason: {error}"
        raise ServiceError("ValidationException", text) from None
    try:
        zone_named(timed.timezone)
    except InvalidSchedule as error:
        text = f"The timezone provided is invalid: {error}"
        raise ServiceError("ValidationException", text) from None
    if timed.start_s is not None and timed.end_s is not None and timed.end_s <= timed.start_s:
        text = "The EndDate you specify must come after the StartDate."
        raise ServiceError("ValidationException", text)
