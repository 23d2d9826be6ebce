"""How much of a request is read, and of how many at a time."""

from __future__ import annotations

import asyncio
from unittest import mock

import pytest
from aiohttp import StreamReader, web
from aiohttp.test_utils import make_mocked_request

from microfaas.config import RequestsTable
from microfaas.errors import RequestTooLarge
from microfaas.gateway.entrance import LARGE_AT_ONCE, Entrance, Visit
from microfaas.model import EVENT_BYTES_MAX

LARGE = EVENT_BYTES_MAX + 1


def request(body: bytes, *, says_length: bool = True) -> web.Request:
    payload = StreamReader(mock.Mock(), 2**16, loop=asyncio.get_running_loop())
    payload.feed_data(body)
    payload.feed_eof()
    headers = {"Content-Length": str(len(body))} if says_length else {}
    return make_mocked_request(
        "POST", "/", headers, payload=payload, client_max_size=EVENT_BYTES_MAX
    )


def entrance() -> Entrance:
    return Entrance(None, RequestsTable())


@pytest.mark.parametrize("says_length", [True, False])
async def test_a_body_has_as_much_as_its_operation_takes(says_length: bool) -> None:
    for size, limit in [(LARGE, LARGE), (LARGE + 1, LARGE), (LARGE, EVENT_BYTES_MAX), (1, LARGE)]:
        async with Visit(entrance(), request(b"x" * size, says_length=says_length)) as visit:
            if size <= limit:
                assert len(await visit.body(limit)) == size
                assert len(await visit.body(limit)) == size
                continue
            with pytest.raises(RequestTooLarge) as caught:
                await visit.body(limit)
            assert caught.value.limit_bytes == limit


@pytest.mark.parametrize("says_length", [True, False])
async def test_large_bodies_wait_until_others_are_dealt_with(says_length: bool) -> None:
    door = entrance()
    first = [Visit(door, request(b"x" * LARGE)) for _ in range(LARGE_AT_ONCE)]
    for visit in first:
        await visit.body(LARGE)
    async with Visit(door, request(b"x" * LARGE, says_length=says_length)) as late:
        waiting = asyncio.create_task(late.body(LARGE))
        async with Visit(door, request(b"small")) as small:
            assert await small.body(LARGE) == b"small"
        assert not waiting.done()
        async with first[0]:
            """It has been answered."""
        assert len(await waiting) == LARGE
    async with first[1]:
        """This one, too."""
    assert not door.large.locked()
