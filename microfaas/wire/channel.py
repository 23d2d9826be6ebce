"""Two pipes to a host, carrying a session in an asyncio loop.

One coroutine at a time sends and then receives: a host does one thing at a time.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque

from microfaas.errors import ProtocolError
from microfaas.wire.frames import FrameReader, Message, encode
from microfaas.wire.session import Session, State

READ_BYTES = 256 * 1024
# A host that streams faster than somebody takes it waits in its pipe.
ARRIVED_MAX = 4


class ChannelClosed(Exception):
    """The host is gone, or was cut off because of what it said (then `fault` says what)."""

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        super().__init__(fault or "the host closed its end")


class Channel:
    """Frames out through `write_fd`, frames in through `read_fd`; owns and closes both."""

    def __init__(self, read_fd: int, write_fd: int, state: State) -> None:
        self._loop = asyncio.get_running_loop()
        self._read_fd = read_fd
        self._write_fd = write_fd
        self.session = Session(state)
        self._frames = FrameReader()
        self._arrived: deque[Message] = deque()
        self._waiter: asyncio.Future[Message] | None = None
        self._unsent: deque[memoryview] = deque()
        self._closed: ChannelClosed | None = None
        self._paused = False
        self.closed = False
        os.set_blocking(read_fd, False)
        os.set_blocking(write_fd, False)
        self._loop.add_reader(read_fd, self._readable)

    def send(self, message: Message) -> None:
        """Queue `message`; the pipe takes it now or as the host reads."""
        frame = encode(message)
        self.session.send(message)
        if self._closed is None:
            self._write(frame)

    def receive(self) -> asyncio.Future[Message]:
        """The next message, to be awaited; ChannelClosed when there will be none."""
        waiter = self._loop.create_future()
        if self._arrived:
            waiter.set_result(self._arrived.popleft())
            if self._paused and self._closed is None:
                self._paused = False
                self._loop.add_reader(self._read_fd, self._readable)
        elif self._closed is not None:
            waiter.set_exception(self._closed)
        else:
            self._waiter = waiter
        return waiter

    def close(self, fault: str = "") -> None:
        """Close both ends; whoever waits gets ChannelClosed."""
        if self._closed is not None:
            return
        self._closed = ChannelClosed(fault)
        self.closed = True
        self._loop.remove_reader(self._read_fd)
        if self._unsent:
            self._loop.remove_writer(self._write_fd)
            self._unsent.clear()
        os.close(self._read_fd)
        os.close(self._write_fd)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(self._closed)

    def hang_up(self) -> None:
        """The host has exited: take what it still said, then close."""
        if self._closed is None:
            self._readable()
        self.close()

    def _readable(self) -> None:
        try:
            data = os.read(self._read_fd, READ_BYTES)
        except BlockingIOError:
            return
        if not data:
            self.close()
            return
        try:
            for message in self._frames.feed(data):
                self.session.receive(message)
                self._arrived.append(message)
        except ProtocolError as error:
            self.close(str(error))
            return
        if self._arrived and self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(self._arrived.popleft())
        if len(self._arrived) >= ARRIVED_MAX:
            self._paused = True
            self._loop.remove_reader(self._read_fd)

    def _write(self, frame: bytes) -> None:
        if self._unsent:
            self._unsent.append(memoryview(frame))
            return
        sent = self._write_some(frame)
        if sent < len(frame):
            self._unsent.append(memoryview(frame)[sent:])
            self._loop.add_writer(self._write_fd, self._writable)

    def _writable(self) -> None:
        while self._unsent:
            piece = self._unsent[0]
            sent = self._write_some(piece)
            if sent < len(piece):
                self._unsent[0] = piece[sent:]
                return
            self._unsent.popleft()
        self._loop.remove_writer(self._write_fd)

    def _write_some(self, data: bytes | memoryview) -> int:
        try:
            return os.write(self._write_fd, data)
        except BlockingIOError:
            return 0
        except BrokenPipeError:
            # The host's end is told by the reading side, which also knows what came before it.
            return len(data)
