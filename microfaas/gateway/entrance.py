"""What every request of the slow lane passes: who it is from, and its body, within bounds."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Self

from aiohttp import web

from microfaas.config import RequestsTable
from microfaas.errors import AccessRefused, InvalidRequest, RequestTooLarge
from microfaas.gateway.auth import Guard
from microfaas.gateway.connections import peer_of
from microfaas.model import EVENT_BYTES_MAX
from microfaas.scopes import Action
from microfaas.sigv4 import Signable
from microfaas.store.keys import Key

# Bodies that are larger than events are read, and dealt with, so many at a time: each is in memory
# more than once meanwhile.
LARGE_AT_ONCE = 2


class Entrance:
    """Asks the guard, where there is one."""

    def __init__(self, guard: Guard | None, requests: RequestsTable) -> None:
        self.guard = guard
        self.large = asyncio.Semaphore(LARGE_AT_ONCE)
        self._requests = requests

    async def identify(self, request: web.Request) -> Key | None:
        """Whose request it is; None where nobody is asked. Raises AccessRefused and more."""
        if self.guard is None:
            return None
        claim = self.guard.claim(signable(request), peer_of(request.transport))
        body = b"" if claim.signed is None else await self.body(request)
        return self.guard.identify(claim, body)

    async def permit_read(self, request: web.Request, operation: str) -> None:
        """Raises AccessRefused and more."""
        key = await self.identify(request)
        if self.guard is not None and key is not None:
            self.guard.permit(key, "read", operation)

    async def body(self, request: web.Request) -> bytes:
        """The whole body, bounded in size and time. Raises RequestTooLarge, InvalidRequest."""
        bytes_max = request.client_max_size
        if (request.content_length or 0) > bytes_max:
            raise RequestTooLarge(bytes_max)
        limit_s = self._requests.request_s_max
        try:
            async with asyncio.timeout(limit_s):
                return await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise RequestTooLarge(bytes_max) from None
        except ConnectionError:
            # Nobody hears this; it is no fault of the gateway's.
            raise InvalidRequest("the connection was lost before the request's end") from None
        except TimeoutError:
            raise InvalidRequest(
                f"the request was not complete after {limit_s:.0f} seconds",
                kind="RequestTimeoutException",
            ) from None

    def refused(self, error: Exception, request: web.Request) -> None:
        """Note what went wrong before it becomes a reply."""
        if self.guard is not None and isinstance(error, AccessRefused):
            self.guard.tell(error, signable(request), peer_of(request.transport))


class Visit:
    """A request to one of AWS's services, and the guard's say in it. Lasts until it is answered."""

    def __init__(self, entrance: Entrance, request: web.Request) -> None:
        self._entrance = entrance
        self._request = request
        self._held = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._held.aclose()

    async def identify(self, body_bytes_max: int) -> Key | None:
        return await self._entrance.identify(await self._bounded(body_bytes_max))

    async def body(self, body_bytes_max: int) -> bytes:
        return await self._entrance.body(await self._bounded(body_bytes_max))

    def permit(self, key: Key, actions: tuple[Action, ...], operation: str, name: str) -> None:
        if self._entrance.guard is not None:
            self._entrance.guard.permit_any(key, actions, operation, name)

    def refused(self, error: Exception) -> None:
        self._entrance.refused(error, self._request)

    async def _bounded(self, body_bytes_max: int) -> web.Request:
        """The request, whose body may have as much. Waits for others' if it may be large."""
        if self._request.client_max_size != body_bytes_max:
            self._request = self._request.clone(client_max_size=body_bytes_max)
            length = self._request.content_length
            if body_bytes_max > EVENT_BYTES_MAX and (length is None or length > EVENT_BYTES_MAX):
                await self._held.enter_async_context(self._entrance.large)
        return self._request


def signable(request: web.Request) -> Signable:
    """The head as the client wrote it."""
    target = request.raw_path.encode("utf-8", "surrogateescape")
    headers = [(name.lower(), value) for name, value in request.raw_headers]
    return Signable(request.method, target, headers)
