"""Function URLs, byte by byte: what a function is given, and what becomes of what it returns."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from lane_world import invoke
from url_world import PUBLIC, World, listening, returns

from microfaas.errors import TooManyRequests
from microfaas.model import MIB, Invocation, Outcome, Status
from microfaas.payloads.http_answer import PRELUDE_TYPE
from microfaas.pool.instance import OnChunk
from microfaas.testing import echo

FORBIDDEN = {
    "Message": "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
}
CORS = {
    "AllowOrigins": ["https://shop.example"],
    "AllowMethods": ["GET", "PUT"],
    "AllowHeaders": ["x-token"],
    "ExposeHeaders": ["x-count"],
    "AllowCredentials": True,
    "MaxAge": 60,
}


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A gateway on this machine alone, which asks nobody for a key."""
    async with listening(tmp_path, keys=False) as made:
        yield made


# What a function is given


async def test_what_strangers_make_up_is_no_chain_of_events(world: World) -> None:
    await world.open("f", echo)
    await world.ask("f", "/", X_Amzn_Trace_Id="Root=1;Lineage=1:aaaaaaaa:15")
    assert world.invoker.invocations[0].trace_id == "Root=1"
    assert world.event()["headers"]["x-amzn-trace-id"] == "Root=1"


async def test_the_event_is_what_lambda_sends(world: World) -> None:
    await world.open("f", echo)
    await world.ask(
        *("f", "/pa2%Fth/1?q=a%20b&q=c&flag", b'{"a": 1}'),
        method="POST",
        User_Agent="test/echo",
        ExTrA_HeadErs="With WeiRd CapS",
        Content_Type="application/json",
        Cookie="a=1; b=2",
    )
    host = world.host("f")
    event = world.event()
    context = event["requestContext"]
    assert re.fullmatch(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000", context.pop("time"))
    assert isinstance(context.pop("timeEpoch"), int)
    assert context.pop("requestId") == world.invoker.invocations[0].request_id
    trace = event["headers"].pop("x-amzn-trace-id")
    assert re.fullmatch(r"Root=1-[0-9a-f]{8}-[0-9a-f]{24}", trace)
    assert event == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/pa2%Fth/1",
        "rawQueryString": "q=a%20b&q=c&flag",
        "cookies": ["a=1", "b=2"],
        "headers": {
            "host": host,
            "user-agent": "test/echo",
            "extra-headers": "With WeiRd CapS",
            "content-type": "application/json",
            "content-length": "8",
            "cookie": "a=1; b=2",
            "x-forwarded-for": "127.0.0.1",
            "x-forwarded-port": str(world.lane.port),
            "x-forwarded-proto": "http",
        },
        "queryStringParameters": {"q": "a b,c", "flag": ""},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": world.ids["f"],
            "domainName": host.partition(":")[0],
            "domainPrefix": world.ids["f"],
            "http": {
                "method": "POST",
                "path": "/pa2%Fth/1",
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": "test/echo",
            },
            "routeKey": "$default",
            "stage": "$default",
        },
        "body": '{"a": 1}',
        "isBase64Encoded": False,
    }


async def test_what_is_not_there_has_no_key(world: World) -> None:
    await world.open("f", echo)
    event = json.loads((await world.ask("f")).body)
    assert event.keys().isdisjoint({"cookies", "queryStringParameters", "pathParameters", "body"})
    assert event["rawQueryString"] == ""
    assert event["isBase64Encoded"] is False


async def test_repeated_headers_are_joined(world: World) -> None:
    await world.open("f", echo)
    await world.ask("f", X_One="a", x_one="b", X_Forwarded_For="192.0.2.7")
    headers = world.event()["headers"]
    assert headers["x-one"] == "a,b"
    assert headers["x-forwarded-for"] == "192.0.2.7, 127.0.0.1"


@pytest.mark.parametrize(
    ("content_type", "encoded"),
    [
        ("text/html; charset=utf-8", False),
        ("application/xml", False),
        ("application/graphql", False),
        ("application/octet-stream", True),
        ("multipart/form-data; boundary=x", True),
        ("application/x-www-form-urlencoded", True),
    ],
)
async def test_bodies_are_text_or_base64_by_their_type(
    world: World, content_type: str, encoded: bool
) -> None:
    await world.open("f", echo)
    await world.ask("f", "/", b"<\xc3\xbc>", method="POST", Content_Type=content_type)
    event = world.event()
    assert event["isBase64Encoded"] is encoded
    given = event["body"]
    assert (base64.b64decode(given) if encoded else given.encode()) == b"<\xc3\xbc>"


