"""Functions of the file follow their code: what is saved is served."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable

from microfaas.config import Config
from microfaas.deploy import Deployer
from microfaas.errors import MicrofaasError
from microfaas.model import Function, Version
from microfaas.pool.loading import InitFailed
from microfaas.store.code import touched_since
from microfaas.triggers.bucket import BucketSettings
from microfaas.triggers.watching import Watcher, changes

# Files' times go in steps, behind the clock.
CLOCK_STEP_NS = 20_000_000

_log = logging.getLogger("microfaas")


class Reloader:
    """Keeps a file's functions as their folders are, until the API takes one over."""

    def __init__(
        self,
        config: Config,
        deployer: Deployer,
        watcher: Watcher,
        is_ours: Callable[[str], bool],
    ) -> None:
        """To be made before any code is copied. `is_ours` says whether a function is still the
        file's."""
        self._deployer = deployer
        self._watcher = watcher
        self._is_ours = is_ours
        self.not_code = not_code(config)
        self._began_ns = time.time_ns()

    async def keep(self, version: Version) -> None:
        """Warm a function, then follow its code."""
        name = version.function.name
        try:
            if (fault := await self._deployer.warm(version)) is not None:
                _log.error("%s cannot be loaded: %s", name, fault)
            async for changed in changes(self._watcher, version.function.code, self.not_code):
                if not self._is_ours(name):
                    return
                if changed or await self._touched(version.function):
                    await self._reload(version.function)
        except (MicrofaasError, OSError) as error:
            _log.error("%s: %s", name, error)

    async def _touched(self, function: Function) -> bool:
        """Whether its code has changed before anybody watched it, or while nobody could."""
        return await asyncio.to_thread(
            touched_since, function.code, self.not_code, self._began_ns - CLOCK_STEP_NS
        )

    async def _reload(self, function: Function) -> None:
        try:
            if await self._deployer.replace(function, self.not_code) is not None:
                _log.info("%s: reloaded", function.name)
                await self._deployer.prune()
        except InitFailed as fault:
            _log.error(
                "%s: the new code cannot be loaded, the old one serves: %s", function.name, fault
            )
        except MicrofaasError as error:
            _log.error(
                "%s: the new code cannot be used, the old one serves: %s", function.name, error
            )


def not_code(config: Config) -> list[str]:
    """What may lie in a folder of code without being code."""
    buckets = [
        os.path.normpath(os.path.join(config.root, trigger.settings.path))
        for trigger in config.triggers
        if isinstance(trigger.settings, BucketSettings)
    ]
    mounts = [mount.source for function in config.functions for mount in function.mounts]
    ends = [end for f in config.functions for end in (f.events.on_success, f.events.on_failure)]
    records = [end.name for end in ends if end is not None and end.kind == "directory"]
    secrets = [secret.file for function in config.functions for secret in function.secrets]
    tls = config.tls.key if config.tls else None
    # The configuration itself has the other functions' environment in it.
    files = filter(None, (config.source, tls, *secrets))
    return [config.data, *buckets, *mounts, *records, *files]
