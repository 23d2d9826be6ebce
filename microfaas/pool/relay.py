"""Carries on what a function connects to in its own network, as far as it is allowed to."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import struct

from microfaas.pool.reach import Route

CONNECT_S_MAX = 30.0
PIECE_BYTES = 64 * 1024
CONNECTIONS_MAX = 1024
# Closing with this makes the function see a refusal, not an answer that has ended.
_RESET = struct.pack("ii", 1, 0)

_log = logging.getLogger("microfaas.pool")


class Relay:
    """One listening socket in a function's network, and what was connected to it."""

    def __init__(self, function: str, route: Route) -> None:
        self._function = function
        self._route = route
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    async def start(self, listener: socket.socket) -> None:
        """Carry on what comes in from now on."""
        self._server = await asyncio.start_server(self._accepted, sock=listener)

    def close(self) -> None:
        """Take nothing new, and cut what is open: the function is gone."""
        if self._server is not None:
            self._server.close()
        for task in self._open:
            task.cancel()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        try:
            await self._carry(reader, writer)
        except (OSError, TimeoutError) as error:
            _log.info("%s: cannot connect to %s: %s", self._function, self._route.port, error)
        except asyncio.CancelledError:
            pass  # the end of the function; nobody waits for this
        finally:
            self._open.discard(task)
            writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = writer.get_extra_info("sockname")[0]
        host = self._route.target(address)
        if host is None or len(self._open) > CONNECTIONS_MAX:
            _reset(writer)
            return
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                there, away = await asyncio.open_connection(host, self._route.port)
        except (OSError, TimeoutError):
            _reset(writer)
            raise
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass_on(reader, away))
                both.create_task(_pass_on(there, writer))
        finally:
            away.close()


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Copy until the end of one direction; the other may go on."""
    with contextlib.suppress(ConnectionError):
        while data := await source.read(PIECE_BYTES):
            target.write(data)
            await target.drain()
        if target.can_write_eof():
            target.write_eof()


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