async def test_text_that_is_none_keeps_its_bytes(world: World) -> None:
    await world.open("f", echo)
    await world.ask("f", "/", b"\xff\xfe", method="POST", Content_Type="text/plain")
    event = world.event()
    assert event["isBase64Encoded"] is True
    assert base64.b64decode(event["body"]) == b"\xff\xfe"


async def test_a_chunked_body_arrives_whole(world: World) -> None:
    await world.open("f", echo)
    chunked = b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    raw = world.request("f", method="POST", Transfer_Encoding="chunked", Content_Type="text/plain")
    await world.lane.ask(raw + chunked)
    event = world.event()
    assert event["body"] == "abcde"
    assert event["headers"]["content-length"] == "5"
    assert "transfer-encoding" not in event["headers"]


# By which ways a request comes


async def test_the_path_names_a_url_too(world: World) -> None:
    await world.open("f", echo)
    raw = b"GET /_microfaas/urls/%s/a%%20b/c?x=1 HTTP/1.1\r\nHost: edge.lan:8080\r\n\r\n"
    await world.lane.ask(raw % world.ids["f"].encode())
    event = world.event()
    assert event["rawPath"] == "/a%20b/c"
    assert event["headers"]["x-forwarded-port"] == "8080"
    assert event["requestContext"]["domainPrefix"] == world.ids["f"]


async def test_the_path_alone_is_the_root(world: World) -> None:
    await world.open("f", echo)
    raw = b"GET /_microfaas/urls/%s HTTP/1.1\r\nHost: h\r\n\r\n"
    await world.lane.ask(raw % world.ids["f"].encode())
    assert world.event()["rawPath"] == "/"


async def test_any_domain_behind_the_region_will_do(world: World) -> None:
    await world.open("f", echo)
    await world.ask("f", Host=f"{world.ids['f'].upper()}.Lambda-URL.eu-west-1.edge.lan")
    event = world.event()
    assert event["requestContext"]["domainName"].endswith(".lambda-url.eu-west-1.edge.lan")
    assert event["headers"]["x-forwarded-port"] == "80"


async def test_a_whole_url_may_stand_in_the_request(world: World) -> None:
    await world.open("f", echo)
    await world.ask("f", f"http://{world.host('f')}/a?b=c")
    assert (world.event()["rawPath"], world.event()["rawQueryString"]) == ("/a", "b=c")


async def test_a_path_like_an_invoke_belongs_to_the_url(world: World) -> None:
    await world.open("f", echo)
    world.define("g", echo)
    path = "/2015-03-31/functions/g/invocations"
    await world.ask("f", path, b"{}", method="POST")
    (invocation,) = world.invoker.invocations
    assert invocation.function == "f"
    assert world.event()["rawPath"] == path


async def test_one_connection_serves_both_hosts(world: World) -> None:
    await world.open("f", returns("from f"))
    world.define("g", returns("from g"))
    raws = invoke("g"), world.request("f"), invoke("g")
    answers = await world.lane.ask(b"".join(raws), answers=3)
    assert [answer.partition(b"\r\n\r\n")[2] for answer in answers] == [
        *(b'"from g"', b"from f", b'"from g"')
    ]


# What becomes of a result

RESULTS: dict[str, tuple[object, int, str, bytes]] = {
    "dict": ({"hello": "world"}, 200, "application/json", b'{"hello":"world"}'),
    "response": ({"statusCode": 200, "body": "body123"}, 200, "application/json", b"body123"),
    "json": (
        {"statusCode": 200, "body": '{"hello": "world"}'},
        *(200, "application/json", b'{"hello": "world"}'),
    ),
    "list": (["hello", 3, True], 200, "application/json", b'["hello",3,true]'),
    "string": ("hello", 200, "application/json", b"hello"),
    "integer": (3, 200, "application/json", b"3"),
    "float": (3.1, 200, "application/json", b"3.1"),
    "boolean": (True, 200, "application/json", b"true"),
    "status as text": ({"statusCode": "418", "body": "tea"}, 418, "application/json", b"tea"),
    "no body": ({"statusCode": 201}, 201, "application/json", b""),
    "bytes": (
        {
            "statusCode": 200,
            "headers": {"content-type": "image/png"},
            "body": base64.b64encode(b"\x89PNG").decode(),
            "isBase64Encoded": True,
        },
        *(200, "image/png", b"\x89PNG"),
    ),
    "not found": (
        {"statusCode": 404, "headers": {"Content-Type": "text/plain"}, "body": "no"},
        *(404, "text/plain", b"no"),
    ),
}


