"""A queue's consumer: nothing is taken twice and nothing forgotten, however things go."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from microfaas.dispatch import consumer
from microfaas.dispatch.consumer import Consumer
from microfaas.errors import MachineError
from microfaas.store.db import Database
from microfaas.store.messages import Batch, Draft, Message, MessageStore

QUEUE = "queue:q"
PATIENCE_S = 60.0


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something to come true; the limit is only there to end a broken test."""
    for _ in range(int(PATIENCE_S / 0.002)):
        if condition():
            return
        await asyncio.sleep(0.002)
    raise AssertionError("it never came true")


class World:
    """A consumer whose work notes what it is given, and removes it."""

    def __init__(self, store: MessageStore, workers: int = 4) -> None:
        self.store = store
        self.workers = workers
        self.seen: list[bytes] = []
        self.at_work = 0
        self.most = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.work: Callable[[Message], Awaitable[None]] = self.remove
        self.consumer: Consumer
        self.wrong: list[AssertionError] = []

    async def put(self, *bodies: bytes, **more: Any) -> list[Message]:
        return await self.store.commit(Batch([Draft(QUEUE, body, **more) for body in bodies]))

    async def remove(self, message: Message) -> None:
        await self.store.commit(Batch(removed=[message]))

    async def _work(self, message: Message) -> None:
        self.seen.append(message.body)
        self.at_work += 1
        self.most = max(self.most, self.at_work)
        try:
            assert self.store.find(message.uuid) == message
            await self.gate.wait()
            await self.work(message)
        except AssertionError as error:
            self.wrong.append(error)  # else it would be a fault, and put off
            await self.remove(message)
        finally:
            self.at_work -= 1

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
            self.consumer = Consumer(self.store, QUEUE, self.workers, self._work, tasks)
            self.consumer.start()
            yield
            self.consumer.stop()
            self.gate.set()
            await self.consumer.drained()
        assert not self.wrong

    async def until_empty(self) -> None:
        await until(lambda: self.store.depth(QUEUE).messages == 0)

    async def until_seen(self, count: int) -> None:
        await until(lambda: len(self.seen) >= count)


@pytest.fixture
def world(store: MessageStore) -> World:
    return World(store)


async def test_what_was_there_and_what_comes_is_taken_in_order(world: World) -> None:
    world.workers = 1
    await world.put(b"1", b"2")
    async with world.running():
        await world.put(b"3")
        await world.put(b"4", b"5")
        await world.until_empty()
    assert world.seen == [b"1", b"2", b"3", b"4", b"5"]


async def test_as_many_are_at_work_as_may(world: World) -> None:
    world.gate.clear()
    async with world.running():
        await world.put(*[b"x"] * 20)
        await world.until_seen(4)
        await asyncio.sleep(0.01)
        assert world.at_work == 4
        world.gate.set()
        await world.until_empty()
    assert (world.most, len(world.seen)) == (4, 20)


async def test_it_may_become_more_and_fewer_that_are_at_work(world: World) -> None:
    world.gate.clear()
    async with world.running():
        await world.put(*[b"x"] * 20)
        await world.until_seen(4)
        world.consumer.resize(7)
        await world.until_seen(7)
        world.consumer.resize(2)
        world.gate.set()
        await world.until_seen(8)
        await until(lambda: world.at_work <= 2)
        world.most = 0
        await world.put(*[b"x"] * 20)
        await world.until_empty()
    assert (world.most, len(world.seen)) == (2, 40)


async def test_a_backlog_far_larger_than_the_window_is_taken_in_order(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "WINDOW_MESSAGES", 8)
    world.workers = 1
    numbers = [b"%03d" % number for number in range(100)]
    await world.put(*numbers[:60])
    async with world.running():
        for number in numbers[60:]:
            await world.put(number)
        await world.until_empty()
    assert world.seen == numbers


