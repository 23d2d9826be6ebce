"""A delivery: what follows from how an attempt went, on disk."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Sequence

import pytest
from delivery_world import task_group, until

from microfaas.dispatch import delivery
from microfaas.dispatch.delivery import POLICY, Route, Verdict, deliver, letter_of
from microfaas.dispatch.gate import Gate
from microfaas.errors import MachineError
from microfaas.store.db import Database
from microfaas.store.dead import DeadLetter, DeadLetters
from microfaas.store.messages import Batch, Draft, Message, MessageStore

QUEUE = "outbox:x"
DONE = Verdict("done")
LATER = Verdict("later", "it is down")
NEVER = Verdict("never", "it does not want it")


@pytest.fixture
def gate() -> Gate:
    return Gate(lambda _: 0.0)


def letters(db: Database) -> list[DeadLetter]:
    return [row.letter for row in DeadLetters(db).page()]


def waiting(store: MessageStore) -> list[Message]:
    return store.newest(QUEUE, 100)


async def attempt(
    store: MessageStore, gate: Gate, verdict: Verdict, message: Message | None = None
) -> Message:
    taken = message or await store.put(Draft(QUEUE, b"body", b"kept"))

    async def send(_: Message) -> Verdict:
        return verdict

    await deliver(store, taken, send, letter_of, gate)
    return taken


async def test_delivered_it_is_gone(store: MessageStore, db: Database, gate: Gate) -> None:
    await attempt(store, gate, DONE)
    assert (waiting(store), letters(db)) == ([], [])


async def test_refused_it_is_a_dead_letter(store: MessageStore, db: Database, gate: Gate) -> None:
    message = await attempt(store, gate, NEVER)
    assert waiting(store) == []
    [letter] = letters(db)
    assert letter == DeadLetter(
        letter.at_ms,
        "",
        message.uuid,
        QUEUE,
        b"body",
        b'"it does not want it"',
        1,
        QUEUE,
        "Undeliverable",
        b"kept",
    )


async def test_else_it_is_tried_later(store: MessageStore, db: Database, gate: Gate) -> None:
    before_ms = store.now_ms()
    message = await attempt(store, gate, LATER)
    [kept] = waiting(store)
    assert (kept.id, kept.attempts) == (message.id, 1)
    assert kept.due_ms >= before_ms + POLICY.retry_delay_s * 1000
    assert letters(db) == []


async def test_and_ever_later(store: MessageStore, gate: Gate) -> None:
    delays = []
    for attempts in (0, 3, 6, 50):
        message = await store.put(Draft(QUEUE, b"", attempts=attempts))
        before_ms = store.now_ms()
        await attempt(store, gate, LATER, message)
        [kept] = [row for row in waiting(store) if row.id == message.id]
        delays.append(kept.due_ms - before_ms)
    assert delays == sorted(delays)
    assert delays[-1] <= 400_000


async def test_too_old_it_is_given_up(store: MessageStore, db: Database, gate: Gate) -> None:
    message = await store.put(Draft(QUEUE, b"body"))
    old_ms = int((time.time() - POLICY.age_s_max) * 1000) + 500
    await attempt(store, gate, LATER, message._replace(at_ms=old_ms))
    assert waiting(store) == []
    assert [json.loads(letter.error) for letter in letters(db)] == ["it is down"]


async def test_much_too_old_it_is_not_tried(store: MessageStore, db: Database, gate: Gate) -> None:
    message = await store.put(Draft(QUEUE, b"body"))
    await attempt(store, gate, DONE, message._replace(at_ms=0))
    assert [json.loads(letter.error) for letter in letters(db)] == ["it waited too long"]


async def test_where_nobody_may_go_any_more_it_stays(store: MessageStore, gate: Gate) -> None:
    gate.stop()
    message = await attempt(store, gate, DONE)
    assert waiting(store) == [message._replace(body=b"")]


async def test_the_disk_is_insisted_upon(
    store: MessageStore, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    message = await store.put(Draft(QUEUE, b"body"))
    commit, tries = store.commit, 0

    async def reluctant(batch: Batch) -> list[Message]:
        nonlocal tries
        tries += 1
        if tries < 3:
            raise MachineError("the disk is full")
        return await commit(batch)

    monkeypatch.setattr(store, "commit", reluctant)
    monkeypatch.setattr(delivery, "RECORD_AGAIN_S", 0.0)
    await attempt(store, gate, DONE, message)
    assert waiting(store) == []
    assert tries == 3


async def test_a_grave_that_is_full_leaves_a_dead_letter(
    store: MessageStore, db: Database, gate: Gate
) -> None:
    store.bound("queue:graves", 0, 0)
    message = await store.put(Draft(QUEUE, b"body"))

    async def send(_: Message) -> Verdict:
        return NEVER

    def bury(batch: Batch, _: MessageStore, message: Message, __: Verdict) -> None:
        batch.put(Draft("queue:graves", message.body))

    await deliver(store, message, send, bury, gate)
    assert waiting(store) == []
    assert [letter.event for letter in letters(db)] == [b"body"]


async def test_a_fault_of_ours_leaves_the_gate_usable(store: MessageStore, gate: Gate) -> None:
    message = await store.put(Draft(QUEUE, b"body"))

    async def send(_: Message) -> Verdict:
        raise RuntimeError("a fault of ours")

    with pytest.raises(RuntimeError):
        await deliver(store, message, send, lambda *_: None, gate)
    assert await gate.enter() == "trial"


class TestRoute:
    @pytest.fixture(autouse=True)
    def _soon(self, monkeypatch: pytest.MonkeyPatch) -> None:
        soon = delivery.Policy(100_000, 0.001, 1000.0, doubling=False)
        monkeypatch.setattr(delivery, "POLICY", soon)

    async def test_what_was_down_gets_all_once_it_is_there(self, store: MessageStore) -> None:
        verdicts, got = [LATER] * 20, []

        async def send(message: Message) -> Verdict:
            if verdicts:
                return verdicts.pop()
            got.append(message.body)
            return DONE

        for number in range(30):
            await store.put(Draft(QUEUE, b"%d" % number))
        async with task_group() as tasks:
            Route(store, QUEUE, send, lambda *_: None, tasks)
            await until(lambda: not store.depth(QUEUE).messages)
        assert sorted(got, key=int) == [b"%d" % number for number in range(30)]

    async def test_what_is_down_is_not_asked_by_all_at_once(self, store: MessageStore) -> None:
        at_once, most, asked = 0, [0], []

        async def send(message: Message) -> Verdict:
            nonlocal at_once
            at_once += 1
            asked.append(message.id)
            if len(asked) > delivery.CONCURRENCY:
                most.append(at_once)
            await asyncio.sleep(0.001)
            at_once -= 1
            return LATER

        for _ in range(50):
            await store.put(Draft(QUEUE, b""))
        async with task_group() as tasks:
            route = Route(store, QUEUE, send, lambda *_: None, tasks)
            await until(lambda: len(asked) > 20)
            route.stop()
            await route.drained()
        assert max(most) == 1
        assert store.depth(QUEUE).messages == 50

    async def test_what_waits_outlives_a_restart(self, db: Database, store: MessageStore) -> None:
        async def down(_: Message) -> Verdict:
            return LATER

        await store.put(Draft(QUEUE, b"body"))
        async with task_group() as tasks:
            route = Route(store, QUEUE, down, lambda *_: None, tasks)
            await until(lambda: any(row.attempts for row in waiting(store)))
            route.stop()
            await route.drained()
        again, got = MessageStore(db), []
        await again.open()

        async def up(message: Message) -> Verdict:
            got.append((message.body, message.attempts >= 1))
            return DONE

        async with task_group() as tasks:
            Route(again, QUEUE, up, lambda *_: None, tasks)
            await until(lambda: got)
        assert got == [(b"body", True)]

    async def test_one_that_waits_at_the_gate_does_not_hold_up_a_stop(
        self, store: MessageStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(delivery, "_delay_s", lambda _: 3600.0)
        asked: list[int] = []

        async def send(message: Message) -> Verdict:
            asked.append(message.id)
            return LATER

        await store.put(Draft(QUEUE, b""))
        async with task_group() as tasks:
            route = Route(store, QUEUE, send, lambda *_: None, tasks)
            await until(lambda: asked)
            drafts: Sequence[Draft] = [Draft(QUEUE, b"")] * 3
            await store.commit(Batch(drafts=list(drafts)))
            route.stop()
            await route.drained()
        assert store.depth(QUEUE).messages == 4