@pytest.mark.parametrize("name", RESULTS)
async def test_a_result_becomes_a_response(world: World, name: str) -> None:
    value, status, content_type, body = RESULTS[name]
    await world.open("f", returns(value))
    answer = await world.ask("f")
    assert (answer.status, answer.headers["content-type"], answer.body) == (
        *(status, content_type, body),
    )
    assert answer.headers["content-length"] == str(len(body))
    assert answer.headers["x-amzn-requestid"] == "ID"


async def test_headers_and_cookies_are_the_functions(world: World) -> None:
    headers = {"X-One": "1", "X-Number": 7, "X-Flag": True, "Content-Length": "999"}
    cookies = ["a=1; Secure", "b=2"]
    value = {"statusCode": 200, "headers": headers, "cookies": cookies, "body": "x"}
    await world.open("f", returns(value))
    answer = await world.ask("f")
    found = (answer.headers["x-one"], answer.headers["x-number"], answer.headers["x-flag"])
    assert found == ("1", "7", "true")
    assert [value for name, value in answer.pairs if name == "set-cookie"] == cookies
    assert [value for name, value in answer.pairs if name == "content-length"] == ["1"]


async def test_no_content_has_neither_body_nor_length(world: World) -> None:
    await world.open("f", returns({"statusCode": 204}))
    head = await world.to_the_end("f")
    assert head.startswith(b"HTTP/1.1 204 ")
    assert b"content-length" not in head.lower()


async def test_head_has_a_length_and_no_body(world: World) -> None:
    await world.open("f", returns({"statusCode": 200, "body": "four"}))
    answer = await world.to_the_end("f", method="HEAD")
    assert b"Content-Length: 4\r\n" in answer
    assert answer.endswith(b"\r\n\r\n")


MALFORMED: dict[str, object] = {
    "status": {"statusCode": "abc"},
    "status out of range": {"statusCode": 99},
    "no status": {"statusCode": None},
    "headers": {"statusCode": 200, "headers": ["a"]},
    "header's name": {"statusCode": 200, "headers": {"a b": "c"}},
    "header's value": {"statusCode": 200, "headers": {"a": "b\r\nSet-Cookie: c=d"}},
    "cookie": {"statusCode": 200, "cookies": ["a=b\r\nX: y"]},
    "body": {"statusCode": 200, "body": {"a": 1}},
    "base64": {"statusCode": 200, "body": "???", "isBase64Encoded": True},
}


