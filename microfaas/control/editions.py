"""Editions: what the API makes of a function's code and settings, and what this machine runs of
it."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable

import msgspec

from microfaas.config import ApiTable
from microfaas.control import making, packing
from microfaas.control.records import Edition, Head, Package, Settings
from microfaas.control.registry import Registry
from microfaas.deploy import Deployer
from microfaas.errors import ConfigError, MachineError, MicrofaasError, ServiceError
from microfaas.model import Function, Version
from microfaas.runtime import Runtimes
from microfaas.store.packages import Packages

# Who has reserved some gets no waiting line: beyond it calls are refused at once, as AWS does.
RESERVED_WAITING = 0


class Machine(msgspec.Struct, frozen=True):
    """What functions are made of and run on."""

    runtimes: Runtimes
    packages: Packages
    deployer: Deployer
    # Raises MicrofaasError for a function that cannot be run here as it is meant.
    check: Callable[[Function], None]
    memory_budget_mb: int


class Editions:
    """Makes them, and versions of them. `layer` gives the package that a layer version's ARN
    means; it raises ServiceError."""

    def __init__(
        self, registry: Registry, machine: Machine, layer: making.Path, api: ApiTable
    ) -> None:
        self._registry = registry
        self._machine = machine
        self._layer = layer
        self._api = api

    def make(
        self,
        settings: Settings,
        package: Package,
        *,
        function: Function | None = None,
        created: bool = False,
        description: str = "",
    ) -> Edition:
        """One as of now, with the fields of `Edition`."""
        now_ms = int(time.time() * 1000)
        return Edition(
            settings=settings,
            package=package,
            changed_ms=now_ms,
            settles_ms=now_ms + self._api.settle_ms,
            revision=str(uuid.uuid4()),
            settled_revision=str(uuid.uuid4()),
            created=created,
            description=description,
            function=function,
        )

    async def packed(self, name: str, edition: Edition) -> Edition:
        """One whose code and layers are packages, and no folders that a file names.

        Raises ServiceError.
        """
        if edition.package.sha256 or edition.function is None:
            return edition
        put_folder = self._machine.packages.put_folder
        version = self._registry.served.resolve(name)
        folders = [version.code_dir, *([version.layers_dir] if version.layers_dir else [])]
        try:
            made = [await asyncio.to_thread(put_folder, folder) for folder in folders]
        except MachineError as error:
            raise ServiceError("InvalidParameterValueException", str(error)) from None
        package = msgspec.structs.replace(edition.package, sha256=made[0])
        function = msgspec.structs.replace(edition.function, layers=tuple(made[1:]))
        return msgspec.structs.replace(edition, package=package, function=function)

    async def build(
        self, name: str, edition: Edition, number: str, head: Head, *, known: bool = False
    ) -> Version:
        """What would be served. To be called while the deployer is `changing`. `known`: it was
        served before, so its packages are within the limits.

        Raises ServiceError.
        """
        await self._machine.deployer.settled()  # a layer that is being forgotten is not there
        function = self._function(name, edition, head)
        path = self._machine.packages.path(edition.package.sha256)
        try:
            self._machine.check(function)
            look = packing.check_there if known else packing.unpacked_bytes
            await asyncio.to_thread(look, [function.code, *function.layers])
            return await self._machine.deployer.build(function, (), number)
        except ConfigError as error:
            raise packing.refusal(error, path) from None
        except ServiceError:
            raise
        except MicrofaasError as error:
            raise ServiceError("InvalidParameterValueException", str(error)) from None

    def _function(self, name: str, edition: Edition, head: Head) -> Function:
        memory_mb, budget_mb = edition.settings.memory_mb, self._machine.memory_budget_mb
        if memory_mb > budget_mb:
            text = f"MemorySize must be at most the memory budget of this machine, {budget_mb} MB."
            raise ServiceError("InvalidParameterValueException", text)
        concurrency = min(self._api.concurrency, budget_mb // memory_mb)
        try:
            function = making.function(
                name,
                edition,
                runtimes=self._machine.runtimes,
                path=self._machine.packages.path,
                layer=self._layer,
                concurrency=concurrency,
            )
        except ServiceError:
            raise
        except MicrofaasError as error:
            raise ServiceError("InvalidParameterValueException", str(error)) from None
        if head.reserved is None:
            return function
        limits = msgspec.structs.replace(
            function.limits, concurrency_max=head.reserved, waiting_max=RESERVED_WAITING
        )
        return msgspec.structs.replace(function, limits=limits)


def same(published: Edition, latest: Edition) -> bool:
    """Whether a version is what $LATEST is."""
    return (published.settings, published.package, published.function) == (
        latest.settings,
        latest.package,
        latest.function,
    )
