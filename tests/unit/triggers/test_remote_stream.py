"""Streams elsewhere: the order of shards, restarts, and services that are difficult."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from microfaas.config import Trigger
from microfaas.config.endpoints import EndpointTable
from microfaas.config.streams import StreamSettings
from microfaas.dispatch.destinations import Destinations
from microfaas.errors import MachineError, ServiceError
from microfaas.model import Address
from microfaas.remote.calls import Service
from microfaas.remote.endpoints import Endpoint, Endpoints
from microfaas.store.messages import MessageStore
from microfaas.store.resources import Resources
from microfaas.triggers import remote_dialects, remote_shard, table

sys.path.append(str(Path(__file__).parent))
import pytest
from around import surroundings
from stream_world import Function, World, to_queue, until

ARN = "arn:aws:kinesis:eu-west-1:000000000000:stream/s"
# As Kinesis's are: longer than any integer of a database.
FIRST = 49 * 10**54


class Kinesis:
    """The service: shards and their records; what it is asked is noted."""

    def __init__(self, *shards: str) -> None:
        self.records: dict[str, list[tuple[int, str, str]]] = {}
        self.parents: dict[str, tuple[str, ...]] = {}
        self.closed: set[str] = set()
        self.trimmed: set[str] = set()
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.faults: list[Exception] = []
        self._number = FIRST
        for shard in shards:
            self.add(shard)

    def add(self, shard: str, *parents: str) -> None:
        self.records[shard], self.parents[shard] = [], parents
        self.closed.update(parents)

    def put(self, shard: str, *texts: str, key: str = "k") -> None:
        for text in texts:
            self._number += 1
            self.records[shard].append((self._number, key, text))

    async def __call__(
        self,
        endpoint: Endpoint,
        service: Service,
        operation: str,
        params: dict[str, Any],
        wait_s: float = 0.0,
    ) -> dict[str, Any]:
        await asyncio.sleep(0)
        self.asked.append((operation, params))
        if self.faults and operation == "GetRecords":
            raise self.faults.pop(0)
        match operation:
            case "ListShards":
                return {"Shards": [self._told(shard) for shard in self.records]}
            case "GetShardIterator":
                return {"ShardIterator": f"{params['ShardId']}/{self._start(params)}"}
        shard, _, after = params["ShardIterator"].partition("/")
        if shard in self.trimmed and int(after):
            self.trimmed.discard(shard)
            raise ServiceError("TrimmedDataAccessException", "gone")
        found = [each for each in self.records[shard] if each[0] > int(after)][:3]
        last = found[-1][0] if found else int(after)
        over = shard in self.closed and not any(e[0] > last for e in self.records[shard])
        records = [
            {
                "SequenceNumber": str(number),
                "PartitionKey": key,
                "Data": base64.b64encode(text.encode()).decode(),
                "ApproximateArrivalTimestamp": 1.5,
            }
            for number, key, text in found
        ]
        return {"Records": records, "NextShardIterator": None if over else f"{shard}/{last}"}

    def _told(self, shard: str) -> dict[str, Any]:
        told: dict[str, Any] = {"ShardId": shard, "SequenceNumberRange": {}}
        for name, parent in zip(
            ("ParentShardId", "AdjacentParentShardId"), self.parents[shard], strict=False
        ):
            told[name] = parent
        if shard in self.closed and self.records[shard]:
            told["SequenceNumberRange"]["EndingSequenceNumber"] = str(self.records[shard][-1][0])
        return told

    def _start(self, params: dict[str, Any]) -> int:
        match params["ShardIteratorType"]:
            case "AFTER_SEQUENCE_NUMBER":
                return int(params["StartingSequenceNumber"])
            case "LATEST":
                return self._number
        return 0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for an empty shard, or after a fault."""
    brisk = remote_dialects.STREAMS._replace(poll_s=0.005)
    monkeypatch.setattr(remote_dialects, "STREAMS", brisk)
    monkeypatch.setattr(remote_shard, "AGAIN_S", 0.005)


@contextlib.asynccontextmanager
async def reading(
    world: World, kinesis: Kinesis, function: Function, *, crash: bool = False, **settings: Any
) -> AsyncIterator[MessageStore]:
    """The trigger at work; leaving stops it as the server would, or as a power cut."""
    async with world.serving() as server:
        stopping = asyncio.Event()
        url = {"kinesis": EndpointTable(url="http://x", access_key_id="i", secret_access_key="s")}
        around = surroundings(
            root=str(world.folder),
            address=Address(),
            store=server.store,
            streams=server.streams,
            invoker=function,
            destinations=Destinations({"queue": to_queue}),
            endpoints=Endpoints(url, lambda _: b"x", {}),
            resources=Resources(server.dead._db),
            calls=kinesis,
            stopping=stopping,
        )
        chosen = {"stream": "s", "starting_position": "TRIM_HORIZON", **settings}
        trigger = Trigger("f", "stream", StreamSettings(**chosen), "", "mapping:m", ARN)
        running = asyncio.ensure_future(table.run(trigger, around))
        try:
            yield server.store
        finally:
            stopping.set()
            if crash:
                running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def seen(function: Function) -> list[str]:
    return [text for batch in function.batches for text in batch]


def echo(_: object) -> None:
    """All is well."""


