"""The supervisor's side of the nursery: starts it, asks it, hears of exits."""

from __future__ import annotations

import asyncio
import itertools
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Coroutine, Sequence
from typing import Any

import msgspec

from microfaas.errors import MachineError
from microfaas.linux.launch import ANSWER_BYTES_MAX, Answer, Fit, Launch, Launched, Order

ANSWER_S_MAX = 10.0

_log = logging.getLogger("microfaas.linux")


class Process:
    """A launched process; `exited` resolves to its exit code, or minus the signal that ended it."""

    def __init__(self, pid: int, pidfd: int, exited: asyncio.Future[int]) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.exited = exited


class Nursery:
    """A running nursery program and our end of its socket."""

    def __init__(self, sweep: list[str]) -> None:
        """Start one; `sweep` are the cgroup trees that it clears at its end.

        By subprocess, which executes without running Python in a fork: that is also safe when
        one must be replaced from within the loop.
        """
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Where this package lies; not from the caller's environment, of which nothing is passed.
        package_root = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))
        with theirs:
            self._program = subprocess.Popen(
                [sys.executable, "-m", "microfaas.linux.nursery", str(theirs.fileno()), *sweep],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": package_root},
            )

    @property
    def pid(self) -> int:
        return self._program.pid

    def ask(self, launch: Launch, fds: Sequence[int] = ()) -> Launched:
        """Try one launch and wait for its answer, without a loop: for probes at start.

        Raises MachineError when there is nobody to answer.
        """
        try:
            socket.send_fds(self.socket, [msgspec.msgpack.encode(Order(launch=launch))], list(fds))
            while data := self._hear():
                answer = msgspec.msgpack.decode(data, type=Answer)
                if answer.launched is not None and answer.launched.ticket == launch.ticket:
                    return answer.launched
        except ConnectionError:
            pass
        raise MachineError("cannot start processes: the nursery has died; its error is above")

    def _hear(self) -> bytes:
        data, pidfds, _, _ = socket.recv_fds(self.socket, ANSWER_BYTES_MAX, 1)
        for pidfd in pidfds:
            os.close(pidfd)
        return data

    def close(self) -> None:
        """Hang up, and wait until it has killed what is left and swept up."""
        self.socket.close()
        self._program.wait()


class Launcher:
    """Launches through a nursery from within the loop, and replaces one that dies."""

    def __init__(self, nursery: Nursery, sweep: list[str]) -> None:
        self._loop = asyncio.get_running_loop()
        self._sweep = sweep
        self._tickets = itertools.count(1)
        self._asked: dict[int, asyncio.Future[Process | None]] = {}
        self._running: dict[int, Process] = {}
        self._decode = msgspec.msgpack.Decoder(Answer).decode
        self._attach(nursery)

    async def launch(self, launch: Launch, fds: list[int]) -> Process:
        """Start a program with `fds`, which stay the caller's. Raises MachineError."""
        ticket = next(self._tickets)
        order = Order(launch=msgspec.structs.replace(launch, ticket=ticket))
        process = await self._wait(ticket, self._ask(ticket, order, fds))
        assert process is not None
        return process

    def fit(self, fit: Fit, pidfd: int) -> Coroutine[Any, Any, object]:
        """Have a program that runs shown what it is to run: from now on, and to be awaited.

        Then it raises MachineError.
        """
        ticket = next(self._tickets)
        order = Order(fit=msgspec.structs.replace(fit, ticket=ticket))
        return self._wait(ticket, self._ask(ticket, order, [pidfd]))

    def _ask(self, ticket: int, order: Order, fds: list[int]) -> asyncio.Future[Process | None]:
        answer: asyncio.Future[Process | None] = self._loop.create_future()
        self._asked[ticket] = answer
        try:
            socket.send_fds(self._nursery.socket, [msgspec.msgpack.encode(order)], fds)
        except OSError as error:
            answer.set_exception(_deaf(error))
        return answer

    async def _wait(self, ticket: int, answer: asyncio.Future[Process | None]) -> Process | None:
        try:
            async with asyncio.timeout(ANSWER_S_MAX):
                return await answer
        except TimeoutError as error:
            raise _deaf(error) from None
        finally:
            del self._asked[ticket]

    def close(self) -> None:
        """Hang up; the nursery then kills what is left and ends."""
        self._loop.remove_reader(self._nursery.socket)
        self._nursery.close()

    def _attach(self, nursery: Nursery) -> None:
        self._nursery = nursery
        nursery.socket.setblocking(False)
        self._loop.add_reader(nursery.socket, self._readable)

    def _readable(self) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(self._nursery.socket, ANSWER_BYTES_MAX, 1)
        except BlockingIOError:
            return
        except ConnectionError:
            data, fds = b"", []
        if not data:
            self._replace()
            return
        answer = self._decode(data)
        if answer.launched is not None:
            self._launched(answer.launched, fds)
        if answer.exited is not None and (process := self._running.pop(answer.exited.pid, None)):
            process.exited.set_result(answer.exited.status)

    def _launched(self, launched: Launched, fds: list[int]) -> None:
        waiter = self._asked.get(launched.ticket)
        if waiter is None or waiter.done():
            # Nobody waits any more: with its pipes closed the host ends by itself.
            for fd in fds:
                os.close(fd)
        elif launched.fault:
            waiter.set_exception(MachineError(launched.fault))
        elif not fds:
            waiter.set_result(None)
        else:
            process = Process(launched.pid, fds[0], self._loop.create_future())
            self._running[launched.pid] = process
            waiter.set_result(process)

    def _replace(self) -> None:
        """The nursery is dead, and all that it started with it: tell, and start another."""
        _log.error("the nursery (pid %d) has died; starting another", self._nursery.pid)
        self.close()
        for waiter in self._asked.values():
            if not waiter.done():
                waiter.set_exception(MachineError("cannot start a process: the nursery has died"))
        for process in self._running.values():
            process.exited.set_result(-signal.SIGKILL)
        self._running.clear()
        self._attach(Nursery(self._sweep))


def _deaf(error: OSError) -> MachineError:
    return MachineError(f"cannot ask the nursery for a process: {error!r}")
