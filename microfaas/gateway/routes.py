"""The slow lane: every route of the gateway, and how a request becomes one of its parts' calls."""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Callable, Mapping

from aiohttp import web

from microfaas import lineage
from microfaas.errors import AccessRefused, InvalidRequest
from microfaas.gateway import faults
from microfaas.gateway.answers import Answers
from microfaas.gateway.aws.api import AwsApi
from microfaas.gateway.aws.requests import Request
from microfaas.gateway.aws.service import Caller
from microfaas.gateway.connections import peer_of
from microfaas.gateway.control_api import ControlApi
from microfaas.gateway.entrance import Entrance, Visit
from microfaas.gateway.hosts import Handler, Hosts
from microfaas.gateway.invocations_api import Asked, Operation
from microfaas.gateway.lambda_api import InvokeCall, LambdaApi, Prepared, Write
from microfaas.gateway.reply import JSON, Reply
from microfaas.invoke import new_request_id
from microfaas.model import EVENT_BYTES_MAX, Address
from microfaas.scopes import Action

# A package's bytes for its hash, and for the time and the signature of a link; None for a bad link.
Download = Callable[[str, str, str], bytes | None]

_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}(:[0-9]{1,5})?|\[[0-9a-fA-F:.]{2,45}\](:[0-9]{1,5})?")


