"""The trigger that gives a queue's messages to a function."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from microfaas import lineage
from microfaas.config import Trigger
from microfaas.config.queue_triggers import QueueSettings
from microfaas.config.queues import QueueTable
from microfaas.errors import FunctionNotFound, MachineError, Problem, TooManyRequests
from microfaas.messaging.directory import Definition
from microfaas.model import Address, Invocation, Outcome, Status
from microfaas.payloads import sqs
from microfaas.testing import FakeInvoker
from microfaas.triggers import queue

sys.path.append(str(Path(__file__).parents[1] / "messaging"))
sys.path.append(str(Path(__file__).parent))
from around import surroundings
from queue_world import World, opened, tables

DECLARED = tables(
    q=QueueTable(dead_letter_queue="dlq", receives_max=2, visibility_timeout_s=5),
    dlq=QueueTable(),
    f_fifo=QueueTable(content_based_deduplication=True),
)
OK = Outcome(status=Status.OK, payload=b"null")
ERROR = Outcome(status=Status.ERROR, payload=b"{}")
PATIENCE_S = 60.0


@dataclass
class Called:
    """A function whose answers are given beforehand; after the last one all is well."""

    answers: list[Outcome | Exception] = field(default_factory=list)
    batches: list[list[dict[str, Any]]] = field(default_factory=list)
    gate: asyncio.Event | None = None
    running: int = 0
    most: int = 0

    @property
    def bodies(self) -> list[list[str]]:
        return [[record["body"] for record in batch] for batch in self.batches]

    async def __call__(self, invocation: Invocation) -> Outcome:
        self.batches.append(json.loads(invocation.event)["Records"])
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            if self.gate is not None:
                await self.gate.wait()
            answer = self.answers.pop(0) if self.answers else OK
        finally:
            self.running -= 1
        if isinstance(answer, Exception):
            raise answer
        return answer


@contextlib.asynccontextmanager
async def fed(
    world: World, function: Called, name: str = "q", **settings: Any
) -> AsyncIterator[FakeInvoker]:
    """The trigger at work; leaving stops it as the server would."""
    stopping = asyncio.Event()
    invoker = FakeInvoker({"f": function})
    around = surroundings(
        address=Address(),
        invoker=invoker,
        queues=world.queues,
        stopping=stopping,
    )
    trigger = Trigger("f", "queue", QueueSettings(queue=name, **settings))
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(queue.run(trigger, around))
        try:
            yield invoker
        finally:
            stopping.set()


async def until(condition: Any) -> None:
    """Wait for something to come true; the limit is only there to end a broken test."""
    for _ in range(int(PATIENCE_S / 0.005)):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never came true")


def left(world: World, name: str = "q") -> int:
    return world.store.depth(f"queue:{name}").messages


async def test_what_succeeded_is_removed(tmp_path: Path) -> None:
    async with opened(tmp_path, DECLARED) as world:
        await world.send("q", "a", "b", attributes={"k": ("Binary", b"\x00")})
        function = Called()
        async with fed(world, function):
            await until(lambda: left(world) == 0)
        assert function.bodies == [["a", "b"]]
        record = function.batches[0][0]
        assert record["messageAttributes"]["k"]["binaryValue"] == "AA=="
        assert record["attributes"]["ApproximateReceiveCount"] == "1"
        assert record["eventSource"] == "aws:sqs"


async def test_what_failed_comes_again_and_is_given_up_in_the_end(tmp_path: Path) -> None:
    async with opened(tmp_path, DECLARED) as world:
        await world.send("q", "bad")
        function = Called([ERROR, ERROR])
        async with fed(world, function):
            await until(lambda: len(function.batches) == 1)
            assert left(world) == 1
            world.clock.ahead_ms += 6_000
            world.queues.wake("q")
            await until(lambda: len(function.batches) == 2)
            world.clock.ahead_ms += 6_000
            world.queues.wake("q")
            await until(lambda: left(world, "dlq") == 1)
        assert function.bodies == [["bad"], ["bad"]]


async def test_reported_failures_come_again_alone(tmp_path: Path) -> None:
    async with opened(tmp_path, DECLARED) as world:
        ids = await world.send("q", "a", "b", "c")
        told = {"batchItemFailures": [{"itemIdentifier": ids[1]}]}
        function = Called([Outcome(status=Status.OK, payload=json.dumps(told).encode())])
        async with fed(world, function, report_batch_item_failures=True):
            await until(lambda: left(world) == 1)
            world.clock.ahead_ms += 6_000
            world.queues.wake("q")
            await until(lambda: left(world) == 0)
        assert function.bodies == [["a", "b", "c"], ["b"]]


@pytest.mark.parametrize("fault", [TooManyRequests("busy"), MachineError("no memory")])
async def test_refused_calls_fill_no_dead_letter_queue(tmp_path: Path, fault: Exception) -> None:
    async with opened(tmp_path, DECLARED) as world:
        await world.send("q", "a")
        function = Called([fault] * 4)
        async with fed(world, function):
            await until(lambda: left(world) == 0)
        assert len(function.batches) == 5
        counts = {b[0]["attributes"]["ApproximateReceiveCount"] for b in function.batches}
        assert counts == {"1"}
        assert left(world, "dlq") == 0


async def test_a_refusal_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with opened(tmp_path, DECLARED) as world:
        await world.send("q", "a")
        function = Called([FunctionNotFound("f", "live")] * 4)
        async with fed(world, function):
            await until(lambda: left(world) == 0)
        assert len(function.batches) == 5
        told = "f: cannot take messages of the queue q: cannot find function f:live"
        assert caplog.text.count(told) == 1


async def test_what_came_back_too_often_is_left_alone_and_given_up(tmp_path: Path) -> None:
    own, other = lineage.hash_of(Address().arn("f")), lineage.hash_of(Address().arn("g"))
    async with opened(tmp_path, DECLARED) as world:
        await world.send("q", "over", trace=f"Root=1;Lineage=1:{own}:15")
        await world.send("q", "last", trace=f"Root=2;Lineage=1:{own}:14|1:{other}:1")
        await world.send("q", "others", trace=f"Root=3;Lineage=1:{other}:20")
        await world.send("q", "first")
        function = Called()
        async with fed(world, function) as invoker:
            await until(lambda: left(world) == 1)
            for _ in range(2):
                await until(lambda: world.queues.count("q")[1].in_flight == 1)
                world.clock.ahead_ms += 6_000
                world.queues.wake("q")
            await until(lambda: left(world, "dlq") == 1)
        assert function.bodies == [["last", "others", "first"]]
        (invocation,) = invoker.invocations
        assert invocation.trace_id == f"Root=2;Lineage=1:{own}:14|1:{other}:20"


async def test_what_is_behind_in_a_group_waits_for_what_came_back_too_often(tmp_path: Path) -> None:
    own = lineage.hash_of(Address().arn("f"))
    async with opened(tmp_path, DECLARED) as world:
        await world.send("f.fifo", "over", group="a", trace=f"Root=1;Lineage=1:{own}:15")
        await world.send("f.fifo", "behind", group="a")
        await world.send("f.fifo", "beside", group="b")
        function = Called()
        async with fed(world, function, name="f.fifo"):
            await until(lambda: left(world, "f.fifo") == 2)
        assert function.bodies == [["beside"]]


async def test_messages_that_no_filter_lets_through_are_removed(tmp_path: Path) -> None:
    async with opened(tmp_path, DECLARED) as world:
        await world.send("q", '{"kind": "a"}', '{"kind": "b"}', "text")
        function = Called()
        async with fed(world, function, filters=[{"body": {"kind": ["a"]}}]):
            await until(lambda: left(world) == 0)
        assert function.bodies == [['{"kind": "a"}']]


async def test_a_window_gathers_what_comes_one_by_one(tmp_path: Path) -> None:
    async with opened(tmp_path, DECLARED) as world:
        function = Called()
        async with fed(world, function, batch_size=3, window_s=300):
            for body in "abc":
                await world.send("q", body)
                await asyncio.sleep(0.01)
            await until(lambda: left(world) == 0)
        assert function.bodies == [["a", "b", "c"]]


async def test_a_batch_is_no_larger_than_an_event_may_be(tmp_path: Path) -> None:
    async with opened(tmp_path, DECLARED) as world:
        for _ in range(4):
            await world.send("q", '"' * 1_000_000)
        function = Called()
        async with fed(world, function, batch_size=10):
            await until(lambda: left(world) == 0)
        assert [len(batch) for batch in function.batches] == [3, 1]


async def test_no_more_calls_run_at_once_than_may(tmp_path: Path) -> None:
    async with opened(tmp_path, DECLARED) as world:
        await world.send("q", *map(str, range(6)))
        function = Called(gate=asyncio.Event())
        assert function.gate is not None
        async with fed(world, function, batch_size=1, concurrency=2):
            await until(lambda: function.running == 2)
            # The others were not even received: their time is not running.
            await asyncio.sleep(0.05)
            assert world.queues.count("q")[1].in_flight == 2
            function.gate.set()
            await until(lambda: left(world) == 0)
        assert function.most == 2


async def test_a_group_is_in_one_call_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path, DECLARED) as world:
        for number in range(6):
            await world.send("f.fifo", f"a{number}", group="a")
        await world.send("f.fifo", "b", group="b")
        function = Called(gate=asyncio.Event())
        assert function.gate is not None
        async with fed(world, function, "f.fifo", batch_size=2):
            await until(lambda: function.running == 2)
            await asyncio.sleep(0.05)
            assert function.bodies == [["a0", "a1"], ["b"]]
            function.gate.set()
            await until(lambda: left(world, "f.fifo") == 0)
        in_order = [body for batch in function.bodies for body in batch if body != "b"]
        assert in_order == [f"a{n}" for n in range(6)]


async def test_messages_are_hidden_while_the_function_may_be_at_them(tmp_path: Path) -> None:
    declared = tables(q=QueueTable(visibility_timeout_s=0))
    async with opened(tmp_path, declared) as world:
        await world.send("q", "a")
        function = Called(gate=asyncio.Event())
        assert function.gate is not None
        async with fed(world, function):
            await until(lambda: function.running == 1)
            assert await world.queues.receive("q") == []
            function.gate.set()
            await until(lambda: left(world) == 0)
        assert function.bodies == [["a"]]


async def test_stopping_takes_nothing_new_and_lets_what_runs_end(tmp_path: Path) -> None:
    async with opened(tmp_path, DECLARED) as world:
        await world.send("q", "a")
        function = Called(gate=asyncio.Event())
        assert function.gate is not None
        async with fed(world, function):
            await until(lambda: function.running == 1)
            asyncio.get_running_loop().call_later(0.05, function.gate.set)
        assert left(world) == 0
        await world.send("q", "b")
        assert left(world) == 1


async def test_a_queue_that_is_made_later_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "RETRY_S", 0.01)
    async with opened(tmp_path, DECLARED) as world:
        function = Called()
        async with fed(world, function, "later"):
            await asyncio.sleep(0.03)
            await world.queues.create("later", Definition(settings=QueueTable(), changed_ms=0))
            await world.send("later", "a")
            await until(lambda: left(world, "later") == 0)
        assert function.bodies == [["a"]]


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"queue": "a b"}, "t.queue"),
        ({"queue": "f.fifo", "batch_size": 11, "window_s": 1}, "t.batch_size"),
        ({"queue": "q", "batch_size": 11}, "t.window_s"),
        ({"queue": "q", "filters": [{"body": "a"}]}, "t.filters"),
    ],
)
def test_settings_that_cannot_be_are_named(settings: dict[str, Any], where: str) -> None:
    problems: list[Problem] = []
    QueueSettings(**settings).check("t", problems)
    assert [problem.where for problem in problems] == [where]


@pytest.mark.parametrize("answer", ["null", "{}", "", '{"batchItemFailures": []}'])
def test_answers_that_mean_success(answer: str) -> None:
    assert sqs.failed_ids(answer.encode(), ["a", "b"]) == set()


@pytest.mark.parametrize(
    "answer",
    [
        "nonsense",
        "[" * 10_000 + "]" * 10_000,
        '{"batchItemFailures": [{"itemIdentifier": "\udcff"}]}',
        '{"failures": []}',
        '{"batchItemFailures": [{"itemIdentifier": "c"}]}',
        '{"batchItemFailures": [{"itemIdentifier": ""}]}',
        '{"batchItemFailures": [{"itemIdentifier": null}]}',
        '{"batchItemFailures": [{"id": "a"}]}',
        '{"batchItemFailures": 1}',
        "[1]",
    ],
)
def test_answers_that_mean_failure_of_all(answer: str) -> None:
    # What is no UTF-8 comes from custom runtimes.
    payload = answer.encode(errors="surrogateescape")
    assert sqs.failed_ids(payload, ["a", "b"]) == {"a", "b"}
