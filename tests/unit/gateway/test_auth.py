"""The guard: replays, private ways, functions' keys, and how it tells of what it refused."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from microfaas import scopes, sigv4
from microfaas.audit import Audit
from microfaas.errors import AccessRefused
from microfaas.gateway import auth
from microfaas.gateway.auth import REPLAY_S, Guard
from microfaas.gateway.connections import Peer
from microfaas.model import Address, Function, Limits, Version
from microfaas.sigv4 import Signable
from microfaas.store import keys
from microfaas.store.db import Database
from microfaas.store.functions import Functions
from microfaas.store.keys import Key, KeyRing, Keys, function_credentials
from microfaas.store.machine_key import MachineKey

MACHINE_KEY = MachineKey(b"k" * 32)
TARGET = b"/2015-03-31/functions/order/invocations"
OPEN, PRIVATE = Peer("192.168.1.5", False), Peer("192.168.1.5", True)
START_S = 1_795_000_000.0


class World:
    """A guard with one key, whose clock is set by hand."""

    def __init__(self, db: Database, directory: Path) -> None:
        self.now_s = START_S
        self.functions = Functions()
        self.ring = KeyRing(db, MACHINE_KEY, self.functions)
        self.guard = Guard(self.ring, Audit(str(directory)), Address(), lambda: self.now_s)
        self.db = db
        self.key = ("", "")

    def signed(
        self,
        key: tuple[str, str] | None = None,
        *,
        method: str = "POST",
        body: bytes = b"{}",
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> Signable:
        head = Signable(method, TARGET, [(b"host", b"h"), *headers])
        made = sigv4.sign(head, body, *(key or self.key), self.now_s)
        more = [(name.lower().encode(), value.encode()) for name, value in made.items()]
        return head._replace(headers=[*head.headers, *more])

    def ask(self, head: Signable, peer: Peer = OPEN, body: bytes = b"{}") -> Key:
        return self.guard.identify(self.guard.claim(head, peer), body)

    def refusal(self, head: Signable, peer: Peer = OPEN, body: bytes = b"{}") -> AccessRefused:
        with pytest.raises(AccessRefused) as caught:
            self.ask(head, peer, body)
        return caught.value


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    db = Database(str(tmp_path / "store.db"))
    db.open()
    made = World(db, tmp_path)
    allow = scopes.parse("invoke:order")
    row, secret = await Keys(db, MACHINE_KEY).create("k", allow, expires_s=None, rate_per_s=None)
    made.key = row.id, secret
    yield made
    db.close()


def bearer(key: tuple[str, str]) -> Signable:
    return Signable("POST", TARGET, [(b"authorization", f"Bearer {'.'.join(key)}".encode())])


class TestReplays:
    def test_equal_requests_of_one_second_are_all_meant(self, world: World) -> None:
        head = world.signed()
        for _ in range(3):
            world.ask(head)
        world.now_s += REPLAY_S
        world.ask(head)

    def test_one_that_comes_later_over_an_open_way_is_refused(self, world: World) -> None:
        head = world.signed()
        world.ask(head)
        world.now_s += REPLAY_S + 1
        refused = world.refusal(head)
        assert (refused.kind, refused.key_id) == ("InvalidSignatureException", world.key[0])
        assert "used before" in str(refused)
        world.ask(world.signed())

    def test_a_request_that_is_late_for_the_first_time_is_none(self, world: World) -> None:
        head = world.signed()
        world.now_s += 200
        world.ask(head)

    def test_where_nobody_listens_and_where_nothing_changes_it_is_let_be(
        self, world: World
    ) -> None:
        private, reading = world.signed(), world.signed(method="GET")
        for _ in range(2):
            world.ask(private, PRIVATE)
            world.ask(reading, OPEN)
            world.now_s += REPLAY_S + 1

    def test_what_was_forged_is_not_remembered(self, world: World) -> None:
        head = world.signed()
        world.refusal(head, body=b"other")
        world.now_s += REPLAY_S + 1
        world.ask(head)

    def test_what_is_remembered_is_bounded(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(auth, "SIGNATURES_REMEMBERED", 2)
        first, *others = [world.signed(headers=((b"x-a", b"%d" % number),)) for number in range(3)]
        for head in (first, *others):
            world.ask(head)
        world.now_s += REPLAY_S + 1
        assert "used before" in str(world.refusal(others[-1]))
        world.ask(first)


def test_an_unsigned_body_is_for_private_ways(world: World) -> None:
    hashed = ((b"x-amz-content-sha256", b"UNSIGNED-PAYLOAD"),)
    whole = Signable("POST", TARGET, [(b"host", b"h"), *hashed])
    # Our signer hashes bodies; the claim is what counts here.
    date_and_more = sigv4.sign(whole, b"{}", *world.key, world.now_s)
    headers = [(n.lower().encode(), v.encode()) for n, v in date_and_more.items()]
    head = whole._replace(headers=[*whole.headers, *headers])
    assert "over TLS and from this machine" in str(world.refusal(head))
    assert "does not match the signature" in str(world.refusal(head, PRIVATE))


class TestFunctions:
    def serve(self, world: World, name: str) -> tuple[str, str, str]:
        function = Function(name=name, runtime="python", handler="", code="", limits=Limits())
        world.functions.put(Version(function=function, code_dir="", code_sha256=""))
        return function_credentials(MACHINE_KEY, name)

    def test_a_function_may_invoke_while_it_is_served(self, world: World) -> None:
        key_id, secret, token = function_credentials(MACHINE_KEY, "order")
        with_token = ((b"x-amz-security-token", token.encode()),)
        head = world.signed((key_id, secret), headers=with_token)
        assert world.refusal(head).kind == "UnrecognizedClientException"
        self.serve(world, "order")
        key = world.ask(head)
        world.guard.permit(key, "invoke", "InvokeFunction", "pay")
        world.guard.permit(key, "read", "ListFunctions")
        world.guard.permit_any(key, ("send",), "sqs:SendMessage", "orders")
        with pytest.raises(AccessRefused, match="sqs:DeleteQueue on resource: orders"):
            world.guard.permit_any(key, ("admin",), "sqs:DeleteQueue", "orders")

    @pytest.mark.parametrize("token", [None, b"", b"wrong", b"\xff"])
    def test_it_needs_its_session_token(self, world: World, token: bytes | None) -> None:
        key_id, secret, _ = self.serve(world, "order")
        headers = () if token is None else ((b"x-amz-security-token", token),)
        assert (
            world.refusal(world.signed((key_id, secret), headers=headers)).kind
            == "UnrecognizedClientException"
        )


class TestTelling:
    def refuse(self, world: World, count: int) -> None:
        for _ in range(count):
            with pytest.raises(AccessRefused) as caught:
                world.ask(bearer(("MFKNOBODY", "s" * 40)))
            head = Signable("POST", b"/a\x9b?X-Amz-Signature=secret", [])
            world.guard.tell(caught.value, head, OPEN)

    def test_it_is_told_once_a_second_and_the_rest_is_counted(
        self, world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.WARNING, "microfaas"):
            self.refuse(world, 100)
            world.now_s += 1.5
            self.refuse(world, 1)
        assert [record.getMessage() for record in caplog.records] == [
            "refused POST /a\\x9b from 192.168.1.5: UnrecognizedClientException",
            "refused POST /a\\x9b from 192.168.1.5: UnrecognizedClientException, "
            "and 99 more before",
        ]
        lines = (tmp_path / "audit.log").read_text().splitlines()
        first, second = [json.loads(line) for line in lines]
        assert (first["who"], first["peer"], first["on"]) == (
            "MFKNOBODY",
            "192.168.1.5",
            "POST /a\\x9b",
        )
        assert second["refused_before"] == 99

    def test_the_database_is_not_asked_as_often_as_strangers_come(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        looks = []
        monkeypatch.setattr(world.ring, "refresh", lambda: looks.append(1))
        self.refuse(world, 1000)
        assert 1 <= len(looks) <= auth.LOOKS_PER_S


async def test_following_sees_keys_go_and_notes_their_use(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "REFRESH_S", 0.001)
    world.ask(bearer(world.key))
    await keys.revoke(world.db, world.key[0])
    following = asyncio.create_task(world.guard.follow())
    async with asyncio.timeout(30):
        while keys.rows(world.db)[0].used_day is None or world.ring.find(world.key[0]):  # noqa: ASYNC110  # another task does it
            await asyncio.sleep(0.01)
    following.cancel()
    assert world.refusal(bearer(world.key)).kind == "UnrecognizedClientException"
