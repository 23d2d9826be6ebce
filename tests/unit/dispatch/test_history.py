"""What is told of events while they wait, run, and when they have ended; and of dead letters."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from microfaas.dispatch import history, letters
from microfaas.dispatch.destinations import Destinations
from microfaas.dispatch.events import Events, Served
from microfaas.dispatch.history import History
from microfaas.dispatch.letters import Letters, Selection
from microfaas.errors import InvalidRequest, QueueFull
from microfaas.model import Address, EventSettings, Invocation, Outcome, Status
from microfaas.store import events
from microfaas.store.db import Database
from microfaas.store.dead import Buried, DeadLetter, DeadLetters
from microfaas.store.messages import MessageStore
from microfaas.store.results import Results
from microfaas.testing import FakeInvoker

PATIENCE_S = 60.0
UNKNOWN = "8f5c6e0a-0b43-4c5e-9a52-7d3f6a1c9f10"


async def until(condition: Callable[[], bool]) -> None:
    """Wait for something to come true; the limit is only there to end a broken test."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # of work that tells nobody
            await asyncio.sleep(0.002)


class World:
    """Functions `f` and `g` whose events wait at a gate; the event is the status they end with."""

    def __init__(self, db: Database, store: MessageStore) -> None:
        self.db = db
        self.store = store
        self.dead = DeadLetters(db)
        self.gate = asyncio.Event()
        self.history: History
        self.letters: Letters
        self.events: Events

    async def answer(self, invocation: Invocation) -> Outcome:
        await self.gate.wait()
        status = Status(invocation.event.decode().strip('"'))
        return Outcome(status=status, payload=b'{"errorType":"E"}')

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[World]:
        made = Served(EventSettings(retries_max=0), 1)
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
            invoker = FakeInvoker({"f": self.answer, "g": self.answer})
            self.events = Events(self.store, invoker, Destinations({}), Address(), tasks)
            self.events.serve({"f": made, "g": made})
            self.history = History(self.store, self.events, Results(self.db))
            self.letters = Letters(self.store, self.dead, self.events)
            yield self
            self.gate.set()
            await self.events.close(PATIENCE_S)

    async def accept(self, function: str = "f", status: str = "ok") -> str:
        event = f'"{status}"'.encode()
        return await self.events.accept(
            Invocation(request_id="", function=function, event=event), "test"
        )

    async def bury(self, *functions: str, **more: Any) -> list[Buried]:
        """Letters that died a second after one another, the newest first."""
        rows = []
        for number, function in enumerate(functions):
            kept = events.encode_attributes(events.EventAttributes("", "T", "before", 3))
            made = {"queue": f"function:{function}", "kind": "E", "attributes": kept, **more}
            rows.append(
                DeadLetter(number * 1000, function, f"r{number}", "s", b'"ok"', b"{}", 3, **made)
            )
        await self.db.write("bury", rows)
        return self.dead.page()


@pytest.fixture
def world(db: Database, store: MessageStore) -> World:
    return World(db, store)


async def test_an_event_is_followed_to_its_end(world: World) -> None:
    async with world.running():
        first, second = await world.accept(), await world.accept(status="error")
        await until(lambda: world.history.find(first).status == "running")
        waiting = world.history.find(second)
        assert (waiting.status, waiting.ended, waiting.payload) == ("waiting", False, None)
        world.gate.set()
        ended = await world.history.wait(second, 60.0)
        assert (ended.status, ended.attempts, ended.ended) == ("error", 1, True)
        assert ended.payload == b'{"errorType":"E"}'
        assert (ended.function, ended.source) == ("f", "test")
        assert world.history.find(first).status == "ok"


