"""The gateway: an aiohttp application, its routes, and the socket with both lanes."""

from __future__ import annotations

import asyncio
import functools
import itertools
import logging
import re
import socket
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from aiohttp import web

from microfaas.config import RequestsTable
from microfaas.errors import AccessRefused, InvalidRequest, MachineError, RequestTooLarge
from microfaas.gateway import faults, tls
from microfaas.gateway.auth import Guard
from microfaas.gateway.aws.api import AwsApi
from microfaas.gateway.aws.requests import Request
from microfaas.gateway.aws.service import Caller, Services
from microfaas.gateway.connections import Counted, Ticket, peer_of
from microfaas.gateway.control_api import ControlApi
from microfaas.gateway.fastlane import HEADERS_MAX, LINE_BYTES_MAX, FastLane, Lane
from microfaas.gateway.invocations_api import Asked, Operation
from microfaas.gateway.lambda_api import InvokeCall, LambdaApi, Prepared, Write
from microfaas.gateway.reply import Clock, Reply, headers
from microfaas.gateway.sigv4 import Signable
from microfaas.gateway.tls import Certificate
from microfaas.invoke import new_request_id
from microfaas.model import EVENT_BYTES_MAX, Address
from microfaas.scopes import Action
from microfaas.store.keys import Key

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

