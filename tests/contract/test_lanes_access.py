"""Both lanes ask for the same keys, allow the same, and refuse alike; and both have limits."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from lane_world import Lane, invoke, listening, request

from microfaas import scopes, sigv4
from microfaas.audit import Audit
from microfaas.config import RequestsTable
from microfaas.gateway.auth import Guard
from microfaas.model import MIB, Address
from microfaas.sigv4 import Signable
from microfaas.store import keys
from microfaas.store.db import Database
from microfaas.store.functions import Functions
from microfaas.store.keys import KeyRing, Keys
from microfaas.store.machine_key import MachineKey

MACHINE_KEY = MachineKey(b"k" * 32)
NOBODY = "MFKAAAAAAAAAAAAAAAAA"
GET = {"method": "GET"}


class World:
    """Keys by what they are for, and a gateway of each kind that knows them."""

    def __init__(self, db: Database, directory: Path) -> None:
        self.db = db
        self.directory = directory
        self.keys: dict[str, tuple[str, str]] = {"nobody": (NOBODY, "s" * 40)}
        self.lanes: list[Lane] = []

    async def make(self, name: str, allow: str, **options: float) -> None:
        chosen = {"expires_s": None, "rate_per_s": None, **options}
        row, secret = await Keys(self.db, MACHINE_KEY).create(name, scopes.parse(allow), **chosen)
        self.keys[name] = row.id, secret

    def guard(self) -> Guard:
        ring = KeyRing(self.db, MACHINE_KEY, Functions())
        made = Guard(ring, Audit(str(self.directory)), Address(region="us-east-1"))
        made.refresh()
        return made

    def bearer(self, name: str) -> str:
        return "Bearer {}.{}".format(*self.keys[name])

    def sign(self, raw: bytes, name: str, ahead_s: float = 0.0) -> bytes:
        """A raw request with a signature over all its headers."""
        head, _, body = raw.partition(b"\r\n\r\n")
        line, *lines = head.split(b"\r\n")
        method, target, _ = line.split(b" ")
        pairs = [(n.lower(), v) for n, _, v in (each.partition(b": ") for each in lines)]
        kept = [pair for pair in pairs if pair[0] != b"content-length"]
        whole = Signable(method.decode(), target, kept)
        made = sigv4.sign(whole, body, *self.keys[name], time.time() + ahead_s)
        more = [f"{name}: {value}".encode() for name, value in made.items()]
        return b"\r\n".join([line, *lines, *more, b"", body])

    async def both(self, raw: bytes) -> tuple[int, str, bytes]:
        """Status, the fault's name and all of the answer, which is the same."""
        (fast,), (plain,) = [await lane.ask(raw) for lane in self.lanes]
        assert fast == plain
        kind = re.search(rb"x-amzn-ErrorType: (\S+)", fast)
        return int(fast.split(b" ", 2)[1]), kind[1].decode() if kind else "", fast


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    db = Database(str(tmp_path / "store.db"))
    db.open()
    made = World(db, tmp_path)
    await made.make("all", "invoke")
    await made.make("echo", "invoke:echo")
    await made.make("reader", "read")
    await made.make("old", "invoke", expires_s=-1)
    await made.make("slow", "invoke", rate_per_s=0.001)
    async with (
        listening(fast=True, guard=made.guard()) as fast,
        listening(fast=False, guard=made.guard()) as plain,
    ):
        made.lanes = [fast, plain]
        yield made
    db.close()


Make = Callable[[World], bytes]
LIST = "/_microfaas/v1/functions"


def edited(raw: bytes, pattern: bytes, by: bytes) -> bytes:
    found, count = re.subn(pattern, by, raw)
    assert count == 1
    return found