async def test_lists_are_of_a_function_and_of_a_status(world: World) -> None:
    async with world.running():
        world.gate.set()
        ended = [await world.accept("f", "ok"), await world.accept("f", "error")]
        ended.append(await world.accept("g", "ok"))
        for request_id in ended:
            await world.history.wait(request_id, 60.0)
        world.gate.clear()
        waiting = [await world.accept(name) for name in "ffgg"]

        def ids(*arguments: Any) -> list[str]:
            return [record.request_id for record in world.history.recent(*arguments)]

        await until(lambda: len(ids(None, "running", 100)) == 2)
        everything = [*reversed(waiting), *reversed(ended)]
        assert ids(None, None, 100) == everything
        assert ids(None, None, 3) == everything[:3]
        assert ids("f", None, 100) == [waiting[1], waiting[0], ended[1], ended[0]]
        assert ids(None, "running", 100) == [waiting[2], waiting[0]]
        assert ids(None, "waiting", 100) == [waiting[3], waiting[1]]
        assert ids(None, "ok", 100) == [ended[2], ended[0]]
        assert ids("g", "error", 100) == []
        with pytest.raises(InvalidRequest, match="known are: waiting, running, ok"):
            world.history.recent(None, "done", 100)


async def test_who_waits_too_long_learns_how_far_it_is(world: World) -> None:
    async with world.running():
        request_id = await world.accept()
        assert not (await world.history.wait(request_id, 0.01)).ended
        waiting = asyncio.create_task(world.history.wait(request_id, 60.0))
        await asyncio.sleep(0.01)
        world.history.close()
        assert not (await waiting).ended
        assert not (await world.history.wait(request_id, 60.0)).ended


async def test_what_ends_while_it_is_looked_up_is_told_of_as_ended_and_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with world.running():
        request_id = await world.accept()
        before = world.store.find(request_id)
        newest = world.store.newest("function:f", 9)
        depths = world.store.depths()
        world.gate.set()
        assert (await world.history.wait(request_id, 60.0)).ended
        # As if the commit came after the first look.
        find, looks = world.store.find, [before]
        monkeypatch.setattr(world.store, "find", lambda uuid: looks.pop() if looks else find(uuid))
        assert (await world.history.wait(request_id, 60.0)).ended
        monkeypatch.setattr(world.store, "depths", lambda: depths)
        monkeypatch.setattr(world.store, "newest", lambda *_: newest)
        assert [one.status for one in world.history.recent("f", None, 9)] == ["ok"]


async def test_what_is_not_known_is_told(world: World) -> None:
    queued = await world.store.put(events.draft("f", b"1")._replace(queue="queue:q"))
    async with world.running():
        for request_id in (UNKNOWN, "x", queued.uuid):
            for ask in (world.history.wait(request_id, 1.0), world.history.cancel(request_id)):
                with pytest.raises(InvalidRequest, match="was not accepted here") as caught:
                    await ask
                assert caught.value.kind == "ResourceNotFoundException"


async def test_what_has_ended_cannot_be_cancelled(world: World) -> None:
    async with world.running():
        running, waiting = await world.accept(), await world.accept()
        await asyncio.sleep(0.01)
        for request_id in (waiting, running):
            assert (await world.history.cancel(request_id)).status == "cancelled"
        with pytest.raises(InvalidRequest, match="it has ended as cancelled") as caught:
            await world.history.cancel(running)
        assert caught.value.kind == "ResourceConflictException"


async def test_large_results_are_cut_and_say_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("microfaas.dispatch.ends.PAYLOAD_BYTES_MAX", 5)
    monkeypatch.setattr(history, "PAYLOAD_BYTES_MAX", 5)
    async with world.running():
        world.gate.set()
        ended = await world.history.wait(await world.accept(), 60.0)
    assert (ended.payload, ended.truncated) == (b'{"err', True)


async def test_a_letter_becomes_a_fresh_event_in_one_commit(world: World) -> None:
    (buried,) = await world.bury("f")
    seen: list[int] = []
    async with world.running():
        told = world.store._listeners[world.store.depth("function:f").number]
        world.store.listen(
            "function:f", lambda *news: (seen.append(world.dead.count()), told(*news))
        )
        done = await world.letters.redrive(Selection(ids=["r0"]))
        (again,) = world.history.recent("f", None, 9)
    assert (done.number, done.left, seen) == (1, 0, [0])
    message = world.store.find(again.request_id)
    assert again.request_id != "r0"
    assert (again.attempts, again.source) == (0, "dead letter of r0")
    assert message is None or message.body == buried.letter.event
    with pytest.raises(InvalidRequest, match="cannot find dead letter"):
        world.letters.find(str(buried.id))


