"""Aliases, which send calls to versions, and instances that are provisioned for either."""

from __future__ import annotations

import time
from typing import NamedTuple

import msgspec

from microfaas.control.records import Alias, Provisioned
from microfaas.control.registry import Registry, key
from microfaas.control.table import Edit
from microfaas.deploy import Deployer, Share
from microfaas.pool.loading import InitFailed
from microfaas.store.functions import Pointer

_INIT_FAILURE = "FUNCTION_ERROR_INIT_FAILURE"


class Allocation(NamedTuple):
    """How far provisioned instances are: started, and of those ready; and why none can be started,
    empty when that is only a matter of time."""

    started: int
    ready: int
    fault: str


class Routing:
    """Keeps what is served in step with the registry's aliases and provisioned instances.

    Whoever calls what changes a function holds its lock.
    """

    def __init__(self, registry: Registry, deployer: Deployer) -> None:
        self._registry = registry
        self._deployer = deployer

    def open(self) -> None:
        """As the registry says; the versions are served already."""
        for qualified, alias in self._registry.aliases.all():
            name, _, called = qualified.partition(":")
            self._point(name, called, alias)
        for name in {each.partition(":")[0] for each, _ in self._registry.provisioned.all()}:
            self._provision(name)

    async def put(self, name: str, called: str, alias: Alias, *also: Edit) -> None:
        """From the next call on the alias means this; other edits are in the same commit.

        Raises MachineError.
        """
        if (before := self._registry.alias(name, called)) is not None:
            old = [each.version for each in self._shares(name, before)]
            await self._deployer.prepare(old, self._shares(name, alias))
        await self._registry.commit(self._registry.aliases.put(key(name, called), alias), *also)
        self._point(name, called, alias)
        self._provision(name)

    async def remove(self, name: str, called: str) -> None:
        """There is no such alias any more, nor anything provisioned for it. Raises MachineError."""
        await self._registry.commit(*self._registry.detached(name, called))
        self._registry.served.unpoint(name, called)
        self._provision(name)

    async def provision(self, name: str, qualifier: str, instances: int) -> Provisioned:
        """Keep so many initialised; none, and it is not kept at all. Raises MachineError."""
        qualified = key(name, qualifier)
        record = Provisioned(instances, int(time.time() * 1000))
        table = self._registry.provisioned
        edit = table.put(qualified, record) if instances else table.remove(qualified)
        await self._registry.commit(edit)
        self._provision(name)
        return record

    def allocation(self, name: str, qualifier: str) -> Allocation:
        """What there is of what is provisioned for a version or alias."""
        number = self._number(name, qualifier)
        version = self._registry.served.versions(name).get(number)
        if version is None:
            return Allocation(0, 0, self._registry.served.fault(name, number))
        pool = self._deployer.pool(version)
        if pool is None:
            return Allocation(0, 0, "")
        # Any other fault is the machine's, and passes.
        fault = _INIT_FAILURE if isinstance(pool.faults.last, InitFailed) else ""
        return Allocation(*pool.provided(), fault)

    def _shares(self, name: str, alias: Alias) -> list[Share]:
        """Where an alias sends its calls, as far as that is served."""
        shares = {alias.version: 1 - sum(alias.weights.values()), **alias.weights}
        versions = self._registry.served.versions(name)
        return [Share(versions[n], share) for n, share in shares.items() if n in versions]

    def _number(self, name: str, qualifier: str) -> str:
        alias = self._registry.alias(name, qualifier)
        return alias.version if alias is not None else qualifier

    def _point(self, name: str, called: str, alias: Alias) -> None:
        # What is left of a file's function that is gone leads nowhere.
        if self._registry.knows(name):
            other, share = next(iter(alias.weights.items()), ("", 0.0))
            self._registry.served.point(name, called, Pointer(alias.version, other, share))

    def _provision(self, name: str) -> None:
        wanted: dict[str, int] = {}
        for qualified, record in self._registry.provisioned.all(f"{name}:"):
            number = self._number(name, qualified.partition(":")[2])
            wanted[number] = wanted.get(number, 0) + record.instances
        for number, version in list(self._registry.served.versions(name).items()):
            count = wanted.get(number, 0)
            if count or version.provisioned:
                made = msgspec.structs.replace(version, provisioned=count > 0)
                self._deployer.provision(made, count)