@pytest.mark.parametrize("name", MALFORMED)
async def test_what_is_no_response_is_a_bad_gateway(
    world: World, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    await world.open("f", returns(MALFORMED[name]))
    answer = await world.ask("f")
    assert (answer.status, answer.body) == (502, b"Internal Server Error")
    assert "f: cannot send the response to" in caplog.text


async def test_an_error_of_the_function_is_a_bad_gateway(world: World) -> None:
    async def fail(_: Invocation) -> Outcome:
        return Outcome(status=Status.ERROR, payload=b'{"errorMessage": "secret"}')

    await world.open("f", fail)
    answer = await world.ask("f")
    assert (answer.status, answer.body) == (502, b"Internal Server Error")


async def test_too_many_requests(world: World) -> None:
    async def busy(_: Invocation) -> Outcome:
        raise TooManyRequests("ReservedFunctionConcurrentInvocationLimitExceeded")

    await world.open("f", busy)
    answer = await world.ask("f")
    assert answer.status == 429
    assert json.loads(answer.body)["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded"


async def test_what_does_not_fit_into_an_event_is_too_large(world: World) -> None:
    """Five million bytes would fit as they are, and do not in base64."""
    await world.open("f", echo)
    assert (await world.ask("f", "/", bytes(5 * MIB), method="POST")).status == 413
    assert not world.invoker.invocations


# Who may call


async def test_nobody_knows_of_such_a_url(world: World) -> None:
    world.ids["x"] = "0123456789abcdefghijklmnopqrstuv"
    answer = await world.ask("x")
    assert (answer.status, answer.body) == (403, b'{"Message":null}')
    assert answer.headers["x-amzn-errortype"] == "AccessDeniedException"
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "statement",
    [
        None,
        {**PUBLIC, "Effect": "Deny"},
        {**PUBLIC, "Principal": {"AWS": "arn:aws:iam::123456789012:root"}},
        {**PUBLIC, "Action": "lambda:InvokeFunction"},
        {**PUBLIC, "Condition": {"StringEquals": {"lambda:FunctionUrlAuthType": "AWS_IAM"}}},
        {**PUBLIC, "Condition": {"StringEquals": {"aws:SourceAccount": "123456789012"}}},
    ],
)
async def test_without_a_policy_for_everybody_nobody_may(
    world: World, statement: dict[str, object] | None
) -> None:
    await world.open("f", echo, public=False)
    if statement is not None:
        await world.permit("f", statement)
    answer = await world.ask("f")
    assert (answer.status, json.loads(answer.body)) == (403, FORBIDDEN)
    assert not world.invoker.invocations


async def test_a_url_ends_with_its_record(world: World) -> None:
    await world.open("f", echo)
    assert (await world.ask("f")).status == 200
    await world.urls.delete("f", "")
    assert (await world.ask("f")).body == b'{"Message":null}'


@pytest.mark.parametrize("keys", [True, False])
async def test_signatures_open_what_asks_for_them(tmp_path: Path, keys: bool) -> None:
    async with listening(tmp_path, keys=keys) as world:
        await world.open("signed", echo, auth="AWS_IAM", public=False)
        answer = await world.ask("signed", **world.signed("signed"))
        assert answer.status == 200, answer.body
        key_id = world.key[0]
        context = json.loads(answer.body)["requestContext"]
        assert context["accountId"] == "123456789012"
        assert context["authorizer"]["iam"] == {
            "accessKey": key_id,
            "accountId": "123456789012",
            "callerId": key_id,
            "userArn": f"arn:aws:iam::123456789012:user/{key_id}",
            "userId": key_id,
        }
        seen = json.loads(answer.body)["headers"]
        assert "x-amz-date" in seen
        assert "authorization" not in seen


@pytest.mark.parametrize("keys", [True, False])
async def test_what_is_not_signed_right_is_refused(tmp_path: Path, keys: bool) -> None:
    async with listening(tmp_path, keys=keys) as world:
        await world.open("signed", echo, auth="AWS_IAM", public=True)
        bare = await world.ask("signed")
        bearer = await world.ask("signed", Authorization="Bearer {}.{}".format(*world.key))
        wrong = await world.ask("signed", **world.signed("signed", "execute-api"))
        world.key = (world.key[0], "s" * 40)
        forged = await world.ask("signed", **world.signed("signed"))
        world.key = ("MFKAAAAAAAAAAAAAAAAA", "s" * 40)
        unknown = await world.ask("signed", **world.signed("signed"))
        assert not world.invoker.invocations
    assert [json.loads(each.body) for each in (bare, bearer)] == [FORBIDDEN, FORBIDDEN]
    kinds = [each.headers["x-amzn-errortype"] for each in (wrong, forged, unknown)]
    assert kinds == [
        *("InvalidSignatureException", "InvalidSignatureException", "UnrecognizedClientException")
    ]
    assert {each.status for each in (bare, bearer, wrong, forged, unknown)} == {403}


async def test_a_key_for_another_function_is_not_enough(world: World) -> None:
    await world.open("other", echo, auth="AWS_IAM", public=False)
    answer = await world.ask("other", **world.signed("other"))
    assert (answer.status, json.loads(answer.body)) == (403, FORBIDDEN)


async def test_a_public_url_needs_no_key_where_all_else_does(tmp_path: Path) -> None:
    async with listening(tmp_path, keys=True) as world:
        await world.open("f", returns("open"))
        assert (await world.ask("f")).body == b"open"
        (answer,) = await world.lane.ask(invoke("f"))
        assert b"MissingAuthenticationTokenException" in answer


# CORS


async def test_the_gateway_answers_preflights(world: World) -> None:
    await world.open("f", echo, cors=CORS)
    asked = {"Access_Control_Request_Method": "PUT", "Access_Control_Request_Headers": "x-token"}
    answer = await world.ask("f", method="OPTIONS", Origin="https://shop.example", **asked)
    assert answer.status == 200
    assert {k: v for k, v in answer.headers.items() if k.startswith(("access-", "vary"))} == {
        "access-control-allow-origin": "https://shop.example",
        "access-control-allow-credentials": "true",
        "access-control-allow-methods": "GET,PUT",
        "access-control-allow-headers": "x-token",
        "access-control-max-age": "60",
        "vary": "Origin",
    }
    other = await world.ask("f", method="OPTIONS", Origin="https://evil.example", **asked)
    assert not any(name.startswith("access-control-") for name in other.headers)
    assert not world.invoker.invocations


async def test_the_gateways_headers_win_over_the_functions(world: World) -> None:
    headers = {"Access-Control-Allow-Origin": "*", "Access-Control-Allow-Methods": "DELETE"}
    await world.open("f", returns({"statusCode": 200, "headers": headers}), cors=CORS)
    answer = await world.ask("f", Origin="https://shop.example")
    origins = [value for name, value in answer.pairs if name == "access-control-allow-origin"]
    assert origins == ["https://shop.example"]
    assert answer.headers["access-control-expose-headers"] == "x-count"
    assert "access-control-allow-methods" not in answer.headers


async def test_without_settings_preflights_are_the_functions(world: World) -> None:
    headers = {"Access-Control-Allow-Origin": "*"}
    await world.open("f", returns({"statusCode": 204, "headers": headers}))
    answer = await world.to_the_end(
        "f", method="OPTIONS", Origin="https://a.example", Access_Control_Request_Method="GET"
    )
    assert answer.startswith(b"HTTP/1.1 204 ")
    assert b"Access-Control-Allow-Origin: *\r\n" in answer


# Streaming

PRELUDE = b'{"statusCode": 202, "headers": {"Content-Type": "text/x"}, "cookies": ["a=b"]}'


@pytest.mark.parametrize("mode", ["BUFFERED", "RESPONSE_STREAM"])
async def test_a_prelude_says_how_the_response_begins(world: World, mode: str) -> None:
    async def stream(_: Invocation, send: OnChunk) -> Outcome:
        whole = PRELUDE + bytes(8) + b"one "
        await send(whole[:10], PRELUDE_TYPE)
        await send(whole[10 : len(PRELUDE) + 3], "")
        await send(whole[len(PRELUDE) + 3 :], "")
        await send(b"two ", "")
        return Outcome(status=Status.OK, payload=b"end")

    await world.open("f", stream=stream, mode=mode)
    answer = await world.to_the_end("f")
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 202 ")
    assert b"Content-Type: text/x" in head
    assert b"Set-Cookie: a=b" in head
    if mode == "BUFFERED":
        assert body == b"one two end"
    else:
        assert body == b"4\r\none \r\n4\r\ntwo \r\n3\r\nend\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("given", "told"),
    [("", "application/octet-stream"), ("text/event-stream", "text/event-stream")],
)
async def test_without_a_prelude_all_is_body(world: World, given: str, told: str) -> None:
    async def stream(_: Invocation, send: OnChunk) -> Outcome:
        await send(b"piece", given)
        return Outcome(status=Status.OK, payload=b"")

    await world.open("f", stream=stream, mode="RESPONSE_STREAM")
    answer = await world.to_the_end("f")
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert f"Content-Type: {told}\r\n".encode() in answer
    assert answer.endswith(b"\r\n\r\n5\r\npiece\r\n0\r\n\r\n")


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)], ids=str)
async def test_a_response_without_a_body_has_none_of_its_pieces(
    world: World, method: str, status: int
) -> None:
    async def stream(_: Invocation, send: OnChunk) -> Outcome:
        await send(b'{"statusCode": %d}' % status + bytes(8) + b"first", PRELUDE_TYPE)
        await send(b"second", "")
        return Outcome(status=Status.OK, payload=b"last")

    await world.open("f", stream=stream, mode="RESPONSE_STREAM")
    await world.open("g", returns("next"))
    async with world.lane.connected() as client:
        await client.send([world.request("f", method=method)])
        head = await client.reader.readuntil(b"\r\n\r\n")
        assert head.startswith(f"HTTP/1.1 {status} ".encode())
        await client.send([world.request("g")])
        assert (await client.answer()).endswith(b"\r\n\r\nnext")