# What it is, the request, the status and the fault's name that it must have.
TABLE: dict[str, tuple[Make, int, str]] = {
    "no key": (lambda w: invoke("echo"), 403, "MissingAuthenticationTokenException"),
    "no key for an unknown path": (
        lambda w: request("/nowhere"),
        403,
        "MissingAuthenticationTokenException",
    ),
    "no key for health": (
        lambda w: request("/_microfaas/v1/health", b"", **GET),
        403,
        "MissingAuthenticationTokenException",
    ),
    "a password": (
        lambda w: invoke("echo", Authorization="Basic YTpi"),
        403,
        "MissingAuthenticationTokenException",
    ),
    "a bearer": (lambda w: invoke("echo", Authorization=w.bearer("all")), 200, ""),
    "a bearer in small letters": (
        lambda w: invoke("echo", authorization=w.bearer("all").replace("Bearer", "bearer ")),
        200,
        "",
    ),
    "a bearer that nobody knows": (
        lambda w: invoke("echo", Authorization=w.bearer("nobody")),
        403,
        "UnrecognizedClientException",
    ),
    "a bearer with a wrong secret": (
        lambda w: invoke("echo", Authorization=f"Bearer {w.keys['all'][0]}.{'s' * 40}"),
        403,
        "UnrecognizedClientException",
    ),
    "a bearer that has expired": (
        lambda w: invoke("echo", Authorization=w.bearer("old")),
        403,
        "ExpiredTokenException",
    ),
    "a bearer twice": (
        lambda w: invoke("echo", Authorization=w.bearer("all"), authorization=w.bearer("all")),
        403,
        "IncompleteSignatureException",
    ),
    "a bearer for this function": (
        lambda w: invoke("echo", Authorization=w.bearer("echo")),
        200,
        "",
    ),
    "a bearer for another function": (
        lambda w: invoke("fail", Authorization=w.bearer("echo")),
        403,
        "AccessDeniedException",
    ),
    "a bearer for this function by its ARN": (
        lambda w: invoke(
            "arn:aws:lambda:us-east-1:123456789012:function:echo:$LATEST",
            Authorization=w.bearer("echo"),
        ),
        200,
        "",
    ),
    "a bearer for another function that there is not": (
        lambda w: invoke("nobody", Authorization=w.bearer("echo")),
        403,
        "AccessDeniedException",
    ),
    "a bearer for a function that there is not": (
        lambda w: invoke("nobody", Authorization=w.bearer("all")),
        404,
        "ResourceNotFoundException",
    ),
    "a bearer for a name that is none": (
        lambda w: invoke("%C3%A9", Authorization=w.bearer("echo")),
        400,
        "ValidationException",
    ),
    "a bearer for later": (
        lambda w: invoke("echo", Authorization=w.bearer("all"), X_Amz_Invocation_Type="Event"),
        202,
        "",
    ),
    "invoke-async": (
        lambda w: request(
            "/2014-11-13/functions/fail/invoke-async/", Authorization=w.bearer("echo")
        ),
        403,
        "AccessDeniedException",
    ),
    "reading with a reader's": (
        lambda w: request(LIST, b"", Authorization=w.bearer("reader"), **GET),
        200,
        "",
    ),
    "reading with another's": (
        lambda w: request(LIST, b"", Authorization=w.bearer("all"), **GET),
        403,
        "AccessDeniedException",
    ),
    "running with a reader's": (
        lambda w: invoke("echo", Authorization=w.bearer("reader")),
        403,
        "AccessDeniedException",
    ),
    "an unknown path with a key": (
        lambda w: request("/nowhere", Authorization=w.bearer("reader")),
        404,
        "UnknownOperationException",
    ),
    "a signature": (lambda w: w.sign(invoke("echo"), "all"), 200, ""),
    "a signature without a body": (lambda w: w.sign(invoke("echo", b""), "all"), 200, ""),
    "a signature over a qualifier": (
        lambda w: w.sign(
            request("/2015-03-31/functions/echo/invocations?Qualifier=%24LATEST"), "all"
        ),
        200,
        "",
    ),
    "a signature over an encoded name": (
        lambda w: w.sign(
            invoke("arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Aecho"), "all"
        ),
        200,
        "",
    ),
    "a signature over all the headers": (
        lambda w: w.sign(invoke("echo", X_Amz_Log_Type="Tail", X_A="  a   b "), "all"),
        200,
        "",
    ),
    "a signature over bytes that are not utf-8": (
        lambda w: w.sign(invoke("echo").replace(b"Host", b"X-A: caf\xe9\r\nHost"), "all"),
        200,
        "",
    ),
    "a signature over a body in chunks": (
        lambda w: edited(
            w.sign(invoke("echo", b"{}"), "all"),
            rb"Content-Length: 2",
            b"Transfer-Encoding: chunked",
        ).replace(b"\r\n\r\n{}", b"\r\n\r\n2\r\n{}\r\n0\r\n\r\n"),
        200,
        "",
    ),
    "a signature for another function": (
        lambda w: w.sign(invoke("fail"), "echo"),
        403,
        "AccessDeniedException",
    ),
    "a signature of nobody's": (
        lambda w: w.sign(invoke("echo"), "nobody"),
        403,
        "UnrecognizedClientException",
    ),
    "a signature of one that has expired": (
        lambda w: w.sign(invoke("echo"), "old"),
        403,
        "ExpiredTokenException",
    ),
    "a signature that is old": (
        lambda w: w.sign(invoke("echo"), "all", ahead_s=-400),
        403,
        "InvalidSignatureException",
    ),
    "a signature to come": (
        lambda w: w.sign(invoke("echo"), "all", ahead_s=400),
        403,
        "InvalidSignatureException",
    ),
    "a body that was changed": (
        lambda w: edited(w.sign(invoke("echo", b'{"a": 1}'), "all"), rb'"a": 1', b'"a": 2'),
        403,
        "InvalidSignatureException",
    ),
    "a function that was changed": (
        lambda w: edited(w.sign(invoke("echo"), "all"), b"/echo/", b"/fail/"),
        403,
        "InvalidSignatureException",
    ),
    "a header that was added": (
        lambda w: edited(w.sign(invoke("echo"), "all"), b"Host", b"X-Amz-Log-Type: Tail\r\nHost"),
        403,
        "InvalidSignatureException",
    ),
    "a session token that is none": (
        lambda w: w.sign(invoke("echo", X_Amz_Security_Token="x"), "all"),
        403,
        "UnrecognizedClientException",
    ),
    "a malformed signature": (
        lambda w: invoke("echo", Authorization="AWS4-HMAC-SHA256 Credential=x"),
        403,
        "IncompleteSignatureException",
    ),
    "a signature to read": (lambda w: w.sign(request(LIST, b"", **GET), "reader"), 200, ""),
    "a large body without a key": (
        lambda w: invoke("echo", b'"' + b"x" * MIB + b'"'),
        403,
        "MissingAuthenticationTokenException",
    ),
}


