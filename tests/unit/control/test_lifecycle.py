"""Functions made, changed and published over a real database, with pools that run nothing."""

from __future__ import annotations

import asyncio
import gc
import io
import logging
import os
import weakref
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from microfaas import deploy
from microfaas.builder import Builder
from microfaas.config import ApiTable
from microfaas.control import restoring
from microfaas.control import rollouts as rollouts_module
from microfaas.control.editions import Editions, Machine
from microfaas.control.layers import Layers
from microfaas.control.lifecycle import Lifecycle, Made
from microfaas.control.records import Alias, Settings
from microfaas.control.registry import Registry
from microfaas.control.rollouts import Rollouts
from microfaas.control.routing import Routing
from microfaas.control.serving import Serving
from microfaas.deploy import Deployer
from microfaas.errors import FunctionFailed, MachineError, ServiceError
from microfaas.model import LATEST, Address, Function, Limits, Status, Version
from microfaas.pool.loading import InitFailed
from microfaas.runtime import Runtimes
from microfaas.store.code import CodeStore
from microfaas.store.db import Database
from microfaas.store.functions import Functions
from microfaas.store.packages import Packages
from microfaas.store.resources import Resources

PATIENCE_S = 60.0
CODE_BYTES_MAX = 4096
SETTINGS = Settings(runtime="python", handler="app.go", role="arn:aws:iam::123456789012:role/r")


def package(text: str = "") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("app.py"), text)
    return buffer.getvalue()


class FakePool:
    """Loads when the world lets it, and notes it."""

    def __init__(self, world: World, version: Version) -> None:
        self._world = world
        self.version = version
        self.draining = False
        self.is_called = False
        self.at_work = 0
        self.prepared = 0

    def busy_since(self, _: float) -> int:
        return self.at_work

    def prepare(self, count: int) -> list[asyncio.Task[None]]:
        self.prepared = count
        return [self._world.tasks.create_task(self._start()) for _ in range(count)]

    async def _start(self) -> None:
        await self._world.start.wait()

    async def warm(self) -> None:
        self._world.loading.append(self.version.number)
        await self._world.gate.wait()
        if self._world.fault is not None:
            raise self._world.fault
        self._world.loaded.append(self.version.number)


