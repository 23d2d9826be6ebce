"""Bringing functions into service: a version, a pool that has loaded it, then the name."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Collection, Iterable, Iterator
from typing import NamedTuple

from microfaas.builder import Builder
from microfaas.model import LATEST, Function, Version
from microfaas.pool.loading import InitFailed
from microfaas.pool.pool import Pool
from microfaas.pool.supervisor import Supervisor
from microfaas.store.code import CodeStore
from microfaas.store.functions import Functions

# Warming is mostly another process's work; two at once keep both of a small machine's cores.
WARM_AT_ONCE = 2
# An instance is at work when it runs a call or has so lately: callers pause between two calls.
AT_WORK_S = 0.25
# What is not ready by then, those who call it wait for.
PREPARE_S = 0.3


class Share(NamedTuple):
    """A version, and how much of some calls goes to it: 0 to 1."""

    version: Version
    share: float


class Deployer:
    """Installs functions at start, and replaces them while they serve."""

    def __init__(
        self, builder: Builder, code: CodeStore, functions: Functions, supervisor: Supervisor
    ) -> None:
        self._builder = builder
        self._code = code
        self._functions = functions
        self._supervisor = supervisor
        self._warming = asyncio.Semaphore(WARM_AT_ONCE)
        self._changes = 0
        self._pruning = asyncio.Lock()

    @contextlib.contextmanager
    def changing(self) -> Iterator[None]:
        """Meanwhile no copy is forgotten: one that was built may not be served yet."""
        self._changes += 1
        try:
            yield
        finally:
            self._changes -= 1

    async def install(self, function: Function, exclude: Collection[str]) -> Version:
        """Serve a function from now on; it is warmed by `warm`. Raises ConfigError."""
        with self.changing():
            version = await self.build(function, exclude)
            self.serve(version)
        return version

    async def build(
        self, function: Function, exclude: Collection[str] = (), number: str = LATEST
    ) -> Version:
        """Have a copy of its code; nobody sees it yet. To be called while `changing`.

        Raises ConfigError, BuildFailed.
        """
        await self.settled()  # a copy that is being forgotten must not be taken for there
        return await asyncio.to_thread(self._builder.version, function, exclude, number)

    def expect(self, version: Version) -> None:
        """It is to be served later: its copy stays."""
        self._supervisor.open(version)

    def serve(self, version: Version) -> None:
        """From the next call on it runs; what runs on the one that it replaces may end there."""
        old = self._functions.put(version)
        self._supervisor.open(version)
        if version.number == LATEST:
            self._supervisor.limit(version)
        if old is not None and old.key != version.key:
            self._supervisor.retire(old)

    def provision(self, version: Version, instances: int) -> None:
        """Serve a version with so many instances kept for it."""
        self.serve(version)
        pool = self._supervisor.open(version)
        pool.provide(instances)

    async def prepare(self, before: Iterable[Version], after: Iterable[Share]) -> None:
        """Whoever calls what was `before` is to call what comes `after`: have as many instances of
        it as are at work, as far as they fit and start soon enough."""
        since = time.monotonic() - AT_WORK_S
        count = sum(
            pool.busy_since(since) for each in before if (pool := self._supervisor.find(each))
        )
        starting = [
            task
            for version, share in after
            if (pool := self._supervisor.find(version)) is not None
            for task in pool.prepare(math.ceil(count * share))
        ]
        if starting:
            await asyncio.wait(starting, timeout=PREPARE_S)

    def is_called(self, name: str) -> bool:
        """Whether anybody calls a function's $LATEST, or has lately."""
        version = self._functions.latest(name)
        pool = self._supervisor.find(version) if version is not None else None
        return pool is not None and pool.is_called

    def pool(self, version: Version) -> Pool | None:
        """What runs it now, if anything does."""
        return self._supervisor.find(version)

    def drop(self, version: Version) -> None:
        """It is served no more: what runs and waits may end."""
        self._supervisor.retire(version)

    async def warm(self, version: Version) -> InitFailed | None:
        """Load it ahead of the first call. A fault is told; every call will try again."""
        # Not when its turn comes: by then it may be gone, and would be opened again.
        pool = self._supervisor.open(version)
        async with self._warming:
            if pool.draining:
                return None
            try:
                await pool.warm()
            except InitFailed as fault:
                return fault
        return None

    async def replace(self, function: Function, exclude: Collection[str]) -> Version | None:
        """Put newer code into service; None when it is the same, or what was served is not served
        any more: somebody else has put something into its place.

        What runs finishes on the old code. Raises InitFailed, ConfigError: the old code stays.
        """
        with self.changing():
            version = await self.build(function, exclude)
            old = self._functions.resolve(function.name)
            if version.key == old.key:
                return None
            try:
                await self._supervisor.open(version).warm()
                await self.prepare([old], [Share(version, 1)])
            except BaseException:
                self._supervisor.retire(version)
                raise
            if self._functions.latest(function.name) is not old:
                self._supervisor.retire(version)
                return None
            self.serve(version)
        return version

    async def settled(self) -> None:
        """Nothing is being forgotten; nor will it be, while `changing`."""
        async with self._pruning:
            pass

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[bool]:
        """Whether nothing is changing; meanwhile nothing settles."""
        async with self._pruning:
            yield not self._changes

    async def prune(self) -> None:
        """Forget the copies of code that no function uses, unless anything is changing."""
        async with self.alone() as alone:
            if not alone:
                return
            versions = [pool.version for pool in self._supervisor.pools]
            versions += self._functions.everything()
            used = [path for version in versions for path in (version.code_dir, version.layers_dir)]
            await asyncio.to_thread(self._code.prune, [path for path in used if path])
