"""Instances of languages that cannot fork, with spares and groups that are none."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from microfaas.errors import MachineError
from microfaas.log import stream_name
from microfaas.model import Function, Limits, Version
from microfaas.pool import direct as direct_module
from microfaas.pool.direct import Direct
from microfaas.pool.reaper import Reaper

FUNCTION = Function(name="f", runtime="abc", handler="h", code="", limits=Limits())
VERSION = Version(function=FUNCTION, code_dir="", code_sha256="")


@dataclass(eq=False)
class FakeInstance:
    name: str
    adopted: bool
    stream: str = ""
    ended: int = 0
    variables: dict[str, str] = field(default_factory=dict)
    channel: Any = None
    sandbox: Any = None
    exited: Any = None
    init_ms: float = -1

    def kill(self) -> None:
        self.ended += 1

    def close(self) -> bool:
        return True


@dataclass(eq=False)
class FakeSpare:
    ended: int = 0
    process: Any = field(default_factory=lambda: SimpleNamespace(pidfd=-1))

    def kill(self) -> None:
        self.ended += 1

    def close(self) -> bool:
        return True


class World(Direct):
    """A source whose processes are values; `fit_fault` is what showing the code comes to."""

    def __init__(self, spares: list[FakeSpare]) -> None:
        self.instances: list[FakeInstance] = []
        self.wanted = 0
        self.fit_fault: Exception | None = None
        self.settle_fault: Exception | None = None
        self.secrets_fault: Exception | None = None
        self.reaper = Reaper()
        site: Any = SimpleNamespace(
            footing=lambda _: "footing",
            fit=lambda _: None,
            variables=self._variables,
            launcher=SimpleNamespace(fit=self._fit),
            supplies=SimpleNamespace(verify=lambda _: None),
        )
        shelf: Any = SimpleNamespace(
            take=lambda _: spares.pop() if spares else None, want=self._count
        )
        tasks: Any = None
        super().__init__(site, VERSION, shelf, tasks)

    def _variables(self, _: Version) -> dict[str, str]:
        if self.secrets_fault is not None:
            raise self.secrets_fault
        return {"A": "B"}

    def _fit(self, *_: object) -> Coroutine[Any, Any, None]:
        async def fitted() -> None:
            await asyncio.sleep(0)
            if self.fit_fault is not None:
                raise self.fit_fault

        return fitted()

    def _count(self, *_: object) -> None:
        self.wanted += 1

    def _settle(self, spare: Any, name: str, provisioned: bool) -> Any:
        if self.settle_fault is not None:
            raise self.settle_fault
        return self._made(name, adopted=True)

    async def _start(self, reaper: Reaper, provisioned: bool) -> Any:
        return self._made(f"fresh-{len(self.instances)}", adopted=False)

    def _made(self, name: str, *, adopted: bool) -> FakeInstance:
        stream = stream_name("$LATEST", name)
        self.instances.append(FakeInstance(name, adopted, stream))
        return self.instances[-1]


@pytest.fixture(autouse=True)
def loads(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, str]]:
    """What functions were loaded with."""
    loaded: list[dict[str, str]] = []

    async def load(*_: object, variables: dict[str, str]) -> None:
        loaded.append(variables)

    monkeypatch.setattr(direct_module, "load", load)
    return loaded


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_spare_becomes_the_instance(loads: list[dict[str, str]]) -> None:
    world = World([FakeSpare()])
    instance: Any = await world.spawn(world.reaper)
    assert instance.adopted
    assert instance.init_ms >= 0
    assert loads[0]["A"] == "B"
    assert loads[0]["AWS_LAMBDA_LOG_STREAM_NAME"].endswith(f"]{instance.name}")
    assert loads[0]["AWS_LAMBDA_INITIALIZATION_TYPE"] == "on-demand"


async def test_one_that_is_kept_is_told_so(loads: list[dict[str, str]]) -> None:
    world = World([])
    instance: Any = await world.spawn(world.reaper, provisioned=True)
    assert instance.provisioned
    assert loads[0]["AWS_LAMBDA_INITIALIZATION_TYPE"] == "provisioned-concurrency"


async def test_without_a_spare_one_is_started_and_a_spare_is_wanted() -> None:
    world = World([])
    instance: Any = await world.spawn(world.reaper)
    assert not instance.adopted
    assert world.wanted == 1


async def test_a_spare_that_cannot_be_shown_the_code_is_ended_and_another_started() -> None:
    world = World([FakeSpare()])
    world.fit_fault = MachineError("no mounts")
    instance: Any = await world.spawn(world.reaper)
    await settled()
    assert not instance.adopted
    assert world.instances[0].ended == 1
    assert len({made.name for made in world.instances}) == 2


async def test_a_spare_without_a_place_is_ended() -> None:
    spare = FakeSpare()
    world = World([spare])
    world.settle_fault = OSError("no group")
    with pytest.raises(OSError, match="no group"):
        await world.spawn(world.reaper)
    await settled()
    assert spare.ended == 1


async def test_without_its_secrets_nothing_is_started() -> None:
    world = World([FakeSpare()])
    world.secrets_fault = MachineError("no secret")
    with pytest.raises(MachineError, match="no secret"):
        await world.spawn(world.reaper)
    assert world.instances == []


async def test_a_move_that_fails_stops_nobody() -> None:
    def move_in() -> None:
        raise FileNotFoundError("its group is gone already")

    sandbox: Any = SimpleNamespace(move_in=move_in)
    await World([])._move(sandbox)