async def test_a_window_is_bounded_by_bytes(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consumer, "WINDOW_BYTES", 100)
    world.gate.clear()
    async with world.running():
        await world.put(*[bytes(60)] * 20)
        await world.until_seen(4)
        assert world.consumer._bytes <= 100 + 60
        world.gate.set()
        await world.until_empty()
    assert len(world.seen) == 20


async def test_one_large_message_does_not_keep_the_workers_idle(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "WINDOW_BYTES", 100)
    world.gate.clear()
    await world.put(bytes(200), *[b"x"] * 9)
    async with world.running():
        await world.until_seen(4)


async def test_what_is_delayed_is_taken_when_it_is_due(world: World) -> None:
    async def on_time(message: Message) -> None:
        assert world.store.now_ms() >= message.due_ms
        await world.remove(message)

    world.work = on_time
    world.workers = 1
    # In one commit, however long it takes: their delays begin together.
    delays = [Draft(QUEUE, b"%d" % delay_ms, delay_ms=delay_ms) for delay_ms in (150, 50, 100)]
    async with world.running():
        await world.store.commit(Batch([*delays, Draft(QUEUE, b"now")]))
        await world.until_empty()
    assert world.seen == [b"now", b"50", b"100", b"150"]


async def test_a_delay_outlives_a_restart(world: World, store: MessageStore) -> None:
    await world.put(b"late", delay_ms=80)
    async with world.running():
        assert world.seen == []
        await world.until_empty()
    assert world.seen == [b"late"]


async def test_what_is_put_off_is_taken_again_and_only_then(world: World) -> None:
    async def thrice(message: Message) -> None:
        if message.attempts == 2:
            return await world.remove(message)
        batch = Batch()
        batch.reschedule(message, world.store.now_ms() + 20, message.attempts + 1)
        await world.store.commit(batch)
        return None

    world.work = thrice
    async with world.running():
        await world.put(*[b"%d" % number for number in range(30)])
        await world.until_empty()
    assert set(Counter(world.seen).values()) == {3}


async def test_many_due_at_once_are_each_taken_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a long outage: all of them waited for a retry."""
    monkeypatch.setattr(consumer, "WINDOW_MESSAGES", 8)
    await world.put(*[b"%d" % number for number in range(100)], delay_ms=1)
    await world.put(*[b"fresh %d" % number for number in range(20)])
    await asyncio.sleep(0.01)
    async with world.running():
        await world.until_empty()
    assert set(Counter(world.seen).values()) == {1}
    assert len(world.seen) == 120


async def test_what_becomes_due_between_two_looks_is_found(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock goes on while the consumer looks for what is due."""
    world.gate.clear()
    store = world.store
    late = (await world.put(b"late", delay_ms=1_000_000))[0]
    now = [late.due_ms - 1]

    def ticking() -> int:
        now[0] += 1
        return now[0]

    monkeypatch.setattr(store, "now_ms", ticking)
    async with world.running():
        world.gate.set()
        await world.until_empty()
    assert world.seen == [b"late"]


async def test_a_fault_of_ours_puts_a_message_off_and_harms_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(consumer, "FAULT_DELAY_S", 0.02)
    faults = {b"a": 2, b"c": 1}

    async def failing(message: Message) -> None:
        if faults.get(message.body):
            faults[message.body] -= 1
            raise ZeroDivisionError
        await world.remove(message)

    world.work = failing
    with caplog.at_level(logging.ERROR):
        async with world.running():
            await world.put(b"a", b"b")
            await world.put(b"c", delay_ms=5)
            await world.until_empty()
    assert Counter(world.seen) == {b"a": 3, b"b": 1, b"c": 2}
    assert "stays for now" in caplog.text


async def test_a_fault_while_the_disk_refuses_is_waited_out(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "FAULT_DELAY_S", 0.01)
    commit, faults = world.store.commit, [MachineError("full")] * 5

    async def failing(batch: Batch) -> list[Message]:
        if faults:
            raise faults.pop()
        return await commit(batch)

    await world.put(b"a")
    monkeypatch.setattr(world.store, "commit", failing)
    async with world.running():
        await world.until_empty()
    assert world.seen == [b"a", b"a"]


