"""Functions' routes: requests as API Gateway would hand them on, and the responses.

A request comes to the host `NAME.execute-api.REGION.ANYTHING`, or to any host below the path that
is the gateway's prefix for routes. Who may call is whoever may invoke the function, where keys are
asked for, and everybody where the trigger says so; or whom the trigger's authorizer lets in.

A browser's preflight request is answered here, for the route that it is about, whoever asks: also
where OPTIONS has no route, and in place of one that it has (AWS: "Configure CORS for HTTP APIs in
API Gateway").
"""

from __future__ import annotations

import logging
import re
from types import MappingProxyType

from aiohttp import web

from microfaas.control.http_routes import HttpRoutes, Match, Served
from microfaas.errors import FunctionFailed, FunctionNotFound, MicrofaasError
from microfaas.gateway import faults, inbound
from microfaas.gateway.answers import Answers
from microfaas.gateway.authorizers import Authorizers
from microfaas.gateway.cors import Cors, asked_method, is_preflight
from microfaas.gateway.entrance import Entrance
from microfaas.gateway.lambda_api import LambdaApi
from microfaas.gateway.outbound import Outbound, lines
from microfaas.gateway.reply import JSON, Reply
from microfaas.model import Address, Invocation
from microfaas.payloads import http_answer, http_v1, http_v2
from microfaas.payloads.http_answer import Answer
from microfaas.payloads.http_request import Occasion
from microfaas.payloads.http_v2 import Api
from microfaas.store.keys import Key

_log = logging.getLogger("microfaas.gateway")
_HOST = re.compile(r"([a-z0-9-]+)\.execute-api\.[a-z0-9-]+\..+", re.IGNORECASE)
_JSON = (("Content-Type", "application/json"),)
_NOT_FOUND = Reply(404, JSON, b'{"message":"Not Found"}')
_FAILED = Answer(500, _JSON, b'{"message":"Internal Server Error"}')
_EVENTS = MappingProxyType({"1.0": http_v1.event, "2.0": http_v2.event})
_RESULTS = MappingProxyType({"1.0": http_answer.of_response, "2.0": http_answer.of_result})


def api_in(host: str) -> str | None:
    """The name of the API that a Host header names; None when it names none."""
    match = _HOST.fullmatch(host)
    return None if match is None else match[1].lower()


class HttpApis:
    """Serves all routes; they are one API, whatever name it is called by."""

    def __init__(
        self,
        routes: HttpRoutes,
        prefix: str,
        api: LambdaApi,
        entrance: Entrance,
        answers: Answers,
        address: Address,
    ) -> None:
        self.prefix = prefix
        self._routes = routes
        self._api = api
        self._authorizers = Authorizers(api, address)
        self._entrance = entrance
        self._answers = answers
        self._address = address
        # What routes call and cannot be served; it is told once.
        self._missing: set[str] = set()

    async def serve(self, request: web.Request, name: str = "") -> web.StreamResponse:
        """Answer a request to an API by its name; without one it is below the prefix."""
        behind = 0 if name else self.prefix.count("/")
        path = inbound.path(request, behind)
        if (allowed := self._permission(request, path)) is not None:
            return self._answers.whole(allowed)
        match = self._routes.find(request.method, path)
        if match is None:
            await self._entrance.identify(request)
            return self._answers.whole(_NOT_FOUND)
        served = match.served
        stranger = served.public or served.authorizer is not None
        occasion = inbound.occasion(request, stranger=stranger)
        outbound = Outbound(
            *(request, self._answers, occasion, served.function),
            cors=None if served.cors is None else Cors(served.cors),
            read=_RESULTS[served.payload],
            failed=_FAILED,
        )
        try:
            response = await self._call(request, match, (name, behind), occasion, outbound)
            self._missing.discard(match.served.called)
            return response
        except (FunctionNotFound, FunctionFailed) as error:
            self._tell_missing(match, error)
            return outbound.say(_FAILED)
        except ConnectionError:
            raise  # nobody is there any more
        except Exception as error:
            self._entrance.refused(error, request)
            return outbound.refuse(faults.fault(error, occasion.request_id, self._address))

    def _tell_missing(self, match: Match, error: MicrofaasError) -> None:
        served = match.served
        if served.called not in self._missing:
            self._missing.add(served.called)
            _log.warning("the route %s cannot be served: %s", served.route.key, error)

    def _permission(self, request: web.Request, path: str) -> Reply | None:
        """The answer to a preflight; None for what is none, or is a function's business."""
        fields = request.headers
        if not is_preflight(request.method, fields) or "Origin" not in fields:
            return None
        for method in (asked_method(fields), request.method):
            match = self._routes.find(method, path)
            if match is not None and match.served.cors is not None:
                return Reply(204, lines(Cors(match.served.cors).permission(fields)), b"")
        return None

    async def _call(
        self,
        request: web.Request,
        match: Match,
        place: tuple[str, int],
        occasion: Occasion,
        outbound: Outbound,
    ) -> web.StreamResponse:
        """Have the function answer; `place` is the API's name, and what of the path is not its."""
        name, behind = place
        served = match.served
        key = await self._admitted(request, served)
        api = self._named(request, name, key, match)
        if served.authorizer is not None:
            # Before the body is read: who may not call takes no memory.
            bare = inbound.read(request, b"", behind)
            known = await self._authorizers.ask(
                served.authorizer, served.payload, bare, api, occasion
            )
            if isinstance(known, Reply):
                return outbound.refuse(known)
            api = api._replace(authorizer=known)
        if served.mock is not None:
            return outbound.say(served.mock)
        asked = inbound.read(request, await self._entrance.body(request), behind)
        invocation = Invocation(
            request_id=occasion.request_id,
            function=served.function,
            event=_EVENTS[served.payload](asked, api, occasion),
            qualifier=served.qualifier,
            trace_id=occasion.trace_id,
        )
        return await outbound.end(await self._api.run(invocation, outbound.take))

    async def _admitted(self, request: web.Request, served: Served) -> Key | None:
        """Whose key it is; None where none is asked for. Raises AccessRefused and more."""
        if served.public or served.authorizer is not None:
            return None
        key = await self._entrance.identify(request)
        if key is not None and self._entrance.guard is not None:
            self._entrance.guard.permit(key, "invoke", "InvokeFunction", served.function)
        return key

    def _named(self, request: web.Request, name: str, key: Key | None, match: Match) -> Api:
        account_id = self._address.account_id
        return Api(
            *(name or self.prefix.strip("/").replace("/", "-"), inbound.host(request), account_id),
            iam=None if key is None else inbound.iam(key, account_id),
            route=match.served.route.key,
            path_parameters=match.parameters,
        )
