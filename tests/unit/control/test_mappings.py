"""Event source mappings as they are kept: states, duplicates, restarts, tags."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import msgspec
import pytest

from microfaas.control import mappings as mappings_module
from microfaas.control.mappings import EventSourceMapping, Mappings
from microfaas.control.table import Edit
from microfaas.errors import ServiceError
from microfaas.model import Address
from microfaas.store.db import Database
from microfaas.store.resources import Resources

QUEUE = "arn:aws:sqs:us-east-1:123456789012:q"
STREAM = "arn:aws:kinesis:us-east-1:123456789012:stream/s"


class Runs:
    """Notes what is to run; what it should wait for is said by the test."""

    def __init__(self) -> None:
        self.running: dict[str, EventSourceMapping | None] = {}
        self.busy: set[str] = set()
        self.held = False
        self.free = asyncio.Event()
        self.refusal: ServiceError | None = None
        self.forgot: list[str] = []
        self.well: dict[str, bool] = {}

    async def check(self, mapping: EventSourceMapping) -> None:
        if self.refusal is not None:
            raise self.refusal

    def run(self, name: str, mapping: EventSourceMapping | None) -> None:
        self.running[name] = mapping
        if self.held:
            self.busy.add(name)

    def changing(self, name: str) -> bool:
        return name in self.busy

    async def settled(self, name: str) -> None:
        if name in self.busy:
            await self.free.wait()

    def went_well(self, name: str) -> bool | None:
        return self.well.get(name)

    def report(self, name: str, well: bool) -> None:
        self.well[name] = well
        self.tell()

    def listen(self, tell: Callable[[], None]) -> None:
        self.tell = tell

    def forgotten(self, name: str) -> Sequence[Edit]:
        self.forgot.append(name)
        return []


class Clock:
    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@contextlib.asynccontextmanager
async def opened(db: Database, runs: Runs, **given: Any) -> AsyncIterator[Mappings]:
    async with asyncio.TaskGroup() as tasks:
        mappings = Mappings(Resources(db), runs, Address(), tasks, **given)
        mappings.open()
        yield mappings


def mapping(**given: Any) -> EventSourceMapping:
    usual = {"function": "f", "source": QUEUE, "kind": "queue", "batch_size": 10}
    return EventSourceMapping(**{**usual, **given})


def state(mappings: Mappings, name: str) -> str:
    return mappings.state(name, mappings.get(name))


def replaced(**given: Any) -> Any:
    return lambda before: msgspec.structs.replace(before, **given)


async def test_states_follow_from_what_is_true(db: Database) -> None:
    runs = Runs()
    async with opened(db, runs) as mappings:
        name, made = await mappings.create(mapping())
        assert made.transition == "Creating"
        assert state(mappings, name) == "Enabled"
        runs.busy.add(name)
        await mappings_update_refused(mappings, name)
        runs.busy.clear()
        disabled = await mappings.update(name, replaced(enabled=False))
        assert disabled.transition == "Disabling"
        runs.busy.add(name)
        assert state(mappings, name) == "Disabling"
        runs.busy.clear()
        assert state(mappings, name) == "Disabled"
        assert runs.running[name] is None
        assert (await mappings.update(name, replaced(batch_size=3))).transition == "Updating"
        assert (await mappings.update(name, replaced(enabled=True))).transition == "Enabling"
        running = runs.running[name]
        assert running is not None
        assert running.batch_size == 3


async def mappings_update_refused(mappings: Mappings, name: str) -> None:
    text = "Cannot update the event source mapping because it is in use."
    with pytest.raises(ServiceError, match=text) as refused:
        await mappings.update(name, replaced(batch_size=2))
    assert refused.value.kind == "ResourceInUseException"


async def test_a_change_is_shown_for_as_long_as_is_asked(db: Database) -> None:
    clock = Clock()
    async with opened(db, Runs(), settle_ms=2000, clock=clock) as mappings:
        name, _ = await mappings.create(mapping(enabled=False))
        clock.now_s += 1.9
        assert state(mappings, name) == "Creating"
        with pytest.raises(ServiceError, match="Cannot delete the event source mapping"):
            await mappings.delete(name)
        clock.now_s += 0.2
        assert state(mappings, name) == "Disabled"


async def test_one_that_is_deleted_is_shown_until_its_work_has_ended(db: Database) -> None:
    runs = Runs()
    async with opened(db, runs) as mappings:
        name, _ = await mappings.create(mapping())
        runs.held = True
        assert (await mappings.delete(name)).transition == "Deleting"
        await asyncio.sleep(0)
        assert state(mappings, name) == "Deleting"
        assert runs.running[name] is None
        with pytest.raises(ServiceError, match="because it is in use"):
            await mappings.delete(name)
        with pytest.raises(ServiceError, match="already exists"):
            await mappings.create(mapping())
        runs.free.set()
    assert runs.forgot == [name]
    with pytest.raises(ServiceError, match="The resource you requested does not exist"):
        mappings.get(name)


async def test_a_start_goes_on_where_the_last_run_ended(db: Database) -> None:
    runs = Runs()
    async with opened(db, runs) as mappings:
        first, _ = await mappings.create(mapping())
        second, _ = await mappings.create(mapping(source=STREAM, kind="stream", enabled=False))
        third, _ = await mappings.create(mapping(function="g"))
    # A crash while the third one was ending what it had begun.
    resources, table = Resources(db), mappings._table
    gone = msgspec.structs.replace(mappings.get(third), transition="Deleting")
    await resources.commit([table.put(third, gone).change])
    again = Runs()
    async with opened(db, again) as mappings:
        assert list(again.running) == [first]
        assert state(mappings, second) == "Disabled"
    assert [name for name, _ in mappings.all()] == sorted([first, second])
    assert again.forgot == [third]


async def test_a_function_has_a_source_once_and_each_of_its_aliases(db: Database) -> None:
    async with opened(db, Runs()) as mappings:
        name, _ = await mappings.create(mapping())
        with pytest.raises(ServiceError) as refused:
            await mappings.create(mapping())
        assert refused.value.kind == "ResourceConflictException"
        assert str(refused.value) == (
            f'An event source mapping with SQS arn (" {QUEUE} ") and function (" f ") already '
            f"exists. Please update or delete the existing mapping with UUID {name}"
        )
        await mappings.create(mapping(qualifier="live"))
        stream = mapping(source=STREAM, kind="stream")
        name, _ = await mappings.create(stream)
        with pytest.raises(ServiceError) as refused:
            await mappings.create(stream)
        assert str(refused.value) == (
            f'The event source arn (" {STREAM} ") and function (" f ") provided mapping already '
            f"exists. Please update or delete the existing mapping with UUID {name}"
        )


async def test_nothing_is_kept_of_one_whose_source_is_refused(db: Database) -> None:
    runs = Runs()
    runs.refusal = ServiceError("InvalidParameterValueException", "Stream not found: x")
    async with opened(db, runs) as mappings:
        with pytest.raises(ServiceError, match="Stream not found"):
            await mappings.create(mapping())
        assert list(mappings.all()) == []
    assert runs.running == {}


async def test_tags_are_kept(db: Database) -> None:
    async with opened(db, Runs()) as mappings:
        name, _ = await mappings.create(mapping(tags={"a": "1", "b": "2"}))
        await mappings.tag(name, {"c": "3"}, removed=["a"])
        assert mappings.tags(name) == {"b": "2", "c": "3"}
        text = f"Event source mapping not found: {mappings.arn('x')}"
        with pytest.raises(ServiceError, match=text):
            mappings.tags("x")
    async with opened(db, Runs()) as mappings:
        assert mappings.tags(name) == {"b": "2", "c": "3"}


async def test_how_the_last_call_ended_outlives_a_restart(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mappings_module, "RECORD_EVERY_S", 0.01)
    runs = Runs()
    async with opened(db, runs) as mappings:
        name, _ = await mappings.create(mapping(source=STREAM, kind="stream"))
        assert mappings.went_well(name) is None
        runs.report(name, True)
        runs.report(name, False)
    # Whoever was killed after that, or stopped: nothing else is written.
    after = Runs()
    async with opened(db, after) as mappings:
        assert mappings.went_well(name) is False
        after.well[name] = True
        assert mappings.went_well(name) is True
        await mappings.close()
    async with opened(db, Runs()) as mappings:
        assert mappings.went_well(name) is True
        await mappings.delete(name)
    assert Resources(db).all(mappings_module.RESULT_KIND) == []


async def test_words_that_change_often_are_few_commits(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = []

    class Counted(Resources):
        async def commit(self, changes: Any) -> None:
            commits.append(changes)
            await super().commit(changes)

    monkeypatch.setattr(mappings_module, "RECORD_EVERY_S", 0.2)
    runs = Runs()
    async with asyncio.TaskGroup() as tasks:
        mappings = Mappings(Counted(db), runs, Address(), tasks)
        mappings.open()
        name, _ = await mappings.create(mapping(source=STREAM, kind="stream"))
        commits.clear()
        for number in range(51):
            runs.report(name, number % 2 == 0)
            await asyncio.sleep(0)
    assert 1 <= len(commits) <= 2
    assert mappings.went_well(name) is True