async def test_pieces_come_as_they_are_written(world: World) -> None:
    seen = asyncio.Event()

    async def stream(_: Invocation, send: OnChunk) -> Outcome:
        await send(b"first", "")
        await seen.wait()
        return Outcome(status=Status.OK, payload=b"last")

    await world.open("f", stream=stream, mode="RESPONSE_STREAM")
    async with world.lane.connected() as client:
        await client.send([world.request("f")])
        await client.reader.readuntil(b"first\r\n")
        seen.set()
        await client.reader.readuntil(b"4\r\nlast\r\n0\r\n\r\n")


async def test_what_is_not_streamed_is_passed_on_as_it_is(world: World) -> None:
    await world.open("f", returns({"statusCode": 201, "body": "x"}), mode="RESPONSE_STREAM")
    answer = await world.ask("f")
    assert answer.status == 200
    assert json.loads(answer.body) == {"statusCode": 201, "body": "x"}


async def test_a_failure_in_the_middle_cuts_the_response_off(world: World) -> None:
    async def stream(_: Invocation, send: OnChunk) -> Outcome:
        await send(b"first", "")
        return Outcome(status=Status.TIMEOUT, payload=b"{}")

    await world.open("f", stream=stream, mode="RESPONSE_STREAM")
    answer = await world.to_the_end("f", Connection="keep-alive")
    assert answer.endswith(b"5\r\nfirst\r\n")


