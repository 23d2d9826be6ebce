"""The supervisor's side of a warden, with one that is played by the test."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator

import msgspec
import pytest

from microfaas.errors import MachineError
from microfaas.linux import cells as cells_module
from microfaas.linux.cells import Cells
from microfaas.linux.warden import REQUEST_BYTES_MAX, CellRequest

REQUEST = CellRequest(64, ["/tmp/shown"])
PATIENCE_S = 60.0


class Warden:
    """The other end: answers when the test says so."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel

    def heard(self) -> CellRequest:
        data = self._channel.recv(REQUEST_BYTES_MAX)
        return msgspec.msgpack.decode(data, type=CellRequest)

    def answer(self, *names: str, fault: str = "") -> None:
        """With a descriptor for each name, which can be read from it."""
        fds = [_file(name) for name in names]
        socket.send_fds(self._channel, [fault.encode() or b"\0"], fds)
        for fd in fds:
            os.close(fd)

    def die(self) -> None:
        self._channel.close()


@contextlib.asynccontextmanager
async def cells(*, set_up: bool = True) -> AsyncIterator[tuple[Cells, Warden]]:
    """A client and its warden, which has been set up; nothing stays open."""
    before = _open_files()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    made, warden = Cells(ours), Warden(theirs)
    if set_up:
        warden.answer()
        assert await made.listening() == []
    async with asyncio.timeout(PATIENCE_S):
        yield made, warden
    made.close()
    warden.die()
    for _ in range(3):  # what is done when an answer is let go of
        await asyncio.sleep(0)
    assert _open_files() == before


def _file(content: str) -> int:
    fd = os.memfd_create("answer")
    os.write(fd, content.encode())
    return fd


def _open_files() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


def contents(fds: list[int]) -> list[str]:
    """What is in them; they are closed."""
    read = [os.pread(fd, 100, 0).decode() for fd in fds]
    for fd in fds:
        os.close(fd)
    return read


async def test_what_listens_comes_first() -> None:
    async with cells(set_up=False) as (made, warden):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            fds = [listener.fileno()]
            socket.send_fds(warden._channel, [b"\0"], fds)
        (got,) = await made.listening()
        assert got.getsockname()[1] == port
        got.close()


async def test_a_set_up_that_failed_is_told() -> None:
    async with cells(set_up=False) as (made, warden):
        warden.answer(fault="cannot prepare cells: no")
        with pytest.raises(MachineError, match="cannot prepare cells: no"):
            await made.listening()


async def test_a_request_is_what_was_asked_for() -> None:
    async with cells() as (made, warden):
        asked = made.ask(REQUEST)
        assert warden.heard() == REQUEST
        warden.answer("user", "mount", "rules")
        assert contents(await made.take(asked)) == ["user", "mount", "rules"]


async def test_answers_come_in_the_order_of_the_requests() -> None:
    async with cells() as (made, warden):
        asked = [made.ask(REQUEST) for _ in range(5)]
        for number in range(5):
            warden.answer(f"cell {number}")
        taken = [contents(await made.take(one)) for one in reversed(asked)]
        assert taken == [[f"cell {number}"] for number in reversed(range(5))]


async def test_a_cell_that_cannot_be_made_does_not_touch_the_next() -> None:
    async with cells() as (made, warden):
        first, second = made.ask(REQUEST), made.ask(REQUEST)
        warden.answer(fault="cannot make a cell: no memory")
        warden.answer("cell")
        with pytest.raises(MachineError, match="no memory"):
            await made.take(first)
        assert contents(await made.take(second)) == ["cell"]


async def test_as_many_descriptors_as_can_be_listed() -> None:
    async with cells() as (made, warden):
        asked = made.ask(REQUEST)
        warden.answer(*(f"{number}" for number in range(cells_module.FDS_MAX)))
        assert len(contents(await made.take(asked))) == cells_module.FDS_MAX


async def test_a_warden_that_does_not_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    async with cells() as (made, warden):
        monkeypatch.setattr(cells_module, "CELL_S_MAX", 0.01)
        with pytest.raises(MachineError, match="does not answer"):
            await made.take(made.ask(REQUEST))
        monkeypatch.undo()
        # The answer is nobody's, and not the next one's.
        warden.answer("late")
        asked = made.ask(REQUEST)
        warden.answer("cell")
        assert contents(await made.take(asked)) == ["cell"]


async def test_who_waits_may_be_cancelled() -> None:
    async with cells() as (made, warden):
        waiting = asyncio.ensure_future(made.take(made.ask(REQUEST)))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        asked = made.ask(REQUEST)
        warden.answer("nobody's")
        warden.answer("cell")
        assert contents(await made.take(asked)) == ["cell"]


async def test_who_is_cancelled_as_the_answer_comes_leaves_nothing_open() -> None:
    async with cells() as (made, warden):
        asked = made.ask(REQUEST)
        waiting = asyncio.ensure_future(made.take(asked))
        warden.answer("cell")
        await asyncio.wait([asked])
        waiting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            contents(await waiting)


@pytest.mark.parametrize("answered", [True, False])
async def test_what_was_made_ahead_is_let_go_of(answered: bool) -> None:
    async with cells() as (made, warden):
        asked = made.ask(REQUEST)
        if not answered:
            made.forgo(asked)
        warden.answer("cell")
        await asyncio.wait([asked])
        if answered:
            made.forgo(asked)


async def test_all_who_wait_hear_of_the_wardens_death() -> None:
    async with cells() as (made, warden):
        waiting = [asyncio.ensure_future(made.take(made.ask(REQUEST))) for _ in range(3)]
        await asyncio.sleep(0)
        warden.die()
        for one in waiting:
            with pytest.raises(MachineError, match="its warden has died"):
                await one


async def test_after_its_death_nothing_can_be_asked() -> None:
    async with cells() as (made, warden):
        warden.die()
        waited_for = made.ask(REQUEST)
        with pytest.raises(MachineError, match=r"cannot (ask for|make) a cell"):
            await made.take(waited_for)
        with pytest.raises(MachineError, match="cannot ask for a cell"):
            await made.take(made.ask(REQUEST))


async def test_closing_tells_who_waits_and_may_be_repeated() -> None:
    async with cells() as (made, _):
        waiting = asyncio.ensure_future(made.take(made.ask(REQUEST)))
        await asyncio.sleep(0)
        made.close()
        made.close()
        with pytest.raises(MachineError, match="has died"):
            await waiting


async def test_closing_hangs_up() -> None:
    async with cells() as (made, warden):
        made.close()
        assert warden._channel.recv(1) == b""