@pytest.mark.parametrize(("make", "status", "kind"), TABLE.values(), ids=TABLE.keys())
async def test_both_lanes_answer_alike(world: World, make: Make, status: int, kind: str) -> None:
    assert (await world.both(make(world)))[:2] == (status, kind)
    ran = status in (200,) and b"invocations" in make(world)
    assert [bool(lane.invoker.invocations) for lane in world.lanes] == [ran, ran]


@pytest.mark.parametrize(("make", "status", "kind"), TABLE.values(), ids=TABLE.keys())
async def test_after_any_answer_the_connection_serves_on(
    world: World, make: Make, status: int, kind: str
) -> None:
    for lane in world.lanes:
        good = invoke("echo", b"2", Authorization=world.bearer("all"))
        first, second = await lane.ask(make(world), good, answers=2)
        assert first.split(b" ", 2)[1] == str(status).encode()
        assert second.endswith(b"\r\n\r\n2")


async def test_who_may_not_reads_aws_words(world: World) -> None:
    _, _, answer = await world.both(invoke("fail", Authorization=world.bearer("echo")))
    key_id = world.keys["echo"][0]
    assert (
        f'"Message":"User: arn:aws:iam::123456789012:user/{key_id} is not authorized to perform: '
        "lambda:InvokeFunction on resource: arn:aws:lambda:us-east-1:123456789012:function:fail"
    ).encode() in answer
    _, _, answer = await world.both(invoke("fail"))
    assert b'WWW-Authenticate: Bearer realm="microfaas"\r\n' in answer