@pytest.mark.parametrize(
    ("chosen", "gone"),
    [
        (Selection(function="f"), {"r0", "r2"}),
        (Selection(error="E"), {"r0", "r1", "r2"}),
        (Selection(error="Other"), set()),
        (Selection(older_than_s=98.5), {"r0", "r1"}),
        (Selection(function="f", older_than_s=98.5), {"r0"}),
        (Selection(all=True), {"r0", "r1", "r2"}),
        (Selection(ids=["r1", "3", "r1"]), {"r1", "r2"}),
    ],
)
@pytest.mark.parametrize("what", ["redrive", "purge"])
async def test_letters_are_chosen(
    world: World, chosen: Selection, gone: set[str], what: str
) -> None:
    await world.bury("f", "g", "f")
    async with world.running():
        world.letters = Letters(world.store, world.dead, world.events, lambda: 100.0)
        done = await getattr(world.letters, what)(chosen)
        put = {record.source for record in world.history.recent(None, None, 9)}
    assert done == (len(gone), 0, "")
    assert {buried.letter.request_id for buried in world.dead.page()} == {"r0", "r1", "r2"} - gone
    assert put == ({f"dead letter of {one}" for one in gone} if what == "redrive" else set())


async def test_without_a_choice_nothing_is_done(world: World) -> None:
    await world.bury("f")
    async with world.running():
        for ask in (world.letters.redrive, world.letters.purge):
            with pytest.raises(InvalidRequest, match="cannot tell which dead letters"):
                await ask(Selection())
            with pytest.raises(InvalidRequest, match="cannot find dead letter nobody"):
                await ask(Selection(ids=["nobody", "r0"]))
    assert world.dead.count() == 1


async def test_many_letters_go_some_at_a_time(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "PAGE", 4)
    await world.bury(*["f"] * 30)
    sizes: list[int] = []
    async with world.running():
        told = world.store._listeners[world.store.depth("function:f").number]
        world.store.listen(
            "function:f", lambda ready, later: (sizes.append(len(ready)), told(ready, later))
        )
        assert (await world.letters.redrive(Selection(all=True))).number == 30
    assert max(sizes) == 4
    assert sum(sizes) == 30
    assert world.dead.count() == 0


async def test_what_dies_again_meanwhile_is_not_sent_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "PAGE", 1)
    rows = [
        DeadLetter(0, "f", f"r{n}", "s", b'"error"', b"{}", 3, "function:f", "E") for n in range(9)
    ]
    await world.db.write("bury", rows)
    async with world.running():
        world.gate.set()
        assert (await world.letters.redrive(Selection(all=True))).number == 9
        for record in world.history.recent("f", None, 99):
            await world.history.wait(record.request_id, 60.0)
    assert world.dead.count() == 9
    assert min(buried.id for buried in world.dead.page()) == 10


async def test_a_full_queue_stops_it_and_keeps_the_rest(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(letters, "PAGE", 2)
    await world.bury(*["f"] * 5)
    async with world.running():
        world.store.bound("function:f", 3, 1 << 20)
        done = await world.letters.redrive(Selection(all=True))
        assert (done.number, done.left) == (2, 2)
        assert "cannot accept more for function:f" in done.why
        with pytest.raises(QueueFull):
            await world.letters.redrive(Selection(all=True))
    assert world.dead.count() == 3


async def test_letters_of_nobody_stay(world: World) -> None:
    await world.bury("gone", "f")
    async with world.running():
        done = await world.letters.redrive(Selection(all=True))
    assert (done.number, done.left) == (1, 1)
    assert done.why == "function gone is not served here any more"
    assert [buried.letter.function for buried in world.dead.page()] == ["gone"]


async def test_a_letter_of_another_queue_goes_back_as_it_was(world: World) -> None:
    await world.bury("f", queue="queue:q", attributes=b"as they were")
    async with world.running():
        await world.letters.redrive(Selection(all=True))
    ((message,), _) = world.store.ready("queue:q", 0, 9)
    assert (message.body, message.attributes) == (b'"ok"', b"as they were")


async def test_two_at_once_send_each_letter_once(world: World) -> None:
    await world.bury(*["f"] * 9)
    async with world.running():
        both = await asyncio.gather(*(world.letters.redrive(Selection(all=True)) for _ in range(2)))
        assert sorted(done.number for done in both) == [0, 9]
