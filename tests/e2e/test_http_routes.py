"""Routes of functions: out of the file, put while the server runs, with keys, and over TLS."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.control import client, create
from tests.e2e.project import Project, until
from tests.e2e.test_access import create as create_key
from tests.e2e.test_tls import TLS, certify

APP = """
def handler(event, context):
    return {"by": context.function_name, "event": event}
"""
CONFIG = """
[functions.shop]
handler = "app.handler"
[[functions.shop.triggers]]
type = "http"
route = "GET /items/{id}"
[[functions.shop.triggers]]
type = "http"
route = "GET /open"
public = true
"""


@pytest.fixture
def shop(project: Project) -> Project:
    project.write("app.py", APP)
    project.write("microfaas.toml", CONFIG)
    return project


def ask(project: Project, path: str, **headers: str) -> tuple[int, Any]:
    place = urlsplit(project.url)
    assert place.hostname is not None
    if place.scheme == "https":
        trusting = ssl.create_default_context(cafile=project.ca)
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            place.hostname, place.port, timeout=60, context=trusting
        )
    else:
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=60)
    connection.request("GET", path, headers=headers)
    reply = connection.getresponse()
    status, body = reply.status, json.loads(reply.read())
    connection.close()
    return status, body


def put(project: Project, function: str, *routes: str) -> tuple[int, Any]:
    """Have the server run these triggers of a function."""
    tables = [{"type": "http", "route": route} for route in routes]
    url = f"{project.url}/_microfaas/v1/functions/{function}/triggers"
    asked = urllib.request.Request(url, json.dumps(tables).encode(), method="PUT")
    try:
        with urllib.request.urlopen(asked) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


def test_routes_of_the_file(shop: Project) -> None:
    shop.start()
    assert "GET /items/{id}" in shop.output.read_text()
    status, answer = ask(shop, "/http/items/a%20b?x=1")
    assert (status, answer["by"]) == (200, "shop")
    assert answer["event"]["pathParameters"] == {"id": "a b"}
    assert answer["event"]["rawPath"] == "/items/a%20b"
    assert ask(shop, "/http/nowhere") == (404, {"message": "Not Found"})


def test_the_prefix_is_the_users_to_say(shop: Project) -> None:
    shop.write("microfaas.toml", f'http_prefix = "/api/v1"\n{CONFIG}')
    shop.start()
    assert ask(shop, "/api/v1/items/7")[1]["event"]["rawPath"] == "/items/7"
    assert ask(shop, "/http/items/7")[0] == 404


def test_routes_come_and_go_with_functions_of_the_api(shop: Project) -> None:
    shop.start()
    lambdas = client(shop)
    create(lambdas, "f", APP)
    assert put(shop, "f", "GET /f/{id}")[0] == 200
    assert until(lambda: ask(shop, "/http/f/1")[1].get("by"), "the route") == "f"
    taken, told = put(shop, "f", "GET /items/{name}")
    assert taken == 400
    said = "the route 'GET /items/{name}' is taken by 'GET /items/{id}' of the function shop"
    assert said in told["message"]
    assert ask(shop, "/http/f/1")[1]["by"] == "f"
    assert put(shop, "f")[0] == 200
    until(lambda: ask(shop, "/http/f/1")[0] == 404, "the route's end")


def test_keys_open_routes(shop: Project) -> None:
    shop.write("microfaas.toml", f"auth = true\n{CONFIG}")
    shop.start()
    assert ask(shop, "/http/items/7")[0] == 403
    assert ask(shop, "/http/open")[0] == 200
    bearer = "Bearer {}.{}".format(*create_key(shop, "invoke:shop"))
    status, answer = ask(shop, "/http/items/7", Authorization=bearer)
    assert status == 200
    assert "authorization" not in answer["event"]["headers"]
    other = "Bearer {}.{}".format(*create_key(shop, "invoke:other"))
    assert ask(shop, "/http/items/7", Authorization=other)[0] == 403


def test_over_tls_functions_see_it(shop: Project) -> None:
    shop.write("microfaas.toml", f"{TLS}{CONFIG}")
    certify(shop.root / "tls", "first")
    shop.ca = str(shop.root / "tls/cert.pem")
    shop.start()
    status, answer = ask(shop, "/http/open")
    headers = answer["event"]["headers"]
    assert (status, headers["x-forwarded-proto"]) == (200, "https")
    assert headers["x-amzn-tls-version"].startswith("TLSv1.")
    assert headers["x-amzn-tls-cipher-suite"]
    made = shop.lambda_client().create_function_url_config(FunctionName="shop", AuthType="NONE")
    assert made["FunctionUrl"].startswith("https://")
