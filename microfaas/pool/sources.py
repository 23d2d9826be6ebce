"""Where a pool's instances come from: a zygote where the language forks, else one by one."""

from __future__ import annotations

import asyncio
from typing import Protocol

from microfaas.model import Version
from microfaas.pool.boot import start_zygote
from microfaas.pool.direct import Direct
from microfaas.pool.instance import Instance
from microfaas.pool.reaper import Reaper
from microfaas.pool.shelf import Shelf
from microfaas.pool.site import Site


class Source(Protocol):
    """What makes instances of one version."""

    @property
    def alive(self) -> bool: ...

    @property
    def memory_mb(self) -> int:
        """What it takes itself."""

    @property
    def pid(self) -> int:
        """Its process, 0 when it is none."""

    @property
    def why_not_loaded(self) -> str:
        """Why each instance loads the function itself; empty when that is no news."""

    async def spawn(self, reaper: Reaper, provisioned: bool = False) -> Instance:
        """An instance that has loaded the function, and is told whether it is a provisioned one.

        Raises InitFailed, MachineError.
        """

    def kill(self) -> None:
        """End it, and what it has forked."""

    def close(self) -> bool:
        """Let go of what it held; False when it is not quite gone."""


async def start_source(
    site: Site, version: Version, reaper: Reaper, shelf: Shelf, tasks: asyncio.TaskGroup
) -> Source:
    """Raises InitFailed for the function, MachineError for the rest."""
    if site.runtime(version).forks:
        return await start_zygote(site, version, reaper)
    return Direct(site, version, shelf, tasks)
