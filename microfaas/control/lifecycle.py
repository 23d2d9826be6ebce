"""How functions come into being through the API, change, are published, and go.

Every change is on disk before it is served, and what is on disk is served after a restart: a crash
between the two loses nothing. Changes to one function happen one after the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import NamedTuple
from weakref import WeakValueDictionary

import msgspec

from microfaas.config import ApiTable
from microfaas.control import packing, revisions
from microfaas.control.editions import Editions, Machine, same
from microfaas.control.layers import Layers
from microfaas.control.records import Edition, Head, Settings
from microfaas.control.registry import Registry, key
from microfaas.control.serving import Serving
from microfaas.control.table import Edit
from microfaas.errors import MicrofaasError, ServiceError
from microfaas.model import LATEST, MIB, Version

# A package that nothing is made of may be on its way to become something, and links to it are good
# for as long. So many of them, the oldest go before.
PENDING_S = 600.0
PENDING_BYTES_MAX = 256 * MIB

_log = logging.getLogger("microfaas.control")


class Made(NamedTuple):
    """What a change gives to be shown: an edition, and the number that it goes by."""

    edition: Edition
    number: str


class _Published(NamedTuple):
    """A version that is there, or is to be: then what is to be written and served."""

    shown: Made
    edits: tuple[Edit, ...] = ()
    version: Version | None = None


class Lifecycle:
    """Changes the registry, and what is served with it."""

    def __init__(
        self,
        registry: Registry,
        machine: Machine,
        editions: Editions,
        serving: Serving,
        api: ApiTable,
        layers: Layers,
    ) -> None:
        self._registry = registry
        self._machine = machine
        self._editions = editions
        self._serving = serving
        self._api = api
        self._layers = layers
        # As long as anybody has one.
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._before_gone: list[Callable[[str], Awaitable[None]]] = []

    def lock(self, name: str) -> asyncio.Lock:
        """Held by whoever changes that function."""
        return self._locks.setdefault(name, asyncio.Lock())

    @contextlib.asynccontextmanager
    async def _changing(self, name: str, coming_bytes: int = 0) -> AsyncIterator[None]:
        """The lock, room for the packages to come, and what was built meanwhile is kept until it
        is served. Raises ServiceError."""
        async with self.lock(name):
            with self._layers.storage.room(coming_bytes), self._machine.deployer.changing():
                yield

    async def create(
        self,
        name: str,
        settings: Settings,
        data: bytes,
        *,
        tags: Mapping[str, str],
        signing_config: str = "",
        publish: bool = False,
    ) -> Made:
        """A new function, and its first version if that is wanted. Raises ServiceError."""
        async with self._changing(name, len(data) * (1 + publish)):
            if self._registry.knows(name):
                text = f"Function already exist: {name}"
                raise ServiceError("ResourceConflictException", text)
            package = await packing.keep(self._machine.packages, data)
            edition = self._editions.make(settings, package, created=True)
            head = Head(latest=edition, tags=dict(tags), signing_config=signing_config)
            version = await self._editions.build(name, edition, LATEST, head)
            # What the API kept of a file's function of that name, which is gone, is not this one's.
            left = self._registry.forgotten(name)
            made = _Published(Made(edition, LATEST))
            edits = [self._registry.functions.put(name, head)]
            if publish:
                made = await self._publication(name, head, edition)
            await self._registry.commit(*left, *edits, *made.edits)
            self._serving.begin(version, made.version)
            return made.shown

    async def update(
        self,
        name: str,
        change: Callable[[Edition], Settings],
        data: bytes | None = None,
        *,
        revision: str = "",
        dry_run: bool = False,
        publish: bool = False,
    ) -> Made:
        """New code or settings for $LATEST, and a version of it if that is wanted.

        Raises ServiceError.
        """
        before = self._bytes(name)
        size = before if data is None else len(data)
        async with self._changing(name, 0 if dry_run else size * (1 + publish) - before):
            head = self.changeable(name)
            old = self._registry.latest(name)
            self._check_settled(name, old)
            revisions.check(revisions.of(self._registry, name), revision)
            settings = change(old)
            old = await self._editions.packed(name, old)
            package = old.package
            if data is not None:
                package = await packing.keep(self._machine.packages, data)
            edition = self._editions.make(settings, package, function=old.function)
            head = msgspec.structs.replace(head, latest=edition)
            version = await self._editions.build(name, edition, LATEST, head)
            made = _Published(Made(edition, LATEST))
            if dry_run:
                return made.shown
            edits = [self._registry.functions.put(name, head)]
            if publish:
                made = await self._publication(name, head, edition)
            await self._registry.commit(*edits, *made.edits)
            await self._serving.swap(edition, version, made.version)
        await self.tidy()
        return made.shown

    async def publish(
        self,
        name: str,
        description: str | None = None,
        code_sha256: str = "",
        revision: str = "",
    ) -> Made:
        """A version of what $LATEST is now; the last one, when it is the same.

        Raises ServiceError.
        """
        async with self._changing(name):
            head, latest = self._registry.head(name), self._registry.latest(name)
            self._check_settled(name, latest)
            revisions.check(revisions.of(self._registry, name), revision)
            packing.check(latest.package, code_sha256)
            latest = await self._editions.packed(name, latest)
            made = await self._publication(name, head, latest, description)
            if made.version is not None:
                self._layers.storage.check(latest.package.size)
                touched = revisions.touch(self._registry, name)
                await self._registry.commit(*made.edits, touched)
                await self._serving.publish(made.version)
            return made.shown

    async def _publication(
        self, name: str, head: Head, latest: Edition, description: str | None = None
    ) -> _Published:
        """What `latest` is published as; with edits that write the head, too."""
        last = self._registry.versions.get(key(name, str(head.numbered)))
        if last is not None and same(last, latest):
            return _Published(Made(last, str(head.numbered)))
        number = str(head.numbered + 1)
        edition = self._editions.make(
            latest.settings,
            latest.package,
            function=latest.function,
            created=True,
            description=latest.settings.description if description is None else description,
        )
        edits = (
            self._registry.versions.put(key(name, number), edition),
            self._registry.functions.put(
                name, msgspec.structs.replace(head, numbered=head.numbered + 1)
            ),
        )
        version = await self._editions.build(name, edition, number, head)
        return _Published(Made(edition, number), edits, version)

    async def delete(self, name: str) -> None:
        """The whole function. Raises ServiceError."""
        async with self.lock(name):
            self.changeable(name)
            for do in self._before_gone:
                await do(name)
            await self._registry.commit(*self._registry.forgotten(name))
            for version in self._registry.served.forget(name):
                self._machine.deployer.drop(version)
        await self.tidy()

    def before_gone(self, do: Callable[[str], Awaitable[None]]) -> None:
        """Have this done, too, when a function is deleted; before, so that who deletes it again
        after a fault finishes it, and no other function of that name inherits."""
        self._before_gone.append(do)

    async def delete_version(self, name: str, number: str) -> None:
        """One published version. Raises ServiceError."""
        async with self.lock(name):
            if key(name, number) not in self._registry.versions:
                return  # as AWS: what is not there is deleted
            self._check_unused(name, number)
            await self._registry.commit(*self._registry.detached(name, number))
            version = self._registry.served.drop(name, number)
            if version is not None:
                self._machine.deployer.drop(version)
        await self.tidy()

    async def reserve(self, name: str, count: int | None) -> None:
        """So many may run at once and no more; None: as many as all share. Raises ServiceError."""
        async with self._changing(name):
            head = msgspec.structs.replace(self.changeable(name), reserved=count)
            latest = self._registry.latest(name)
            self._check_settled(name, latest)
            latest = await self._editions.packed(name, latest)
            head = msgspec.structs.replace(head, latest=latest)
            version = await self._editions.build(name, latest, LATEST, head)
            await self._registry.commit(self._registry.functions.put(name, head))
            self._serving.latest(version)
            self._serving.limit(name, version.function.limits)

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
        return (await self._editions.packed(name, self._registry.latest(name))).package.sha256

    async def tidy(self) -> None:
        """Forget the layers, the code and the packages that no function uses."""
        async with self._machine.deployer.alone() as alone:
            if alone:
                await self._layers.forget_unused()
        await self._machine.deployer.prune()
        kept = {*self._registry.packages(), *self._layers.packages()}
        await asyncio.to_thread(self._machine.packages.prune, kept, PENDING_S, PENDING_BYTES_MAX)

    async def keep_tidy(self) -> None:
        """Until cancelled: what was replaced or is gone stays for a while, and not for good."""
        while True:
            await asyncio.sleep(PENDING_S)
            try:
                await self.tidy()
            except (MicrofaasError, OSError) as error:
                _log.error("cannot clear up what no function uses: %s", error)

    def _bytes(self, name: str) -> int:
        """What a function's $LATEST takes."""
        head = self._registry.functions.get(name)
        return head.latest.package.size if head is not None and head.latest is not None else 0

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
