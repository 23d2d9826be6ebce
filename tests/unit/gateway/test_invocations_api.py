"""The control API's part about events: what is asked, who may ask it, and what is answered."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from microfaas import scopes
from microfaas.dispatch.destinations import Destinations
from microfaas.dispatch.events import Events, Served
from microfaas.dispatch.history import History
from microfaas.dispatch.letters import Letters
from microfaas.errors import AccessRefused, InvalidRequest
from microfaas.gateway import faults
from microfaas.gateway.invocations_api import Asked, InvocationsApi
from microfaas.gateway.reply import Reply
from microfaas.model import Address, EventSettings, Invocation, Outcome, Status
from microfaas.scopes import Action
from microfaas.store.db import Database
from microfaas.store.dead import DeadLetter, DeadLetters
from microfaas.store.messages import MessageStore
from microfaas.store.results import Results
from microfaas.testing import FakeInvoker

PATIENCE_S = 60.0
UNKNOWN = "8f5c6e0a-0b43-4c5e-9a52-7d3f6a1c9f10"
LETTER = DeadLetter(0, "f", "r", "s", b'{"n":1}', b'{"errorType":"E"}', 3, "function:f", "E")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = Database(str(tmp_path / "store.db"))
    database.open()
    yield database
    database.close()


class World:
    """The API over a real store; `allowed` is what the caller's key is good for."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.begun, self.gate = asyncio.Event(), asyncio.Event()
        self.allowed = "admin"
        self.api: InvocationsApi
        self.events: Events

    async def answer(self, _: Invocation) -> Outcome:
        self.begun.set()
        await self.gate.wait()
        return Outcome(status=Status.ERROR, payload='{"errorType":"É"}'.encode())

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        store = MessageStore(self.db)
        async with asyncio.timeout(PATIENCE_S), asyncio.TaskGroup() as tasks:
            invoker = FakeInvoker({"f": self.answer})
            self.events = Events(store, invoker, Destinations({}), Address(), tasks)
            settings = EventSettings(retries_max=1, retry_delay_s=0.001)
            self.events.serve({"f": Served(settings, 1)})
            self.api = InvocationsApi(
                History(store, self.events, Results(self.db)),
                Letters(store, DeadLetters(self.db), self.events),
            )
            yield
            self.gate.set()
            await self.events.close(PATIENCE_S)

    async def accept(self) -> str:
        return await self.events.accept(Invocation(request_id="", function="f", event=b"{}"))

    async def ask(
        self, method: str, path: str, body: Any = None, **query: str
    ) -> tuple[int, dict[str, Any]]:
        reply = await self._answer(method, path, json.dumps(body).encode(), query)
        told: dict[str, Any] = json.loads(reply.body)
        return reply.status, told

    async def _answer(self, method: str, path: str, body: bytes, query: dict[str, str]) -> Reply:
        place = path.rpartition("/")[2]
        wanted = {(method, path), (method, path.removesuffix(place) + "{id}")}
        row = next(r for r in reversed(self.api.operations) if (r.method, r.path) in wanted)

        def permit(action: Action, function: str = "") -> None:
            if not scopes.parse(self.allowed).allow(action, function):
                raise AccessRefused(row.name)

        try:
            if row.action is not None:
                permit(row.action)
            return await row.answer(Asked("id", place, query, body, permit))
        except (AccessRefused, InvalidRequest) as error:
            return faults.fault(error, "id", Address())


@pytest.fixture
def world(db: Database) -> World:
    return World(db)


async def test_an_event_is_told_of_until_and_after_its_end(world: World) -> None:
    async with world.running():
        request_id = await world.accept()
        await world.begun.wait()
        status, running = await world.ask("GET", f"/invocations/{request_id}")
        assert (status, running["status"], running["payload"]) == (200, "running", None)
        assert (running["finished_at"], running["attempts"]) == (None, 0)
        asyncio.get_running_loop().call_later(0.02, world.gate.set)
        _, ended = await world.ask("GET", f"/invocations/{request_id}", wait_s="60")
        _, listed = await world.ask("GET", "/invocations", function="f", status="error")
    assert (ended["status"], ended["attempts"], ended["payload"]) == (
        "error",
        2,
        '{"errorType":"É"}',
    )
    assert [attempt["error"] for attempt in ended["history"]] == ["É"]
    assert ended["finished_at"] >= ended["accepted_at"]
    (row,) = listed["invocations"]
    assert row == {name: ended[name] for name in row}


