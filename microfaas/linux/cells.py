"""The supervisor's side of a warden: asks for cells, and gets descriptors."""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque

import msgspec

from microfaas.errors import MachineError
from microfaas.linux.warden import CellRequest, fault_in

ANSWER_BYTES_MAX = 4096
FDS_MAX = 128
CELL_S_MAX = 10.0


class Cells:
    """One warden. Answers come in the order of the requests; the first is its set-up."""

    def __init__(self, warden: socket.socket) -> None:
        self._loop = asyncio.get_running_loop()
        self._socket = warden
        self._asked: deque[asyncio.Future[list[int]]] = deque()
        self._encode = msgspec.msgpack.Encoder().encode
        warden.setblocking(False)
        self._loop.add_reader(warden, self._readable)
        self._set_up = self._expect()

    @property
    def alive(self) -> bool:
        """Whether there is a warden to ask."""
        return self._socket.fileno() >= 0

    async def listening(self) -> list[socket.socket]:
        """The sockets that listen in the function's network. Raises MachineError."""
        fds = await self.take(self._set_up)
        return [socket.socket(fileno=fd) for fd in fds]

    def ask(self, request: CellRequest) -> asyncio.Future[list[int]]:
        """Have a cell made; `take` waits for it."""
        answer = self._expect()
        try:
            self._socket.send(self._encode(request))
        except OSError as error:
            self._asked.remove(answer)
            answer.set_exception(MachineError(f"cannot ask for a cell: {error}"))
            self.close()
        return answer

    async def take(self, answer: asyncio.Future[list[int]]) -> list[int]:
        """The descriptors that were asked for; the caller's. Raises MachineError."""
        try:
            async with asyncio.timeout(CELL_S_MAX):
                return await asyncio.shield(answer)
        except TimeoutError:
            self.forgo(answer)
            raise MachineError("cannot make a cell: its warden does not answer") from None
        except asyncio.CancelledError:
            self.forgo(answer)
            raise

    def forgo(self, answer: asyncio.Future[list[int]]) -> None:
        """Let go of what was asked for, now or when it comes."""
        answer.add_done_callback(_discard)

    def close(self) -> None:
        """Hang up; the warden ends. Who still waits is told."""
        if not self.alive:
            return
        self._loop.remove_reader(self._socket)
        self._socket.close()
        for answer in self._asked:
            if not answer.done():
                answer.set_exception(MachineError("cannot make a cell: its warden has died"))
        self._asked.clear()

    def _expect(self) -> asyncio.Future[list[int]]:
        answer: asyncio.Future[list[int]] = self._loop.create_future()
        # One that nobody waits for any more must not complain.
        answer.add_done_callback(lambda done: done.cancelled() or (done.exception() and None))
        self._asked.append(answer)
        return answer

    def _readable(self) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(self._socket, ANSWER_BYTES_MAX, FDS_MAX)
        except BlockingIOError:
            return
        except ConnectionError:
            data, fds = b"", []
        if not data:
            self.close()
            return
        answer = self._asked.popleft()
        if fault := fault_in(data):
            answer.set_exception(MachineError(fault))
        else:
            answer.set_result(fds)


def _discard(answer: asyncio.Future[list[int]]) -> None:
    if not answer.cancelled() and answer.exception() is None:
        for fd in answer.result():
            os.close(fd)
