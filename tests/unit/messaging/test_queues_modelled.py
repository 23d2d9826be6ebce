"""Queues against a small model: nothing lost, nobody gets what another has, groups in order."""

from __future__ import annotations

import asyncio
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from queue_world import Clock, World, opened, tables

from microfaas.config.queues import QueueTable
from microfaas.messaging.kept import Received

HIDDEN_S = 30
# Three of them are longer than a message is hidden, two are shorter, by far.
STEP_MS = 11_000
MEMORY = "/dev/shm"
RECEIVES_MAX = 2

PLAIN = tables(
    q=QueueTable(visibility_timeout_s=HIDDEN_S, dead_letter_queue="dlq", receives_max=RECEIVES_MAX),
    dlq=QueueTable(visibility_timeout_s=0),
)
FIFO = tables(q_fifo=QueueTable(visibility_timeout_s=HIDDEN_S))

Steps = list[tuple[str, int, int]]
steps = st.lists(
    st.tuples(
        st.sampled_from(
            ["send", "receive", "receive", "together", "remove", "show", "wait", "wait", "restart"]
        ),
        st.integers(1, 5),
        st.integers(0, 7),
    ),
    max_size=40,
)


@dataclass
class Known:
    """What the model knows of one message."""

    body: str
    group: str
    receives: int = 0
    free_ms: int = 0
    handle: str = ""
    removed: bool = False


@dataclass
class Model:
    """What must be true of a queue."""

    clock: Clock
    fifo: bool
    messages: dict[str, Known] = field(default_factory=dict)
    handles: list[tuple[str, str]] = field(default_factory=list)

    def is_free(self, known: Known) -> bool:
        return not known.removed and known.free_ms <= self.clock.ahead_ms

    def left(self, group: str) -> list[Known]:
        return [m for m in self.messages.values() if m.group == group and not m.removed]

    def group_is_free(self, group: str) -> bool:
        return all(map(self.is_free, self.left(group)))

    def receivable(self) -> bool:
        """Whether a receive must give something."""
        if self.fifo:
            groups = {m.group for m in self.messages.values() if not m.removed}
            return any(map(self.group_is_free, groups))
        good = (m for m in self.messages.values() if m.receives < RECEIVES_MAX)
        return any(map(self.is_free, good))

    def received(self, got: list[Received]) -> None:
        """What is received at once must have been free, and each group's next."""
        bodies = [one.message.body.decode() for one in got]
        if self.fifo:
            for group in {self.messages[body].group for body in bodies}:
                assert self.group_is_free(group)
                mine = [body for body in bodies if self.messages[body].group == group]
                assert mine == [m.body for m in self.left(group)][: len(mine)]
        for one in got:
            known = self.messages[one.message.body.decode()]
            assert self.is_free(known)
            known.receives += 1
            assert one.message.attempts == known.receives
            known.free_ms = self.clock.ahead_ms + HIDDEN_S * 1000
            known.handle = one.handle
            self.handles.append((known.body, one.handle))

    def is_held(self, body: str, handle: str) -> bool:
        """Whether the handle is the message's last one."""
        known = self.messages[body]
        return not known.removed and known.handle == handle


class Play:
    """One run of the steps."""

    def __init__(self, path: Path, fifo: bool) -> None:
        self.path = path
        self.fifo = fifo
        self.name = "q.fifo" if fifo else "q"
        self.clock = Clock()
        self.model = Model(self.clock, fifo)

    async def run(self, steps: Steps) -> None:
        left = list(steps)
        while True:
            async with opened(self.path, FIFO if self.fifo else PLAIN, self.clock) as world:
                while left and left[0][0] != "restart":
                    name, count, which = left.pop(0)
                    await getattr(self, name)(world, count, which)
                if not left:
                    await self.drain(world)
                    return
                left.pop(0)

    async def send(self, world: World, count: int, which: int) -> None:
        for _ in range(count):
            body, group = str(len(self.model.messages)), f"g{which % 2}"
            more = {"group": group, "deduplication_id": body} if self.fifo else {}
            await world.send(self.name, body, **more)
            self.model.messages[body] = Known(body, group)

    async def receive(self, world: World, count: int, _: int) -> None:
        wanted = self.model.receivable()
        got = await world.queues.receive(self.name, count)
        assert bool(got) == wanted
        self.model.received(got)
        await self.bury(world)

    async def together(self, world: World, count: int, _: int) -> None:
        answers = await asyncio.gather(*(world.queues.receive(self.name, count) for _ in range(3)))
        for got in answers:
            self.model.received(got)
        await self.bury(world)

    async def bury(self, world: World) -> None:
        """What is in the dead letter queue was received as often as may be, and is free."""
        if self.fifo:
            return
        for message in world.queues.peek("dlq", 1000):
            known = self.model.messages[message.body.decode()]
            if not known.removed:
                assert known.receives == RECEIVES_MAX
                assert self.model.is_free(known)
                known.removed = True

    async def remove(self, world: World, _: int, which: int) -> None:
        if not self.model.handles:
            return
        body, handle = self.model.handles[which % len(self.model.handles)]
        known = self.model.messages[body]
        (error,) = await world.queues.settle(self.name, [(handle, "remove")])
        held = self.model.is_held(body, handle)
        late = held and self.fifo and self.model.is_free(known)
        assert (error is not None) == late
        if held and not late:
            known.removed = True

    async def show(self, world: World, _: int, which: int) -> None:
        """Put a message back before its time."""
        if not self.model.handles:
            return
        body, handle = self.model.handles[which % len(self.model.handles)]
        known = self.model.messages[body]
        (error,) = await world.queues.settle(self.name, [(handle, 0)])
        may = self.model.is_held(body, handle) and not self.model.is_free(known)
        assert (error is None) == may
        if may:
            known.free_ms = 0

    async def wait(self, _: World, count: int, __: int) -> None:
        self.clock.ahead_ms += count * STEP_MS

    async def drain(self, world: World) -> None:
        """At the end everything that was not removed is still there, once."""
        expected = sorted(m.body for m in self.model.messages.values() if not m.removed)
        whole = sum(world.store.depth(f"queue:{name}").messages for name in (self.name,))
        assert whole == len(expected)
        ready, unavailable = world.queues.count(self.name)
        assert ready + sum(unavailable) == whole
        rows = world.database.read(
            "any_messages",
            {"queue": world.queues.directory.get(self.name).number, "last": 1 << 60, "limit": 999},
        )
        assert sorted(row[-1].decode() for row in rows) == expected


def play(steps: Steps, fifo: bool) -> None:
    # In memory where there is such a place: it is not the disk that is tested.
    with tempfile.TemporaryDirectory(dir=MEMORY if os.path.isdir(MEMORY) else None) as path:
        asyncio.run(Play(Path(path), fifo).run(steps))


@settings(max_examples=120, deadline=None)
@given(steps)
def test_a_queue_does_what_its_model_does(steps: Steps) -> None:
    play(steps, fifo=False)


@settings(max_examples=120, deadline=None)
@given(steps)
def test_a_fifo_queue_does_what_its_model_does(steps: Steps) -> None:
    play(steps, fifo=True)
