"""Lambda authorizers: what one is asked about a request, in API Gateway's formats. Pure.

AWS: "Input to an API Gateway Lambda authorizer" has the events of REST APIs, "Control access to
HTTP APIs with AWS Lambda authorizers" those of HTTP APIs.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qsl, quote, unquote_to_bytes

import msgspec

from microfaas.model import Address
from microfaas.payloads import http_request, http_v1, http_v2
from microfaas.payloads.http_request import HttpRequest, Occasion
from microfaas.payloads.http_v2 import Api

# What needs no escape in a path, without what means something in a policy.
_SAFE = "-._~!&'()+,;=:@"


class Source(NamedTuple):
    """Where in a request something stands that tells who calls."""

    place: Literal["header", "querystring", "context"]
    name: str


class Authorizer(NamedTuple):
    """A function that says who may call a route.

    `form` is its event's, `rest` says whether what it stands for is an API Gateway REST API,
    `ttl_s` how long what it said of the same sources is kept; 0 is not at all.
    """

    function: str
    qualifier: str
    form: Literal["token", "1.0", "2.0"]
    rest: bool = False
    simple: bool = False
    sources: tuple[Source, ...] = ()
    ttl_s: int = 0


def identity(
    authorizer: Authorizer, request: HttpRequest, api: Api, occasion: Occasion
) -> list[str] | None:
    """What stands at its sources, in their order; None when one of them is not there."""
    found = [_at(source, request, api, occasion) for source in authorizer.sources]
    return found if all(found) else None


def arn_of(address: Address, request: HttpRequest, api: Api) -> str:
    """The ARN of what is called, as policies name it.

    Its path is spelled in one way only, so that no other spelling gets past a policy, and has none
    of the characters that stand for others there: authorizers make policies of it.
    """
    path = "/".join(quote(unquote_to_bytes(part), safe=_SAFE) for part in request.path.split("/"))
    where = f"arn:aws:execute-api:{address.region}:{address.account_id}:{api.id}"
    return f"{where}/$default/{quote(request.method, safe='')}{path}"


def event(
    authorizer: Authorizer,
    arn: str,
    values: list[str],
    request: HttpRequest,
    api: Api,
    occasion: Occasion,
) -> bytes:
    """The event in JSON; `values` are what stands at the authorizer's sources."""
    if authorizer.form == "token":
        told: dict[str, Any] = {"type": "TOKEN", "authorizationToken": values[0], "methodArn": arn}
    elif authorizer.form == "2.0":
        told = {"version": "2.0", "type": "REQUEST", "routeArn": arn}
        told |= {"identitySource": values or None, **http_v2.head(request, api, occasion)}
    else:
        told = {"type": "REQUEST", "methodArn": arn}
        if not authorizer.rest:
            joined = ",".join(values)
            named = {"identitySource": joined, "authorizationToken": joined} if values else {}
            told = {"version": "1.0", **told, **named}
        # Here what is not there is empty, and not null.
        told |= {name: value or {} for name, value in http_v1.head(request, api, occasion).items()}
    return msgspec.json.encode(told)


def _at(source: Source, request: HttpRequest, api: Api, occasion: Occasion) -> str:
    """What stands there, all values of it; empty when nothing does."""
    if source.place == "context":
        return _of_context(source.name, request, api)
    if source.place == "querystring":
        query = parse_qsl(request.query, keep_blank_values=True)
        return ",".join(value for name, value in query if name == source.name)
    headers = http_request.headers(request, occasion, proven=False)
    return http_request.one(headers, source.name.lower())


def _of_context(name: str, request: HttpRequest, api: Api) -> str:
    if name == "identity.sourceIp":
        return request.source_ip
    if name == "resourcePath":
        return http_v1.resource_of(api)
    return {"routeKey": api.route, "path": request.path, "httpMethod": request.method}[name]
