"""A Starlette application behind Mangum."""

from __future__ import annotations

from mangum import Mangum
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse
from starlette.routing import Route


async def home(request: Request) -> JSONResponse:
    client = request.client.host if request.client else None
    return JSONResponse({"url": str(request.url), "client": client})


async def away(_: Request) -> RedirectResponse:
    return RedirectResponse("/", status_code=302)


async def large(_: Request) -> PlainTextResponse:
    return PlainTextResponse("a" * 100_000)


app = Starlette(
    routes=[Route("/", home), Route("/away", away), Route("/large", large)],
    middleware=[Middleware(GZipMiddleware)],
)
handler = Mangum(app)
