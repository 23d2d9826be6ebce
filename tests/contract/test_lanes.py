"""Both lanes of the gateway give the same answers to the same bytes."""

from __future__ import annotations

import base64
import gzip
import json
import logging
import re

import pytest
from lane_world import Lane, invoke, request

from microfaas.model import MIB

Lanes = tuple[Lane, Lane]

ARN = "arn:aws:lambda:us-east-1:123456789012:function:echo"
CONTEXT = base64.b64encode(b'{"custom": {"a": 1}}').decode()
FULL = b'"' + b"x" * (6 * MIB - 2) + b'"'
CHUNKED = b'5\r\n{"a":\r\n3;x=y\r\n 1}\r\n0\r\n\r\n'

# What it is, the request, the status that it must have.
TABLE: dict[str, tuple[bytes, int]] = {
    "ok": (invoke("echo", b'{"a": 1}'), 200),
    "an empty body": (invoke("echo", b""), 200),
    "an error of the function": (invoke("fail"), 200),
    "the tail of the log": (invoke("echo", X_Amz_Log_Type="Tail"), 200),
    "no tail of the log": (invoke("echo", X_Amz_Log_Type="None"), 200),
    "a client context": (invoke("echo", X_Amz_Client_Context=CONTEXT), 200),
    "a bad client context": (invoke("echo", X_Amz_Client_Context="%"), 400),
    "a trace id": (invoke("echo", X_Amzn_Trace_Id="Root=1-2-3;Sampled=1"), 200),
    "a trace id that is not ascii": (invoke("echo", X_Amzn_Trace_Id="caf\u00e9"), 200),
    "a trace id that is not utf-8": (
        invoke("echo").replace(b"Host", b"X-Amzn-Trace-Id: caf\xe9\r\nHost"),
        200,
    ),
    "a trace id with a line separator": (
        invoke("echo").replace(b"Host", b"X-Amzn-Trace-Id: a\xe2\x80\xa8Evil: yes\r\nHost"),
        200,
    ),
    "a trace id with another line separator": (
        invoke("echo").replace(b"Host", b"X-Amzn-Trace-Id: a\xc2\x85Evil: yes\r\nHost"),
        200,
    ),
    "headers in small letters": (invoke("echo", x_amz_log_type="Tail"), 200),
    "an event for later": (invoke("echo", X_Amz_Invocation_Type="Event"), 202),
    "a dry run": (invoke("echo", X_Amz_Invocation_Type="DryRun"), 204),
    "an unknown invocation type": (invoke("echo", X_Amz_Invocation_Type="Later"), 400),
    "an unknown log type": (invoke("echo", X_Amz_Log_Type="All"), 400),
    "an invocation type that is not ascii": (invoke("echo", X_Amz_Invocation_Type="\u00e9"), 400),
    "a header twice": (
        invoke("echo", X_Amz_Invocation_Type="DryRun", x_amz_invocation_type="Event"),
        204,
    ),
    "an unknown function": (invoke("nobody"), 404),
    "a dry run of an unknown function": (invoke("nobody", X_Amz_Invocation_Type="DryRun"), 404),
    "a body that is not json": (invoke("echo", b"{"), 400),
    "too many requests": (invoke("busy"), 429),
    "a bug of ours": (invoke("broken"), 500),
    "a qualifier in the query": (
        request("/2015-03-31/functions/echo/invocations?Qualifier=%24LATEST"),
        200,
    ),
    "a qualifier that nobody knows": (
        request("/2015-03-31/functions/echo/invocations?Qualifier=PROD"),
        404,
    ),
    "an empty qualifier": (request("/2015-03-31/functions/echo/invocations?Qualifier="), 200),
    "two qualifiers": (
        request("/2015-03-31/functions/echo/invocations?Qualifier=%24LATEST&Qualifier=PROD"),
        200,
    ),
    "an empty query": (request("/2015-03-31/functions/echo/invocations?"), 200),
    "another parameter": (request("/2015-03-31/functions/echo/invocations?a=b"), 200),
    "a qualifier in the name": (invoke("echo:$LATEST"), 200),
    "qualifiers that differ": (
        request("/2015-03-31/functions/echo:A/invocations?Qualifier=B"),
        400,
    ),
    "an ARN": (invoke(ARN), 200),
    "an ARN with a qualifier": (invoke(ARN + ":$LATEST"), 200),
    "an encoded ARN": (invoke(ARN.replace(":", "%3A")), 200),
    "an ARN encoded in small letters": (invoke(ARN.replace(":", "%3a")), 200),
    "a partial ARN": (invoke("123456789012:function:echo"), 200),
    "another region": (invoke(ARN.replace("us-east", "eu-west")), 404),
    "an encoded letter": (invoke("%65cho"), 200),
    "a letter encoded twice": (invoke("%2565cho"), 400),
    "an encoded slash": (invoke("e%2Fcho"), 400),
    "an encoded letter that is not ascii": (invoke("%C3%A9"), 400),
    "a slash in the name": (invoke("e/cho"), 404),
    "braces in the name": (invoke("{echo}"), 404),
    "a fragment in the name": (invoke("ec#ho"), 404),
    "no name": (request("/2015-03-31/functions//invocations"), 404),
    "no name and no slash": (request("/2015-03-31/functions/invocations"), 404),
    "a name that is too long": (invoke("a" * 300), 400),
    "a trailing slash": (request("/2015-03-31/functions/echo/invocations/"), 200),
    "invoke-async": (request("/2014-11-13/functions/echo/invoke-async/"), 202),
    "a wrong method": (request("/2015-03-31/functions/echo/invocations", method="PUT"), 405),
    "GET": (request("/2015-03-31/functions/echo/invocations", b"", method="GET"), 405),
    "an unknown path": (request("/nowhere"), 404),
    "an unknown action": (request("/2015-03-31/functions/echo/url"), 404),
    "another API version": (request("/2020-01-01/functions/echo/invocations"), 404),
    "health": (request("/_microfaas/v1/health", b"", method="GET"), 200),
    "the whole URL as target": (
        request("http://localhost/2015-03-31/functions/echo/invocations"),
        200,
    ),
    "a body in chunks": (invoke("echo", CHUNKED, Transfer_Encoding="chunked"), 200),
    "a body that says it is compressed": (
        invoke("echo", gzip.compress(b"{}", mtime=0), Content_Encoding="gzip"),
        400,
    ),
    "keep-alive": (invoke("echo", Connection="keep-alive"), 200),
    "the largest body": (invoke("echo", FULL), 200),
    "the largest reply": (invoke("large"), 200),
    "an event for later that is too large": (
        invoke("echo", FULL, X_Amz_Invocation_Type="Event"),
        413,
    ),
}


