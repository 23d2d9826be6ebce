"""Putting what the API has made into service: when it is loaded, and when it is seen.

Nobody who calls a function is to wait for its new code: where $LATEST is called, the new one is
loaded first and served then. Where it is not, it is served at once and loaded meanwhile; or, when
a version of the same code is loaded, with the first call: what changes a function by publishing
has its callers go by versions and aliases, and the same code is not loaded twice for them.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

import msgspec

from microfaas.control.records import Edition
from microfaas.control.registry import Registry
from microfaas.deploy import Deployer, Share
from microfaas.errors import MicrofaasError
from microfaas.model import Limits, Version

# New code is served so long before it shows as done: who sees it done does not meet the old.
SWAP_AHEAD_MS = 20

_log = logging.getLogger("microfaas.control")


class Serving:
    """What is on disk already, served."""

    def __init__(
        self,
        registry: Registry,
        deployer: Deployer,
        follow: Callable[[Version], None],
        tasks: asyncio.TaskGroup,
    ) -> None:
        """`follow` is told of each $LATEST that is served."""
        self._registry = registry
        self._deployer = deployer
        self._follow = follow
        self._tasks = tasks

    def latest(self, version: Version) -> None:
        """Serve a $LATEST at once."""
        self._deployer.serve(version)
        self._follow(version)

    def limit(self, name: str, limits: Limits) -> None:
        """So many of a function may run and wait: its versions, too, say so from now on."""
        for version in list(self._registry.served.versions(name).values()):
            own = msgspec.structs.replace(
                version.function.limits,
                concurrency_max=limits.concurrency_max,
                waiting_max=limits.waiting_max,
            )
            function = msgspec.structs.replace(version.function, limits=own)
            self._deployer.serve(msgspec.structs.replace(version, function=function))

    def begin(self, version: Version, published: Version | None) -> None:
        """Serve a new function, and its first version if there is one."""
        self.latest(version)
        if published is not None:
            self._deployer.serve(published)
        self._tasks.create_task(self._warm(published or version))

    async def publish(self, version: Version) -> None:
        """Serve a new version; returns when it is loaded, so that an alias may lead to it."""
        self._deployer.serve(version)
        await self._warm(version)

    async def swap(self, edition: Edition, version: Version, published: Version | None) -> None:
        """Serve a new $LATEST, and the version that is published of it: at once, or when the
        change no longer shows as in progress."""
        wait_s = (edition.settles_ms - SWAP_AHEAD_MS) / 1000 - time.time()
        called = self._deployer.is_called(version.function.name)
        first = [version] if called else []
        if published is not None:
            self._deployer.serve(published)
            first.append(published)
        if wait_s > 0:
            self._deployer.expect(version)
            # Nobody waits for this: it is served when the change shows as done, loaded or not.
            self._tasks.create_task(self._load(version, first or [version]))
            self._tasks.create_task(self._swap_later(edition, version, wait_s))
            return
        await self._load(version, first)
        self.latest(version)
        if not first:
            self._tasks.create_task(self._warm(version))

    async def _swap_later(self, edition: Edition, version: Version, wait_s: float) -> None:
        await asyncio.sleep(wait_s)
        head = self._registry.functions.get(version.function.name)
        if head is not None and head.latest is edition:
            self.latest(version)
        else:
            self._deployer.drop(version)

    async def _load(self, latest: Version, first: list[Version]) -> None:
        """Load what is to be loaded before a new $LATEST is served."""
        async with asyncio.TaskGroup() as tasks:
            for version in first:
                tasks.create_task(self._warm(version))
        old = self._registry.served.latest(latest.function.name)
        if old is not None:
            await self._deployer.prepare([old], [Share(latest, 1)])

    async def _warm(self, version: Version) -> None:
        """Load it ahead of the first call; what is wrong with it, the call will tell."""
        try:
            if (fault := await self._deployer.warm(version)) is not None:
                _log.warning("%s cannot be loaded: %s", version.function.name, fault)
        except (MicrofaasError, OSError) as error:
            _log.error("%s cannot be started: %s", version.function.name, error)
