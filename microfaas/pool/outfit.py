"""What the instances of one zygote are fitted out with: a cgroup, a cell, and the network.

Making a cgroup takes half a millisecond and a cell as much, so one of each is made ahead.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from typing import NamedTuple

from microfaas.linux.cells import Cells
from microfaas.linux.cgroup import Group
from microfaas.model import Version
from microfaas.pool.relay import Relay
from microfaas.pool.site import Closable, Site

# How long after an instance was started the next ones are made: its first call comes first.
PREPARE_S = 0.005


class Berth(NamedTuple):
    """A place for one instance: its group, and the descriptors of its cell, if there are cells.

    The cell's are its user namespace, its mount namespace, and Landlock's rules where it has any.
    """

    group: Group
    cell: list[int]

    def close_cell(self) -> None:
        """The instance has moved in, or never will."""
        for fd in self.cell:
            os.close(fd)


class Outfit:
    """Makes berths ahead; owned by a zygote."""

    def __init__(self, site: Site, version: Version, cells: Cells | None) -> None:
        self._site = site
        self._version = version
        self._cells = cells
        # Asked once: finding the runtime reads its manifest, and a fork is not to wait for that.
        self._request = site.cell(version)
        self._loop = asyncio.get_running_loop()
        self._shared_bytes = 0
        self._group: Group | None = None
        self._cell: asyncio.Future[list[int]] | None = None
        self._preparing = False
        self._closed = False
        self._servers: list[Closable] = []

    @property
    def alive(self) -> bool:
        """Whether there will be berths: a warden that makes no cells ends after its set-up."""
        return self._cells is None or self._request is None or self._cells.alive

    async def connect(self) -> None:
        """Have the function's network lead where it may. Raises MachineError."""
        function = self._version.function
        network = self._site.reach(self._version)
        if self._cells is None or network is None:
            return
        listeners = await self._cells.listening()
        for listener, route in zip(listeners, network.routes, strict=True):
            if route is None:
                self._servers.append(await self._site.supplies.serve_endpoint(listener))
            else:
                relay = Relay(function.name, route)
                await relay.start(listener)
                self._servers.append(relay)

    def begin(self, shared_bytes: int) -> None:
        """Instances will come, which share so much memory with their zygote."""
        self._shared_bytes = shared_bytes
        self._prepare()

    async def take(self) -> Berth:
        """A berth for one instance; the caller's. Raises MachineError, OSError."""
        group, self._group = self._group, None
        asked, self._cell = self._cell, None
        group = group or self._new_group()
        if self._cells is None or self._request is None:
            return Berth(group, [])
        try:
            return Berth(group, await self._cells.take(asked or self._cells.ask(self._request)))
        except BaseException:
            group.remove()
            raise

    def prepare_soon(self) -> None:
        """An instance was started: have the next berth ready, when that is in nobody's way."""
        if not self._preparing:
            self._preparing = True
            self._loop.call_later(PREPARE_S, self._prepare)

    def close(self) -> bool:
        """Let go of what was made ahead, and of the network; False when it must be repeated."""
        self._closed = True
        while self._servers:
            self._servers.pop().close()
        if self._cells is not None:
            if self._cell is not None:
                self._cells.forgo(self._cell)
                self._cell = None
            self._cells.close()
        if self._group is not None and self._group.remove():
            self._group = None
        return self._group is None

    def _prepare(self) -> None:
        self._preparing = False
        if self._closed:
            return
        if self._group is None:
            # One that cannot be made now is asked for, and complained of, when it is needed.
            with contextlib.suppress(OSError):
                self._group = self._new_group()
        if self._cell is None and self._cells is not None and self._request is not None:
            self._cell = self._cells.ask(self._request)

    def _new_group(self) -> Group:
        return self._site.lodging.group(uuid.uuid4().hex, self._version, self._shared_bytes)
