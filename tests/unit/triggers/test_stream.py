"""A function works at a stream: batches, failures, windows, and what outlives a crash."""

from __future__ import annotations

import asyncio
import functools
import json
from pathlib import Path
from typing import Any

import pytest
from stream_world import Function, World, texts, until

from microfaas.messaging.stream_shard import Entry
from microfaas.messaging.streams import Stream
from microfaas.triggers import shards


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def fine(_: dict[str, Any]) -> object:
    return None


def fails_of(bad: str) -> Any:
    def answer(event: dict[str, Any]) -> object:
        if bad in texts(event):
            raise ValueError(f"cannot do {bad}")
        return None

    return answer


async def test_records_come_in_order_and_once(world: World) -> None:
    function = Function(fine)
    async with world.serving() as server:
        await server.put("1", "2")
        async with server.running(function, batch_size=2):
            await until(lambda: len(function.events) == 1)
            await server.put("3", "4", "5")
            await until(lambda: len(function.events) == 3)
        async with server.running(function, batch_size=2):
            await server.put("6")
            await until(lambda: len(function.events) == 4)
    assert function.batches == [["1", "2"], ["3", "4"], ["5"], ["6"]]
    [first, *_] = function.events[0]["Records"]
    assert first["eventID"] == f"shardId-000000000000:{first['kinesis']['sequenceNumber']}"
    assert first["eventSourceARN"] == "arn:aws:kinesis:us-east-1:123456789012:stream/s"
    assert first["eventName"] == "aws:kinesis:record"
    assert first["kinesis"]["partitionKey"] == "k"


async def test_after_a_crash_it_goes_on_at_the_checkpoint(world: World) -> None:
    called = asyncio.Event()
    ended = asyncio.Event()

    class Slow(Function):
        async def invoke(self, invocation: Any) -> Any:
            if b"NA==" in invocation.event and not ended.is_set():  # "4"
                called.set()
                await ended.wait()
            return await super().invoke(invocation)

    function = Slow(fine)
    async with world.serving() as server:
        await server.put("1", "2", "3", "4", "5")
        async with server.running(function, batch_size=1, crash=True):
            await called.wait()
    assert function.batches == [["1"], ["2"], ["3"]]
    ended.set()
    async with world.serving() as server, server.running(function, batch_size=1):
        await until(lambda: len(function.events) == 5)
    assert function.batches == [["1"], ["2"], ["3"], ["4"], ["5"]]


async def test_latest_is_when_the_trigger_was_first_seen(world: World) -> None:
    function = Function(fine)
    async with world.serving() as server:
        await server.put("before")
        async with server.running(function, starting_position="LATEST"):
            await until(lambda: bool(server.streams.shards("s")[0].listeners))
        await server.put("while it was away")
    async with world.serving() as server, server.running(function, starting_position="LATEST"):
        await until(lambda: len(function.events) == 1)
    assert function.batches == [["while it was away"]]


async def test_a_batch_that_fails_holds_up_its_shard_and_is_kept(world: World) -> None:
    function = Function(fails_of("bad"))
    async with world.serving() as server:
        await server.put("bad", "x")
        async with server.running(function, retries_max=1, batch_size=2):
            await server.put("next")
            await until(lambda: ["next"] in function.batches)
        [letter] = [found.letter for found in server.dead.page("f")]
    assert function.batches == [["bad", "x"], ["bad", "x"], ["next"]]
    assert (letter.queue, letter.source, letter.kind) == ("function:f", "stream:s", "ValueError")
    assert letter.attempts == 2
    assert texts(json.loads(letter.event)) == ["bad", "x"]


