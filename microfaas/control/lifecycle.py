"""How functions come into being through the API, change, are published, and go.

Every change is on disk before it is served, and what is on disk is served after a restart: a crash
between the two loses nothing. Changes to one function happen one after the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping

import msgspec

from microfaas.config import ApiTable
from microfaas.control import making, packing, revisions
from microfaas.control.records import Edition, Head, Package, Settings
from microfaas.control.registry import Registry, key
from microfaas.deploy import Deployer
from microfaas.errors import ConfigError, MachineError, MicrofaasError, ServiceError
from microfaas.model import LATEST, Function, Version
from microfaas.runtime import Runtimes
from microfaas.store.packages import Packages

# Who has reserved some gets no waiting line: beyond it calls are refused at once, as AWS does.
RESERVED_WAITING = 0
# A package that nothing is made of may be on its way to become something.
PENDING_S = 3600.0
# New code is served so long before it shows as done: who sees it done does not meet the old.
SWAP_AHEAD_MS = 20

_log = logging.getLogger("microfaas.control")


class Machine(msgspec.Struct, frozen=True):
    """What functions are made of and run on."""

    runtimes: Runtimes
    packages: Packages
    deployer: Deployer
    # Raises MicrofaasError for a function that cannot be run here as it is meant.
    check: Callable[[Function], None]
    memory_budget_mb: int


class Lifecycle:
    """Changes the registry, and what is served with it."""

    def __init__(
        self,
        registry: Registry,
        machine: Machine,
        layer: making.Path,
        api: ApiTable,
        tasks: asyncio.TaskGroup,
        follow: Callable[[Version], None],
        kept: Callable[[], Collection[str]],
    ) -> None:
        """`layer` gives the package that a layer version's ARN means; raises ServiceError.
        `follow` is told of each $LATEST that is served, `kept` gives the packages in use."""
        self._follow = follow
        self._kept = kept
        self._registry = registry
        self._machine = machine
        self._layer = layer
        self._api = api
        self._tasks = tasks
        self._locks: dict[str, asyncio.Lock] = {}
        self._when_gone: list[Callable[[str], Awaitable[None]]] = []
        # Why what is on disk cannot be served, by its key.
        self.faults: dict[str, str] = {}

    def lock(self, name: str) -> asyncio.Lock:
        """Held by whoever changes that function."""
        return self._locks.setdefault(name, asyncio.Lock())

    @contextlib.asynccontextmanager
    async def _changing(self, name: str) -> AsyncIterator[None]:
        """The lock, and what was built meanwhile is kept until it is served."""
        async with self.lock(name):
            with self._machine.deployer.changing():
                yield

    async def open(self) -> None:
        """Serve what is on disk; functions of the file are served already."""
        for name, head in self._registry.functions.all():
            if head.latest is not None:
                await self._restore(name, head.latest, LATEST)
        for qualified, edition in self._registry.versions.all():
            name, _, number = qualified.partition(":")
            if self._registry.knows(name):
                await self._restore(name, edition, number)

    async def create(
        self,
        name: str,
        settings: Settings,
        data: bytes,
        *,
        tags: Mapping[str, str],
        signing_config: str = "",
    ) -> Edition:
        """A new function. Raises ServiceError."""
        async with self._changing(name):
            if self._registry.knows(name):
                text = f"Function already exist: {name}"
                raise ServiceError("ResourceConflictException", text)
            package = await packing.keep(self._machine.packages, data)
            edition = self._edition(settings, package, created=True)
            head = Head(latest=edition, tags=dict(tags), signing_config=signing_config)
            version = await self._build(name, edition, LATEST, head)
            # What the API kept of a file's function of that name, which is gone, is not this one's.
            left = self._registry.forgotten(name)
            await self._registry.commit(*left, self._registry.functions.put(name, head))
            self._serve_latest(version)
            self._tasks.create_task(self._warm(version))
            return edition

    async def update(
        self,
        name: str,
        change: Callable[[Edition], Settings],
        data: bytes | None = None,
        *,
        revision: str = "",
        dry_run: bool = False,
    ) -> Edition:
        """New code or settings for $LATEST. Raises ServiceError."""
        async with self._changing(name):
            head = self.changeable(name)
            old = self._registry.latest(name)
            self._check_settled(name, old)
            revisions.check(revisions.of(self._registry, name), revision)
            settings = change(old)
            old = await self._packed(name, old)
            package = old.package
            if data is not None:
                package = await packing.keep(self._machine.packages, data)
            edition = self._edition(settings, package, function=old.function)
            head = msgspec.structs.replace(head, latest=edition)
            version = await self._build(name, edition, LATEST, head)
            if dry_run:
                return edition
            await self._registry.commit(self._registry.functions.put(name, head))
            await self._swap(edition, version)
        await self.tidy()
        return edition

    async def publish(
        self,
        name: str,
        description: str | None = None,
        code_sha256: str = "",
        revision: str = "",
        after: Edition | None = None,
    ) -> tuple[Edition, str]:
        """A version of what $LATEST is now; the last one, when it is the same. `after` is the
        update that it belongs to, which need not show as done. Raises ServiceError."""
        async with self._changing(name):
            head, latest = self._registry.head(name), self._registry.latest(name)
            if latest is not after:
                self._check_settled(name, latest)
            revisions.check(revisions.of(self._registry, name), revision)
            packing.check(latest.package, code_sha256)
            latest = await self._packed(name, latest)
            last = self._registry.versions.get(key(name, str(head.numbered)))
            if last is not None and _same(last, latest):
                return last, str(head.numbered)
            number = str(head.numbered + 1)
            made = self._edition(latest.settings, latest.package, function=latest.function)
            said = latest.settings.description if description is None else description
            edition = msgspec.structs.replace(made, description=said, created=True)
            version = await self._build(name, edition, number, head)
            await self._registry.commit(
                self._registry.versions.put(key(name, number), edition),
                self._registry.functions.put(
                    name, msgspec.structs.replace(head, numbered=head.numbered + 1)
                ),
                revisions.touch(self._registry, name),
            )
            await self._warm(version)
            self._machine.deployer.serve(version)
            return edition, number

    async def delete(self, name: str) -> None:
        """The whole function. Raises ServiceError."""
        async with self.lock(name):
            self.changeable(name)
            await self._registry.commit(*self._registry.forgotten(name))
            for version in self._registry.served.forget(name):
                self._machine.deployer.drop(version)
            for then in self._when_gone:
                await then(name)
        await self.tidy()

    def when_gone(self, then: Callable[[str], Awaitable[None]]) -> None:
        """Have this done, too, when a function is deleted."""
        self._when_gone.append(then)

    async def delete_version(self, name: str, number: str) -> None:
        """One published version. Raises ServiceError."""
        async with self.lock(name):
            if key(name, number) not in self._registry.versions:
                return  # as AWS: what is not there is deleted
            self._check_unused(name, number)
            await self._registry.commit(*self._registry.detached(name, number))
            if number in self._registry.served.versions(name):
                self._machine.deployer.drop(self._registry.served.drop(name, number))
        await self.tidy()

    async def reserve(self, name: str, count: int | None) -> None:
        """So many may run at once and no more; None: as many as all share. Raises ServiceError."""
        async with self._changing(name):
            head = msgspec.structs.replace(self.changeable(name), reserved=count)
            latest = self._registry.latest(name)
            self._check_settled(name, latest)
            latest = await self._packed(name, latest)
            head = msgspec.structs.replace(head, latest=latest)
            version = await self._build(name, latest, LATEST, head)
            await self._registry.commit(self._registry.functions.put(name, head))
            self._serve_latest(version)

    def changeable(self, name: str) -> Head:
        """What is kept of a function that the API may change. Raises ServiceError."""
        head = self._registry.head(name)
        if self._registry.origin(name) == "file":
            if not self._api.adopt:
                raise ServiceError(
                    "ResourceConflictException",
                    f"The function {name} stands in the configuration file of this machine: change "
                    "it there, or start microfaas with --adopt to let the API take it over.",
                )
            head = msgspec.structs.replace(head, adopted=True)
        return head

    async def packed(self, name: str) -> str:
        """The package of what a file's function is now, by its hash. Raises ServiceError."""
        return (await self._packed(name, self._registry.latest(name))).package.sha256

    async def tidy(self) -> None:
        """Forget the code and the packages that no function uses."""
        await self._machine.deployer.prune()
        kept = self._kept()
        await asyncio.to_thread(self._machine.packages.prune, kept, PENDING_S)

    async def _restore(self, name: str, edition: Edition, number: str) -> None:
        try:
            version = await self._build(name, edition, number, self._registry.head(name))
        except (MicrofaasError, OSError) as error:
            self.faults[key(name, number)] = str(error)
            _log.error("%s:%s cannot be served: %s", name, number, error)
            return
        self._machine.deployer.serve(version)

    async def _build(self, name: str, edition: Edition, number: str, head: Head) -> Version:
        """What would be served. Raises ServiceError."""
        function = self._function(name, edition, head)
        path = self._machine.packages.path(edition.package.sha256)
        try:
            self._machine.check(function)
            await asyncio.to_thread(packing.unpacked_bytes, [function.code, *function.layers])
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
        except MicrofaasError as error:
            if isinstance(error, ServiceError):
                raise
            raise ServiceError("InvalidParameterValueException", str(error)) from None
        if head.reserved is None:
            return function
        limits = msgspec.structs.replace(
            function.limits, concurrency_max=head.reserved, waiting_max=RESERVED_WAITING
        )
        return msgspec.structs.replace(function, limits=limits)

    async def _packed(self, name: str, edition: Edition) -> Edition:
        """An edition whose code and layers are packages, and no folders that a file names."""
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

    def _edition(
        self,
        settings: Settings,
        package: Package,
        *,
        function: Function | None = None,
        created: bool = False,
    ) -> Edition:
        now_ms = int(time.time() * 1000)
        return Edition(
            settings=settings,
            package=package,
            changed_ms=now_ms,
            settles_ms=now_ms + self._api.settle_ms,
            revision=str(uuid.uuid4()),
            settled_revision=str(uuid.uuid4()),
            function=function,
            created=created,
        )

    async def _swap(self, edition: Edition, version: Version) -> None:
        """Serve a new $LATEST: at once, or when it no longer shows as in progress."""
        wait_s = (edition.settles_ms - SWAP_AHEAD_MS) / 1000 - time.time()
        if wait_s > 0:
            self._machine.deployer.expect(version)
            self._tasks.create_task(self._swap_later(edition, version, wait_s))
        else:
            await self._warm(version)
            self._serve_latest(version)

    async def _swap_later(self, edition: Edition, version: Version, wait_s: float) -> None:
        # Nobody waits for this: the code is served when the change shows as done, loaded or not.
        self._tasks.create_task(self._warm(version))
        await asyncio.sleep(wait_s)
        head = self._registry.functions.get(version.function.name)
        if head is not None and head.latest is edition:
            self._serve_latest(version)
        else:
            self._machine.deployer.drop(version)

    def _serve_latest(self, version: Version) -> None:
        self._machine.deployer.serve(version)
        self._follow(version)

    async def _warm(self, version: Version) -> None:
        """Load it ahead of the first call; what is wrong with it, the call will tell."""
        try:
            if (fault := await self._machine.deployer.warm(version)) is not None:
                _log.warning("%s cannot be loaded: %s", version.function.name, fault)
        except MicrofaasError as error:
            _log.error("%s cannot be started: %s", version.function.name, error)

    def _check_unused(self, name: str, number: str) -> None:
        using = [
            called.partition(":")[2]
            for called, alias in self._registry.aliases.all(f"{name}:")
            if number in (alias.version, *alias.weights)
        ]
        if using:
            raise ServiceError(
                "ResourceConflictException",
                "Unable to delete version because the following aliases reference it: "
                f"[{', '.join(using)}]",
            )

    def _check_settled(self, name: str, edition: Edition) -> None:
        if not edition.created and edition.settles_ms > time.time() * 1000:
            raise ServiceError(
                "ResourceConflictException",
                "The operation cannot be performed at this time. An update is in progress for "
                f"resource: {self._registry.arn(name)}",
            )


def _same(published: Edition, latest: Edition) -> bool:
    """Whether a version is what $LATEST is."""
    return (published.settings, published.package, published.function) == (
        latest.settings,
        latest.package,
        latest.function,
    )
