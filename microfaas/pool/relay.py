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
# SO_ORIGINAL_DST of netfilter, and a sockaddr_in.
_ORIGINAL_DESTINATION = 80
_ADDRESS_BYTES = 16

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
        except asyncio.CancelledError:
            pass  # the end of the function; nobody waits for this
        finally:
            self._open.discard(task)
            writer.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = self._route.target(*_meant(writer, self._route))
        if target is None or len(self._open) > CONNECTIONS_MAX:
            _reset(writer)
            return
        host, port = target
        try:
            async with asyncio.timeout(CONNECT_S_MAX):
                there, away = await asyncio.open_connection(host, port)
        except OSError as error:  # a TimeoutError is one as well
            _log.info("%s: cannot connect to %s:%d: %s", self._function, host, port, error)
            _reset(writer)
            return
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(_pass_on(reader, away))
                both.create_task(_pass_on(there, writer))
        except* OSError:
            pass  # whoever broke it off knows, and the other end has been told
        finally:
            away.close()


def _meant(writer: asyncio.StreamWriter, route: Route) -> tuple[str, int]:
    """Whom the function has connected to; where packets were redirected, the kernel knows."""
    if route.port:
        return writer.get_extra_info("sockname")[0], route.port
    connection = writer.get_extra_info("socket")
    name = connection.getsockopt(socket.SOL_IP, _ORIGINAL_DESTINATION, _ADDRESS_BYTES)
    _, port, address = struct.unpack_from("!HH4s", name)
    return socket.inet_ntoa(address), port


async def _pass_on(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    """Copy until the end of one direction; the other may go on. What breaks off cuts both."""
    try:
        while data := await source.read(PIECE_BYTES):
            target.write(data)
            await target.drain()
        if not target.is_closing():
            target.write_eof()
    except BaseException:
        _reset(target)
        raise


def _reset(writer: asyncio.StreamWriter) -> None:
    """Cut it: what was not read yet is not waited for."""
    connection = writer.get_extra_info("socket")
    if connection is not None:  # it may be closed already
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    writer.transport.abort()
