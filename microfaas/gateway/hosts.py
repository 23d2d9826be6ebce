"""What of the gateway's hosts and paths is functions' own: their URLs, and their routes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from aiohttp import web

from microfaas.control.http_routes import HttpRoutes
from microfaas.control.urls import Urls
from microfaas.gateway import function_urls, http_apis, inbound
from microfaas.gateway.answers import Answers
from microfaas.gateway.auth import Guard
from microfaas.gateway.entrance import Entrance
from microfaas.gateway.function_urls import FunctionUrls
from microfaas.gateway.http_apis import HttpApis
from microfaas.gateway.lambda_api import LambdaApi
from microfaas.model import Address

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

# The segments of a path that name a function URL: /_microfaas/urls/ID.
URL_SEGMENTS = 3


class Own(NamedTuple):
    """URLs, with the guard that knows who signs requests to them whether the gateway asks for
    keys or not; and routes, with the path below which they are on every host."""

    urls: Urls
    guard: Guard
    routes: HttpRoutes
    prefix: str


class Hosts:
    """Stands before the gateway's own routes: a host that is a function's has no others."""

    def __init__(
        self,
        own: Own,
        api: LambdaApi,
        entrance: Entrance,
        answers: Answers,
        address: Address,
    ) -> None:
        self._urls = FunctionUrls(own.urls, api, entrance, answers, own.guard, address)
        self._apis = HttpApis(own.routes, own.prefix, api, entrance, answers, address)
        self._prefix = own.prefix

    def add_routes(self, app: web.Application) -> None:
        """By path; to be added last, for what is the gateway's stays so."""
        app.router.add_route("*", "/_microfaas/urls/{id}{rest:(/.*)?}", self._by_path)
        app.router.add_route("*", f"{self._prefix}{{rest:(/.*)?}}", self._apis.serve)

    @web.middleware
    async def by_host(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        host = inbound.host(request)
        if (url_id := function_urls.id_in(host)) is not None:
            return await self._urls.serve(request, url_id)
        if (name := http_apis.api_in(host)) is not None:
            return await self._apis.serve(request, name)
        return await handler(request)

    async def _by_path(self, request: web.Request) -> web.StreamResponse:
        return await self._urls.serve(request, request.match_info["id"], prefix=URL_SEGMENTS)
