"""Messages with a real database: batches, order, bounds, and what is there after a restart."""

from __future__ import annotations

import asyncio
import os
import tempfile
import uuid
from collections import Counter
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microfaas.errors import MachineError, QueueFull
from microfaas.model import MIB
from microfaas.store import messages, room
from microfaas.store.db import Database
from microfaas.store.messages import Batch, Draft, Message, MessageStore, number_of

QUEUE = "queue:q"


def draft(body: bytes = b"x", queue: str = QUEUE, **more: Any) -> Draft:
    return Draft(queue, body, **more)


def bodies(store: MessageStore, queue: str = QUEUE) -> list[bytes]:
    return [message.body for message in store.ready(queue, 0, 1000)[0]]


def told(store: MessageStore, queue: str = QUEUE) -> list[Message | int]:
    """What the queue's owner hears, in order."""
    heard: list[Message | int] = []

    def listener(ready: Sequence[Message], later: Sequence[int]) -> None:
        heard.extend([*ready, *later])

    store.listen(queue, listener)
    return heard


async def reopened(db: Database, clock: Any = None) -> MessageStore:
    db.close()
    db.open()
    store = MessageStore(db, clock) if clock else MessageStore(db)
    await store.open()
    return store


async def test_what_was_put_is_found_by_its_id(store: MessageStore) -> None:
    put = await store.put(draft(b"body", attributes=b"kept", group="g", attempts=3))
    found = store.find(put.uuid)
    assert found == put
    assert uuid.UUID(put.uuid).version == 4
    assert number_of(put.uuid) == put.id
    assert (put.body, put.attributes, put.group, put.attempts) == (b"body", b"kept", "g", 3)
    assert store.name(put) == QUEUE


@pytest.mark.parametrize(
    "wrong",
    ["", "x", "0" * 36, "00000000-0000-4000-a000-000000000001", "-" * 36, "é" * 36, "1" * 400],
)
async def test_what_is_no_id_of_ours_finds_nothing(store: MessageStore, wrong: str) -> None:
    await store.put(draft())
    assert store.find(wrong) is None


async def test_another_message_of_the_same_number_is_not_it(store: MessageStore) -> None:
    put = await store.put(draft())
    other = f"{'0' * 8}{put.uuid[8:]}"
    assert store.find(other) is None


async def test_a_batch_is_all(store: MessageStore, db: Database) -> None:
    old, late = [await store.put(draft(body)) for body in (b"old", b"late")]
    batch = Batch()
    batch.put(draft(b"new", "queue:other"))
    batch.remove(old)
    batch.reschedule(late, store.now_ms() + 60_000, 2, b"changed")
    batch.also("record_objects", [("b", "k", 1, 2, 3, 4, "handled")])
    (new,) = await store.commit(batch)
    assert (bodies(store), bodies(store, "queue:other")) == ([], [b"new"])
    assert store.find(old.uuid) is None
    moved = store.find(late.uuid)
    assert moved is not None
    assert (moved.attempts, moved.attributes, moved.body) == (2, b"changed", b"late")
    assert db.read("object", {"bucket": "b", "key": "k"})
    assert store.find(new.uuid) == new


async def test_a_batch_is_nothing(store: MessageStore, db: Database) -> None:
    old = await store.put(draft(b"old"))
    before = [(d.name, d.messages, d.bytes, d.coming) for d in store.depths()]
    heard = told(store)
    batch = Batch()
    batch.put(draft(b"new"))
    batch.remove(old)
    batch.also("record_objects", [("b", "k", None, 2, 3, 4, "handled")])
    with pytest.raises(MachineError):
        await store.commit(batch)
    assert bodies(store) == [b"old"]
    assert [(d.name, d.messages, d.bytes, d.coming) for d in store.depths()] == before
    assert heard == []
    await store.put(draft(b"after"))
    assert bodies(store) == [b"old", b"after"]


async def test_a_batch_that_no_database_takes_is_nothing(store: MessageStore, db: Database) -> None:
    await store.put(draft())
    db.close()
    with pytest.raises(MachineError, match="not open for writing"):
        await store.put(draft())
    assert (store.depth(QUEUE).messages, store.depth(QUEUE).coming) == (1, 0)


async def test_ids_follow_the_commits(store: MessageStore) -> None:
    heard = told(store)
    await asyncio.gather(
        *(store.commit(Batch([draft(b"a"), draft(b"b", "queue:r"), draft(b"c")])) for _ in range(9))
    )
    ids = [message.id for message in heard if isinstance(message, Message)]
    assert ids == sorted(set(ids))
    assert ids == [message.id for message in store.ready(QUEUE, 0, 100)[0]]
    assert bodies(store) == [b"a", b"c"] * 9


async def test_who_is_told_finds_it_on_disk(store: MessageStore) -> None:
    found: list[Message | None] = []
    store.listen(QUEUE, lambda ready, _: found.extend(store.find(m.uuid) for m in ready))
    put = await store.put(draft())
    await store.put(draft(queue="queue:other"))
    assert found == [put]
    store.unlisten(QUEUE)
    await store.put(draft())
    assert found == [put]


