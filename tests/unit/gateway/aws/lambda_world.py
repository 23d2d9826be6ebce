"""Lambda's control API over a real database, with functions that nothing runs."""

from __future__ import annotations

import asyncio
import contextlib
import io
import time
import zipfile
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from service_world import call, listening, refusal

from microfaas.config import ApiTable
from microfaas.control.editions import Editions, Machine
from microfaas.control.layers import Layers
from microfaas.control.lifecycle import Lifecycle
from microfaas.control.records import Alias, Edition, Head, Package, Settings
from microfaas.control.registry import Registry, key
from microfaas.control.serving import Serving
from microfaas.gateway.aws.service import Call, Service
from microfaas.model import Address, Function, Limits, Version
from microfaas.store.db import Database
from microfaas.store.functions import Functions
from microfaas.store.packages import Packages
from microfaas.store.resources import Resources

ADDRESS = Address()
ARN = "arn:aws:lambda:us-east-1:123456789012:function:f"
ROLE = "arn:aws:iam::123456789012:role/r"


def package(files: Mapping[str, str] | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (files or {"app.py": "x = 1"}).items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return buffer.getvalue()


def edition(**settings: Any) -> Edition:
    made = Settings(**{"runtime": "python", "handler": "a.b", "role": ROLE, **settings})
    return Edition(
        settings=made,
        package=Package("ab" * 32, 100, "ab" * 32),
        changed_ms=0,
        settles_ms=0,
        revision="r0",
        settled_revision="r1",
    )


@dataclass
class World:
    """The parts, and the API over them at a port."""

    db: Database
    registry: Registry
    packages: Packages
    layers: Layers
    lifecycle: Lifecycle
    port: int = 0

    async def define(self, name: str = "f", **settings: Any) -> None:
        """A function of the API's: with version 1, and an alias `live` of it."""
        registry, made = self.registry, edition(**settings)
        await registry.commit(
            registry.functions.put(name, Head(latest=made, numbered=1)),
            registry.versions.put(key(name, "1"), made),
            registry.aliases.put(key(name, "live"), Alias(version="1", revision="a1")),
        )

    def define_in_file(self, name: str) -> None:
        """A function that a file has made."""
        function = Function(name=name, runtime="python", handler="a.b", code="", limits=Limits())
        version = Version(function=function, code_dir="/dev", code_sha256="0" * 64)
        self.registry.served.put(version)

    async def ask(self, operation: str, **params: Any) -> dict[str, Any]:
        """What boto3 makes of the answer."""
        answer = await call(self.port, "lambda", operation, **params)
        answer.pop("ResponseMetadata")
        return answer

    async def status(self, operation: str, **params: Any) -> int:
        answer = await call(self.port, "lambda", operation, **params)
        status: int = answer["ResponseMetadata"]["HTTPStatusCode"]
        return status

    async def refused(self, operation: str, **params: Any) -> tuple[str, int, str]:
        return await refusal(self.port, "lambda", operation, **params)

    def restarted(self) -> Registry:
        """What a new start reads from the disk."""
        registry = Registry(Resources(self.db), self.registry.served, ADDRESS)
        registry.open()
        return registry


CODE_BYTES_MAX = 1024 * 1024
Made = Callable[[World], Mapping[str, Call]]


@contextlib.asynccontextmanager
async def serving(directory: Path, made: Made, *, adopt: bool = False) -> AsyncIterator[World]:
    """A gateway with the operations that `made` gives of the parts."""
    db = Database(str(directory / "store.db"))
    db.open()
    registry = Registry(Resources(db), Functions(), ADDRESS)
    registry.open()
    packages = Packages(str(directory / "packages"))
    layers = Layers(registry, packages, CODE_BYTES_MAX)
    await layers.open()
    nothing: Any = None
    machine = Machine(nothing, packages, nothing, nothing, 0)
    async with asyncio.TaskGroup() as tasks:
        api = ApiTable(adopt=adopt)
        editions = Editions(registry, machine, layers.package, api)
        serves = Serving(registry, nothing, nothing, tasks)
        lifecycle = Lifecycle(registry, machine, editions, serves, api, layers)
        world = World(db, registry, packages, layers, lifecycle)
        async with listening([Service("lambda", made(world))]) as port:
            world.port = port
            yield world
    db.close()


def settling(made: Edition, for_s: float = 60) -> Edition:
    """The same, as it is shown while a change is in progress."""
    return msgspec.structs.replace(made, settles_ms=int((time.time() + for_s) * 1000))
