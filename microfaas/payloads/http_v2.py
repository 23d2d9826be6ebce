"""Payload 2.0: an HTTP request as function URLs and HTTP APIs give it to a function. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import msgspec

from microfaas.payloads import http_request
from microfaas.payloads.http_request import HttpRequest, Occasion

DEFAULT_ROUTE = "$default"


class Api(NamedTuple):
    """Where a request came in. `route` is its key, as in `GET /items/{id}`.

    `iam` says who has signed the request, by AWS's names, and `account_id` whose they are;
    `authorizer` is what a function has said of who calls, as the event tells of it. Function URLs
    give cookies in their header too, HTTP APIs do not.
    """

    id: str
    domain: str
    account_id: str = "anonymous"
    iam: Mapping[str, str] | None = None
    route: str = DEFAULT_ROUTE
    path_parameters: Mapping[str, str] | None = None
    cookie_header: bool = False
    authorizer: Mapping[str, Any] | None = None


def event(request: HttpRequest, api: Api, occasion: Occasion) -> bytes:
    """The event in JSON. What is not there has no key, as in Lambda."""
    table = {"version": "2.0", **head(request, api, occasion)}
    table |= http_request.body(request, table["headers"].get("content-type", ""))
    return msgspec.json.encode(table)


def head(request: HttpRequest, api: Api, occasion: Occasion) -> dict[str, Any]:
    """All of the event but its version and the body."""
    headers = http_request.headers(request, occasion, proven=api.iam is not None)
    cookies = [one for value in headers.get("cookie", ()) for one in _cookies(value)]
    if not api.cookie_header:
        headers.pop("cookie", None)
    table: dict[str, Any] = {
        "routeKey": api.route,
        "rawPath": request.path,
        "rawQueryString": request.query,
    }
    if cookies:
        table["cookies"] = cookies
    table["headers"] = {name: ",".join(values) for name, values in headers.items()}
    if parameters := _parameters(request.query):
        table["queryStringParameters"] = parameters
    table["requestContext"] = _context(
        request, api, occasion, http_request.one(headers, "user-agent")
    )
    if api.path_parameters:
        table["pathParameters"] = api.path_parameters
    return table


def _context(request: HttpRequest, api: Api, occasion: Occasion, user_agent: str) -> dict[str, Any]:
    known = {"iam": api.iam} if api.iam is not None else api.authorizer
    authorizer = {} if known is None else {"authorizer": known}
    return {
        "accountId": api.account_id,
        "apiId": api.id,
        **authorizer,
        "domainName": api.domain,
        "domainPrefix": api.domain.partition(".")[0],
        "http": {
            "method": request.method,
            "path": request.path,
            "protocol": request.protocol,
            "sourceIp": request.source_ip,
            "userAgent": user_agent,
        },
        "requestId": occasion.request_id,
        "routeKey": api.route,
        "stage": "$default",
        "time": http_request.time_of(occasion.at_ms),
        "timeEpoch": occasion.at_ms,
    }


def _cookies(header: str) -> list[str]:
    return [one for part in header.split(";") if (one := part.strip())]


def _parameters(query: str) -> dict[str, str]:
    """The query's parameters, decoded; the values of a repeated one joined by commas."""
    found: dict[str, list[str]] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        found.setdefault(name, []).append(value)
    return {name: ",".join(values) for name, values in found.items()}
