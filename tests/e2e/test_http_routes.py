"""Routes of functions: out of the file, put while the server runs, with keys, and over TLS."""

from __future__ import annotations

import http.client
import json
import ssl
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.control import client, create
from tests.e2e.project import Project, until
from tests.e2e.test_access import create as create_key
from tests.e2e.test_tls import TLS, certify

APP = """
import json

def handler(event, context):
    return {"by": context.function_name, "event": event}

def guard(event, context):
    name = event["identitySource"][0]
    while name == "slow":
        pass
    known = {"name": name, "tags": [1], "said": context.aws_request_id}
    return {"isAuthorized": name.startswith("friend"), "context": known}

def token(event, context):
    effect = "Allow" if event["authorizationToken"] == "friend" else "Deny"
    where = event["methodArn"].rsplit("/", 1)[0] + "/*"
    statement = {"Effect": effect, "Action": "execute-api:Invoke", "Resource": where}
    return {"principalId": "p", "policyDocument": {"Statement": [statement]}}

def rest(event, context):
    return {"statusCode": 200, "body": json.dumps(event)}
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

GUARDED = """
auth = true
[functions.guard]
handler = "app.guard"
timeout_s = 3
[functions.token]
handler = "app.token"
[functions.rest]
handler = "app.rest"
[[functions.rest.triggers]]
type = "http"
route = "GET /rest/{proxy+}"
payload = "1.0"
authorizer = { function = "token", type = "token", identity = ["method.request.header.X-Name"] }
[[functions.rest.triggers]]
type = "http"
route = "OPTIONS /rest/{proxy+}"
public = true
mock = { headers = { Access-Control-Allow-Origin = "*" }, body = "{}" }
[functions.shop]
handler = "app.handler"
[[functions.shop.triggers]]
type = "http"
route = "GET /guarded"
authorizer = { function = "guard", simple = true, identity = ["$request.header.X-Name"] }
cors = { allow_origins = ["https://shop.example"], allow_headers = ["x-name"] }
"""
ORIGIN = "https://shop.example"
ASKED = {
    "Origin": ORIGIN,
    "Access-Control-Request-Method": "GET",
    "Access-Control-Request-Headers": "x-name",
}


@pytest.fixture
def shop(project: Project) -> Project:
    project.write("app.py", APP)
    project.write("microfaas.toml", CONFIG)
    return project


def ask(project: Project, path: str, **headers: str) -> tuple[int, Any]:
    status, _, body = talk(project, "GET", path, headers)
    return status, json.loads(body)


def talk(
    project: Project, method: str, path: str, headers: dict[str, str]
) -> tuple[int, Message, bytes]:
    place = urlsplit(project.url)
    assert place.hostname is not None
    if place.scheme == "https":
        trusting = ssl.create_default_context(cafile=project.ca)
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            place.hostname, place.port, timeout=60, context=trusting
        )
    else:
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=60)
    connection.request(method, path, headers=headers)
    reply = connection.getresponse()
    body = reply.read()
    connection.close()
    return reply.status, reply.headers, body


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


def test_browsers_and_authorizers(shop: Project) -> None:
    shop.write("microfaas.toml", GUARDED)
    shop.start()
    assert "authorizer={function=guard simple=True identity=" in shop.output.read_text()
    status, headers, body = talk(shop, "OPTIONS", "/http/guarded", ASKED)
    assert (status, body, headers["Access-Control-Allow-Headers"]) == (204, b"", "x-name")
    found = []
    for name in ("", "enemy", "friend", "slow"):
        named = {"X-Name": name} if name else {}
        status, headers, body = talk(shop, "GET", "/http/guarded", {"Origin": ORIGIN, **named})
        assert headers["Access-Control-Allow-Origin"] == ORIGIN
        found.append((status, json.loads(body).get("message")))
    refusals = [(401, "Unauthorized"), (403, "Forbidden"), (200, None)]
    assert found == [*refusals, (500, "Internal Server Error")]
    _a_crowd(shop)
    _a_rest_api(shop)


def _a_crowd(shop: Project) -> None:
    """Of many requests of one caller, the authorizer is asked about one."""

    def friend(_: int) -> dict[str, Any]:
        status, answer = ask(shop, "/http/guarded", **{"X-Name": "friend-1"})
        assert status == 200
        told: dict[str, Any] = answer["event"]["requestContext"]["authorizer"]["lambda"]
        return told

    with ThreadPoolExecutor(20) as pool:
        told = list(pool.map(friend, range(60)))
    assert (told[0]["name"], told[0]["tags"]) == ("friend-1", [1])
    assert len({each["said"] for each in told}) == 1


def _a_rest_api(shop: Project) -> None:
    status, headers, body = talk(shop, "OPTIONS", "/http/rest/a/1", ASKED)
    assert (status, headers["Access-Control-Allow-Origin"], body) == (200, "*", b"{}")
    status, event = ask(shop, "/http/rest/a/1", **{"X-Name": "friend"})
    assert (status, event["requestContext"]["authorizer"]["principalId"]) == (200, "p")
    # What was said of the first call is kept, and is about all that is below /rest/a.
    assert ask(shop, "/http/rest/a/2", **{"X-Name": "friend"})[0] == 200
    refused = ask(shop, "/http/rest/b/1", **{"X-Name": "friend"})
    assert refused == (403, {"Message": "User is not authorized to access this resource"})
    status, told = ask(shop, "/http/rest/a/1", **{"X-Name": "enemy"})
    assert (status, told["Message"].rpartition("resource")[2]) == (403, " with an explicit deny")
