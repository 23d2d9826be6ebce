"""What authorizers are asked, in the formats of AWS's documentation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from microfaas.model import Address
from microfaas.payloads import authorizers
from microfaas.payloads.authorizers import Authorizer, Source
from microfaas.payloads.http_request import HttpRequest, Occasion
from microfaas.payloads.http_v2 import Api

ADDRESS = Address(region="eu-west-1", account_id="123456789012")
OCCASION = Occasion("id-1", "Root=1-2-3", 1583348638390)
API = Api(
    *("shop", "shop.execute-api.eu-west-1.localhost", "123456789012"),
    route="GET /items/{id}",
    path_parameters={"id": "a b"},
)
SOURCES = (Source("header", "X-Key"), Source("querystring", "q"))


def request(**changes: Any) -> HttpRequest:
    made = HttpRequest(
        method="GET",
        path="/items/a%20b",
        query="q=1&q=2&x",
        headers=[("Host", "shop"), ("X-Key", "k"), ("Cookie", "c=d; e=f"), ("User-Agent", "u")],
        body=b"",
        source_ip="10.0.0.1",
        scheme="http",
        port=80,
    )
    return made._replace(**changes)


def event(authorizer: Authorizer, asked: HttpRequest) -> dict[str, Any]:
    values = authorizers.identity(authorizer, asked, API, OCCASION)
    assert values is not None
    arn = authorizers.arn_of(ADDRESS, asked, API)
    raw = authorizers.event(authorizer, arn, values, asked, API, OCCASION)
    made: dict[str, Any] = json.loads(raw)
    return made


ARN = "arn:aws:execute-api:eu-west-1:123456789012:shop/$default/GET/items/a%20b"


def test_the_newer_format_is_the_events_without_a_body() -> None:
    made = event(Authorizer("g", "", "2.0", sources=SOURCES), request())
    assert list(made)[:5] == ["version", "type", "routeArn", "identitySource", "routeKey"]
    assert made == {
        "version": "2.0",
        "type": "REQUEST",
        "routeArn": ARN,
        "identitySource": ["k", "1,2"],
        "routeKey": "GET /items/{id}",
        "rawPath": "/items/a%20b",
        "rawQueryString": "q=1&q=2&x",
        "cookies": ["c=d", "e=f"],
        "headers": {
            "host": "shop",
            "x-key": "k",
            "user-agent": "u",
            "x-forwarded-for": "10.0.0.1",
            "x-forwarded-port": "80",
            "x-forwarded-proto": "http",
            "x-amzn-trace-id": "Root=1-2-3",
        },
        "queryStringParameters": {"q": "1,2", "x": ""},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "shop",
            "domainName": "shop.execute-api.eu-west-1.localhost",
            "domainPrefix": "shop",
            "http": {
                "method": "GET",
                "path": "/items/a%20b",
                "protocol": "HTTP/1.1",
                "sourceIp": "10.0.0.1",
                "userAgent": "u",
            },
            "requestId": "id-1",
            "routeKey": "GET /items/{id}",
            "stage": "$default",
            "time": "04/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1583348638390,
        },
        "pathParameters": {"id": "a b"},
    }


def test_the_older_format_names_the_identity_twice() -> None:
    made = event(Authorizer("g", "", "1.0", sources=SOURCES), request())
    assert list(made)[:5] == [
        "version",
        "type",
        "methodArn",
        "identitySource",
        "authorizationToken",
    ]
    assert (made["identitySource"], made["authorizationToken"]) == ("k,1,2", "k,1,2")
    assert (made["version"], made["type"], made["methodArn"]) == ("1.0", "REQUEST", ARN)
    assert (made["resource"], made["path"], made["httpMethod"]) == (
        *("/items/{id}", "/items/a%20b", "GET"),
    )
    assert made["requestContext"]["resourcePath"] == "/items/{id}"
    assert "body" not in made


def test_a_rest_apis_request_has_neither_version_nor_identity() -> None:
    made = event(Authorizer("g", "", "1.0", rest=True), request(query=""))
    assert list(made) == [
        *("type", "methodArn", "resource", "path", "httpMethod", "headers", "multiValueHeaders"),
        *("queryStringParameters", "multiValueQueryStringParameters", "requestContext"),
        *("pathParameters", "stageVariables"),
    ]
    assert made["headers"]["X-Key"] == "k"
    assert [made[name] for name in ("queryStringParameters", "stageVariables")] == [{}, {}]


def test_a_token_is_all_that_some_are_told() -> None:
    authorizer = Authorizer("g", "", "token", rest=True, sources=SOURCES[:1])
    expected = {"type": "TOKEN", "authorizationToken": "k", "methodArn": ARN}
    assert event(authorizer, request()) == expected


@pytest.mark.parametrize(
    ("source", "value"),
    [
        (Source("header", "x-key"), "k"),
        (Source("querystring", "q"), "1,2"),
        (Source("context", "routeKey"), "GET /items/{id}"),
        (Source("context", "resourcePath"), "/items/{id}"),
        (Source("context", "path"), "/items/a%20b"),
        (Source("context", "httpMethod"), "GET"),
        (Source("context", "identity.sourceIp"), "10.0.0.1"),
    ],
)
def test_where_an_identity_may_stand(source: Source, value: str) -> None:
    authorizer = Authorizer("g", "", "2.0", sources=(source,))
    assert authorizers.identity(authorizer, request(), API, OCCASION) == [value]


@pytest.mark.parametrize("name", ["x", "Q", "none"])
def test_what_is_empty_is_not_there(name: str) -> None:
    authorizer = Authorizer("g", "", "2.0", sources=(*SOURCES, Source("querystring", name)))
    assert authorizers.identity(authorizer, request(), API, OCCASION) is None


@pytest.mark.parametrize(
    ("method", "path", "called"),
    [
        ("GET", "/items/7", "GET/items/7"),
        ("GET", "/%69tems/%37", "GET/items/7"),
        ("GET", "/a%2fb/%c3%a4", "GET/a%2Fb/%C3%A4"),
        ("GET", "/\u00e4", "GET/%C3%A4"),
        ("GET", "/*/$x", "GET/%2A/%24x"),
        ("*", "/?", "%2A/%3F"),
        ("GET", "/", "GET/"),
    ],
)
def test_what_is_called_has_one_spelling(method: str, path: str, called: str) -> None:
    arn = authorizers.arn_of(ADDRESS, request(method=method, path=path), API)
    assert arn == f"arn:aws:execute-api:eu-west-1:123456789012:shop/$default/{called}"