class FakeSupervisor:
    """Pools by the versions' keys."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._pools: dict[Any, FakePool] = {}

    @property
    def pools(self) -> list[FakePool]:
        return list(self._pools.values())

    def open(self, version: Version) -> FakePool:
        return self._pools.setdefault(version.key, FakePool(self._world, version))

    def find(self, version: Version) -> FakePool | None:
        return self._pools.get(version.key)

    def retire(self, version: Version) -> None:
        if (pool := self._pools.pop(version.key, None)) is not None:
            pool.draining = True

    def limit(self, version: Version) -> None:
        self._world.limit = version.function.limits.concurrency_max


class World:
    """The parts that serve what the API makes."""

    def __init__(self, directory: Path, db: Database, tasks: asyncio.TaskGroup) -> None:
        self.gate, self.start = asyncio.Event(), asyncio.Event()
        self.gate.set()
        self.start.set()
        self.fault: Exception | None = None
        self.tasks = tasks
        self.loading: list[str] = []
        self.loaded: list[str] = []
        self.limit = 0
        self.followed: list[Version] = []
        self.functions = Functions()
        self.resources = Resources(db)
        self.registry = Registry(self.resources, self.functions, Address())
        self.registry.open()
        self.supervisor = FakeSupervisor(self)
        supervisor: Any = self.supervisor
        code, runtimes = CodeStore(str(directory / "code")), Runtimes()
        builder = Builder(runtimes, code, str(directory / "builds"))
        self.deployer = Deployer(builder, code, self.functions, supervisor)
        self.packages = Packages(str(directory / "packages"))
        machine = Machine(runtimes, self.packages, self.deployer, _check, 1024)
        api = ApiTable()
        self.layers = Layers(self.registry, self.packages, CODE_BYTES_MAX)
        self.editions = Editions(self.registry, machine, str, api)
        serving = Serving(self.registry, self.deployer, self.followed.append, tasks)
        self.lifecycle = Lifecycle(self.registry, machine, self.editions, serving, api, self.layers)

    async def create(self, **more: Any) -> Made:
        return await self.lifecycle.create("f", SETTINGS, package(), tags={}, **more)

    async def update(self, text: str = "new = 1", **more: Any) -> Made:
        return await self.lifecycle.update("f", lambda old: old.settings, package(text), **more)

    def called(self) -> None:
        """Somebody calls $LATEST."""
        self.supervisor.open(self.functions.resolve("f")).is_called = True

    def at_work(self, count: int, qualifier: str = "") -> None:
        """So many instances are."""
        pool = self.supervisor.open(self.functions.resolve("f", qualifier))
        pool.at_work, pool.is_called = count, True

    def prepared(self, *numbers: str) -> list[int]:
        """How many instances were, of each version or of all that there are."""
        pools = self.supervisor.pools
        if numbers:
            pools = [self.supervisor.open(self.functions.resolve("f", each)) for each in numbers]
        return [pool.prepared for pool in pools]

    def commits(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """How many records each commit from now on writes."""
        sizes: list[int] = []
        commit = self.resources.commit

        async def noted(changes: Any) -> None:
            sizes.append(len(changes))
            await commit(changes)

        monkeypatch.setattr(self.resources, "commit", noted)
        return sizes


def _check(_: Function) -> None:
    """Everything can be run."""


@pytest.fixture
async def world(tmp_path: Path, db: Database) -> AsyncIterator[World]:
    running = asyncio.Event()
    made: asyncio.Future[World] = asyncio.get_running_loop().create_future()

    async def serve() -> None:
        async with asyncio.TaskGroup() as tasks:
            made.set_result(World(tmp_path, db, tasks))
            await running.wait()

    # A task group must be left in the task that it was entered in.
    serving = asyncio.create_task(serve())
    world = await made
    yield world
    world.gate.set()
    world.start.set()
    running.set()
    async with asyncio.timeout(PATIENCE_S):
        await serving


async def until_loading(world: World, *numbers: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while sorted(world.loading) != sorted(numbers):  # noqa: ASYNC110  # others' work
            await asyncio.sleep(0.002)


async def test_a_function_and_its_first_version_are_one_commit_and_loaded_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits = world.commits(monkeypatch)
    made = await world.create(publish=True)
    assert made.number == "1"
    assert len(commits) == 1
    assert world.functions.resolve("f", "1").code_sha256
    await until_loading(world, "1")


@pytest.mark.parametrize("called", [False, True])
async def test_an_update_that_publishes_loads_its_version_and_latest_where_it_is_called(
    world: World, called: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.create(publish=True)
    await until_loading(world, "1")
    if called:
        world.called()
    world.loading.clear()
    world.gate.clear()
    commits = world.commits(monkeypatch)
    old = world.functions.resolve("f")
    updating = asyncio.create_task(world.update(publish=True))
    await until_loading(world, "2", *([LATEST] if called else []))
    assert not updating.done()
    assert world.functions.resolve("f") is old
    world.gate.set()
    made = await updating
    assert (made.number, len(commits)) == ("2", 1)
    new = world.functions.resolve("f")
    assert new.code_sha256 == world.functions.resolve("f", "2").code_sha256 != old.code_sha256
    await asyncio.sleep(0.01)
    assert len(world.loading) == 1 + called


async def test_an_update_waits_for_the_code_only_where_it_is_called(world: World) -> None:
    await world.create()
    await until_loading(world, LATEST)
    world.gate.clear()
    await world.update()
    await until_loading(world, LATEST, LATEST)
    world.called()
    updating = asyncio.create_task(world.update("newer = 1"))
    await until_loading(world, LATEST, LATEST, LATEST)
    assert not updating.done()
    world.gate.set()
    await updating


async def test_what_is_called_finds_as_many_instances_as_were_at_work(world: World) -> None:
    await world.create()
    world.at_work(3)
    world.start.clear()
    updating = asyncio.create_task(world.update())
    async with asyncio.timeout(PATIENCE_S):
        while len(world.prepared()) < 2:  # noqa: ASYNC110  # others' work
            await asyncio.sleep(0.002)
    assert world.prepared() == [0, 3]
    old = world.functions.resolve("f")
    assert not updating.done()
    world.start.set()
    await updating
    assert world.functions.resolve("f") is not old


async def test_nobody_waits_long_for_instances(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deploy, "PREPARE_S", 0.001)
    await world.create()
    world.at_work(3)
    world.start.clear()
    old = world.functions.resolve("f")
    await world.update()
    assert world.functions.resolve("f") is not old


async def test_what_an_alias_will_mean_has_instances_by_its_share(world: World) -> None:
    routing = Routing(world.registry, world.deployer)
    await world.create(publish=True)
    await world.update(publish=True)
    await routing.put("f", "live", Alias(version="1", revision="r"))
    assert world.prepared("1", "2") == [0, 0]
    world.at_work(10, "1")
    canary = Alias(version="1", weights={"2": 0.25}, revision="r")
    await routing.put("f", "live", canary)
    assert world.prepared("1", "2") == [8, 3]
    world.at_work(2, "2")
    await routing.put("f", "live", Alias(version="2", revision="r"))
    assert world.prepared("2") == [12]


async def test_what_is_the_same_is_not_published_twice(world: World) -> None:
    first = await world.create(publish=True)
    again = await world.update("", publish=True)
    assert again == first
    assert (await world.lifecycle.publish("f")) == first
    assert world.registry.numbers("f") == ["1"]


@pytest.mark.parametrize(
    "fault",
    [InitFailed(Status.INIT, b'"no"'), MachineError("cannot fork"), OSError("no descriptors")],
)
async def test_what_cannot_be_loaded_is_served_and_told(
    world: World, fault: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    await world.create()
    await until_loading(world, LATEST)
    world.called()
    world.fault = fault
    with caplog.at_level(logging.WARNING):
        made = await world.update(publish=True)
    assert made.number == "1"
    assert world.functions.resolve("f").code_sha256 == world.functions.resolve("f", "1").code_sha256
    assert caplog.text.count("f cannot be ") == 2


async def test_what_is_deleted_before_its_turn_to_be_loaded_is_not_opened_again(
    world: World,
) -> None:
    world.gate.clear()
    for name in ("a", "b"):
        await world.lifecycle.create(name, SETTINGS, package(), tags={})
    await until_loading(world, LATEST, LATEST)
    await world.create()
    await asyncio.sleep(0)
    await world.lifecycle.delete("f")
    world.gate.set()
    await until_loading(world, LATEST, LATEST)
    await asyncio.sleep(0.01)
    assert len(world.loading) == 2
    assert {pool.version.function.name for pool in world.supervisor.pools} == {"a", "b"}


async def test_a_version_may_run_what_its_function_may_by_now(world: World) -> None:
    """Else events to it would be given up as if nothing were reserved."""
    await world.create()
    await world.lifecycle.reserve("f", 0)
    await world.lifecycle.publish("f")
    await world.lifecycle.reserve("f", 5)
    limits = world.functions.resolve("f", "1").function.limits
    assert (limits.concurrency_max, limits.waiting_max) == (5, 0)
    await world.lifecycle.reserve("f", None)
    limits = world.functions.resolve("f", "1").function.limits
    assert limits == world.functions.resolve("f").function.limits


async def test_what_cannot_be_restored_has_failed_until_it_is_changed(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    made = await world.create(publish=True)
    os.unlink(world.packages.path(made.edition.package.sha256))
    world.functions.forget("f")
    with caplog.at_level(logging.ERROR):
        await restoring.restore(world.registry, world.editions, world.deployer)
    assert "f:$LATEST cannot be served" in caplog.text
    for qualifier in ("", "1"):
        with pytest.raises(FunctionFailed):
            world.functions.resolve("f", qualifier)
    assert world.registry.knows("f")
    assert world.registry.exists("f", "1")
    await world.update()
    assert world.functions.resolve("f")
    assert world.followed[-1] is world.functions.resolve("f")
    with pytest.raises(FunctionFailed):
        world.functions.resolve("f", "1")
    await world.lifecycle.delete_version("f", "1")
    await restoring.restore(world.registry, world.editions, world.deployer)
    assert world.functions.failed() == []


async def test_what_a_delete_could_not_finish_the_next_one_does(world: World) -> None:
    gone: list[str] = []
    faults = [MachineError("the disk is full")]

    async def forget(name: str) -> None:
        if faults:
            raise faults.pop()
        gone.append(name)

    world.lifecycle.before_gone(forget)
    await world.create()
    with pytest.raises(MachineError):
        await world.lifecycle.delete("f")
    assert world.functions.resolve("f")
    await world.lifecycle.delete("f")
    assert gone == ["f"]
    assert not world.registry.knows("f")


async def test_nothing_is_remembered_of_names_that_somebody_asked_for(world: World) -> None:
    held = world.lifecycle.lock("f")
    assert world.lifecycle.lock("f") is held
    asked = weakref.ref(world.lifecycle.lock("g"))
    gc.collect()
    assert asked() is None
    assert world.lifecycle.lock("f") is held


async def test_code_that_is_saved_gives_way_to_what_the_api_has_put_there_meanwhile(
    world: World, tmp_path: Path
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "app.py").write_text("old = 1")
    limits = Limits(memory_mb=64)
    function = Function(
        name="f", runtime="python", handler="app.go", code=str(folder), limits=limits
    )
    await world.deployer.install(function, ())
    (folder / "app.py").write_text("saved = 1")
    world.gate.clear()
    saving = asyncio.create_task(world.deployer.replace(function, ()))
    await until_loading(world, LATEST)
    made = msgspec.structs.replace(world.functions.resolve("f"), code_sha256="of the API")
    world.deployer.serve(made)
    world.gate.set()
    assert await saving is None
    assert world.functions.resolve("f") is made
    assert [pool.version for pool in world.supervisor.pools] == [made]


async def test_a_rollout_whose_alias_is_changed_as_it_ends_is_given_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rollouts_module, "TICK_S", 0.01)
    await world.create(publish=True)
    for text in ("a = 1", "b = 1"):
        await world.update(text, publish=True)
    routing = Routing(world.registry, world.deployer)
    alias = Alias(version="1", revision="r")
    await routing.put("f", "live", alias)
    invoker: Any = SimpleNamespace(watch=lambda *_: None, unwatch=lambda *_: None)
    lifecycle = world.lifecycle
    rollouts = Rollouts(world.registry, routing, invoker, lifecycle.lock, world.tasks)
    rollouts.open()
    await rollouts.begin("f", "live", "2", 0.5, 0.05, [])
    async with lifecycle.lock("f"):
        await asyncio.sleep(0.2)  # it wants to end now, and waits
        await routing.put("f", "live", msgspec.structs.replace(alias, version="3"))
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = rollouts.find("f", "live")
            assert found is not None
            if found.state != "running":
                break
            await asyncio.sleep(0.01)
    assert found.state == "given up"
    assert world.functions.resolve("f", "live").number == "3"
    lifecycle.before_gone(rollouts.forget)
    await lifecycle.delete("f")
    await world.create(publish=True)
    await routing.put("f", "live", alias)
    assert rollouts.find("f", "live") is None


async def test_versions_take_room_and_give_it_back(world: World) -> None:
    made = await world.create(publish=True)
    size, storage = made.edition.package.size, world.layers.storage
    assert storage.taken == 2 * size
    # What is the same is published once; what differs counts, though its package is there.
    settings = msgspec.structs.replace(SETTINGS, description="another")
    for count in (2, 3):
        storage.bytes_max = 3 * size - (count == 2)
        changing = world.lifecycle.update("f", lambda _: settings, publish=True)
        if count == 2:
            with pytest.raises(ServiceError, match=r"Code storage limit exceeded\."):
                await changing
        else:
            await changing
        assert storage.taken == count * size
    with pytest.raises(ServiceError, match=r"Code storage limit exceeded\."):
        await world.lifecycle.create("g", SETTINGS, package("g = 1"), tags={})
    await world.lifecycle.delete_version("f", "1")
    assert storage.taken == 2 * size
    # After the limit was lowered, what takes no more than before may change still.
    storage.bytes_max = 1
    await world.update("")
    await world.lifecycle.delete("f")
    assert storage.taken == 0


async def test_who_comes_at_once_does_not_take_the_same_room(world: World) -> None:
    world.layers.storage.bytes_max = int(1.5 * len(package()))
    creating = [
        world.lifecycle.create(name, SETTINGS, package(), tags={}, publish=False) for name in "fg"
    ]
    done = await asyncio.gather(*creating, return_exceptions=True)
    assert sum(isinstance(each, ServiceError) for each in done) == 1