BACKLOG = 1024
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?|\[[0-9a-fA-F:.]{2,45}\](:[0-9]{1,5})?")


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
    ) -> None:
        """Without a guard, nobody is asked for a key; without services, none is served.

        `certificate` gives by its file's name what topics' signatures are verified with. `lists`
        are more of the control API's lists, by their names, for the id of a request.
        """
        self._lists = lists
        self._certificate = certificate
        self._aws_api = AwsApi(services) if services is not None and services.all else None
        self._guard = guard
        self._requests = requests or RequestsTable()
        self._drain_s_max = drain_s_max
        self._lambda_api = lambda_api
        self._control_api = control_api
        self._address = address
        self._fast = fast
        self._clock = Clock()
        self._numbers = itertools.count(1)
        self._servers: list[asyncio.Server] = []
        self._accepting: list[asyncio.Task[None]] = []
        self._runner = web.AppRunner(
            self._app(),
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

    def _app(self) -> web.Application:
        app = web.Application(
            client_max_size=EVENT_BYTES_MAX, middlewares=[self._errors, self._hidden]
        )
        invoke = "/2015-03-31/functions/{name}/invocations"
        invoke_async = "/2014-11-13/functions/{name}/invoke-async"
        stream = "/2021-11-15/functions/{name}/response-streaming-invocations"
        for slash in ("", "/"):  # older SDKs send the slash
            app.router.add_post(invoke + slash, self._invoke)
            app.router.add_post(invoke_async + slash, self._invoke_async)
            app.router.add_post(stream + slash, self._stream)
        app.router.add_get("/_microfaas/v1/functions", self._functions)
        app.router.add_get("/_microfaas/v1/health", self._health)
        for row in self._control_api.operations:
            answer = functools.partial(self._operate, row)
            app.router.add_route(row.method, f"/_microfaas/v1{row.path}", answer)
        for name, reply in self._lists.items():
            listed = functools.partial(self._list, f"List{name.title()}", reply)
            app.router.add_get(f"/_microfaas/v1/{name}", listed)
        app.router.add_get("/_microfaas/v1/sns/{name}", self._sns_certificate)
        if self._aws_api is not None:
            for path in ("/", r"/{account:\d{12}}/{queue}", r"/{account:\d{12}}/{queue}/"):
                app.router.add_get(path, self._aws)
                app.router.add_post(path, self._aws)
            for prefix in self._aws_api.prefixes:
                app.router.add_route("*", f"/{prefix}{{rest:(/.*)?}}", self._aws)
        app.on_response_prepare.append(_drop_server_header)
        return app

    async def _invoke(self, request: web.Request) -> web.StreamResponse:
        return self._respond(await self._run(_call(request), request))

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        prepared, body = await self._admit(_call(request), request)
        response: web.StreamResponse | None = None

        async def begin(reply: Reply) -> Write:
            nonlocal response
            response = web.StreamResponse(status=reply.status)
            _set_headers(response, f"Date: {self._clock.date()}\r\n{reply.headers}")
            await response.prepare(request)
            return response.write

        try:
            reply = await self._lambda_api.stream(prepared, body, begin)
        except Exception:
            # The head is sent already: the connection ends where the result does.
            if request.transport is not None:
                request.transport.abort()
            raise
        if response is None:
            return self._respond(reply)
        await response.write_eof()
        return response

    async def _invoke_async(self, request: web.Request) -> web.StreamResponse:
        call = InvokeCall(_raw_name(request), invocation_type="Event")
        reply = await self._run(call, request)
        if reply.status == 202:
            reply = reply._replace(body=b'{"Status":202}')
        return self._respond(reply)

    async def _run(self, call: InvokeCall, request: web.Request) -> Reply:
        return await self._lambda_api.invoke(*await self._admit(call, request))

    async def _admit(
        self, call: InvokeCall, request: web.Request
    ) -> tuple[Prepared | InvalidRequest, bytes]:
        """What is called, with what, by somebody who may. Raises AccessRefused and more."""
        key = await self._identify(request)
        prepared = self._lambda_api.prepare(call)
        if self._guard is not None and key is not None:
            self._guard.permit_invoke(key, prepared)
        return prepared, await self._body(request)

    async def _functions(self, request: web.Request) -> web.StreamResponse:
        await self._permit_read(request, "ListFunctions")
        return self._respond(self._control_api.functions(new_request_id()))

    async def _list(
        self, operation: str, reply: Callable[[str], Reply], request: web.Request
    ) -> web.StreamResponse:
        await self._permit_read(request, operation)
        return self._respond(reply(new_request_id()))

    async def _operate(self, row: Operation, request: web.Request) -> web.StreamResponse:
        key = await self._identify(request)

        def permit(action: Action, function: str = "") -> None:
            if self._guard is not None and key is not None:
                self._guard.permit(key, action, row.name, function)

        if row.action is not None:
            permit(row.action)
        place, body = request.match_info.get("id", ""), await self._body(request)
        asked = Asked(new_request_id(), place, request.query, body, permit)
        return self._respond(await row.answer(asked))

    async def _health(self, request: web.Request) -> web.StreamResponse:
        await self._permit_read(request, "GetHealth")
        return self._respond(self._control_api.health(new_request_id()))

    async def _sns_certificate(self, request: web.Request) -> web.StreamResponse:
        """It is public: whoever gets a message has to be able to verify it."""
        pem = self._certificate(request.match_info["name"])
        if pem is None:
            raise web.HTTPNotFound
        return self._respond(Reply(200, "Content-Type: application/x-pem-file\r\n", pem))

    async def _aws(self, request: web.Request) -> web.StreamResponse:
        assert self._aws_api is not None
        fields = {name.lower(): value for name, value in request.headers.items()}
        asked = Request(
            request.method, request.rel_url.raw_path, request.rel_url.raw_query_string, fields
        )
        caller = Caller(new_request_id(), peer_of(request.transport).host, self._base_url(request))
        return self._respond(await self._aws_api.answer(asked, caller, _Visit(self, request)))

    def _base_url(self, request: web.Request) -> str:
        """What the client called us, if it is a name at all."""
        host = request.headers.get("Host", "")
        if not _HOST.fullmatch(host):
            return self._address.endpoint_url
        return f"{request.scheme}://{host}"

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
            if self._guard is not None and isinstance(error, AccessRefused):
                self._guard.tell(error, _signable(request), peer_of(request.transport))
            return self._respond(faults.fault(error, new_request_id(), self._address))

    @web.middleware
    async def _hidden(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Who has no key does not even learn that there is no such path."""
        try:
            return await handler(request)
        except web.HTTPException:
            await self._identify(request)
            raise

    async def _identify(self, request: web.Request) -> Key | None:
        """Whose request it is; None where nobody is asked. Raises AccessRefused and more."""
        if self._guard is None:
            return None
        claim = self._guard.claim(_signable(request), peer_of(request.transport))
        body = b"" if claim.signed is None else await self._body(request)
        return self._guard.identify(claim, body)

    async def _permit_read(self, request: web.Request, operation: str) -> None:
        """Raises AccessRefused and more."""
        key = await self._identify(request)
        if self._guard is not None and key is not None:
            self._guard.permit(key, "read", operation)

    async def _body(self, request: web.Request) -> bytes:
        """The whole body, bounded in size and time. Raises RequestTooLarge, InvalidRequest."""
        if (request.content_length or 0) > EVENT_BYTES_MAX:
            raise RequestTooLarge(EVENT_BYTES_MAX)
        limit_s = self._requests.request_s_max
        try:
            async with asyncio.timeout(limit_s):
                return await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise RequestTooLarge(EVENT_BYTES_MAX) from None
        except TimeoutError:
            raise InvalidRequest(
                f"the request was not complete after {limit_s:.0f} seconds",
                kind="RequestTimeoutException",
            ) from None

    def _respond(self, reply: Reply) -> web.Response:
        response = web.Response(status=reply.status, body=reply.body or None)
        response.headers.clear()
        _set_headers(response, headers(reply, self._clock.date()))
        return response


class _Visit:
    """A request to one of AWS's services, and the guard's say in it."""

    def __init__(self, gateway: Gateway, request: web.Request) -> None:
        self._gateway = gateway
        self._request = request

    async def identify(self) -> Key | None:
        return await self._gateway._identify(self._request)

    async def body(self) -> bytes:
        return await self._gateway._body(self._request)

    def permit(self, key: Key, actions: tuple[Action, ...], operation: str, name: str) -> None:
        if self._gateway._guard is not None:
            self._gateway._guard.permit_any(key, actions, operation, name)

    def refused(self, error: Exception) -> None:
        guard = self._gateway._guard
        if guard is not None and isinstance(error, AccessRefused):
            guard.tell(error, _signable(self._request), peer_of(self._request.transport))


def _set_headers(response: web.StreamResponse, lines: str) -> None:
    for line in lines.split("\r\n")[:-1]:
        name, _, value = line.partition(": ")
        response.headers[name] = value


def _call(request: web.Request) -> InvokeCall:
    fields = request.headers
    return InvokeCall(
        _raw_name(request),
        request.query.get("Qualifier", ""),
        fields.get("X-Amz-Invocation-Type", ""),
        fields.get("X-Amz-Log-Type", ""),
        fields.get("X-Amz-Client-Context", ""),
        fields.get("X-Amzn-Trace-Id", ""),
    )


def _silent() -> logging.Logger:
    logger = logging.getLogger("microfaas.gateway.aiohttp")
    logger.setLevel(logging.CRITICAL + 1)
    return logger


async def _drop_server_header(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.pop("Server", None)


def _raw_name(request: web.Request) -> str:
    """The function's name as it stands in the path, still percent-encoded."""
    return request.rel_url.raw_path.split("/")[3]


def _signable(request: web.Request) -> Signable:
    """The head as the client wrote it."""
    target = request.raw_path.encode("utf-8", "surrogateescape")
    headers = [(name.lower(), value) for name, value in request.raw_headers]
    return Signable(request.method, target, headers)
