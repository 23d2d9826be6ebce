"""Instances of languages that cannot fork: a spare becomes one, or one is started in its place."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable
from functools import partial

from microfaas.errors import MachineError
from microfaas.log import stream_name
from microfaas.model import Version
from microfaas.pool.environment import of_instance
from microfaas.pool.instance import Instance
from microfaas.pool.launching import start
from microfaas.pool.loading import boot, load
from microfaas.pool.outfit import Outfit
from microfaas.pool.output import Output
from microfaas.pool.reaper import Reaper
from microfaas.pool.sandbox import Sandbox
from microfaas.pool.shelf import Shelf
from microfaas.pool.site import Site
from microfaas.pool.spare import Spare
from microfaas.wire.channel import Channel

_log = logging.getLogger("microfaas.pool")


class Direct:
    """Where the instances of one version come from."""

    alive = True
    memory_mb = 0
    # Nothing is, before there is an instance.
    why_not_loaded = ""
    pid = 0

    def __init__(
        self, site: Site, version: Version, shelf: Shelf, tasks: asyncio.TaskGroup
    ) -> None:
        self._site = site
        self._version = version
        self._shelf = shelf
        self._tasks = tasks
        self._footing = site.footing(version)
        self._verified = False

    async def spawn(self, reaper: Reaper, provisioned: bool = False) -> Instance:
        """An instance that has loaded the function. Raises InitFailed, MachineError."""
        started = time.monotonic()
        # First, as secrets may be missing: then nothing has been started.
        variables = self._site.variables(self._version)
        instance = await self._adopt(reaper, provisioned)
        if instance is None:
            instance = await self._start(reaper, provisioned)
        instance.provisioned = provisioned
        try:
            await load(
                instance.channel,
                self._version,
                instance.sandbox,
                instance.exited,
                variables={**variables, **of_instance(instance.stream, provisioned)},
            )
        except BaseException:
            reaper.end(instance)
            raise
        finally:
            self._want()
        instance.init_ms = (time.monotonic() - started) * 1000
        return instance

    def kill(self) -> None:
        """Nothing runs but instances, and they are the pool's."""

    def close(self) -> bool:
        return True

    def _want(self) -> None:
        if self._footing is not None:
            self._shelf.want(self._footing, self._version.function.limits.idle_s_max)

    async def _adopt(self, reaper: Reaper, provisioned: bool) -> Instance | None:
        """An instance that was a spare until now, and sees the version; None without a spare."""
        if not self._verified:
            await asyncio.to_thread(self._site.supplies.verify, self._version)
            self._verified = True
        spare = self._shelf.take(self._footing) if self._footing is not None else None
        if spare is None:
            return None
        # While the nursery does that, its place is made.
        shown = self._site.launcher.fit(self._site.fit(self._version), spare.process.pidfd)
        ends: Spare | Instance = spare
        try:
            try:
                ends = instance = self._settle(spare, uuid.uuid4().hex, provisioned)
            finally:
                await shown
        except MachineError as error:
            reaper.end(ends)
            _log.warning("%s: %s; starting afresh", self._version.function.name, error)
            return None
        except BaseException:
            reaper.end(ends)
            raise
        return instance

    def _settle(self, spare: Spare, name: str, provisioned: bool) -> Instance:
        """The spare as an instance, in a cgroup of the function's family. Raises OSError."""
        shared_bytes = spare.group.memory_bytes()
        group = self._site.lodging.group(name, self._version, shared_bytes)
        group.close_joins()
        sandbox = Sandbox(group, spare.process.pid, spare.process.pidfd, shared_bytes, spare.group)
        # Moving waits for the kernel for some milliseconds, and the call does not need it.
        self._tasks.create_task(self._move(sandbox))
        free = partial(self._free, spare.user)
        stream = stream_name(self._version.number, name)
        output = self._output(stream, spare.log_read, provisioned)
        return self._instance(
            name, stream, sandbox, spare.channel, output, spare.process.exited, free
        )

    async def _move(self, sandbox: Sandbox) -> None:
        try:
            await asyncio.to_thread(sandbox.move_in)
        except OSError as error:
            # Held to the same limits where it is, only not in the function's family.
            _log.warning("%s: cannot move an instance: %s", self._version.function.name, error)

    def _free(self, user: int | None, _: str) -> None:
        self._site.lodging.free_spare_user(user)

    async def _start(self, reaper: Reaper, provisioned: bool) -> Instance:
        """One that is started for this version."""
        site, version, name = self._site, self._version, uuid.uuid4().hex
        stream = stream_name(version.number, name)
        private = site.lodging.private_tmp(name)
        try:
            group = site.lodging.group(name, version)
            launch = site.launch_instance(version, {**of_instance(stream, provisioned), **private})
            started = await start(site.launcher, launch, group, control=False)
        except BaseException:
            site.lodging.remove_tmp(name)
            raise
        outfit = Outfit(site, version, started.cells)
        sandbox = Sandbox(group, started.process.pid, started.process.pidfd)

        def closed(name: str) -> None:
            outfit.close()
            site.lodging.remove_tmp(name)

        output = self._output(stream, started.log_read, provisioned)
        instance = self._instance(
            name, stream, sandbox, started.channel, output, started.process.exited, closed
        )
        try:
            await outfit.connect()
            await boot(instance.channel)
        except BaseException:
            reaper.end(instance)
            raise
        return instance

    def _instance(
        self,
        name: str,
        stream: str,
        sandbox: Sandbox,
        channel: Channel,
        output: Output,
        exited: asyncio.Future[int],
        on_closed: Callable[[str], None],
    ) -> Instance:
        return Instance(
            name=name,
            stream=stream,
            version=self._version,
            arn=self._site.address.arn(self._version.function.name),
            sandbox=sandbox,
            channel=channel,
            output=output,
            exited=exited,
            on_closed=on_closed,
        )

    def _output(self, stream: str, log_read: int, provisioned: bool) -> Output:
        output = self._site.output(self._version, stream, log_read)
        output.begin_init(self._site.starting(self._version)._replace(provisioned=provisioned))
        return output
