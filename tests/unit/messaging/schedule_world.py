"""Schedules over a real database, with a clock that the test sets, and reopened at will."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from microfaas.messaging.schedules import Plan, Schedules
from microfaas.store.db import Database
from microfaas.store.messages import Batch, Draft, Message, MessageStore
from microfaas.timetable import parse, zone_named

QUEUE = "function:f"
# Noon, on a Tuesday in December.
NOON_S = 1_796_731_200


class Clocks:
    """A wall clock and a steady one."""

    def __init__(self, now_s: float = NOON_S) -> None:
        self.now_s = now_s
        self.steady_s = 1000.0

    def wall(self) -> float:
        return self.now_s

    def steady(self) -> float:
        return self.steady_s

    def pass_s(self, seconds: float) -> None:
        """Time passes."""
        self.now_s += seconds
        self.steady_s += seconds

    def put_s(self, seconds: float) -> None:
        """Somebody sets the wall clock."""
        self.now_s += seconds


class World:
    """One data directory; `open` is a start of the server, `crash` what a power cut does."""

    def __init__(self, folder: Path, now_s: float = NOON_S) -> None:
        self.path = str(folder / "store.db")
        self.clocks = Clocks(now_s)
        self.start_ms = int(now_s * 1000)
        self.open()

    def open(self) -> None:
        self.db = Database(self.path)
        self.db.open()
        self.store = MessageStore(self.db, self.clocks.wall)
        self.schedules = Schedules(self.db, self.store, self.clocks.wall, self.clocks.steady)

    def close(self) -> None:
        self.db.close()

    async def restart(self, *plans: Plan) -> None:
        self.close()
        self.open()
        for plan in plans:
            await self.follow(plan)

    async def follow(self, plan: Plan, **options: Any) -> None:
        batch = Batch()
        followed = self.schedules.prepare(batch, plan, **options)
        await self.store.commit(batch)
        self.schedules.follow(followed)

    async def pass_s(self, seconds: float, step_s: float = 1.0) -> None:
        """Time passes while the loop looks again and again."""
        for _ in range(int(seconds / step_s)):
            self.clocks.pass_s(step_s)
            await self.schedules.look()

    def messages(self) -> list[Message]:
        return self.store.ready(QUEUE, 0, 100_000)[0]

    @property
    def ticks(self) -> list[float]:
        """The ticks that were put, in seconds since the world began, in order."""
        return [(int(message.body) - self.start_ms) / 1000 for message in self.messages()]

    async def end(self, *messages: Message) -> None:
        """What was put has been run."""
        batch = Batch()
        for message in messages:
            batch.remove(message)
        await self.store.commit(batch)


def plan(expression: str = "rate(1 minute)", zone: str = "UTC", **settings: Any) -> Plan:
    """A schedule whose ticks are put as messages that tell their moment."""

    def fire(batch: Batch, tick: int) -> None:
        batch.put(Draft(QUEUE, str(tick).encode()))

    whole: dict[str, Any] = {"key": "file:f:x", "name": "x", "target": QUEUE, "fire": fire}
    return Plan(
        **whole
        | {
            "expression": expression,
            "timezone": zone,
            "schedule": parse(expression),
            "zone": zone_named(zone),
        }
        | settings
    )
