"""Function URLs: a request to one becomes an event, and what the function says its response.

Theory of operation. A URL's id stands in the Host header, `ID.lambda-url.REGION.ANYTHING`, or in
the path. Whether the caller may call is the URL's own affair: one of AuthType NONE needs a policy
that permits everybody, one of AWS_IAM a signature by a key that may invoke the function. With
BUFFERED the whole response is gathered first; with RESPONSE_STREAM each piece is written to the
client before the function's next one is read, so that a slow client makes the function slow and
nothing piles up in between.
"""

from __future__ import annotations

import re

from aiohttp import web

from microfaas.control.urls import Found, Urls
from microfaas.errors import AccessRefused, FunctionFailed, FunctionNotFound
from microfaas.gateway import faults, inbound
from microfaas.gateway.answers import Answers
from microfaas.gateway.auth import Guard
from microfaas.gateway.connections import peer_of
from microfaas.gateway.cors import Cors, is_preflight
from microfaas.gateway.entrance import Entrance, signable
from microfaas.gateway.lambda_api import LambdaApi
from microfaas.gateway.outbound import Outbound, lines
from microfaas.gateway.reply import JSON, Reply
from microfaas.model import Address, Invocation
from microfaas.payloads import http_v2
from microfaas.payloads.http_request import Occasion
from microfaas.payloads.http_v2 import Api
from microfaas.store.keys import Key

SERVICE = "lambda"
FORBIDDEN = (
    '"Forbidden. For troubleshooting Function URL authorization issues, see: '
    'https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"'
)
_HOST = re.compile(r"([a-z0-9]+)\.lambda-url\.[a-z0-9-]+\..+", re.IGNORECASE)


def id_in(host: str) -> str | None:
    """The id of the URL that a Host header names; None when it names none."""
    match = _HOST.fullmatch(host)
    return None if match is None else match[1].lower()


class FunctionUrls:
    """Serves all function URLs."""

    def __init__(
        self,
        urls: Urls,
        api: LambdaApi,
        entrance: Entrance,
        answers: Answers,
        guard: Guard,
        address: Address,
    ) -> None:
        """`guard` knows the keys that sign requests, whether the gateway asks for keys or not."""
        self._urls = urls
        self._api = api
        self._entrance = entrance
        self._answers = answers
        self._guard = guard
        self._address = address

    async def serve(
        self, request: web.Request, url_id: str, *, prefix: int = 0
    ) -> web.StreamResponse:
        """Answer a request to a URL; `prefix` segments of its path are not the function's."""
        found = self._urls.by_id(url_id)
        stranger = found is None or found.url.auth == "NONE"
        occasion = inbound.occasion(request, stranger=stranger)
        request_id = occasion.request_id
        if found is None:
            return self._answers.whole(_denied("null", request_id))
        cors = None if found.url.cors is None else Cors(found.url.cors)
        if cors is not None and is_preflight(request.method, request.headers):
            allowed = [("x-amzn-RequestId", request_id), *cors.permission(request.headers)]
            return self._answers.whole(Reply(200, lines(allowed), b""))
        streams = found.url.mode == "RESPONSE_STREAM"
        outbound = Outbound(
            *(request, self._answers, occasion, found.function), cors=cors, streams=streams
        )
        try:
            return await self._call(request, found, prefix, occasion, outbound)
        except ConnectionError:
            raise  # nobody is there any more
        except Exception as error:
            return outbound.refuse(self._refusal(error, request, request_id))

    async def _call(
        self,
        request: web.Request,
        found: Found,
        prefix: int,
        occasion: Occasion,
        outbound: Outbound,
    ) -> web.StreamResponse:
        api = await self._admitted(request, found, prefix)
        asked = inbound.read(request, await self._entrance.body(request), prefix)
        invocation = Invocation(
            request_id=occasion.request_id,
            function=found.function,
            event=http_v2.event(asked, api, occasion),
            qualifier=found.qualifier,
            trace_id=occasion.trace_id,
        )
        outcome = await self._api.run(invocation, outbound.take)
        return await outbound.end(outcome)

    async def _admitted(self, request: web.Request, found: Found, prefix: int) -> Api:
        """The URL as the event tells of it. Raises AccessRefused and more."""
        if prefix:
            domain = f"{found.url.id}.lambda-url.{self._address.region}.localhost"
        else:
            domain = inbound.host(request)
        if found.url.auth == "NONE":
            if not self._urls.is_public(found):
                raise AccessRefused("the URL's policy does not permit everybody to call it")
            return Api(found.url.id, domain, cookie_header=True)
        key = await self._prove(request)
        self._guard.permit(key, "invoke", "InvokeFunctionUrl", found.function)
        account_id = self._address.account_id
        iam = inbound.iam(key, account_id)
        return Api(found.url.id, domain, account_id, iam, cookie_header=True)

    async def _prove(self, request: web.Request) -> Key:
        """Who has signed the request. Raises AccessRefused and more."""
        claim = self._guard.claim(signable(request), peer_of(request.transport))
        if claim.signed is None:
            text = "a function URL of AuthType AWS_IAM takes AWS's signatures alone"
            raise AccessRefused(text, "MissingAuthenticationTokenException", claim.key_id)
        if claim.signed.scope.split("/")[2] != SERVICE:
            text = f"Credential should be scoped to correct service: '{SERVICE}'."
            raise AccessRefused(text, "InvalidSignatureException", claim.key_id)
        return self._guard.identify(claim, await self._entrance.body(request))

    def _refusal(self, error: Exception, request: web.Request, request_id: str) -> Reply:
        if isinstance(error, FunctionNotFound):
            return _denied("null", request_id)
        if isinstance(error, FunctionFailed):
            return Reply(502, f"x-amzn-RequestId: {request_id}\r\n{JSON}", b"Internal Server Error")
        if isinstance(error, AccessRefused):
            self._guard.tell(error, signable(request), peer_of(request.transport))
            if error.kind in ("AccessDeniedException", "MissingAuthenticationTokenException"):
                return _denied(FORBIDDEN, request_id)
        return faults.fault(error, request_id, self._address)


def _denied(message: str, request_id: str) -> Reply:
    """A 403 whose body has a message, given as JSON, and nothing else."""
    head = f"x-amzn-RequestId: {request_id}\r\nx-amzn-ErrorType: AccessDeniedException\r\n{JSON}"
    return Reply(403, head, f'{{"Message":{message}}}'.encode())
