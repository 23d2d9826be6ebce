"""Having a host that runs load the function, and telling why it could not."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType

from microfaas.errors import MachineError
from microfaas.model import Status, Version
from microfaas.pool import failures
from microfaas.pool.sandbox import Sandbox
from microfaas.wire.channel import Channel, ChannelClosed
from microfaas.wire.frames import Message

# A host that has not spoken by then is broken, not slow.
BOOT_S_MAX = 10.0
EXIT_S_MAX = 2.0
_KILLED = -9
_NONE: Mapping[str, str] = MappingProxyType({})


class InitFailed(Exception):
    """The function could not be loaded: Lambda's payload for whoever waits for an instance."""

    def __init__(self, status: Status, payload: bytes) -> None:
        self.status = status
        self.payload = payload
        super().__init__(payload.decode(errors="replace"))


async def boot(channel: Channel) -> None:
    """Wait for a host's first word. Raises MachineError."""
    try:
        async with asyncio.timeout(BOOT_S_MAX):
            await channel.receive()
    except (ChannelClosed, TimeoutError) as error:
        raise MachineError(f"cannot start the function's host: {error!r}; see its log") from None


async def load(
    channel: Channel,
    version: Version,
    sandbox: Sandbox,
    exited: asyncio.Future[int],
    snapshot: str = "on",
    variables: Mapping[str, str] = _NONE,
) -> Message:
    """Have it load the function; its `loaded`. Raises InitFailed."""
    limits = version.function.limits
    handler = version.function.handler
    init = {"kind": "init", "handler": handler, "snapshot": snapshot, "env": dict(variables)}
    channel.send(init)
    try:
        async with asyncio.timeout(limits.init_timeout_s):
            message = await channel.receive()
    except TimeoutError:
        failure = failures.init_timed_out("", limits.init_timeout_s)
        raise InitFailed(Status.INIT, failure.payload()) from None
    except ChannelClosed as closed:
        raise await _died(closed.fault, sandbox, exited) from None
    if message["kind"] == "error":
        raise InitFailed(Status.INIT, message["payload"])
    return message


async def _died(fault: str, sandbox: Sandbox, exited: asyncio.Future[int]) -> InitFailed:
    if fault:
        return InitFailed(Status.INIT, failures.broke_protocol("", fault).payload())
    status = await exit_status(exited)
    if sandbox.out_of_memory():
        return InitFailed(Status.INIT, failures.out_of_memory("").payload())
    return InitFailed(
        Status.INIT, failures.exited("", _KILLED if status is None else status).payload()
    )


async def exit_status(exited: asyncio.Future[int]) -> int | None:
    """How a process whose pipes are closed ended; None when it lives on."""
    try:
        async with asyncio.timeout(EXIT_S_MAX):
            return await asyncio.shield(exited)
    except TimeoutError:
        return None
