"""Relaying between real sockets: a function's network is played by addresses of the loopback."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple

import pytest
import uvloop

from microfaas.pool import relay as relay_module
from microfaas.pool.reach import Route
from microfaas.pool.relay import Relay

INSIDE = "127.0.0.2"  # stands for a name
REFUSED = "127.0.0.4"
OUTSIDE = "127.0.0.1"
LARGE = os.urandom(1 << 20) * 8
PATIENCE_S = 60.0

# What is to replace it is newer than what may be installed.
pytestmark = pytest.mark.filterwarnings("ignore:Overriding the .event_loop_policy. fixture")

Reader, Writer = asyncio.StreamReader, asyncio.StreamWriter


@pytest.fixture(params=[asyncio.DefaultEventLoopPolicy, uvloop.EventLoopPolicy])
def event_loop_policy(request: pytest.FixtureRequest) -> Any:
    """The loop that the tests are debugged with, and the one that serves."""
    return request.param()


class Ends(NamedTuple):
    """A relayed connection: the function's end, and that of the host which it reached."""

    reader: Reader
    writer: Writer
    host: tuple[Reader, Writer]
    relay: Relay


@contextlib.asynccontextmanager
async def relayed(hosts: dict[str, tuple[str, int]]) -> AsyncIterator[tuple[Relay, int]]:
    """A relay that listens on all addresses; its port. Nothing goes wrong unseen."""
    faults: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, fault: faults.append(fault))
    listener = socket.create_server(("0.0.0.0", 0))
    port = listener.getsockname()[1]
    made = Relay("f", Route(port, hosts, []))
    await made.start(listener)
    yield made, port
    made.close()
    await until(lambda: not made._open)
    gc.collect()
    assert not faults


@contextlib.asynccontextmanager
async def connected() -> AsyncIterator[Ends]:
    """One connection through a relay."""
    arrived: asyncio.Queue[tuple[Reader, Writer]] = asyncio.Queue()
    server = await asyncio.start_server(lambda r, w: arrived.put_nowait((r, w)), OUTSIDE, 0)
    place = server.sockets[0].getsockname()
    async with relayed({INSIDE: place}) as (relay, port), asyncio.timeout(PATIENCE_S):
        reader, writer = await asyncio.open_connection(INSIDE, port)
        host = await arrived.get()
        yield Ends(reader, writer, host, relay)
        for one in (writer, host[1]):
            one.close()
    server.close()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110  # of the kernel nobody gets an event
            await asyncio.sleep(0.005)


async def reset(read: Awaitable[bytes]) -> bool:
    """Whether what is read ends in a reset, not in an end."""
    try:
        await read
    except ConnectionResetError:
        return True
    return False


