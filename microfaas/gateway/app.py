"""The gateway: an aiohttp application, its routes, and the socket with both lanes."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable

from aiohttp import web

from microfaas.errors import InvalidRequest, MachineError, RequestTooLarge
from microfaas.gateway import faults
from microfaas.gateway.control_api import ControlApi
from microfaas.gateway.fastlane import REQUEST_S_MAX, FastLane, Lane
from microfaas.gateway.lambda_api import InvokeCall, LambdaApi
from microfaas.gateway.reply import Clock, Reply, headers
from microfaas.invoke import new_request_id
from microfaas.model import EVENT_BYTES_MAX, Address

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

BACKLOG = 1024
# How long an unused connection is kept.
KEEPALIVE_S = 75.0


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
        fast: bool = True,
    ) -> None:
        self._drain_s_max = drain_s_max
        self._lambda_api = lambda_api
        self._control_api = control_api
        self._address = address
        self._fast = fast
        self._clock = Clock()
        self._server: asyncio.Server | None = None
        self._runner = web.AppRunner(
            self._app(),
            handle_signals=False,
            access_log=None,
            # Handlers' faults are logged by faults.py; what is left is peers that send garbage.
            logger=_silent(),
            auto_decompress=False,  # nobody asked for it, and a small body could become a large one
            keepalive_timeout=KEEPALIVE_S,
            shutdown_timeout=drain_s_max,
        )
        self._lane: Lane | None = None

    async def listen(self, listener: socket.socket) -> None:
        """Start accepting on a bound socket."""
        await self._runner.setup()
        other_lane = self._runner.server
        assert other_lane is not None
        lane = self._lane = Lane(self._lambda_api, other_lane, KEEPALIVE_S)
        factory = (lambda: FastLane(lane)) if self._fast else other_lane
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(factory, sock=listener, backlog=BACKLOG)

    async def serve(self, listener: socket.socket) -> asyncio.Server:
        """Answer on one more socket, as a function's network has one; closed by whoever asked."""
        lane, loop = self._lane, asyncio.get_running_loop()
        assert lane is not None
        return await loop.create_server(lambda: FastLane(lane), sock=listener, backlog=BACKLOG)

    async def close(self) -> None:
        """Take nothing new, wait for what runs, then hang up."""
        if self._server is not None:
            self._server.close()
        if self._lane is not None:
            await self._lane.drain(self._drain_s_max)
        await self._runner.cleanup()

    def _app(self) -> web.Application:
        app = web.Application(client_max_size=EVENT_BYTES_MAX, middlewares=[self._errors])
        invoke = "/2015-03-31/functions/{name}/invocations"
        invoke_async = "/2014-11-13/functions/{name}/invoke-async"
        for slash in ("", "/"):  # older SDKs send the slash
            app.router.add_post(invoke + slash, self._invoke)
            app.router.add_post(invoke_async + slash, self._invoke_async)
        app.router.add_get("/_microfaas/v1/functions", self._functions)
        app.router.add_get("/_microfaas/v1/health", self._health)
        app.on_response_prepare.append(_drop_server_header)
        return app

    async def _invoke(self, request: web.Request) -> web.StreamResponse:
        fields = request.headers
        call = InvokeCall(
            _raw_name(request),
            request.query.get("Qualifier", ""),
            fields.get("X-Amz-Invocation-Type", ""),
            fields.get("X-Amz-Log-Type", ""),
            fields.get("X-Amz-Client-Context", ""),
            fields.get("X-Amzn-Trace-Id", ""),
        )
        return self._respond(await self._run(call, request))

    async def _invoke_async(self, request: web.Request) -> web.StreamResponse:
        call = InvokeCall(_raw_name(request), invocation_type="Event")
        reply = await self._run(call, request)
        if reply.status == 202:
            reply = reply._replace(body=b'{"Status":202}')
        return self._respond(reply)

    async def _run(self, call: InvokeCall, request: web.Request) -> Reply:
        body = await _body(request)
        return await self._lambda_api.invoke(self._lambda_api.prepare(call), body)

    async def _functions(self, _: web.Request) -> web.StreamResponse:
        return self._respond(self._control_api.functions(new_request_id()))

    async def _health(self, _: web.Request) -> web.StreamResponse:
        return self._respond(self._control_api.health(new_request_id()))

    @web.middleware
    async def _errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Everything that goes wrong leaves in AWS's shape."""
        try:
            return await handler(request)
        except web.HTTPException as error:
            text = f"cannot {request.method} {request.path}: {error.reason}"
            kind = "UnknownOperationException"
            return self._respond(faults.reply(error.status, kind, text, new_request_id()))
        except ConnectionError:
            # The client has left in the middle of its request; nobody reads this.
            gone = faults.reply(400, "ClientDisconnected", "the client has left", new_request_id())
            return self._respond(gone)
        except Exception as error:
            return self._respond(faults.fault(error, new_request_id(), self._address))

    def _respond(self, reply: Reply) -> web.Response:
        response = web.Response(status=reply.status, body=reply.body or None)
        response.headers.clear()
        for line in headers(reply, self._clock.date()).split("\r\n")[:-1]:
            name, _, value = line.partition(": ")
            response.headers[name] = value
        return response


def _silent() -> logging.Logger:
    logger = logging.getLogger("microfaas.gateway.aiohttp")
    logger.setLevel(logging.CRITICAL + 1)
    return logger


async def _drop_server_header(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.pop("Server", None)


def _raw_name(request: web.Request) -> str:
    """The function's name as it stands in the path, still percent-encoded."""
    return request.rel_url.raw_path.split("/")[3]


async def _body(request: web.Request) -> bytes:
    """The whole body, bounded in size and time. Raises RequestTooLarge, InvalidRequest."""
    if (request.content_length or 0) > EVENT_BYTES_MAX:
        raise RequestTooLarge(EVENT_BYTES_MAX)
    try:
        async with asyncio.timeout(REQUEST_S_MAX):
            return await request.read()
    except web.HTTPRequestEntityTooLarge:
        raise RequestTooLarge(EVENT_BYTES_MAX) from None
    except TimeoutError:
        raise InvalidRequest(
            f"the request was not complete after {REQUEST_S_MAX:.0f} seconds",
            kind="RequestTimeoutException",
        ) from None