async def test_one_that_waits_is_told_with_its_time(store: MessageStore) -> None:
    heard = told(store)
    late = await store.put(draft(delay_ms=50_000))
    assert heard == [late.due_ms]
    assert 0 < late.due_ms - store.now_ms() <= 50_000
    assert bodies(store) == []
    assert store.next_due_ms(QUEUE) == late.due_ms
    batch = Batch()
    batch.reschedule(late, 7, 1)
    await store.commit(batch)
    assert heard == [late.due_ms, 7]
    assert store.due(QUEUE, 9) == ([late._replace(due_ms=7, attempts=1)], False)
    assert store.due(QUEUE, 9, held=[late.id]) == ([], False)
    assert store.next_due_ms(QUEUE) is None


@pytest.mark.parametrize("when", ["before it is written", "when it is written"])
async def test_cancelled_in_the_midst_it_is_told_nonetheless(
    store: MessageStore, when: str
) -> None:
    heard = told(store)
    putting = asyncio.create_task(store.put(draft(b"mine")))
    await asyncio.sleep(0)
    if when == "when it is written":
        while not bodies(store):
            pass  # the loop stands still: the writer's word has not come through
    putting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await putting
    await store.put(draft(b"next"))
    assert [message.body for message in heard if isinstance(message, Message)] == [b"mine", b"next"]
    assert store.depth(QUEUE).messages == 2


async def test_reading_stops_at_a_number_and_at_a_size(store: MessageStore) -> None:
    await store.commit(Batch([draft(bytes(100)) for _ in range(5)]))
    page, more = store.ready(QUEUE, 0, 3)
    assert (len(page), more) == (3, True)
    assert len(store.ready(QUEUE, page[-1].id, 3)[0]) == 2
    assert store.ready(QUEUE, page[-1].id, 3)[1] is False
    assert len(store.ready(QUEUE, 0, 100, bytes_max=150)[0]) == 2
    assert store.ready(QUEUE, 0, 100, bytes_max=150)[1] is True
    assert len(store.ready(QUEUE, 0, 100, bytes_max=1)[0]) == 1


async def test_the_newest_come_first_and_without_their_bodies(store: MessageStore) -> None:
    first = await store.put(draft(b"1"))
    late = await store.put(draft(b"2", delay_ms=9_000))
    last = await store.put(draft(b"3"))
    found = store.newest(QUEUE, 9)
    assert [message.id for message in found] == [late.id, last.id, first.id]
    assert {message.body for message in found} == {b""}
    assert [message.id for message in store.newest(QUEUE, 2)] == [late.id, last.id]


async def test_a_queue_is_bounded_by_number(store: MessageStore) -> None:
    store.bound(QUEUE, 2, MIB)
    await store.put(draft())
    with pytest.raises(QueueFull, match="queue:q: it holds as much as it may, 2 messages"):
        await store.commit(Batch([draft(), draft()]))
    await store.commit(Batch([draft(), draft(queue="queue:other")]))
    with pytest.raises(QueueFull):
        await store.commit(Batch([draft(queue="queue:other"), draft()]))
    assert (len(bodies(store)), len(bodies(store, "queue:other"))) == (2, 1)


async def test_a_queue_is_bounded_by_size(store: MessageStore) -> None:
    store.bound(QUEUE, 100, 10)
    (first,) = await store.commit(Batch([draft(b"1234", attributes=b"56")]))
    with pytest.raises(QueueFull):
        await store.put(draft(b"12345"))
    batch = Batch()
    batch.reschedule(first, store.now_ms(), 1, b"5678")
    await store.commit(batch)
    with pytest.raises(QueueFull):
        await store.put(draft(b"123"))
    await store.put(draft(b"12"))
    found = store.find(first.uuid)
    assert found is not None
    await store.commit(Batch(removed=[found]))
    assert store.depth(QUEUE).bytes == 2


async def test_what_is_just_being_put_counts(store: MessageStore) -> None:
    store.bound(QUEUE, 3, MIB)
    results = await asyncio.gather(*(store.put(draft()) for _ in range(10)), return_exceptions=True)
    assert [type(result) for result in results] == [Message] * 3 + [QueueFull] * 7
    assert len(bodies(store)) == 3
    assert store.depth(QUEUE).coming == 0


async def test_after_a_restart_all_is_there_in_order(db: Database) -> None:
    store = MessageStore(db)
    for number in range(5):
        await store.put(draft(b"%d" % number))
    late = await store.put(draft(b"late", delay_ms=100_000))
    again = await reopened(db)
    assert bodies(again) == [b"0", b"1", b"2", b"3", b"4"]
    assert again.next_due_ms(QUEUE) == late.due_ms
    assert again.find(late.uuid) == late
    depth = again.depth(QUEUE)
    assert (depth.messages, depth.bytes) == (6, 9)
    assert (await again.put(draft())).id > late.id