async def both(lanes: Lanes, *pieces: bytes, answers: int = 1) -> list[bytes]:
    """The answers, which are the same."""
    fast, plain = [await lane.ask(*pieces, answers=answers) for lane in lanes]
    assert fast == plain
    return fast


async def both_to_the_end(lanes: Lanes, *pieces: bytes) -> bytes:
    fast, plain = [await lane.ask_to_the_end(*pieces) for lane in lanes]
    assert fast == plain
    return fast


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def body(answer: bytes) -> bytes:
    return answer.partition(b"\r\n\r\n")[2]


@pytest.mark.parametrize(("raw", "wanted"), TABLE.values(), ids=TABLE.keys())
async def test_both_lanes_answer_alike(lanes: Lanes, raw: bytes, wanted: int) -> None:
    (answer,) = await both(lanes, raw)
    assert status(answer) == wanted


@pytest.mark.parametrize(("raw", "wanted"), TABLE.values(), ids=TABLE.keys())
async def test_after_any_answer_the_connection_serves_on(
    lane: Lane, raw: bytes, wanted: int
) -> None:
    first, second = await lane.ask(raw, invoke("echo", b"2"), answers=2)
    assert (status(first), status(second), body(second)) == (wanted, 200, b"2")


async def test_both_lanes_give_functions_the_same(lanes: Lanes) -> None:
    raw = invoke(
        ARN + ":$LATEST",
        b' {"a" : 1.0}',
        X_Amz_Log_Type="Tail",
        X_Amz_Client_Context=CONTEXT,
        X_Amzn_Trace_Id="Root=1-2-3",
    )
    await both(lanes, raw)
    fast, plain = [lane.invoker.invocations[0] for lane in lanes]
    assert fast.request_id != plain.request_id
    for name in ("function", "event", "qualifier", "client_context", "trace_id", "tail"):
        assert getattr(fast, name) == getattr(plain, name)