class Routes:
    """Answers through aiohttp whatever the fast lane does not."""

    def __init__(
        self,
        lambda_api: LambdaApi,
        control_api: ControlApi,
        aws_api: AwsApi | None,
        address: Address,
        entrance: Entrance,
        answers: Answers,
        hosts: Hosts | None,
        certificate: Callable[[str], bytes | None],
        lists: Mapping[str, Callable[[str], Reply]],
        download: Download,
    ) -> None:
        """Without `hosts` none is a function's; `certificate` and `lists` are the Gateway's."""
        self._lambda_api = lambda_api
        self._control_api = control_api
        self._aws_api = aws_api
        self._address = address
        self._entrance = entrance
        self._certificate = certificate
        self._lists = lists
        self._download = download
        self._answers = answers
        self._hosts = hosts

    def app(self) -> web.Application:
        app = web.Application(
            client_max_size=EVENT_BYTES_MAX,
            middlewares=[
                self._errors,
                *([] if self._hosts is None else [self._hosts.by_host]),
                self._hidden,
            ],
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
        app.router.add_get("/_microfaas/v1/packages/{sha256:[0-9a-f]{64}}", self._package)
        if self._aws_api is not None:
            for path in ("/", r"/{account:\d{12}}/{queue}", r"/{account:\d{12}}/{queue}/"):
                app.router.add_get(path, self._aws)
                app.router.add_post(path, self._aws)
            for prefix in self._aws_api.prefixes:
                app.router.add_route("*", f"/{prefix}{{rest:(/.*)?}}", self._aws)
        if self._hosts is not None:
            self._hosts.add_routes(app)
        app.on_response_prepare.append(_drop_server_header)
        return app

    # Lambda's Invoke

    async def _invoke(self, request: web.Request) -> web.StreamResponse:
        return self._answers.whole(await self._run(_call(request), request))

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        prepared, body = await self._admit(_call(request), request)
        response: web.StreamResponse | None = None

        async def begin(reply: Reply) -> Write:
            nonlocal response
            response = await self._answers.begun(reply, request)
            return response.write

        try:
            reply = await self._lambda_api.stream(prepared, body, begin)
        except Exception:
            # The head is sent already: the connection ends where the result does.
            if request.transport is not None:
                request.transport.abort()
            raise
        if response is None:
            return self._answers.whole(reply)
        await response.write_eof()
        return response

    async def _invoke_async(self, request: web.Request) -> web.StreamResponse:
        trace_id = request.headers.get("X-Amzn-Trace-Id", "")
        call = InvokeCall(_raw_name(request), invocation_type="Event", trace_id=trace_id)
        reply = await self._run(call, request)
        if reply.status == 202:
            reply = reply._replace(headers=reply.headers + JSON, body=b'{"Status":202}')
        return self._answers.whole(reply)

    async def _run(self, call: InvokeCall, request: web.Request) -> Reply:
        return await self._lambda_api.invoke(*await self._admit(call, request))

    async def _admit(
        self, call: InvokeCall, request: web.Request
    ) -> tuple[Prepared | InvalidRequest, bytes]:
        """What is called, with what, by somebody who may. Raises AccessRefused and more."""
        key = await self._entrance.identify(request)
        prepared = self._lambda_api.prepare(call)
        if self._entrance.guard is not None and key is not None:
            self._entrance.guard.permit_invoke(key, prepared)
        return prepared, await self._entrance.body(request)

    # microfaas's own API

    async def _functions(self, request: web.Request) -> web.StreamResponse:
        await self._entrance.permit_read(request, "ListFunctions")
        return self._answers.whole(self._control_api.functions(new_request_id()))

    async def _list(
        self, operation: str, reply: Callable[[str], Reply], request: web.Request
    ) -> web.StreamResponse:
        await self._entrance.permit_read(request, operation)
        return self._answers.whole(reply(new_request_id()))

    async def _operate(self, row: Operation, request: web.Request) -> web.StreamResponse:
        key = await self._entrance.identify(request)

        def permit(action: Action, function: str = "") -> None:
            if self._entrance.guard is not None and key is not None:
                self._entrance.guard.permit(key, action, row.name, function)

        if row.action is not None:
            permit(row.action)
        place, body = request.match_info.get("id", ""), await self._entrance.body(request)
        asked = Asked(new_request_id(), place, request.query, body, permit)
        return self._answers.whole(await row.answer(asked))

    async def _health(self, request: web.Request) -> web.StreamResponse:
        await self._entrance.permit_read(request, "GetHealth")
        return self._answers.whole(self._control_api.health(new_request_id()))

    async def _sns_certificate(self, request: web.Request) -> web.StreamResponse:
        """It is public: whoever gets a message has to be able to verify it."""
        pem = self._certificate(request.match_info["name"])
        if pem is None:
            raise web.HTTPNotFound
        return self._answers.whole(Reply(200, "Content-Type: application/x-pem-file\r\n", pem))

    async def _package(self, request: web.Request) -> web.StreamResponse:
        """Who has a link needs no key: it brings its own proof."""
        query = request.query
        wanted = request.match_info["sha256"], query.get("expires", ""), query.get("signature", "")
        data = await asyncio.to_thread(self._download, *wanted)
        if data is None:
            raise AccessRefused("Request has expired, or its signature is not one of this machine.")
        return self._answers.whole(Reply(200, "Content-Type: application/zip\r\n", data))

    # AWS's other services

    async def _aws(self, request: web.Request) -> web.StreamResponse:
        assert self._aws_api is not None
        fields = {name.lower(): value for name, value in request.headers.items()}
        asked = Request(
            request.method, request.rel_url.raw_path, request.rel_url.raw_query_string, fields
        )
        caller = Caller(
            *(new_request_id(), peer_of(request.transport).host, self._base_url(request)),
            trace_id=lineage.plain(fields.get("x-amzn-trace-id", "")),
        )
        async with Visit(self._entrance, request) as visit:
            answer = await self._aws_api.answer(asked, caller, visit)
        if isinstance(answer, Reply):
            return self._answers.whole(answer)
        return await self._answers.streamed(answer.reply, answer.messages, request)

    def _base_url(self, request: web.Request) -> str:
        """What the client called us, if it is a name at all."""
        host = request.headers.get("Host", "")
        if not _HOST.fullmatch(host):
            return self._address.endpoint_url
        return f"{request.scheme}://{host}"

    # What goes wrong

    @web.middleware
    async def _errors(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Everything that goes wrong leaves in AWS's shape."""
        try:
            return await handler(request)
        except web.HTTPException as error:
            text = f"cannot {request.method} {request.path}: {error.reason}"
            kind = "UnknownOperationException"
            return self._answers.whole(faults.reply(error.status, kind, text, new_request_id()))
        except ConnectionError:
            # The client has left in the middle of its request; nobody reads this.
            gone = faults.reply(400, "ClientDisconnected", "the client has left", new_request_id())
            return self._answers.whole(gone)
        except Exception as error:
            self._entrance.refused(error, request)
            return self._answers.whole(faults.fault(error, new_request_id(), self._address))

    @web.middleware
    async def _hidden(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Who has no key does not even learn that there is no such path."""
        try:
            return await handler(request)
        except web.HTTPException:
            await self._entrance.identify(request)
            raise


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


async def _drop_server_header(_: web.Request, response: web.StreamResponse) -> None:
    response.headers.pop("Server", None)


def _raw_name(request: web.Request) -> str:
    """The function's name as it stands in the path, still percent-encoded."""
    return request.rel_url.raw_path.split("/")[3]
