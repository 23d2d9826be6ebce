"""A spare: a host that was started without a function, and becomes one instance of whichever
function needs it."""

from __future__ import annotations

import contextlib
import os
import uuid

from microfaas.errors import MachineError
from microfaas.linux.cgroup import Group
from microfaas.linux.launcher import Process
from microfaas.pool.footing import Footing
from microfaas.pool.launching import start
from microfaas.pool.loading import boot
from microfaas.pool.reaper import Reaper
from microfaas.pool.sandbox import Sandbox
from microfaas.pool.site import Site
from microfaas.wire.channel import Channel

LAST_WORDS_BYTES = 2000


class Spare:
    """A host that has said `ready`; it is taken once, or ended."""

    def __init__(
        self,
        site: Site,
        process: Process,
        channel: Channel,
        log_read: int,
        group: Group,
        user: int | None,
    ) -> None:
        self.process = process
        self.channel = channel
        self.log_read = log_read
        self.group = group
        self.user = user
        self._site = site
        self.sandbox = Sandbox(group, process.pid, process.pidfd)

    @property
    def alive(self) -> bool:
        return not (self.channel.closed or self.process.exited.done())

    def last_words(self) -> str:
        """What it has printed, for whoever asks why it did not start."""
        os.set_blocking(self.log_read, False)
        with contextlib.suppress(BlockingIOError):
            return os.read(self.log_read, LAST_WORDS_BYTES).decode(errors="replace").strip()
        return ""

    def kill(self) -> None:
        self.sandbox.kill()
        self.channel.close()

    def close(self) -> bool:
        if not self.process.exited.done() or not self.sandbox.close():
            return False
        self.channel.close()
        os.close(self.log_read)
        self._site.lodging.free_spare_user(self.user)
        return True


async def start_spare(site: Site, footing: Footing, reaper: Reaper) -> Spare:
    """Start one, and hear that it runs. Raises MachineError."""
    name = f"spare-{uuid.uuid4().hex[:8]}"
    user = site.lodging.take_spare_user()
    try:
        group = site.lodging.spare_group(name, footing)
        started = await start(site.launcher, site.launch_spare(footing, user), group, control=False)
    except BaseException:
        site.lodging.free_spare_user(user)
        raise
    spare = Spare(site, started.process, started.channel, started.log_read, group, user)
    try:
        await boot(spare.channel)
    except MachineError as error:
        words = spare.last_words()
        reaper.end(spare)
        raise MachineError(f"{error}: {words}" if words else str(error)) from None
    except BaseException:
        reaper.end(spare)
        raise
    return spare
