"""Queues: sending, receiving for a while, removing, and what becomes of the rest."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from queue_world import opened, tables

from microfaas.config.queues import QueueTable
from microfaas.errors import QueueFull, ServiceError
from microfaas.messaging.directory import Definition
from microfaas.messaging.kept import revived
from microfaas.messaging.sending import Outgoing, Sent

PLAIN = tables(q=QueueTable(), dlq=QueueTable())
FIFO = tables(f_fifo=QueueTable(content_based_deduplication=True))


async def test_what_is_sent_is_received_once_while_it_is_hidden(tmp_path: Path) -> None:
    async with opened(tmp_path, PLAIN) as world:
        ids = await world.send("q", "a", "b", "c")
        first = await world.queues.receive("q", 2)
        second = await world.queues.receive("q", 2)
        assert [r.id for r in first + second] == ids
        assert await world.queues.receive("q", 10) == []
        assert world.queues.count("q") == (0, (3, 0))


async def test_many_receivers_at_once_never_get_the_same_message(tmp_path: Path) -> None:
    async with opened(tmp_path, PLAIN) as world:
        ids = await world.send("q", *map(str, range(100)))
        calls = [world.queues.receive("q", 7) for _ in range(20)]
        got = [r.id for batch in await asyncio.gather(*calls) for r in batch]
        assert sorted(got) == sorted(ids)


async def test_what_is_not_removed_comes_back_and_is_counted(tmp_path: Path) -> None:
    async with opened(tmp_path, PLAIN) as world:
        await world.send("q", "a")
        (first,) = await world.queues.receive("q")
        world.clock.ahead_ms += 30_001
        (again,) = await world.queues.receive("q")
        assert again.id == first.id
        assert again.system()["ApproximateReceiveCount"] == "2"
        assert (
            again.system()["ApproximateFirstReceiveTimestamp"]
            == first.system()["ApproximateFirstReceiveTimestamp"]
        )
        # The older handle removes nothing, and says nothing of it.
        assert await world.queues.settle("q", [(first.handle, "remove")]) == [None]
        assert world.queues.count("q") == (0, (1, 0))
        assert await world.queues.settle("q", [(again.handle, "remove")]) == [None]
        assert world.queues.count("q") == (0, (0, 0))
        assert await world.queues.settle("q", [(again.handle, "remove")]) == [None]


async def test_a_removal_by_many_at_once_counts_once(tmp_path: Path) -> None:
    async with opened(tmp_path, PLAIN) as world:
        await world.send("q", "a", "b")
        (got,) = await world.queues.receive("q")
        calls = [world.queues.settle("q", [(got.handle, "remove")] * 2) for _ in range(5)]
        assert await asyncio.gather(*calls) == [[None, None]] * 5
        assert world.queues.count("q") == (1, (0, 0))
        assert world.store.depth("queue:q").messages == 1


async def test_what_is_not_on_disk_yet_is_not_counted(tmp_path: Path) -> None:
    async with opened(tmp_path, PLAIN) as world:
        sent = asyncio.create_task(world.send("q", "a"))
        while not world.store.depth("queue:q").coming:  # noqa: ASYNC110  # of this turn alone
            await asyncio.sleep(0)
        assert world.queues.count("q") == (0, (0, 0))
        await sent
        assert world.queues.count("q") == (1, (0, 0))


async def test_handles_that_are_none_are_refused(tmp_path: Path) -> None:
    async with opened(tmp_path, PLAIN) as world:
        await world.send("q", "a")
        (got,) = await world.queues.receive("q")
        errors = await world.queues.settle("q", [("x", "remove"), ("", 5), ("AAAA", 0)])
        assert {error.kind for error in errors if error} == {"ReceiptHandleIsInvalid"}
        (error,) = await world.queues.settle("dlq", [(got.handle, "remove")])
        assert error is not None
        assert error.kind == "ReceiptHandleIsInvalid"


async def test_a_message_can_be_hidden_for_longer_or_shown_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path, PLAIN) as world:
        await world.send("q", "a")
        (got,) = await world.queues.receive("q")
        assert await world.queues.settle("q", [(got.handle, 100)]) == [None]
        world.clock.ahead_ms += 31_000
        assert await world.queues.receive("q") == []
        assert await world.queues.settle("q", [(got.handle, 0)]) == [None]
        (error,) = await world.queues.settle("q", [(got.handle, 10)])
        assert error is not None
        assert error.kind == "MessageNotInflight"
        (again,) = await world.queues.receive("q")
        assert again.id == got.id


async def test_delayed_messages_wait(tmp_path: Path) -> None:
    async with opened(tmp_path, PLAIN) as world:
        await world.send("q", "late", delay_s=60)
        assert await world.queues.receive("q") == []
        assert world.queues.count("q") == (0, (0, 1))
        world.clock.ahead_ms += 60_001
        (got,) = await world.queues.receive("q")
        assert got.message.body == b"late"


async def test_a_receiver_waits_for_what_is_sent_later(tmp_path: Path) -> None:
    async with opened(tmp_path, PLAIN) as world:
        waiting = [asyncio.ensure_future(world.queues.receive("q", wait_s=20)) for _ in range(3)]
        await asyncio.sleep(0.01)
        await world.send("q", "a", "b", "c")
        got = await asyncio.gather(*waiting)
        assert sorted(r.message.body for batch in got for r in batch) == [b"a", b"b", b"c"]


async def test_a_receiver_waits_for_what_is_delayed(tmp_path: Path) -> None:
    async with opened(tmp_path, PLAIN) as world:
        await world.send("q", "a", delay_s=1)
        (got,) = await world.queues.receive("q", wait_s=20)
        assert got.message.body == b"a"


async def test_one_who_gives_up_waiting_passes_it_on(tmp_path: Path) -> None:
    async with opened(tmp_path, PLAIN) as world:
        first = asyncio.ensure_future(world.queues.receive("q", wait_s=20))
        second = asyncio.ensure_future(world.queues.receive("q", wait_s=20))
        await asyncio.sleep(0.01)
        world.queues.directory.get("q").line.wake()
        first.cancel()
        await world.send("q", "a")
        assert [r.message.body for r in await second] == [b"a"]


async def test_nobody_waits_any_more_when_the_server_stops(tmp_path: Path) -> None:
    async with opened(tmp_path, PLAIN) as world:
        waiting = asyncio.ensure_future(world.queues.receive("q", wait_s=20))
        await asyncio.sleep(0.01)
        world.queues.stop()
        assert await waiting == []


async def test_a_cancelled_receive_leaves_no_message_behind_for_good(tmp_path: Path) -> None:
    async with opened(tmp_path, PLAIN) as world:
        await world.send("q", "a")
        task = asyncio.ensure_future(world.queues.receive("q"))
        await asyncio.sleep(0)
        task.cancel()
        others = await asyncio.gather(*(world.queues.receive("q") for _ in range(5)))
        assert others == [[]] * 5
        world.clock.ahead_ms += 31_000
        (got,) = await world.queues.receive("q", wait_s=20)
        assert got.message.attempts == 2


async def test_what_is_received_too_often_goes_to_the_dead_letter_queue(tmp_path: Path) -> None:
    declared = tables(q=QueueTable(dead_letter_queue="dlq", receives_max=2), dlq=QueueTable())
    async with opened(tmp_path, declared) as world:
        (sent,) = await world.send("q", "bad", attributes={"k": ("String", "v")})
        for _ in range(2):
            (got,) = await world.queues.receive("q")
            world.clock.ahead_ms += 31_000
        assert await world.queues.receive("q") == []
        (dead,) = await world.queues.receive("dlq")
        assert dead.id == sent == got.id
        assert dead.attributes == {"k": ("String", "v")}
        told = dead.system()
        assert told["DeadLetterQueueSourceArn"] == "arn:aws:sqs:us-east-1:123456789012:q"
        assert told["ApproximateReceiveCount"] == "1"
        assert told["SentTimestamp"] == got.system()["SentTimestamp"]
        assert world.queues.count("q") == (0, (0, 0))


async def test_where_the_dead_letter_queue_is_full_it_becomes_a_dead_letter(
    tmp_path: Path,
) -> None:
    declared = tables(
        q=QueueTable(dead_letter_queue="dlq", receives_max=1), dlq=QueueTable(messages_max=1)
    )
    async with opened(tmp_path, declared) as world:
        await world.send("dlq", "full")
        await world.send("q", "bad", "good")
        await world.queues.receive("q", 1)
        world.clock.ahead_ms += 31_000
        got = await world.queues.receive("q", 2)
        assert [r.message.body for r in got] == [b"good"]
        (buried,) = world.dead.page()
        assert (buried.letter.event, buried.letter.kind) == (b"bad", "QueueFull")


async def test_what_is_too_old_becomes_a_dead_letter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    declared = tables(q=QueueTable(retention_s=60))
    async with opened(tmp_path, declared) as world:
        await world.send("q", "old")
        await world.send("q", "older", delay_s=0)
        clock = world.queues.receiving._clock
        for owner in (world.queues.receiving, world.store):
            monkeypatch.setattr(owner, "_clock", lambda: clock() + 61)
        # The wall clock alone, as somebody sets it, makes nothing old.
        assert len(await world.queues.receive("q", visibility_s=0)) == 1
        world.clock.ahead_ms = 61_000
        assert await world.queues.receive("q") == []
        await world.queues.tidy()
        assert world.queues.count("q") == (0, (0, 0))
        kinds = [(b.letter.event, b.letter.kind, b.letter.function) for b in world.dead.page()]
        assert sorted(kinds) == [
            (b"old", "RetentionExpired", "q"),
            (b"older", "RetentionExpired", "q"),
        ]
        letter = world.dead.page()[0].letter
        await world.store.put(revived(letter.queue, letter.event, letter.attributes))
        assert world.queues.count("q") == (1, (0, 0))


async def test_only_what_is_right_is_sent(tmp_path: Path) -> None:
    async with opened(tmp_path, PLAIN) as world:
        wrong = [
            Outgoing(""),
            Outgoing("\x00"),
            Outgoing("x" * (1024 * 1024 + 1)),
            Outgoing("x", delay_s=901),
            Outgoing("x", {"AWS.x": ("String", "v")}),
            Outgoing("x", {"k": ("Text", "v")}),
            Outgoing("x", {"k": ("Number", "v")}),
            Outgoing("x", {"k": ("Binary", "v")}),
            Outgoing("x", {"k": ("String", "")}),
            Outgoing("x", {str(n): ("String", "v") for n in range(11)}),
            Outgoing("x", deduplication_id="d"),
        ]
        results = await world.queues.send("q", [*wrong, Outgoing("right")])
        assert [isinstance(one, ServiceError) for one in results] == [True] * len(wrong) + [False]
        (got,) = await world.queues.receive("q", 10)
        assert isinstance(results[-1], Sent)
        assert got.id == results[-1].id


async def test_a_full_queue_takes_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path, tables(q=QueueTable(messages_max=2))) as world:
        await world.send("q", "a", "b")
        with pytest.raises(QueueFull):
            await world.send("q", "c")
        assert world.queues.count("q") == (2, (0, 0))


async def test_purge_removes_what_is_there_received_or_not(tmp_path: Path) -> None:
    async with opened(tmp_path, PLAIN) as world:
        await world.send("q", "a", "b", "c")
        await world.send("q", "d", delay_s=5)
        await world.queues.receive("q")
        await world.queues.purge("q")
        assert world.queues.count("q") == (0, (0, 0))
        assert world.store.depth("queue:q").bytes == 0


async def test_queues_made_through_the_api_outlive_a_restart(tmp_path: Path) -> None:
    definition = Definition(settings=QueueTable(visibility_timeout_s=5), changed_ms=1)
    async with opened(tmp_path, PLAIN) as world:
        await world.queues.create("made", definition)
        await world.send("made", "a")
    async with opened(tmp_path, PLAIN) as world:
        assert world.queues.directory.get("made").settings.visibility_timeout_s == 5
        (got,) = await world.queues.receive("made")
        assert got.message.body == b"a"
        await world.queues.delete("made")
        with pytest.raises(ServiceError, match="does not exist"):
            await world.send("made", "b")
    async with opened(tmp_path, PLAIN) as world:
        assert "made" not in world.queues.directory


async def test_queues_of_the_file_are_changed_there_alone(tmp_path: Path) -> None:
    async with opened(tmp_path, PLAIN) as world:
        queue = world.queues.directory.get("q")
        with pytest.raises(ServiceError, match=r"microfaas\.toml"):
            await world.queues.delete("q")
        with pytest.raises(ServiceError, match=r"microfaas\.toml"):
            await world.queues.directory.change(queue, queue.definition)


async def test_a_fifo_queue_gives_out_one_batch_of_a_group_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path, FIFO) as world:
        await world.send("f.fifo", "a1", "a2", "a3", group="a")
        await world.send("f.fifo", "b1", group="b")
        first = await world.queues.receive("f.fifo", 2)
        assert [r.message.body for r in first] == [b"a1", b"a2"]
        second = await world.queues.receive("f.fifo", 2)
        assert [r.message.body for r in second] == [b"b1"]
        await world.queues.settle("f.fifo", [(first[0].handle, "remove")])
        assert await world.queues.receive("f.fifo", 2) == []
        waiting = asyncio.ensure_future(world.queues.receive("f.fifo", 2, wait_s=20))
        await asyncio.sleep(0.01)
        await world.queues.settle("f.fifo", [(first[1].handle, "remove")])
        assert [r.message.body for r in await waiting] == [b"a3"]


async def test_a_group_waits_for_all_of_its_batch(tmp_path: Path) -> None:
    async with opened(tmp_path, FIFO) as world:
        await world.send("f.fifo", "a1", "a2", "a3", group="a")
        first = await world.queues.receive("f.fifo", 2)
        await world.queues.settle("f.fifo", [(first[0].handle, 0)])
        assert await world.queues.receive("f.fifo", 2) == []
        await world.queues.settle("f.fifo", [(first[1].handle, 0)])
        again = await world.queues.receive("f.fifo", 10)
        assert [r.message.body for r in again] == [b"a1", b"a2", b"a3"]


async def test_a_fifo_handle_is_good_for_its_time_only(tmp_path: Path) -> None:
    async with opened(tmp_path, FIFO) as world:
        await world.send("f.fifo", "a", group="a")
        (got,) = await world.queues.receive("f.fifo")
        world.clock.ahead_ms += 31_000
        (error,) = await world.queues.settle("f.fifo", [(got.handle, "remove")])
        assert error is not None
        assert "expired" in str(error)


async def test_a_deduplication_id_is_good_for_five_minutes(tmp_path: Path) -> None:
    async with opened(tmp_path, FIFO) as world:
        first = await world.send("f.fifo", "x", "x", "y", group="g")
        assert first[0] == first[1] != first[2]
        calls = [world.send("f.fifo", "z", group="g") for _ in range(5)]
        assert len({ids[0] for ids in await asyncio.gather(*calls)}) == 1
        assert world.queues.count("f.fifo") == (3, (0, 0))
    async with opened(tmp_path, FIFO) as world:
        assert (await world.send("f.fifo", "x", group="g"))[0] == first[0]
        world.clock.ahead_ms += 301_000
        await world.queues.tidy()
        assert (await world.send("f.fifo", "x", group="g"))[0] != first[0]


async def test_a_long_group_is_not_read_through(tmp_path: Path) -> None:
    async with opened(tmp_path, FIFO) as world:
        for step in range(20):
            bodies = [f"{step}/{n}" for n in range(500)]
            await world.send("f.fifo", *bodies, group="long")
        await world.send("f.fifo", "short", group="short")
        (first,) = await world.queues.receive("f.fifo")
        assert first.message.body == b"0/0"
        plans = [
            row[3]
            for name in ("ready_groups", "due_groups", "group_messages", "ready_ids", "due_ids")
            for row in world.database._reader.execute(  # type: ignore[union-attr]
                "EXPLAIN QUERY PLAN " + world.database._statements[name],
                {"queue": 16, "now_ms": 1, "limit": 1, "group_id": "g", "after": 0},
            )
        ]
        assert all("INDEX" in plan or "PRIMARY KEY" in plan for plan in plans), plans
        (other,) = await world.queues.receive("f.fifo", 10)
        assert other.message.body == b"short"


async def test_fifo_queues_need_a_group_and_no_delay(tmp_path: Path) -> None:
    async with opened(tmp_path, tables(f_fifo=QueueTable())) as world:
        wrong = [
            Outgoing("x", deduplication_id="d"),
            Outgoing("x", group="g"),
            Outgoing("x", group="g", deduplication_id="d", delay_s=1),
            Outgoing("x", group="é", deduplication_id="d"),
        ]
        results = await world.queues.send("f.fifo", wrong)
        assert [isinstance(one, ServiceError) for one in results] == [True] * len(wrong)


async def test_messages_of_other_parts_reach_who_waits(tmp_path: Path) -> None:
    async with opened(tmp_path, PLAIN) as world:
        waiting = asyncio.ensure_future(world.queues.receive("q", wait_s=20))
        await asyncio.sleep(0.01)
        draft = world.queues.draft("q", b"body", {"k": ("Binary", "aGk=")})
        await world.store.put(draft)
        (got,) = await waiting
        assert (got.message.body, got.attributes) == (b"body", {"k": ("Binary", b"hi")})
        with pytest.raises(ServiceError, match="does not exist"):
            world.queues.draft("none", b"", {})


async def test_what_was_given_back_is_not_counted(tmp_path: Path) -> None:
    async with opened(tmp_path, PLAIN) as world:
        await world.send("q", "a")
        got = await world.queues.receive("q")
        await world.queues.give_back("q", got, 1.0)
        (again,) = await world.queues.receive("q", wait_s=20)
        assert again.message.attempts == 1
