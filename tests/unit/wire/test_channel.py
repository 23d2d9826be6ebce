"""Channels over real pipes: pieces, bursts, large frames, ends and garbage."""

from __future__ import annotations

import asyncio
import contextlib
import os
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest

from microfaas.errors import ProtocolError
from microfaas.model import MIB
from microfaas.wire.channel import Channel, ChannelClosed
from microfaas.wire.frames import FrameReader, Message, encode
from microfaas.wire.session import State

PATIENCE_S = 60.0
LOADED: Message = {"kind": "loaded", "forkable": True, "why": ""}


@dataclass
class Host:
    """A channel, and the host's ends of its two pipes."""

    channel: Channel
    replies: int
    requests: int

    def say(self, *messages: Message) -> None:
        self.write(b"".join(map(encode, messages)))

    def write(self, data: bytes) -> None:
        assert os.write(self.replies, data) == len(data)

    def hang_up(self) -> None:
        for fd in (self.replies, self.requests):
            if fd >= 0:
                os.close(fd)
        self.replies = self.requests = -1

    async def receive(self) -> Message:
        async with asyncio.timeout(PATIENCE_S):
            return await self.channel.receive()


@pytest.fixture
async def host() -> AsyncIterator[Host]:
    async with talking(State.LOADING) as made:
        yield made


@contextlib.asynccontextmanager
async def talking(state: State) -> AsyncIterator[Host]:
    replies_read, replies_write = os.pipe()
    requests_read, requests_write = os.pipe()
    made = Host(Channel(replies_read, requests_write, state), replies_write, requests_read)
    yield made
    made.channel.close()
    made.hang_up()


def read_messages(fd: int, count: int) -> list[Message]:
    """What the host's end gets, blocking: for a thread."""
    reader, messages = FrameReader(), []
    while len(messages) < count:
        messages += reader.feed(os.read(fd, 10_000))
    return messages


def invoke(number: int, event: bytes = b"{}") -> Message:
    return {"kind": "invoke", "id": str(number), "event": event}


def result(number: int, payload: bytes = b"null") -> Message:
    return {"kind": "result", "id": str(number), "payload": payload}


async def test_a_message_arrives(host: Host) -> None:
    host.say(LOADED)
    assert await host.receive() == LOADED


async def test_a_message_that_comes_while_somebody_waits_wakes_them(host: Host) -> None:
    waiting = asyncio.create_task(host.receive())
    await asyncio.sleep(0)
    host.say(LOADED)
    assert await waiting == LOADED


async def test_a_message_in_single_bytes_arrives_whole(host: Host) -> None:
    for byte in encode(LOADED):
        host.write(bytes([byte]))
        await asyncio.sleep(0)
    assert await host.receive() == LOADED


async def test_several_messages_in_one_piece_arrive_in_order() -> None:
    ready = {"kind": "ready", "protocol": 1, "pid": 7}
    async with talking(State.BOOTING) as host:
        host.say(ready)
        assert await host.receive() == ready
        host.channel.send({"kind": "init"})
        host.say(LOADED)
        assert await host.receive() == LOADED


async def test_a_large_message_is_sent_as_the_host_reads() -> None:
    message = invoke(1, os.urandom(6 * MIB))
    async with talking(State.IDLE) as host:
        host.channel.send(message)
        assert await asyncio.to_thread(read_messages, host.requests, 1) == [message]


async def test_a_message_behind_an_unsent_one_keeps_its_place() -> None:
    large, small = invoke(1, bytes(6 * MIB)), invoke(2)
    async with talking(State.IDLE) as host:
        host.channel.send(large)
        host.channel.session.state = State.IDLE
        host.channel.send(small)
        assert await asyncio.to_thread(read_messages, host.requests, 2) == [large, small]


async def test_a_large_reply_is_received() -> None:
    reply = result(1, os.urandom(6 * MIB))
    async with talking(State.IDLE) as host:
        host.channel.send(invoke(1))
        writing = asyncio.create_task(asyncio.to_thread(write_all, host.replies, encode(reply)))
        assert await host.receive() == reply
        await writing


