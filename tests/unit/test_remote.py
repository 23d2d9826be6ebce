"""Calls of services elsewhere: where they go, how they are signed, and what comes back."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web

from microfaas import config, sigv4
from microfaas.config.endpoints import EndpointTable
from microfaas.errors import ConfigError, MachineError, ServiceError
from microfaas.remote.calls import SQS, Calls
from microfaas.remote.endpoints import Endpoint, Endpoints, Key
from microfaas.sigv4 import Signable
from microfaas.triggers import table

ENVIRON = {"AWS_ACCESS_KEY_ID": "AKIDENV", "AWS_SECRET_ACCESS_KEY": "from the environment"}
QUEUE = "arn:aws:sqs:eu-west-1:000000000000:q"


def endpoints(environ: dict[str, str] | None = None, **urls: str) -> Endpoints:
    tables = {name.replace("_", ":"): EndpointTable(url=url) for name, url in urls.items()}
    return Endpoints(tables, lambda _: None, ENVIRON if environ is None else environ)


def test_the_narrowest_endpoint_is_meant() -> None:
    tables = {
        "sqs": EndpointTable(url="http://any"),
        "sqs:eu-west-1:000000000000": EndpointTable(url="http://that"),
    }
    found = Endpoints(tables, lambda _: None, ENVIRON)
    key = Key("AKIDENV", "from the environment")
    assert found.find(QUEUE) == Endpoint("http://that", "eu-west-1", key)
    other = QUEUE.replace("eu-west-1", "us-east-1")
    assert found.find(other) == Endpoint("http://any", "us-east-1", key)
    assert found.find("arn:aws:kinesis:eu-west-1:000000000000:stream/s") is None
    assert [found.covers(arn, whole=True) for arn in (QUEUE, other)] == [True, False]
    assert found.covers(other)


def test_keys_are_stored_secrets_or_of_the_environment() -> None:
    secrets = {"id": b"AKID", "secret": b"s", "token": b"t"}
    stored = EndpointTable(
        url="http://x", access_key_id="id", secret_access_key="secret", session_token="token"
    )
    endpoint = Endpoints({"sqs": stored}, secrets.get, {}).find(QUEUE)
    assert endpoint is not None
    assert endpoint.key == Key("AKID", "s", "t")
    with pytest.raises(MachineError, match=r"cannot find the secret id that endpoints\.sqs names"):
        Endpoints({"sqs": stored}, lambda _: None, {}).find(QUEUE)
    with pytest.raises(MachineError, match="cannot sign calls to http://x: set access_key_id"):
        endpoints({}, sqs="http://x").find(QUEUE)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ({"s3": "http://x"}, "endpoints.s3: must be sqs, kinesis or dynamodb, or one of them"),
        ({"sqs": "ftp://x"}, "endpoints.sqs.url: must be an http: or https: URL, not 'ftp://x'"),
        ({"sqs": 1}, "endpoints.sqs: must be a table, not 1"),
        ({"sqs": {}}, "endpoints.sqs.url: is missing"),
        ({"sqs": {"url": "http://x", "access_key_id": "a"}}, "needs both access_key_id and"),
        ({"sqs:eu:1": "http://x"}, 'endpoints."sqs:eu:1": must be sqs'),
        ("http://x", "endpoints: must be a table"),
    ],
)
def test_endpoints_that_cannot_be(written: Any, text: str) -> None:
    with pytest.raises(ConfigError) as refused:
        config.parse({"endpoints": written}, "microfaas.toml", table.settings())
    assert text in str(refused.value)


def test_an_url_is_enough() -> None:
    written = {"sqs": "http://x:1", "kinesis:eu-west-1:000000000000": {"url": "https://y"}}
    made = config.parse({"endpoints": written}, "microfaas.toml", table.settings())
    assert {name: each.url for name, each in made.endpoints.items()} == {
        "sqs": "http://x:1",
        "kinesis:eu-west-1:000000000000": "https://y",
    }


Answer = Callable[[web.Request, bytes], web.Response]
Serve = Callable[[Answer], Any]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Starts a service; gives where it is."""
    runners = []

    async def start(answer: Answer) -> Endpoint:
        async def handle(request: web.Request) -> web.Response:
            return answer(request, await request.read())

        app = web.Application()
        app.router.add_post("/", handle)
        runner = web.AppRunner(app)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        return Endpoint(f"http://127.0.0.1:{port}", "eu-west-1", Key("AKID", "secret", "token"))

    yield start
    for runner in runners:
        await runner.cleanup()


async def called(endpoint: Endpoint) -> dict[str, Any]:
    calls = Calls()
    try:
        return await calls(endpoint, SQS, "ReceiveMessage", {"QueueUrl": "u"})
    finally:
        await calls.close()


async def test_a_call_is_signed_for_its_region_and_service(serve: Serve) -> None:
    def answer(request: web.Request, body: bytes) -> web.Response:
        headers = [(name.lower(), value) for name, value in request.raw_headers]
        signable = Signable("POST", b"/", headers)
        claim = sigv4.read(signable)
        assert claim is not None
        assert (claim.key_id, claim.token) == ("AKID", "token")
        assert claim.scope.endswith("/eu-west-1/sqs/aws4_request")
        assert "x-amz-target" in claim.signed
        key = sigv4.signing_key("secret", claim.scope)
        sigv4.check(claim, signable, body, key, time.time(), private=False)
        return web.json_response({"told": request.headers["X-Amz-Target"], **json.loads(body)})

    endpoint = await serve(answer)
    assert await called(endpoint) == {"told": "AmazonSQS.ReceiveMessage", "QueueUrl": "u"}


async def test_what_a_service_refuses_is_its_error(serve: Serve) -> None:
    refusal = {"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "no such queue"}
    endpoint = await serve(lambda *_: web.json_response(refusal, status=400))
    with pytest.raises(ServiceError, match="no such queue") as refused:
        await called(endpoint)
    assert refused.value.kind == "QueueDoesNotExist"


@pytest.mark.parametrize(
    ("status", "body", "text"),
    [
        (500, b'{"__type": "InternalFailure", "message": "oh"}', "answered .* with 500: oh"),
        (403, b"<html>who are you</html>", "answered ReceiveMessage with 403: <html>who"),
        (302, b"", "answered ReceiveMessage with 302"),
        (200, b"<html>hello</html>", "answered ReceiveMessage with 200: <html>hello"),
    ],
)
async def test_what_is_no_answer_is_the_machines_fault(
    serve: Serve, status: int, body: bytes, text: str
) -> None:
    endpoint = await serve(lambda *_: web.Response(status=status, body=body))
    with pytest.raises(MachineError, match=text):
        await called(endpoint)


async def test_a_service_that_is_not_there() -> None:
    endpoint = Endpoint("http://127.0.0.1:1", "eu-west-1", Key("a", "b"))
    with pytest.raises(MachineError, match=r"cannot reach http://127\.0\.0\.1:1: "):
        await called(endpoint)
