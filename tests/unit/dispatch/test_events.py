"""Events from their acceptance to their end, run by a fake invoker over a real database."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from microfaas import lineage
from microfaas.dispatch import events as dispatching
from microfaas.dispatch.destinations import Destinations
from microfaas.dispatch.events import Events, Served
from microfaas.dispatch.slots import Slots
from microfaas.errors import FunctionNotFound, MachineError, MicrofaasError, TooManyRequests
from microfaas.model import (
    Address,
    Destination,
    EventSettings,
    Invocation,
    Outcome,
    Status,
    Version,
)
from microfaas.store import events
from microfaas.store.db import Database
from microfaas.store.dead import DeadLetters
from microfaas.store.messages import Batch, Draft, Message, MessageStore
from microfaas.store.results import Result, Results
from microfaas.testing import FakeInvoker

PATIENCE_S = 60.0
OK = Outcome(status=Status.OK, payload=b'{"done":true}')
ERROR = Outcome(
    status=Status.ERROR, payload=b'{"errorType":"Oops","errorMessage":"no"}', wall_s=0.5
)
BUSY = TooManyRequests("ConcurrentInvocationLimitExceeded")
SETTINGS: dict[str, Any] = {"retry_delay_s": 0.002}


def call(event: bytes = b"{}", **more: Any) -> Invocation:
    return Invocation(**{"request_id": "of the call", "function": "f", "event": event, **more})


async def until(condition: Callable[[], Any]) -> Any:
    """Wait for something to come true; the limit is only there to end a broken test."""
    for _ in range(int(PATIENCE_S / 0.002)):
        if value := condition():
            return value
        await asyncio.sleep(0.002)
    raise AssertionError("it never came true")


class World:
    """Functions that answer one thing after the other, and what becomes of their events."""

    def __init__(self, db: Database, store: MessageStore) -> None:
        self.db = db
        self.store = store
        self.results = Results(db)
        self.dead = DeadLetters(db)
        self.answers: list[Outcome | Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.invoker = FakeInvoker({"f": self.answer, "g": self.answer})
        self.at_once = 0
        self.most = 0
        self.events: Events

    async def answer(self, _: Invocation) -> Outcome:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        try:
            await self.gate.wait()
        finally:
            self.at_once -= 1
        now = self.answers.pop(0) if self.answers else OK
        if isinstance(now, Exception):
            raise now
        return now

    @contextlib.asynccontextmanager
    async def running(self, concurrency: int = 4, **settings: Any) -> AsyncIterator[Events]:
        made = EventSettings(**{**SETTINGS, **settings})
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
            self.events = Events(
                self.store,
                self.invoker,
                Destinations({"queue": _to_queue}),
                Address(),
                tasks,
            )
            self.events.serve({"f": Served(made, concurrency)})
            yield self.events
            self.gate.set()
            await self.events.close(PATIENCE_S)

    async def result(self, request_id: str) -> Result:
        result: Result = await until(lambda: self.results.find(request_id))
        return result

    def found(self, request_id: str) -> Message:
        message = self.store.find(request_id)
        assert message is not None
        return message

    def bodies(self, queue: str) -> list[Any]:
        return [json.loads(message.body) for message in self.store.ready(queue, 0, 99)[0]]

    @property
    def seen(self) -> list[str]:
        return [invocation.request_id for invocation in self.invoker.invocations]


def _to_queue(batch: Batch, name: str, body: bytes, attributes: Any, _: str) -> None:
    if name == "gone":
        raise MicrofaasError("cannot send to queue gone: there is none")
    batch.put(Draft(f"queue:{name}", body, json.dumps(attributes).encode()))


@pytest.fixture
def world(db: Database, store: MessageStore) -> World:
    return World(db, store)


async def test_an_event_is_on_disk_before_it_is_accepted_and_then_run(world: World) -> None:
    world.gate.clear()
    async with world.running() as events_:
        request_id = await events_.accept(
            call(b'{"a":1}', qualifier="$LATEST", trace_id="Root=1", client_context=b"{}"), "here"
        )
        assert world.found(request_id).body == b'{"a":1}'
        await until(lambda: world.invoker.invocations)
        assert events_.is_running(world.found(request_id))
        world.gate.set()
        result = await world.result(request_id)
    (run,) = world.invoker.invocations
    assert (run.request_id, run.event, run.qualifier) == (request_id, b'{"a":1}', "$LATEST")
    assert (run.trace_id, run.client_context) == ("Root=1", b"")
    assert (result.status, result.payload, result.attempts) == ("ok", OK.payload, 1)
    assert (result.function, result.source, result.tries) == ("f", "here", [])
    assert world.store.find(request_id) is None
    assert world.dead.count() == 0


async def test_what_was_accepted_runs_after_a_restart(world: World) -> None:
    async with world.running() as events_:
        await events_.close(PATIENCE_S)
        ids = [await events_.accept(call()) for _ in range(20)]
        assert world.seen == []
    async with world.running():
        for request_id in ids:
            assert (await world.result(request_id)).status == "ok"
    assert sorted(world.seen) == sorted(ids)


async def test_a_failure_is_tried_again_under_the_same_id(world: World) -> None:
    world.answers = [ERROR, ERROR, OK]
    async with world.running() as events_:
        request_id = await events_.accept(call())
        result = await world.result(request_id)
    assert world.seen == [request_id] * 3
    assert (result.status, result.attempts) == ("ok", 3)
    assert [(t.status, t.error, t.wall_ms) for t in result.tries] == [("error", "Oops", 500.0)] * 2
    assert world.dead.count() == 0


async def test_what_keeps_failing_becomes_a_dead_letter(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.answers = [ERROR] * 3
    with caplog.at_level(logging.ERROR):
        async with world.running() as events_:
            request_id = await events_.accept(call(b"[1]", trace_id="T"), "f:in/a")
            result = await world.result(request_id)
    (buried,) = world.dead.page("f")
    letter = buried.letter
    assert (result.status, result.attempts, result.payload) == ("error", 3, ERROR.payload)
    assert (letter.request_id, letter.event, letter.error) == (request_id, b"[1]", ERROR.payload)
    assert (letter.source, letter.attempts, letter.kind) == ("f:in/a", 3, "Oops")
    kept = events.decode_attributes(letter.attributes)
    assert (letter.queue, kept.trace_id, kept.history) == ("function:f", "T", [])
    assert f"event {request_id} given up after 3 attempts (RetriesExhausted)" in caplog.text


async def test_end_result_and_dead_letter_are_one_commit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches: list[list[str]] = []
    submit = world.db.submit

    def noted(writes: Any) -> Any:
        batches.append([name for name, rows in writes if rows])
        return submit(writes)

    monkeypatch.setattr(world.db, "submit", noted)
    world.answers = [ERROR]
    async with world.running(retries_max=0) as events_:
        await world.result(await events_.accept(call()))
    assert [batch for batch in batches if "remove_messages" in batch] == [
        ["remove_messages", "record_results", "bury"]
    ]


@pytest.mark.parametrize("refusal", [BUSY, MachineError("no room")])
async def test_refusals_do_not_count_as_attempts(
    world: World, refusal: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("microfaas.dispatch.retry.BUSY_DELAY_S", 0.0001)
    world.answers = [*[refusal] * 5, ERROR, refusal, OK]
    async with world.running(retries_max=1) as events_:
        result = await world.result(await events_.accept(call()))
    assert (result.status, result.attempts, len(result.tries)) == ("ok", 2, 1)
    assert len(world.seen) == 8


async def test_what_is_not_there_is_waited_for_and_told_once(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    there: set[str] = set()
    asked: list[str] = []
    check = world.invoker.check

    def only_there(name: str, qualifier: str) -> Version:
        asked.append(qualifier)
        if qualifier and qualifier not in there:
            raise FunctionNotFound(name, qualifier)
        return check(name, "")

    monkeypatch.setattr(world.invoker, "check", only_there)
    async with world.running() as events_:
        request_id = await events_.accept(call(qualifier="live"))
        await until(lambda: len(asked) >= 2)
        assert (await world.result(await events_.accept(call()))).status == "ok"
        there.add("live")
        result = await world.result(request_id)
    assert (result.status, result.attempts, result.tries) == ("ok", 1, [])
    assert caplog.text.count("f: events must wait: cannot find function f:live") == 1


async def test_what_is_too_old_is_not_run_any_more(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.gate.clear()
    async with world.running(1, age_s_max=60.0) as events_:
        first = await events_.accept(call())
        await until(lambda: world.seen == [first])
        second = await events_.accept(call(b"[2]"))
        monkeypatch.setattr(world.store, "age_s", lambda _: 61.0)
        world.gate.set()
        result = await world.result(second)
        await world.result(first)
    assert world.seen == [first]
    assert (result.status, result.attempts) == ("expired", 0)
    (buried,) = world.dead.page()
    assert (buried.letter.kind, buried.letter.event) == ("EventAgeExceeded", b"[2]")


async def test_a_retry_that_would_come_too_late_is_none(world: World) -> None:
    world.answers = [ERROR]
    async with world.running(retry_delay_s=100.0, age_s_max=60.0) as events_:
        result = await world.result(await events_.accept(call()))
    assert (result.status, result.attempts) == ("error", 1)
    assert world.dead.count() == 1


async def test_as_many_run_at_once_as_the_function_may(world: World) -> None:
    world.gate.clear()
    async with world.running(3) as events_:
        ids = [await events_.accept(call()) for _ in range(40)]
        await until(lambda: world.at_once == 3)
        world.gate.set()
        for request_id in ids:
            await world.result(request_id)
    assert world.most == 3


async def test_as_many_run_as_the_function_may_by_now(world: World) -> None:
    world.gate.clear()
    async with world.running(2) as events_:
        ids = [await events_.accept(call()) for _ in range(40)]
        await until(lambda: world.at_once == 2)
        events_.serve({"f": Served(EventSettings(**SETTINGS), 6)})
        await until(lambda: world.at_once == 6)
        events_.serve({"f": Served(EventSettings(**SETTINGS), 3)})
        await asyncio.sleep(0.01)
        assert world.at_once == 6  # what runs is let run
        world.gate.set()
        await until(lambda: world.at_once <= 3)
        world.most = 0
        for request_id in ids:
            assert (await world.result(request_id)).attempts == 1
    assert world.most <= 3
    assert sorted(world.seen) == sorted(ids)


async def test_who_waits_for_a_slot_can_give_up() -> None:
    slots, inside = Slots(1), asyncio.Event()

    async def enter() -> None:
        async with slots:
            inside.set()

    async with slots:
        waiting = [asyncio.create_task(enter()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
    waiting[1].cancel()  # it was admitted in this moment, and has not run yet
    await asyncio.wait(waiting)
    assert inside.is_set()
    assert [task.cancelled() for task in waiting] == [True, True, False]
    async with asyncio.timeout(PATIENCE_S), slots:
        pass


async def test_events_of_a_function_that_is_gone_wait_for_it(world: World) -> None:
    async with world.running() as events_:
        request_id = await events_.accept(call(function="gone"))
        assert not events_.serves("gone")
    async with world.running() as events_:
        assert events_.serves("gone")
        await until(lambda: world.found(request_id).due_ms)
    assert world.found(request_id).attempts == 0


TO = {"on_success": Destination("queue", "fine"), "on_failure": Destination("queue", "failed")}


@pytest.mark.parametrize(
    ("answer", "queue", "condition"),
    [(OK, "queue:fine", "Success"), (ERROR, "queue:failed", "RetriesExhausted")],
)
async def test_outcomes_go_to_their_destination_in_the_same_commit(
    world: World, answer: Outcome, queue: str, condition: str
) -> None:
    world.answers = [answer]
    ends: list[Result | None] = []
    async with world.running(retries_max=0, **TO) as events_:
        request_id = await events_.accept(call(b'{"a":1}'))
        world.store.listen(queue, lambda *_: ends.append(world.results.find(request_id)))
        await world.result(request_id)
    assert ends == [world.results.find(request_id)]
    (record,) = world.bodies(queue)
    asked = record["requestContext"]
    assert (asked["requestId"], asked["condition"]) == (request_id, condition)
    assert asked["functionArn"].endswith(":function:f:$LATEST")
    assert asked["approximateInvokeCount"] == 1
    assert record["requestPayload"] == {"a": 1}
    assert record["responsePayload"] == json.loads(answer.payload)
    assert world.dead.count() == 0
    others = {"queue:fine", "queue:failed"} - {queue}
    assert [world.bodies(other) for other in others] == [[]]


async def test_a_dead_letter_queue_gets_the_event_itself(world: World) -> None:
    world.answers = [ERROR]
    dead = Destination("queue", "dead")
    async with world.running(retries_max=0, dead_letter=dead) as events_:
        request_id = await events_.accept(call(b'{"a":1}'))
        await world.result(request_id)
    (message,) = world.store.ready("queue:dead", 0, 9)[0]
    assert message.body == b'{"a":1}'
    assert json.loads(message.attributes) == {
        "RequestID": ["String", request_id],
        "ErrorCode": ["Number", "200"],
        "ErrorMessage": ["String", "no"],
    }
    assert world.dead.count() == 0


async def test_a_destination_may_be_another_function(world: World) -> None:
    async with world.running(on_success=Destination("function", "g")) as events_:
        await world.result(await events_.accept(call()))
    (record,) = world.bodies("function:g")
    assert record["responsePayload"] == {"done": True}


async def test_a_destination_that_is_gone_or_full_leaves_a_dead_letter(world: World) -> None:
    world.store.bound("queue:full", 0, 0)
    for name in ("gone", "full"):
        async with world.running(on_success=Destination("queue", name)) as events_:
            assert (await world.result(await events_.accept(call()))).status == "ok"
    full, gone = [buried.letter for buried in world.dead.page()]
    assert (gone.queue, gone.event) == ("function:f", b"{}")
    assert (full.queue, full.kind) == ("queue:full", "QueueFull")
    assert json.loads(full.event)["requestContext"]["condition"] == "Success"


async def test_an_end_that_cannot_be_recorded_is_insisted_on(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dispatching, "RECORD_AGAIN_S", 0.005)
    submit, faults = world.db.submit, [MachineError("the disk is full")] * 3

    def failing(writes: Any) -> Any:
        if faults and any(name == "remove_messages" for name, _ in writes):
            raise faults.pop()
        return submit(writes)

    monkeypatch.setattr(world.db, "submit", failing)
    async with world.running() as events_:
        request_id = await events_.accept(call())
        await world.result(request_id)
    assert world.seen == [request_id]
    assert caplog.text.count("the disk is full; trying again") == 3


async def test_who_waits_for_an_end_is_told(world: World) -> None:
    world.answers = [ERROR, OK]
    async with world.running() as events_:
        message = world.found(await events_.accept(call()))
        await events_.ended(message)
        assert world.results.find(message.uuid) is not None
        await events_.ended(message)  # it has ended: nothing to wait for
    assert len(world.seen) == 2


async def test_one_that_runs_can_be_cancelled(world: World) -> None:
    world.gate.clear()
    async with world.running(1) as events_:
        request_id = await events_.accept(call())
        await until(lambda: world.seen == [request_id])
        assert await events_.cancel(world.found(request_id))
        assert (await world.result(request_id)).status == "cancelled"
        assert world.at_once == 0
        world.gate.set()
        assert (await world.result(await events_.accept(call()))).status == "ok"
    assert world.dead.count() == 0


@pytest.mark.parametrize("place", ["a worker", "the window", "the disk"])
async def test_one_that_waits_can_be_cancelled(
    world: World, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With one at once: a second worker has the next event already, the others are in the window,
    those behind it on disk alone."""
    monkeypatch.setattr("microfaas.dispatch.consumer.WINDOW_MESSAGES", 4)
    world.gate.clear()
    async with world.running(1) as events_:
        ids = [await events_.accept(call()) for _ in range(9)]
        await until(lambda: world.seen == ids[:1])
        victim = ids[{"a worker": 1, "the window": 2, "the disk": 8}[place]]
        assert await events_.cancel(world.found(victim))
        assert (await world.result(victim)).status == "cancelled"
        world.gate.set()
        for request_id in ids:
            await world.result(request_id)
    assert world.seen == [request_id for request_id in ids if request_id != victim]
    assert world.store.depth("function:f").messages == 0


