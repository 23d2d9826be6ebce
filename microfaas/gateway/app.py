"""The gateway: its sockets, the two lanes behind them, and how it ends."""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
import socket
from collections.abc import Callable, Mapping
from types import MappingProxyType

from aiohttp import web

from microfaas.config import RequestsTable
from microfaas.errors import MachineError
from microfaas.gateway import tls
from microfaas.gateway.answers import Answers
from microfaas.gateway.auth import Guard
from microfaas.gateway.aws.api import AwsApi
from microfaas.gateway.aws.service import Services
from microfaas.gateway.connections import Counted, Ticket
from microfaas.gateway.control_api import ControlApi
from microfaas.gateway.entrance import Entrance
from microfaas.gateway.fastlane import FastLane, Lane
from microfaas.gateway.heads import HEADERS_MAX, LINE_BYTES_MAX
from microfaas.gateway.hosts import Hosts, Own
from microfaas.gateway.lambda_api import LambdaApi
from microfaas.gateway.reply import Reply
from microfaas.gateway.routes import Download, Routes
from microfaas.gateway.tls import Certificate
from microfaas.model import Address

BACKLOG = 1024


def bind(host: str, port: int) -> socket.socket:
    """A socket on that address, which nobody else has. Raises MachineError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise MachineError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; "
            "choose another address with --listen"
        ) from None


class Gateway:
    """Listens, routes, and stops without cutting anybody off."""

    def __init__(
        self,
        lambda_api: LambdaApi,
        control_api: ControlApi,
        address: Address,
        *,
        drain_s_max: float,
        guard: Guard | None = None,
        requests: RequestsTable | None = None,
        fast: bool = True,
        services: Services | None = None,
        certificate: Callable[[str], bytes | None] = lambda _: None,
        lists: Mapping[str, Callable[[str], Reply]] = MappingProxyType({}),
        download: Download = lambda *_: None,
        own: Own | None = None,
    ) -> None:
        """Without a guard, nobody is asked for a key; without services, none is served.

        `certificate` gives by its file's name what topics' signatures are verified with. `lists`
        are more of the control API's lists, by their names, for the id of a request. `download`
        gives a package for its hash, and the time and signature of a link to it. `own` is
        what functions have of the gateway's addresses.
        """
        self._guard = guard
        self._requests = requests or RequestsTable()
        self._drain_s_max = drain_s_max
        self._lambda_api = lambda_api
        self._control_api = control_api
        self._fast = fast
        self._numbers = itertools.count(1)
        self._servers: list[asyncio.Server] = []
        self._accepting: list[asyncio.Task[None]] = []
        aws_api = AwsApi(services) if services is not None and services.all else None
        entrance = Entrance(guard, self._requests)
        answers = Answers()
        hosts = None if own is None else Hosts(own, lambda_api, entrance, answers, address)
        routes = Routes(
            *(lambda_api, control_api, aws_api, address, entrance, answers, hosts),
            *(certificate, lists, download),
        )
        self._runner = web.AppRunner(
            routes.app(),
            handle_signals=False,
            access_log=None,
            # Handlers' faults are logged by faults.py; what is left is peers that send garbage.
            logger=_silent(),
            auto_decompress=False,  # nobody asked for it, and a small body could become a large one
            keepalive_timeout=self._requests.keepalive_s_max,
            shutdown_timeout=drain_s_max,
            max_line_size=LINE_BYTES_MAX,
            max_field_size=LINE_BYTES_MAX,
            max_headers=HEADERS_MAX,
        )
        self._lane: Lane | None = None

    async def listen(self, listener: socket.socket, certificate: Certificate | None = None) -> None:
        """Start accepting on a bound socket, with a certificate over TLS. Again for another one."""
        if self._lane is None:
            await self._runner.setup()
            other_lane = self._runner.server
            assert other_lane is not None
            self._lane = Lane(self._lambda_api, self._guard, other_lane, self._requests)
        if certificate is None:
            self._servers.append(await self._serve(listener, ""))
            return
        listener.setblocking(False)
        accepting = tls.accept(listener, certificate, self._lane.census, self._protocol)
        self._accepting.append(asyncio.get_running_loop().create_task(accepting))

    async def serve(self, listener: socket.socket) -> asyncio.Server:
        """Answer on one more socket, as a function's network has one; closed by whoever asked.

        Its connections count apart, so that a function has no more of them than any other peer.
        """
        return await self._serve(listener, f"network {next(self._numbers)}")

    async def _serve(self, listener: socket.socket, group: str) -> asyncio.Server:
        loop = asyncio.get_running_loop()
        protocol = functools.partial(self._protocol, None, group)
        return await loop.create_server(protocol, sock=listener, backlog=BACKLOG)

    async def close(self) -> None:
        """Take nothing new, wait for what runs, then hang up."""
        for server in self._servers:
            server.close()
        for accepting in self._accepting:
            accepting.cancel()
        self._control_api.close()
        if self._lane is not None:
            await self._lane.drain(self._drain_s_max)
        await asyncio.gather(*self._accepting, return_exceptions=True)
        await self._runner.cleanup()

    def _protocol(self, ticket: Ticket | None, group: str = "") -> asyncio.Protocol:
        assert self._lane is not None
        if self._fast:
            return FastLane(self._lane, ticket, group)
        return Counted(self._lane.other_lane(), self._lane.census, ticket, group)


def _silent() -> logging.Logger:
    logger = logging.getLogger("microfaas.gateway.aiohttp")
    logger.setLevel(logging.CRITICAL + 1)
    return logger