async def test_a_key_that_is_revoked_opens_nothing_on_a_connection_that_is_open(
    world: World,
) -> None:
    await world.make("other", "invoke")
    raw = invoke("echo", Authorization=world.bearer("other"))
    async with contextlib.AsyncExitStack() as stack:
        # The guards were made before the key was, and find it when it comes.
        clients = [await stack.enter_async_context(lane.connected()) for lane in world.lanes]
        for client in clients:
            await client.send([raw])
            assert (await client.answer()).startswith(b"HTTP/1.1 200 ")
        await keys.revoke(world.db, world.keys["other"][0])
        for lane in world.lanes:
            assert lane.guard
            lane.guard.refresh()
        for client in clients:
            await client.send([raw])
            assert (await client.answer()).startswith(b"HTTP/1.1 403 ")


async def test_a_key_is_good_for_its_rate(world: World) -> None:
    raw = invoke("echo", Authorization=world.bearer("slow"))
    assert (await world.both(raw))[0] == 200
    status, kind, answer = await world.both(raw)
    assert (status, kind) == (429, "TooManyRequestsException")
    assert b'"Reason":"CallerRateLimitExceeded"' in answer
    assert b"\r\nRetry-After: 1000\r\n" in answer


async def test_a_function_is_good_for_its_rate(world: World) -> None:
    async with listening(fast=True) as fast, listening(fast=False) as plain:
        world.lanes = [fast, plain]
        assert (await world.both(invoke("rated", X_Amz_Invocation_Type="DryRun")))[0] == 204
        assert (await world.both(invoke("rated")))[0] == 200
        for kind in ("RequestResponse", "Event"):
            status, _, answer = await world.both(invoke("rated", X_Amz_Invocation_Type=kind))
            assert status == 429
            assert b'"Reason":"FunctionInvocationRateLimitExceeded"' in answer
            assert b"\r\nRetry-After: 1000\r\n" in answer
        assert (await world.both(invoke("echo")))[0] == 200


@pytest.mark.parametrize("limit", [{"connections_max": 2}, {"connections_per_peer_max": 2}])
@pytest.mark.parametrize("fast", [True, False])
async def test_there_are_no_more_connections_than_allowed(
    limit: dict[str, int], fast: bool
) -> None:
    async with (
        listening(fast=fast, requests=RequestsTable(**limit)) as lane,
        lane.connected() as first,
        lane.connected() as second,
    ):
        # One of them is handed over to the other lane, and counts there.
        await first.send([request("/nowhere")])
        assert b" 404 " in await first.answer()
        await second.send([invoke("echo")])
        assert b" 200 " in await second.answer()
        async with lane.connected() as third:
            refused = await third.rest()
        assert refused.startswith(b"HTTP/1.1 503 ")
        assert b"\r\nRetry-After: 1\r\n" in refused
        await first.send([request("/nowhere")])
        assert b" 404 " in await first.answer()
        first.writer.transport.abort()
        await lane.answers_again()


@pytest.mark.parametrize("fast", [True, False])
async def test_who_is_too_slow_is_hung_up_on(fast: bool) -> None:
    requests = RequestsTable(request_s_max=1, keepalive_s_max=1)
    async with listening(fast=fast, requests=requests) as lane:
        for pieces in ([b"POST /2015-03-31/func"], [invoke("echo", b"{", length=2)], []):
            async with lane.connected() as client:
                await client.send(pieces)
                answer = await client.rest()
            assert answer == b"" or answer.split(b" ", 2)[1] in (b"400", b"408")
    assert lane.invoker.invocations == []


async def test_a_head_has_no_more_bytes_than_allowed() -> None:
    async with listening(fast=True, requests=RequestsTable(head_bytes_max=2048)) as lane:
        answer = await lane.ask_to_the_end(invoke("echo", X_Large="x" * 3000))
    assert answer.startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    "raw",
    [
        invoke("echo", X_Large="x" * 8300),
        invoke("echo", **{f"X_{number}": "x" for number in range(200)}),
        request(f"/2015-03-31/functions/echo/invocations?a={'x' * 8300}"),
    ],
)
async def test_long_lines_and_many_headers_are_refused_alike(world: World, raw: bytes) -> None:
    async with listening(fast=True) as fast, listening(fast=False) as plain:
        world.lanes = [fast, plain]
        assert (await world.both(raw))[0] == 400