async def test_an_answer_is_byte_by_byte_what_it_should_be(lanes: Lanes) -> None:
    (answer,) = await both(lanes, invoke("echo", b'{"a": 1}'))
    assert answer == (
        b"HTTP/1.1 200 OK\r\nDate: DATE\r\nContent-Type: application/json\r\n"
        b"x-amzn-RequestId: ID\r\nX-Amz-Executed-Version: $LATEST\r\nX-Amzn-Trace-Id: TRACE\r\n"
        b'Content-Length: 8\r\n\r\n{"a": 1}'
    )


async def test_who_is_throttled_is_told_when_to_come_back(lanes: Lanes) -> None:
    (answer,) = await both(lanes, invoke("busy"))
    assert b"\r\nRetry-After: 1\r\n" in answer


async def test_each_answer_has_a_request_id_of_its_own(lane: Lane) -> None:
    async with lane.connected() as client:
        await client.send([invoke("f%20g") * 2])
        heads = [await client.reader.readuntil(b"\r\n\r\n") for _ in range(2)]
    first, second = [re.findall(rb"x-amzn-RequestId: (\S+)", head) for head in heads]
    assert first != second


async def test_a_burst_is_answered_in_order(lanes: Lanes) -> None:
    burst = b"".join(invoke("echo", b"%d" % number) for number in range(50))
    answers = await both(lanes, burst, answers=50)
    assert [body(answer) for answer in answers] == [b"%d" % number for number in range(50)]


async def test_a_burst_of_all_shapes_is_answered_in_order(lanes: Lanes) -> None:
    shapes = [invoke("echo", b"1"), invoke("nobody"), request("/nowhere"), invoke("echo", b"2")]
    answers = await both(lanes, b"".join(shapes), answers=4)
    assert [status(answer) for answer in answers] == [200, 404, 404, 200]


async def test_a_burst_of_large_bodies_is_answered(lanes: Lanes) -> None:
    burst = [invoke("echo", b'"' + b"x" * MIB + b'"')] * 5
    assert [status(answer) for answer in await both(lanes, *burst, answers=5)] == [200] * 5


async def test_a_client_that_sends_byte_by_byte_is_served(lanes: Lanes) -> None:
    raw = invoke("echo", b'{"a": 1}')
    (answer,) = await both(lanes, *(bytes([byte]) for byte in raw))
    assert body(answer) == b'{"a": 1}'


async def test_a_body_that_comes_after_its_head_is_served(lanes: Lanes) -> None:
    head, _, content = invoke("echo", b'{"a": 1}').partition(b"\r\n\r\n")
    (answer,) = await both(lanes, head + b"\r\n\r\n", content)
    assert body(answer) == b'{"a": 1}'


async def test_whoever_asks_to_close_is_hung_up_on(lanes: Lanes) -> None:
    answer = await both_to_the_end(lanes, invoke("echo", b"1", Connection="close"))
    assert (status(answer), body(answer)) == (200, b"1")


async def test_a_client_of_http_1_0_is_answered_and_hung_up_on(lanes: Lanes) -> None:
    answer = await both_to_the_end(lanes, invoke("echo", b"1", version="HTTP/1.0"))
    assert (status(answer), body(answer)) == (200, b"1")


async def test_a_client_that_expects_100_is_told_to_continue(lanes: Lanes) -> None:
    raw = invoke("echo", b"1", Expect="100-continue")
    go_on, answer = await both(lanes, raw[:-1], raw[-1:], answers=2)
    assert go_on == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert body(answer) == b"1"


async def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(lanes: Lanes) -> None:
    (answer,) = await both(lanes, invoke("echo", b"", length=6 * MIB + 1))
    assert status(answer) == 413


async def test_a_body_in_chunks_that_is_too_large_is_refused(lanes: Lanes) -> None:
    chunk = b"100000\r\n" + b"x" * MIB + b"\r\n"
    (answer,) = await both(lanes, invoke("echo", b"", Transfer_Encoding="chunked"), *[chunk] * 7)
    assert status(answer) == 413