def cut(writer: Writer) -> None:
    """Close a socket so that the other end sees a reset."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def test_what_is_said_arrives_either_way() -> None:
    async with connected() as ends:
        ends.writer.write(b"question")
        assert await ends.host[0].readexactly(8) == b"question"
        ends.host[1].write(b"answer")
        assert await ends.reader.readexactly(6) == b"answer"


async def test_an_answer_may_follow_the_end_of_the_question() -> None:
    async with connected() as ends:
        ends.writer.write(b"question")
        ends.writer.write_eof()
        assert await ends.host[0].read() == b"question"
        ends.host[1].write(b"answer")
        ends.host[1].close()
        assert await ends.reader.read() == b"answer"


async def test_a_question_may_follow_the_end_of_the_answer() -> None:
    async with connected() as ends:
        ends.host[1].write_eof()
        assert await ends.reader.read() == b""
        ends.writer.write(b"late")
        ends.writer.close()
        assert await ends.host[0].read() == b"late"


async def test_much_passes_both_ways_at_once() -> None:
    async def say(writer: Writer) -> None:
        writer.write(LARGE)
        await writer.drain()
        writer.write_eof()

    async with connected() as ends:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(say(ends.writer))
            tasks.create_task(say(ends.host[1]))
            there = tasks.create_task(ends.host[0].read())
            back = tasks.create_task(ends.reader.read())
        assert there.result() == back.result() == LARGE


async def test_a_reader_that_is_slow_slows_its_sender() -> None:
    async with connected() as ends:
        ends.host[0]._transport.pause_reading()  # type: ignore[attr-defined]
        sent = asyncio.ensure_future(_say_until_stopped(ends.writer))
        # More than the buffers of both sockets and of the relay never leaves.
        await asyncio.sleep(0.3)
        assert not sent.done()
        ends.host[0]._transport.resume_reading()  # type: ignore[attr-defined]
        assert len(await ends.host[0].read()) == await sent


async def _say_until_stopped(writer: Writer) -> int:
    pieces = 64
    for _ in range(pieces):
        writer.write(LARGE[: 1 << 20])
        await writer.drain()
    writer.write_eof()
    return pieces << 20


@pytest.mark.parametrize("by_function", [True, False])
async def test_what_breaks_off_at_one_end_breaks_off_at_the_other(by_function: bool) -> None:
    """An answer that was cut must not look like one that has ended."""
    async with connected() as ends:
        mine, other = (ends.writer, ends.host[0]) if by_function else (ends.host[1], ends.reader)
        cut(mine)
        assert await reset(other.read())
        await until(lambda: not ends.relay._open)


async def test_closing_cuts_what_is_open() -> None:
    async with connected() as ends:
        ends.writer.write(b"question")
        assert await ends.host[0].readexactly(8) == b"question"
        ends.relay.close()
        assert await reset(ends.host[0].read())
        assert await reset(ends.reader.read())
        await until(lambda: not ends.relay._open)


async def test_closing_does_not_wait_for_a_host_that_does_not_read() -> None:
    async with connected() as ends:
        ends.host[0]._transport.pause_reading()  # type: ignore[attr-defined]
        ends.writer.write(LARGE)
        await asyncio.sleep(0.1)
        before = _sockets()
        ends.relay.close()
        await until(lambda: _sockets() <= before - 2)


def _sockets() -> int:
    """How many this process has open."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found += os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
    return found


async def test_nothing_new_is_taken_after_closing() -> None:
    async with connected() as ends:
        port = ends.writer.get_extra_info("peername")[1]
        ends.relay.close()
        await until(lambda: not ends.relay._open)
        with pytest.raises(ConnectionError):
            await asyncio.open_connection(INSIDE, port)


async def test_what_is_not_allowed_is_reset() -> None:
    async with relayed({INSIDE: (OUTSIDE, 1)}) as (relay, port), asyncio.timeout(PATIENCE_S):
        for address in (REFUSED, OUTSIDE):
            reader, writer = await asyncio.open_connection(address, port)
            assert await reset(reader.read())
            writer.close()
        await until(lambda: not relay._open)


async def test_a_host_that_is_not_there_is_a_reset() -> None:
    with socket.create_server((OUTSIDE, 0)) as gone:
        place = gone.getsockname()
    async with relayed({INSIDE: place}) as (relay, port), asyncio.timeout(PATIENCE_S):
        reader, _ = await asyncio.open_connection(INSIDE, port)
        assert await reset(reader.read())
        await until(lambda: not relay._open)


async def test_a_host_that_does_not_answer_is_a_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "CONNECT_S_MAX", 0.05)
    with socket.socket() as full:
        full.bind((OUTSIDE, 0))
        full.listen(0)
        with contextlib.ExitStack() as waiting:
            # One is queued; the kernel says nothing to those after it.
            for _ in range(2):
                queued = waiting.enter_context(socket.socket())
                queued.setblocking(False)
                queued.connect_ex(full.getsockname())
            async with (
                relayed({INSIDE: full.getsockname()}) as (_, port),
                asyncio.timeout(PATIENCE_S),
            ):
                reader, _ = await asyncio.open_connection(INSIDE, port)
                assert await reset(reader.read())


async def test_too_many_connections_are_reset(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_module, "CONNECTIONS_MAX", 1)
    async with connected() as ends:
        port = ends.writer.get_extra_info("peername")[1]
        reader, _ = await asyncio.open_connection(INSIDE, port)
        assert await reset(reader.read())
        ends.writer.write(b"still here")
        assert await ends.host[0].readexactly(10) == b"still here"