async def test_a_failure_before_the_first_piece_is_a_bad_gateway(world: World) -> None:
    async def stream(_: Invocation, send: OnChunk) -> Outcome:
        await send(b'{"statusCode"', PRELUDE_TYPE)
        return Outcome(status=Status.ERROR, payload=b"{}")

    await world.open("f", stream=stream, mode="RESPONSE_STREAM")
    answer = await world.ask("f")
    assert (answer.status, answer.body) == (502, b"Internal Server Error")


@pytest.mark.parametrize("pieces", [[b'{"statusCode": 200}'], [b"no json" + bytes(8)]])
@pytest.mark.parametrize("mode", ["BUFFERED", "RESPONSE_STREAM"])
async def test_a_prelude_that_is_none_is_a_bad_gateway(
    world: World, mode: str, pieces: list[bytes]
) -> None:
    async def stream(_: Invocation, send: OnChunk) -> Outcome:
        for piece in pieces:
            await send(piece, PRELUDE_TYPE)
        return Outcome(status=Status.OK, payload=b"")

    await world.open("f", stream=stream, mode=mode)
    answer = await world.ask("f")
    assert (answer.status, answer.body) == (502, b"Internal Server Error")


async def test_a_streamed_response_that_is_to_be_whole_has_a_limit(world: World) -> None:
    async def stream(_: Invocation, send: OnChunk) -> Outcome:
        for _piece in range(8):
            await send(bytes(MIB), "")
        return Outcome(status=Status.OK, payload=b"")

    await world.open("f", stream=stream)
    answer = await world.ask("f")
    assert (answer.status, answer.body) == (502, b"Internal Server Error")


async def test_a_slow_client_makes_the_function_slow(world: World) -> None:
    sent = 0

    async def stream(_: Invocation, send: OnChunk) -> Outcome:
        nonlocal sent
        for _piece in range(24):
            await send(bytes(MIB), "")
            sent += 1
        return Outcome(status=Status.OK, payload=b"")

    await world.open("f", stream=stream, mode="RESPONSE_STREAM")
    async with world.lane.connected() as client:
        await client.send([world.request("f", Connection="close")])
        client.writer.transport.pause_reading()  # type: ignore[attr-defined]
        before = -1
        while before != sent:  # until it stands still
            before = sent
            await asyncio.sleep(0.2)
        assert sent < 24
        client.writer.transport.resume_reading()  # type: ignore[attr-defined]
        assert (await client.rest()).endswith(b"\r\n0\r\n\r\n")
    assert sent == 24


async def test_a_client_who_leaves_ends_the_invocation(world: World) -> None:
    ended = asyncio.Event()

    async def stream(_: Invocation, send: OnChunk) -> Outcome:
        try:
            while True:
                await send(bytes(1024), "")
                await asyncio.sleep(0)
        finally:
            ended.set()

    await world.open("f", stream=stream, mode="RESPONSE_STREAM")
    async with world.lane.connected() as client:
        await client.send([world.request("f")])
        await client.reader.readuntil(b"\r\n\r\n")
    await asyncio.wait_for(ended.wait(), 60)
