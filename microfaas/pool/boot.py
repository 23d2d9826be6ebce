"""Starting a zygote: launch the host, hear that it runs, have it load the function."""

from __future__ import annotations

import asyncio
import os
import socket
import uuid

from microfaas.linux.cells import Cells
from microfaas.linux.launch import Launch
from microfaas.model import MIB, Version
from microfaas.pool.loading import boot, load
from microfaas.pool.outfit import Outfit
from microfaas.pool.output import Output
from microfaas.pool.pipes import Pipes
from microfaas.pool.reaper import Reaper
from microfaas.pool.sandbox import Sandbox
from microfaas.pool.site import Site
from microfaas.pool.zygote import Zygote
from microfaas.wire.channel import Channel
from microfaas.wire.frames import Message
from microfaas.wire.session import State


async def start_zygote(site: Site, version: Version, reaper: Reaper) -> Zygote:
    """Launch, boot and load. Raises InitFailed for the function, MachineError for the rest."""
    wanted = version.function.snapshot
    zygote, loaded = await _start(site, version, wanted, reaper)
    if wanted == "auto" and not loaded["forkable"]:
        # The module sits in a process that must not be forked: have one without it instead.
        reaper.end(zygote)
        zygote, _ = await _start(site, version, "off", reaper)
        zygote.why_not_loaded = loaded["why"]
    return zygote


async def _start(
    site: Site, version: Version, snapshot: str, reaper: Reaper
) -> tuple[Zygote, Message]:
    zygote = await _launch(site, version)
    try:
        # Its network works before any of the function's code asks for it.
        await zygote.outfit.connect()
        await boot(zygote.channel)
        loaded = await load(zygote.channel, version, snapshot, zygote.sandbox, zygote.exited)
    except BaseException:
        reaper.end(zygote)
        raise
    zygote.loaded(with_code=snapshot != "off")
    return zygote, loaded


async def _launch(site: Site, version: Version) -> Zygote:
    name = uuid.uuid4().hex[:8]
    function = version.function
    runtime = site.runtime(function)
    await asyncio.to_thread(site.supplies.verify, version)
    launch = site.launch(version)
    group = site.group(f"zygote-{name}", version)
    pipes = Pipes(launch.fence.user)
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    cells, warden = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    standard = [nothing, pipes.log_write, pipes.log_write]
    given = [*standard, pipes.requests_read, pipes.replies_write, theirs.fileno()]
    if launch.warden is not None:
        given.append(warden.fileno())
    try:
        process = await site.launcher.launch(launch, [*given, *group.join_fds])
    except BaseException:
        ours.close()
        cells.close()
        pipes.close_ours()
        group.remove()
        raise
    finally:
        os.close(nothing)
        theirs.close()
        warden.close()
        pipes.close_theirs()
        group.close_joins()
    output = Output(
        pipes.log_read, site.log_of(function.name), name, function.limits.output_mb_max * MIB
    )
    output.note(
        f"INIT_START Runtime Version: {runtime.manifest.name}:{runtime.interpreter.version}"
    )
    return Zygote(
        site=site,
        version=version,
        sandbox=Sandbox(group, process.pid, process.pidfd),
        channel=Channel(pipes.replies_read, pipes.requests_write, State.BOOTING),
        output=output,
        control=ours,
        outfit=Outfit(site, version, _cells(launch, cells)),
        exited=process.exited,
    )


def _cells(launch: Launch, channel: socket.socket) -> Cells | None:
    if launch.warden is None:
        channel.close()
        return None
    return Cells(channel)