async def test_what_is_dropped_from_the_window_is_not_taken(world: World) -> None:
    world.workers = 1
    world.gate.clear()
    async with world.running():
        _, second, _ = await world.put(b"1", b"2", b"3")
        await world.until_seen(1)
        await world.remove(second)
        world.consumer.drop(second)
        world.consumer.drop(second)
        world.gate.set()
        await world.until_empty()
    assert world.seen == [b"1", b"3"]


async def test_a_stop_takes_nothing_more_and_leaves_it_on_disk(world: World) -> None:
    world.gate.clear()
    async with world.running():
        await world.put(*[b"x"] * 20)
        await world.until_seen(4)
    assert len(world.seen) == 4
    await world.put(b"later")
    assert len(world.seen) == 4
    async with world.running():
        await world.until_empty()
    assert len(world.seen) == 21


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "delayed", "burst", "rest", "resize", "cancelled", "restart"]),
        st.integers(1, 5),
    ),
    max_size=25,
)


@settings(max_examples=30, deadline=None, phases=[Phase.explicit, Phase.generate])
@given(STEPS, st.integers(1, 5), st.integers(2, 9), st.data())
def test_whatever_happens_each_is_seen_through_once(
    steps: list[tuple[str, int]], workers: int, window: int, data: st.DataObject
) -> None:
    """Puts race with fills, retries with restarts, and acceptors are cancelled in the midst."""
    fates = data.draw(st.lists(st.sampled_from(["done", "again", "fault"]), min_size=1))
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(consumer, "WINDOW_MESSAGES", window)
        patched.setattr(consumer, "FAULT_DELAY_S", 0.003)
        patched.setattr(logging.getLogger("microfaas.dispatch"), "disabled", True)
        db = Database(os.path.join(folder, "store.db"))
        db.open()
        asyncio.run(_play(World(MessageStore(db), workers), steps, fates))
        db.close()


async def _play(world: World, steps: list[tuple[str, int]], fates: list[str]) -> None:
    done: Counter[int] = Counter()
    running: set[int] = set()

    async def work(message: Message) -> None:
        assert message.id not in running
        assert not done[message.id]
        running.add(message.id)
        try:
            await asyncio.sleep(0.001 * (message.id % 3))
            fate = fates[message.id % len(fates)] if message.attempts < 2 else "done"
            if fate == "fault" and message.due_ms == 0:
                raise ZeroDivisionError
            if fate == "again":
                batch = Batch()
                due_ms = world.store.now_ms() + message.id % 4
                batch.reschedule(message, due_ms, message.attempts + 1)
                await world.store.commit(batch)
                return
            done[message.id] += 1
            await world.remove(message)
        finally:
            running.discard(message.id)

    world.work = work
    wanted = 0
    todo = list(steps)
    while True:
        async with world.running():
            while todo:
                step, count = todo.pop(0)
                if step == "restart":
                    break
                wanted += await _step(world, step, count)
            else:
                await world.until_empty()
        if not todo and not world.store.depth(QUEUE).messages:
            break
    assert sum(done.values()) == wanted
    assert set(done.values()) <= {1}


async def _step(world: World, step: str, count: int) -> int:
    """How many messages it has put."""
    if step == "rest":
        await asyncio.sleep(0.001 * count)
        return 0
    if step == "resize":
        world.consumer.resize(count)
        return 0
    if step == "cancelled":
        putting = asyncio.create_task(world.put(*[b"x"] * count))
        await asyncio.sleep(0)
        putting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await putting
        return count
    if step == "burst":
        await asyncio.gather(*(world.put(b"x") for _ in range(count * 4)))
        return count * 4
    await world.put(*[b"x"] * count, delay_ms=count if step == "delayed" else 0)
    return count