async def test_cancelling_answers_with_the_event(world: World) -> None:
    async with world.running():
        request_id = await world.accept()
        status, told = await world.ask("DELETE", f"/invocations/{request_id}")
        assert (status, told["status"]) == (200, "cancelled")
        status, told = await world.ask("DELETE", f"/invocations/{request_id}")
        assert (status, told["message"]) == (
            409,
            f"cannot cancel request {request_id}: it has ended as cancelled",
        )


async def test_dead_letters_are_told_of_and_dealt_with(world: World) -> None:
    await world.db.write("bury", [LETTER, LETTER])
    async with world.running():
        _, listed = await world.ask("GET", "/dead", error="E", older_than_s="1", limit="1")
        (row,) = listed["dead_letters"]
        assert (row["id"], row["payload"]) == (2, '{"errorType":"E"}')
        _, whole = await world.ask("GET", "/dead/2")
        assert whole == {**row, "event": '{"n":1}'}
        assert await world.ask("POST", "/dead/redrive", {"ids": ["2"]}) == (
            200,
            {"redriven": 1, "left": 0, "why": ""},
        )
        status, purged = await world.ask("POST", "/dead/purge", {"all": True})
        assert (status, purged["purged"]) == (200, 1)
        assert (await world.ask("GET", "/dead/1"))[0] == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "query", "status", "said"),
    [
        ("GET", "/invocations", None, {"limit": "x"}, 400, "limit=x must be a number from 0"),
        ("GET", "/invocations", None, {"limit": "1001"}, 400, "from 0 to 1000"),
        ("GET", "/invocations", None, {"status": "done"}, 400, "'done' is no status"),
        ("GET", f"/invocations/{UNKNOWN}", None, {"wait_s": "61"}, 400, "from 0 to 60"),
        ("GET", f"/invocations/{UNKNOWN}", None, {"wait_s": "nan"}, 400, "must be a number"),
        ("GET", f"/invocations/{UNKNOWN}", None, {}, 404, "was not accepted here"),
        ("DELETE", f"/invocations/{UNKNOWN}", None, {}, 404, "was not accepted here"),
        ("GET", "/dead/99", None, {}, 404, "cannot find dead letter 99"),
        ("GET", "/dead", None, {"older_than_s": "-1"}, 400, "older_than_s=-1 must be"),
        ("POST", "/dead/redrive", {}, {}, 400, "cannot tell which dead letters"),
        ("POST", "/dead/redrive", {"id": "1"}, {}, 400, "unknown field `id`"),
        ("POST", "/dead/purge", [], {}, 400, "JSON that selects dead letters"),
        ("POST", "/dead/purge", {"ids": ["1"] * 1001}, {}, 400, "1001 ids are too many"),
    ],
)
async def test_what_is_wrong_is_named(
    world: World, method: str, path: str, body: Any, query: dict[str, str], status: int, said: str
) -> None:
    async with world.running():
        answered, told = await world.ask(method, path, body, **query)
    assert answered == status
    assert said in (told.get("message") or told["Message"])


@pytest.mark.parametrize(
    ("allowed", "may"),
    [
        ("admin", {"list", "get", "cancel", "dead", "letter", "redrive", "purge"}),
        ("read", {"list", "get", "dead", "letter"}),
        ("invoke:f", {"cancel"}),
        ("invoke:g", set()),
        ("send", set()),
    ],
)
async def test_who_may_do_what(world: World, allowed: str, may: set[str]) -> None:
    await world.db.write("bury", [LETTER])
    async with world.running():
        request_id = await world.accept()
        asks = {
            "list": ("GET", "/invocations"),
            "get": ("GET", f"/invocations/{request_id}"),
            "cancel": ("DELETE", f"/invocations/{request_id}"),
            "dead": ("GET", "/dead"),
            "letter": ("GET", "/dead/1"),
            "redrive": ("POST", "/dead/redrive", {"all": True}),
            "purge": ("POST", "/dead/purge", {"all": True}),
        }
        world.allowed = allowed
        statuses = {name: (await world.ask(*asked))[0] for name, asked in asks.items()}
        unknown = (await world.ask("DELETE", f"/invocations/{UNKNOWN}"))[0]
    assert {name for name, status in statuses.items() if status == 200} == may
    assert {status for name, status in statuses.items() if name not in may} <= {403}
    # Who may cancel nothing does not learn what there is.
    assert unknown == (404 if allowed == "admin" else 403)
