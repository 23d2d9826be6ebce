"""Payload 1.0: an HTTP request as REST APIs, and HTTP APIs that ask for it, give it. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from microfaas.payloads import http_request
from microfaas.payloads.http_request import HttpRequest, Occasion
from microfaas.payloads.http_v2 import Api

_NOBODY = dict.fromkeys(
    (
        *("accessKey", "accountId", "caller", "cognitoAuthenticationProvider"),
        *("cognitoAuthenticationType", "cognitoIdentityId", "cognitoIdentityPoolId"),
        *("principalOrgId", "user", "userArn"),
    )
)


def event(request: HttpRequest, api: Api, occasion: Occasion) -> bytes:
    """The event in JSON. What is not there is null, as in Lambda."""
    table = {"version": "1.0", **head(request, api, occasion)}
    given = http_request.body(request, _last(table["headers"], "content-type"))
    return msgspec.json.encode({**table, "body": given.get("body"), **given})


def head(request: HttpRequest, api: Api, occasion: Occasion) -> dict[str, Any]:
    """All of the event but its version and the body."""
    headers = http_request.headers(request, occasion, proven=api.iam is not None)
    headers = _spelled(request, headers)
    query: dict[str, list[str]] = {}
    for name, value in parse_qsl(request.query, keep_blank_values=True):
        query.setdefault(name, []).append(value)
    resource = resource_of(api)
    single = {name: values[-1] for name, values in headers.items()}
    return {
        "resource": resource,
        "path": request.path,
        "httpMethod": request.method,
        "headers": single,
        "multiValueHeaders": headers,
        "queryStringParameters": {name: each[-1] for name, each in query.items()} or None,
        "multiValueQueryStringParameters": query or None,
        "requestContext": _context(request, api, occasion, resource, _last(single, "user-agent")),
        "pathParameters": api.path_parameters or None,
        "stageVariables": None,
    }


def resource_of(api: Api) -> str:
    """The path of the route, with its variables."""
    return api.route.partition(" ")[2] or "/{proxy+}"


def _context(
    request: HttpRequest, api: Api, occasion: Occasion, resource: str, user_agent: str
) -> dict[str, Any]:
    iam = api.iam or {}
    known = {name: iam[name] for name in ("accessKey", "accountId", "userArn") if name in iam}
    who = {"caller": iam["callerId"], "user": iam["userId"]} if iam else {}
    return {
        "accountId": api.account_id,
        "apiId": api.id,
        **({} if api.authorizer is None else {"authorizer": api.authorizer}),
        "domainName": api.domain,
        "domainPrefix": api.domain.partition(".")[0],
        "extendedRequestId": occasion.request_id,
        "httpMethod": request.method,
        "identity": {
            **_NOBODY,
            **known,
            **who,
            "sourceIp": request.source_ip,
            "userAgent": user_agent,
        },
        "path": request.path,
        "protocol": request.protocol,
        "requestId": occasion.request_id,
        "requestTime": http_request.time_of(occasion.at_ms),
        "requestTimeEpoch": occasion.at_ms,
        "resourceId": None,
        "resourcePath": resource,
        "stage": "$default",
    }


def _spelled(request: HttpRequest, headers: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Header names as the client wrote them; the gateway's own as REST APIs do."""
    written = {name.lower(): name for name, _ in reversed(request.headers)}
    return {written.get(name, name.title()): values for name, values in headers.items()}


def _last(headers: Mapping[str, str], wanted: str) -> str:
    return next((value for name, value in headers.items() if name.lower() == wanted), "")