def write_all(fd: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


async def test_the_end_wakes_who_waits_without_a_fault(host: Host) -> None:
    waiting = asyncio.create_task(host.receive())
    await asyncio.sleep(0)
    host.hang_up()
    with pytest.raises(ChannelClosed) as closed:
        await waiting
    assert closed.value.fault == ""
    assert host.channel.closed


async def test_after_the_end_everybody_is_told(host: Host) -> None:
    host.hang_up()
    for _ in range(2):
        with pytest.raises(ChannelClosed):
            await host.receive()


async def test_what_was_said_before_the_end_is_received_first(host: Host) -> None:
    host.say(LOADED)
    host.hang_up()
    assert await host.receive() == LOADED
    with pytest.raises(ChannelClosed):
        await host.receive()


async def test_hanging_up_takes_what_the_host_still_said(host: Host) -> None:
    host.say(LOADED)
    host.channel.hang_up()
    assert await host.receive() == LOADED


async def test_hanging_up_twice_is_fine(host: Host) -> None:
    host.channel.hang_up()
    host.channel.hang_up()
    assert host.channel.closed


BAD: dict[str, tuple[bytes, str]] = {
    "garbage": (b"\x00\x00\x00\x01\xc1", "cannot decode a frame"),
    "a huge length": (struct.pack(">I", 2**31), "cannot accept a frame of 2147483648 bytes"),
    "text": (b"Traceback (most recent call last)", "cannot accept a frame of"),
    "an illegal order": (encode(result(1)), "cannot accept 'result' from a host that is loading"),
}


@pytest.mark.parametrize(("data", "fault"), BAD.values(), ids=BAD.keys())
async def test_what_the_protocol_forbids_closes_with_the_fault(
    host: Host, data: bytes, fault: str
) -> None:
    host.write(data)
    with pytest.raises(ChannelClosed) as closed:
        await host.receive()
    assert fault in closed.value.fault
    with pytest.raises(ChannelClosed) as again:
        await host.receive()
    assert again.value.fault == closed.value.fault


async def test_a_word_out_of_turn_closes_an_idle_channel() -> None:
    async with talking(State.IDLE) as host:
        host.say(result(1))
        with pytest.raises(ChannelClosed, match="from a host that is idle"):
            await host.receive()


async def test_sending_to_a_host_that_is_gone_is_told_by_the_receiving_side() -> None:
    async with talking(State.IDLE) as host:
        host.hang_up()
        host.channel.send(invoke(1))
        with pytest.raises(ChannelClosed):
            await host.receive()


async def test_closing_drops_what_is_unsent() -> None:
    async with talking(State.IDLE) as host:
        host.channel.send(invoke(1, bytes(6 * MIB)))
        host.channel.close()
        assert host.channel.closed


async def test_closing_closes_both_ends(host: Host) -> None:
    host.channel.close()
    assert os.read(host.requests, 1) == b""
    with pytest.raises(BrokenPipeError):
        os.write(host.replies, b"x")


async def test_a_receiver_that_gives_up_leaves_the_message_to_the_next(host: Host) -> None:
    waiting = asyncio.create_task(host.receive())
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    host.say(LOADED)
    assert await host.receive() == LOADED


async def test_sending_out_of_turn_is_refused(host: Host) -> None:
    with pytest.raises(ProtocolError, match="cannot send 'invoke' to a host that is loading"):
        host.channel.send(invoke(1))


@pytest.mark.parametrize("bad", ["\udce9", 2**70, object()], ids=["surrogate", "huge", "object"])
async def test_a_message_that_cannot_be_encoded_leaves_the_session_as_it_was(bad: Any) -> None:
    async with talking(State.IDLE) as host:
        with pytest.raises((ValueError, TypeError, OverflowError)):
            host.channel.send({**invoke(1), "trace_id": bad})
        assert host.channel.session.state is State.IDLE