async def test_ids_are_not_given_again_when_all_have_gone(db: Database) -> None:
    store = MessageStore(db)
    last = (await store.commit(Batch([draft(), draft()])))[-1]
    await store.commit(Batch(removed=store.ready(QUEUE, 0, 9)[0]))
    again = await reopened(db)
    assert bodies(again) == []
    assert (await again.put(draft())).id > last.id


async def test_a_restart_pulls_in_what_no_clock_can_have_meant(db: Database) -> None:
    future = SimpleNamespace(s=4e9)
    store = MessageStore(db, lambda: future.s)
    lost = await store.put(draft(b"written in 2096", delay_ms=1000))
    past = MessageStore(db, lambda: 1.7e9)
    await past.open()
    assert [m.id for m in past.ready(QUEUE, 0, 9)[0]] == [lost.id]
    near = await past.put(draft(b"near", delay_ms=messages.DUE_MS_MAX - 1000))
    again = await reopened(db, lambda: 1.7e9)
    assert bodies(again) == [b"written in 2096"]
    assert again.next_due_ms(QUEUE) == near.due_ms


async def test_a_clock_that_is_set_moves_nothing(db: Database) -> None:
    now = SimpleNamespace(s=1.7e9)
    store = MessageStore(db, lambda: now.s)
    before = store.now_ms()
    now.s -= 86_400
    assert store.now_ms() >= before


async def test_the_last_of_the_disk_is_kept(
    store: MessageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = await store.put(draft())
    free = SimpleNamespace(f_bavail=10, f_frsize=MIB, f_blocks=100_000)
    monkeypatch.setattr(room, "DISK_LOOK_S", 0.0)
    monkeypatch.setattr(store._room, "_next_look_s", 0.0)
    monkeypatch.setattr(os, "statvfs", lambda _: free)
    with pytest.raises(MachineError, match=r"10 MiB of free space.*last 64 MiB are kept"):
        await store.put(draft())
    await store.commit(Batch(removed=[put]))  # what is there can be dealt with
    free.f_bavail = 64
    await store.put(draft())
    free.f_bavail, free.f_blocks = 6, 100  # of a small disk a share
    await store.put(draft())
    free.f_bavail = 4
    with pytest.raises(MachineError):
        await store.put(draft())


QUEUES = st.sampled_from(["queue:a", "queue:b", "function:c"])
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), QUEUES, st.binary(max_size=20), st.binary(max_size=5)),
        st.tuples(st.just("remove"), st.integers(0, 50)),
        st.tuples(st.just("move"), st.integers(0, 50), st.binary(max_size=9)),
        st.tuples(st.just("fail"), QUEUES),
        st.tuples(st.just("restart")),
    ),
    max_size=30,
)


@settings(max_examples=25, deadline=None)
@given(OPERATIONS)
def test_the_counts_are_exact_whatever_happens(operations: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        db = Database(os.path.join(folder, "store.db"))
        db.open()
        asyncio.run(_play(db, operations))
        db.close()


async def _play(db: Database, operations: list[tuple[Any, ...]]) -> None:
    store, there = MessageStore(db), dict[int, Message]()
    for name, *arguments in operations:
        batch = Batch()
        chosen = None
        if name in ("remove", "move") and there:
            chosen = list(there.values())[arguments[0] % len(there)]
        if name == "put":
            batch.put(draft(arguments[1], arguments[0], attributes=arguments[2]))
        elif name == "remove" and chosen:
            batch.remove(there.pop(chosen.id))
        elif name == "move" and chosen:
            batch.reschedule(chosen, store.now_ms() + 1_000_000, 1, arguments[1])
        elif name == "fail":
            batch.put(draft(b"never", arguments[0]))
            batch.also("record_objects", [("b", "k", None, 2, 3, 4, "handled")])
        elif name == "restart":
            store = await reopened(db)
        try:
            new = await store.commit(batch)
        except MachineError:
            assert name == "fail"
            continue
        there |= {message.id: message for message in new}
        if name == "move" and chosen:
            moved = store.find(chosen.uuid)
            assert moved is not None
            there[chosen.id] = moved
    counts, sizes = Counter[str](), Counter[str]()
    for message in there.values():
        counts[store.name(message)] += 1
        sizes[store.name(message)] += message.size
    for depths in (store.depths(), MessageStore(db).depths()):
        assert {d.name: (d.messages, d.bytes) for d in depths if d.messages} == {
            name: (counts[name], sizes[name]) for name in counts
        }
        assert all(d.bytes == 0 for d in depths if not d.messages)


async def test_nothing_grows_old_by_a_clock_that_is_set(db: Database) -> None:
    now = SimpleNamespace(s=1_000_000.0)
    store = MessageStore(db, lambda: now.s)
    message = await store.put(Draft("q", b""))
    now.s += 86_400
    assert store.age_s(message) < 60
    now.s -= 2 * 86_400
    assert store.age_s(message) == 0.0
    # Who starts by the clock that was set, goes by it.
    now.s += 3 * 86_400
    assert MessageStore(db, lambda: now.s).age_s(message) >= 2 * 86_400