GARBAGE: dict[str, bytes] = {
    "bytes": b"\x00\xff\x16\x03\x01garbage\r\n\r\n",
    "words": b"HELLO\r\n\r\n",
    "a wrong version": invoke("echo", version="HTTP/7.0"),
    "a bad length": invoke("echo", b"{}").replace(b"Length: 2", b"Length: x"),
    "a negative length": invoke("echo", b"{}").replace(b"Length: 2", b"Length: -2"),
    "two lengths": invoke("echo", b"{}", content_length="5"),
    "a length and chunks": invoke("echo", CHUNKED, transfer_encoding="chunked"),
    "no host": invoke("echo").replace(b"Host: localhost\r\n", b""),
    "two hosts": invoke("echo", host="localhost"),
    "two content types": invoke("echo", Content_Type="a/b", content_type="a/b"),
    "a space before the colon": invoke("echo").replace(b"Host:", b"Host :"),
    "a bad chunk": invoke("echo", b"zz\r\n\r\n", Transfer_Encoding="chunked"),
}


@pytest.mark.parametrize("raw", GARBAGE.values(), ids=GARBAGE.keys())
async def test_what_is_not_http_is_refused_alike(lanes: Lanes, raw: bytes) -> None:
    fast, plain = [await lane.ask(raw) for lane in lanes]
    assert fast == plain
    assert status(fast[0]) == 400
    assert [lane.invoker.invocations for lane in lanes] == [[], []]


async def test_a_huge_header_is_refused_and_hung_up_on(lane: Lane) -> None:
    answer = await lane.ask_to_the_end(invoke("echo", X_Large="x" * MIB))
    assert answer == b"" or 400 <= status(answer) < 500
    assert lane.invoker.invocations == []


async def test_a_head_without_end_is_refused_and_hung_up_on(lane: Lane) -> None:
    lines = [b"POST /2015-03-31/functions/echo/invocations HTTP/1.1\r\n"]
    answer = await lane.ask_to_the_end(*lines, *[b"X-A: " + b"x" * 1000 + b"\r\n"] * 1000)
    assert answer == b"" or 400 <= status(answer) < 500


async def test_a_client_that_leaves_in_the_middle_of_a_body_is_no_error(
    lane: Lane, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "microfaas"):
        for raw in (invoke("echo", b"{", length=9), invoke("echo", b"9\r\n{", **IN_CHUNKS)):
            async with lane.connected() as client:
                await client.send([raw])
        assert status((await lane.ask(invoke("echo")))[0]) == 200
        await lane.gateway.close()
    assert len(lane.invoker.invocations) == 1
    assert caplog.text == ""


IN_CHUNKS = {"Transfer_Encoding": "chunked"}


async def test_a_function_goes_on_when_its_client_leaves(lane: Lane) -> None:
    async with lane.connected() as client:
        await client.send([invoke("slow")])
        await lane.functions.started.wait()
    assert status((await lane.ask(invoke("echo")))[0]) == 200
    lane.functions.go_on.set()
    await lane.functions.finished.wait()


async def test_requests_that_wait_behind_a_running_one_are_answered(lanes: Lanes) -> None:
    for lane in lanes:
        async with lane.connected() as client:
            await client.send([invoke("slow", b"1")])
            await lane.functions.started.wait()
            await client.send([invoke("echo", b"2"), invoke("nobody")])
            lane.functions.go_on.set()
            answers = [await client.answer() for _ in range(3)]
        assert [status(answer) for answer in answers] == [200, 200, 404]


async def test_a_gateway_that_closes_lets_what_runs_finish(lane: Lane) -> None:
    async with lane.connected() as client:
        await client.send([invoke("slow", b"1")])
        await lane.functions.started.wait()
        lane.functions.go_on.set()
        await lane.gateway.close()
        assert body(await client.answer()) == b"1"


async def test_a_gateway_that_closes_hangs_up_on_idle_connections(lane: Lane) -> None:
    async with lane.connected() as client:
        await client.send([invoke("echo")])
        await client.answer()
        await lane.gateway.close()
        assert await client.rest() == b""


async def test_an_event_for_later_is_handed_on_once(lane: Lane) -> None:
    await lane.ask(invoke("echo", b'{"a": 1}', X_Amz_Invocation_Type="Event"))
    (submitted,) = lane.submitted.invocations
    assert json.loads(submitted.event) == {"a": 1}