async def test_one_that_waits_for_its_retry_can_be_cancelled(world: World) -> None:
    world.answers = [ERROR]
    async with world.running(retry_delay_s=3600.0) as events_:
        request_id = await events_.accept(call())
        message = await until(lambda: _put_off(world, request_id))
        assert await events_.cancel(message)
        result = await world.result(request_id)
    assert (result.status, result.attempts, len(result.tries)) == ("cancelled", 1, 1)


async def test_one_whose_end_is_being_recorded_has_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatching, "RECORD_AGAIN_S", 0.005)
    submit, broken = world.db.submit, [True]

    def failing(writes: Any) -> Any:
        if broken and any(name == "remove_messages" for name, _ in writes):
            raise MachineError("the disk is full")
        return submit(writes)

    monkeypatch.setattr(world.db, "submit", failing)
    async with world.running() as events_:
        request_id = await events_.accept(call())
        await until(lambda: world.seen and not world.at_once)
        cancelling = asyncio.ensure_future(events_.cancel(world.found(request_id)))
        await asyncio.sleep(0.02)
        assert not cancelling.done()
        broken.clear()
        assert await cancelling is False
        assert (await world.result(request_id)).status == "ok"


async def test_a_cancel_that_cannot_be_recorded_leaves_the_event(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.gate.clear()
    async with world.running(1) as events_:
        ids = [await events_.accept(call()) for _ in range(4)]
        await until(lambda: world.seen == ids[:1])

        def failing(_: Any) -> Any:
            raise MachineError("the disk is full")

        with monkeypatch.context() as broken:
            broken.setattr(world.db, "submit", failing)
            with pytest.raises(MachineError):
                await events_.cancel(world.found(ids[3]))
        world.gate.set()
        for request_id in ids:
            assert (await world.result(request_id)).status == "ok"


async def test_cancelled_twice_at_once_it_is_cancelled_once(world: World) -> None:
    world.gate.clear()
    async with world.running(1) as events_:
        ids = [await events_.accept(call()) for _ in range(4)]
        await until(lambda: world.seen == ids[:1])
        message = world.found(ids[3])
        both = await asyncio.gather(events_.cancel(message), events_.cancel(message))
        assert sorted(both) == [False, True]
        assert world.store.depth("function:f").messages == 3


async def test_a_stop_lets_run_what_runs_and_keeps_the_rest(world: World) -> None:
    world.gate.clear()
    async with world.running(1) as events_:
        ids = [await events_.accept(call()) for _ in range(5)]
        await until(lambda: world.seen == ids[:1])
    assert world.results.find(ids[0]) is not None
    assert world.store.depth("function:f").messages == 5 - len(world.seen)


async def test_a_stop_does_not_wait_for_ever(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.gate.clear()
    async with world.running() as events_:
        request_id = await events_.accept(call())
        await until(lambda: world.seen)
        await events_.close(0.01)
        assert "1 events still run; they will run again" in caplog.text
        assert world.found(request_id)


def _put_off(world: World, request_id: str) -> Message | None:
    message = world.store.find(request_id)
    return message if message is not None and message.due_ms else None


async def test_an_event_that_came_back_too_often_is_given_up_at_once(world: World) -> None:
    own = lineage.hash_of(Address().arn("f"))
    failed = Destination("queue", "failed")
    async with world.running(on_failure=failed) as events_:
        ids = [
            await events_.accept(call(trace_id=f"Root=1;Lineage=1:{own}:{count}"))
            for count in (14, 15, 16)
        ]
        results = [await world.result(each) for each in ids]
    assert world.seen == ids[:1]
    assert [(each.status, each.attempts) for each in results] == [
        ("ok", 1),
        ("expired", 0),
        ("expired", 0),
    ]
    (told,) = world.bodies("queue:failed")
    assert told["requestContext"]["requestId"] == ids[1]
    assert told["requestContext"]["condition"] == "RecursiveInvocation"
    # Of what was refused before nobody is told again: that would go round as well.
    (letter,) = world.dead.page()
    assert (letter.letter.request_id, letter.letter.kind) == (ids[2], "RecursiveInvocation")


async def test_what_an_end_gives_rise_to_continues_the_chain(world: World) -> None:
    own = lineage.hash_of(Address().arn("f"))
    async with world.running(on_success=Destination("function", "g")) as events_:
        await world.result(await events_.accept(call(trace_id="Root=1")))
        request_id = await events_.accept(call())
        await world.result(request_id)
    first, second = world.store.ready("function:g", 0, 9)[0]
    traces = [events.decode_attributes(each.attributes).trace_id for each in (first, second)]
    assert traces[0] == f"Root=1;Lineage=1:{own}:0"
    # Without a trace of its own it is the one that the function saw.
    assert traces[1] == lineage.extended(world.invoker.invocations[1].trace_id, own)