async def test_halving_finds_what_a_batch_fails_of_and_tells_the_destination(
    world: World,
) -> None:
    function = Function(fails_of("bad"))
    settings: dict[str, Any] = {"retries_max": 0, "bisect_on_error": True}
    async with world.serving() as server:
        await server.put("1", "2", "bad", "4")
        async with server.running(function, on_failure="queue:lost", **settings):
            await until(lambda: ["4"] in function.batches)
        [message], _ = server.store.ready("queue:lost", 0, 10)
        assert server.dead.count() == 0
    record = json.loads(message.body)
    assert record["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 1
    assert record["responseContext"]["functionError"] == "Unhandled"
    told = record["KinesisBatchInfo"]
    assert told["batchSize"] == 1
    assert told["startSequenceNumber"] == told["endSequenceNumber"]
    done = [batch for batch in function.batches if "bad" not in batch]
    assert [text for batch in done for text in batch] == ["1", "2", "4"]


async def test_what_a_function_names_is_tried_again_and_what_came_before_is_not(
    world: World,
) -> None:
    failing = ["3"]

    def answer(event: dict[str, Any]) -> object:
        records = [
            r for r, text in zip(event["Records"], texts(event), strict=True) if text in failing
        ]
        failing.clear()
        return {
            "batchItemFailures": [
                {"itemIdentifier": record["kinesis"]["sequenceNumber"]} for record in records
            ]
        }

    function = Function(answer)
    async with world.serving() as server:
        await server.put("1", "2", "3", "4")
        async with server.running(function, report_batch_item_failures=True):
            await until(lambda: len(function.events) == 2)
    assert function.batches == [["1", "2", "3", "4"], ["3", "4"]]


async def test_throttling_is_no_attempt(world: World) -> None:
    function = Function(fine)
    function.busy = 5
    async with world.serving() as server:
        await server.put("1")
        async with server.running(function, retries_max=0):
            await until(lambda: len(function.events) == 1)
        assert server.dead.count() == 0


async def test_filters_skip_records(world: World) -> None:
    function = Function(fine)
    patterns = [{"data": {"kind": ["order"]}}]
    async with world.serving() as server:
        await server.put('{"kind":"order","n":1}', '{"kind":"visit"}', "no JSON")
        await server.put('{"kind":"order","n":2}')
        async with server.running(function, filters=patterns):
            await until(lambda: len(function.events) == 1)
    numbers = [json.loads(text)["n"] for batch in function.batches for text in batch]
    assert numbers == [1, 2]


def has_seen(function: Function, count: int) -> bool:
    return len({text for batch in function.batches for text in batch}) == count


async def test_lanes_keep_the_order_of_a_key_and_outlive_their_number(world: World) -> None:
    function = Function(fine)
    keys = [f"key {number}" for number in range(20)]
    async with world.serving() as server:
        for start, lanes in ((0, 4), (5, 2), (10, 10)):
            async with server.running(function, parallelization=lanes, batch_size=3):
                for number in range(start, start + 5):
                    entries = [Entry(key, f"{key}/{number}".encode()) for key in keys]
                    await server.streams.put_all(server.streams.get("s"), entries)
                seen = functools.partial(has_seen, function, len(keys) * (start + 5))
                await until(seen)
    for key in keys:
        mine = [t for batch in function.batches for t in batch if t.startswith(f"{key}/")]
        first = list(dict.fromkeys(mine))
        assert first == [f"{key}/{number}" for number in range(15)]


async def test_windows_pass_their_state_on_over_a_crash(world: World) -> None:
    def answer(event: dict[str, Any]) -> object:
        return {"state": {"seen": event["state"].get("seen", []) + texts(event)}}

    function = Function(answer)
    now = 1_000_000.0
    async with world.serving() as server:
        server.streams._clock = lambda: now
        await server.put("1", "2")
        async with server.running(function, tumbling_window_s=60, batch_size=1, crash=True):
            await until(lambda: len(function.events) == 2)
            await until(lambda: server.streams.store.readers(1)[0][1] == 2)
    async with world.serving() as server:
        server.streams._clock = lambda: now
        await server.put("3")
        async with server.running(function, tumbling_window_s=60, batch_size=1):
            await until(lambda: len(function.events) == 3)
            now += 60
            await server.put("4")
            await until(lambda: len(function.events) == 5)
    assert function.batches == [["1"], ["2"], ["3"], [], ["4"]]
    states = [event["state"] for event in function.events]
    assert states == [{}, {"seen": ["1"]}, {"seen": ["1", "2"]}, {"seen": ["1", "2", "3"]}, {}]
    finals = [event["isFinalInvokeForWindow"] for event in function.events]
    assert finals == [False, False, False, True, False]
    last = function.events[3]
    assert last["window"] == {"start": "1970-01-12T13:46:00Z", "end": "1970-01-12T13:47:00Z"}
    assert (last["shardId"], last["isWindowTerminatedEarly"]) == ("shardId-000000000000", False)


async def test_records_that_grew_too_old_unread_are_told_of(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    function = Function(fine)
    async with world.serving() as server:
        async with server.running(function):
            await until(lambda: bool(server.streams.shards("s")[0].listeners))
        await server.put("1", "2", "3")
        later = server.streams._clock() + 100_000
        server.streams._clock = lambda: later
        # The wall clock alone, as somebody sets it, ends no record's time.
        await server.streams.trim()
        assert server.streams.shards("s")[0].row.records == 3
        passed = server.streams._steady() + 100_000
        server.streams._steady = lambda: passed
        await server.streams.trim()
        await server.put("4")
        async with server.running(function, on_failure="queue:lost"):
            await until(lambda: len(function.events) == 1)
        [message], _ = server.store.ready("queue:lost", 0, 10)
    assert function.batches == [["4"]]
    assert "up to 3 records of shardId-000000000000 in s were removed by age" in caplog.text
    record = json.loads(message.body)
    assert record["requestContext"]["condition"] == "RecordAgeExceeded"
    assert record["KinesisBatchInfo"]["batchSize"] == 3


async def test_a_slow_function_does_not_hold_up_another(world: World) -> None:
    never = asyncio.Event()

    class Stuck(Function):
        async def invoke(self, invocation: Any) -> Any:
            await never.wait()

    quick = Function(fine)
    async with (
        world.serving() as server,
        server.running(Stuck(fine), name="stuck", crash=True),
        server.running(quick, name="quick"),
    ):
        for number in range(3):
            await server.put(str(number))
        await until(lambda: sum(map(len, quick.batches)) == 3)


async def test_a_stream_that_is_made_anew_is_read_from_where_the_trigger_begins(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "LOOK_S", 0.005)
    function = Function(fine)
    async with world.serving() as server:
        streams = server.streams

        async def put(data: str) -> None:
            await streams.put_all(streams.get("made"), [Entry("k", data.encode())])

        async with server.running(function, stream="made"):
            for data in ("first", "second"):
                await streams.create(Stream(name="made"))
                await put(data)
                await until(lambda data=data: function.batches[-1:] == [[data]])
                await streams.delete(streams.get("made"))
    assert function.batches == [["first"], ["second"]]
