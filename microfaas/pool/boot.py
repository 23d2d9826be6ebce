"""Starting a zygote: launch the host, hear that it runs, have it load the function."""

from __future__ import annotations

import asyncio
import uuid

from microfaas.log import stream_name
from microfaas.model import Version
from microfaas.pool.launching import start
from microfaas.pool.loading import boot, load
from microfaas.pool.outfit import Outfit
from microfaas.pool.reaper import Reaper
from microfaas.pool.sandbox import Sandbox
from microfaas.pool.site import Site
from microfaas.pool.zygote import Zygote
from microfaas.wire.frames import Message


async def start_zygote(site: Site, version: Version, reaper: Reaper) -> Zygote:
    """Launch, boot and load. Raises InitFailed for the function, MachineError for the rest."""
    bare = site.runtime(version).manifest.snapshot == "off"
    wanted = "off" if bare else version.function.snapshot
    zygote, loaded = await _start(site, version, wanted, reaper)
    if wanted != "off" and not loaded["forkable"]:
        # The module sits in a process that must not be forked: have one without it instead. A host
        # that is told to fork in any case says no only when it cannot.
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
        loaded = await load(zygote.channel, version, zygote.sandbox, zygote.exited, snapshot)
    except BaseException:
        reaper.end(zygote)
        raise
    zygote.loaded(with_code=snapshot != "off")
    return zygote, loaded


async def _launch(site: Site, version: Version) -> Zygote:
    name = uuid.uuid4().hex
    await asyncio.to_thread(site.supplies.verify, version)
    group = site.lodging.group(f"zygote-{name[:8]}", version)
    started = await start(site.launcher, site.launch_zygote(version), group, control=True)
    assert started.control is not None
    stream = stream_name(version.number, name)
    output = site.output(version, stream, started.log_read)
    output.begin_init(site.starting(version))
    return Zygote(
        site=site,
        version=version,
        sandbox=Sandbox(group, started.process.pid, started.process.pidfd),
        channel=started.channel,
        output=output,
        control=started.control,
        outfit=Outfit(site, version, started.cells),
        exited=started.process.exited,
    )