async def test_children_come_after_their_parents(tmp_path: Path) -> None:
    kinesis, function = Kinesis("a", "b"), Function(echo)
    kinesis.put("a", *(f"a{n}" for n in range(10)))
    kinesis.put("b", *(f"b{n}" for n in range(10)))
    kinesis.add("c", "a", "b")
    kinesis.put("c", "c0", "c1")
    kinesis.add("d", "c")
    kinesis.put("d", "d0")
    async with reading(World(tmp_path), kinesis, function, batch_size=4):
        await until(lambda: "d0" in seen(function))
        kinesis.put("d", "d1")
        await until(lambda: "d1" in seen(function))
    texts = seen(function)
    assert sorted(texts[:20]) == sorted(f"{s}{n}" for s in "ab" for n in range(10))
    assert [t for t in texts if t[0] == "a"] == [f"a{n}" for n in range(10)]
    assert texts[20:] == ["c0", "c1", "d0", "d1"]
    assert {len(batch) <= 4 for batch in function.batches} == {True}


async def test_a_restart_goes_on_behind_what_was_dealt_with(tmp_path: Path) -> None:
    world, kinesis, function = World(tmp_path), Kinesis("a"), Function(echo)
    kinesis.put("a", "1", "2", "3", "4", key="x")
    async with reading(world, kinesis, function, parallelization=3, crash=True):
        await until(lambda: len(seen(function)) == 4)
        await until(lambda: kinesis.asked[-1][0] == "GetRecords")
    kinesis.add("b", "a")
    kinesis.put("a", "5")
    kinesis.put("b", "6")
    again = Function(echo)
    async with reading(world, kinesis, again, parallelization=3):
        await until(lambda: "6" in seen(again))
    assert seen(function) == ["1", "2", "3", "4"]
    assert seen(again)[-2:] == ["5", "6"]
    assert not set(seen(again)) & {"1", "2"}
    last = Function(echo)
    async with reading(world, kinesis, last, parallelization=3):
        kinesis.put("b", "7")
        await until(lambda: "7" in seen(last))
    assert seen(last) == ["7"]


async def test_a_new_trigger_at_the_end_sees_what_comes_then(tmp_path: Path) -> None:
    kinesis, function = Kinesis("a", "b"), Function(echo)
    kinesis.put("a", "old")
    kinesis.add("c", "a")
    kinesis.put("b", "old")
    async with reading(World(tmp_path), kinesis, function, starting_position="LATEST"):
        begun = lambda: sum(op == "GetRecords" for op, _ in kinesis.asked) >= 4  # noqa: E731
        await until(begun)
        kinesis.put("b", "new")
        kinesis.put("c", "child")
        await until(lambda: len(seen(function)) == 2)
    assert sorted(seen(function)) == ["child", "new"]


async def test_services_that_are_difficult(tmp_path: Path, caplog: Any) -> None:
    kinesis, function = Kinesis("a"), Function(echo)
    kinesis.put("a", *(str(n) for n in range(9)))
    kinesis.faults = [
        MachineError("cannot reach http://x: no"),
        ServiceError("ProvisionedThroughputExceededException", "slow down"),
        ServiceError("ExpiredIteratorException", "too old"),
    ]
    async with reading(World(tmp_path), kinesis, function):
        await until(lambda: len(seen(function)) == 9)
    assert seen(function) == [str(n) for n in range(9)]
    told = [record.getMessage() for record in caplog.records]
    assert [text.rpartition(": ")[2] for text in told] == ["no", "slow down"]


async def test_records_that_went_by_age_are_told_of(tmp_path: Path, caplog: Any) -> None:
    world, kinesis, function = World(tmp_path), Kinesis("a"), Function(echo)
    kinesis.put("a", "1", "2")
    async with reading(world, kinesis, function):
        await until(lambda: len(seen(function)) == 2)
    kinesis.records["a"].clear()
    kinesis.trimmed.add("a")
    kinesis.put("a", "3")
    async with reading(world, kinesis, function):
        await until(lambda: "3" in seen(function))
    assert seen(function) == ["1", "2", "3"]
    assert "were removed by age before they were read" in caplog.text


async def test_a_batch_that_fails_is_halved_and_given_up(tmp_path: Path) -> None:
    def fails_on_three(event: dict[str, Any]) -> None:
        if any(base64.b64decode(r["kinesis"]["data"]) == b"3" for r in event["Records"]):
            raise ValueError("three")

    world, kinesis, function = World(tmp_path), Kinesis("a"), Function(fails_on_three)
    kinesis.put("a", *(str(n) for n in range(6)))
    settings = {"bisect_on_error": True, "retries_max": 0, "on_failure": "queue:lost"}
    async with reading(world, kinesis, function, window_s=0.05, **settings) as store:
        await until(lambda: "5" in seen(function) and function.batches[-1][-1] == "5")
        await until(lambda: store.depth("queue:lost").messages == 1)
    assert ["3"] in function.batches


async def test_no_more_is_read_ahead_than_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_shard, "BUFFER_RECORDS_MAX", 6)
    kinesis, function = Kinesis("a"), Function(echo)
    kinesis.put("a", *(str(n) for n in range(30)))
    function.busy = 10**6
    async with reading(World(tmp_path), kinesis, function, batch_size=2):
        await until(lambda: sum(op == "GetRecords" for op, _ in kinesis.asked) == 2)
        for _ in range(50):
            await asyncio.sleep(0)
        assert sum(op == "GetRecords" for op, _ in kinesis.asked) == 2
        function.busy = 0
        await until(lambda: len(seen(function)) == 30)
    assert seen(function) == [str(n) for n in range(30)]
