"""Destinations outside: records posted to URLs and written into directories."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from delivery_world import endpoint, task_group, until

from microfaas.dispatch.destinations import Destinations
from microfaas.dispatch.http import HttpSender
from microfaas.dispatch.outbox import Outbox, key_of, write_record
from microfaas.errors import ServiceError
from microfaas.model import Address, Destination
from microfaas.store import events
from microfaas.store.db import Database
from microfaas.store.dead import DeadLetters
from microfaas.store.messages import Batch, Message, MessageStore

RECORD = json.dumps(
    {
        "version": "1.0",
        "timestamp": "2019-11-14T18:16:05.568Z",
        "requestContext": {"functionArn": f"{Address().arn('order')}:$LATEST"},
    }
).encode()
UUID = "0f6c2c3c-1f0a-4a5a-a0a0-000000000007"
MESSAGE = Message(7, 16, 0, 1, UUID, 0, None, b"", RECORD)
KEY = f"aws/lambda/async/order/2019/11/14/2019-11-14T18.16.05-{UUID}"


async def send(store: MessageStore, to: Destination, body: bytes = RECORD) -> Message:
    batch = Batch()
    Destinations({}).send(batch, to, body)
    [message] = await store.commit(batch)
    return message


async def served(
    store: MessageStore, to: list[Destination | None], over: Callable[[], object]
) -> None:
    """Have what waits sent until something is so."""
    http = HttpSender()
    async with task_group() as tasks:
        made = Outbox(store, http, tasks)
        made.serve(to)
        await until(over)
        for route in made.stop():
            await route.drained()
        made.close()
    await http.close()


def test_a_records_name_is_that_of_s3() -> None:
    assert key_of(MESSAGE) == KEY


@pytest.mark.parametrize(
    "body",
    [
        *(b"no JSON", b"{}", b'{"requestContext": {"functionArn": "x"}}'),
        b'{"requestPayload": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    ],
)
def test_whatever_a_record_is_it_gets_a_name(body: bytes) -> None:
    key = key_of(MESSAGE._replace(body=body))
    assert key.startswith("aws/lambda/async/unknown/")
    assert key.endswith(UUID)


def test_a_record_is_written_whole_and_once(tmp_path: Path) -> None:
    for _ in range(2):
        write_record(str(tmp_path / "out"), MESSAGE)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [str(path.relative_to(tmp_path / "out")) for path in files] == [KEY]
    assert files[0].read_bytes() == RECORD


def test_it_and_the_way_to_it_are_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    write_record(str(tmp_path / "out"), MESSAGE)
    folder = Path(KEY).parent
    above = {str(tmp_path / "out" / part) for part in (folder, *folder.parents)}
    assert {str(tmp_path), *above} <= set(synced)


async def test_a_url_gets_it(store: MessageStore) -> None:
    async with endpoint() as there:
        to = Destination("url", there.url)
        await send(store, to)
        await served(store, [to, None], lambda: not store.depth(f"outbox:{there.url}").messages)
    [(headers, body)] = there.got
    assert body == RECORD
    assert headers["content-type"] == "application/json"


async def test_a_url_may_lead_back_to_a_function_so_it_gets_the_trace(store: MessageStore) -> None:
    async with endpoint() as there:
        to, batch = Destination("url", there.url), Batch()
        Destinations({}).send(batch, to, RECORD, trace_id="Root=1;Lineage=1:a87bd80c:3")
        await store.commit(batch)
        await served(store, [to], lambda: not store.depth(f"outbox:{there.url}").messages)
    [(headers, _)] = there.got
    assert headers["x-amzn-trace-id"] == "Root=1;Lineage=1:a87bd80c:3"


async def test_what_a_url_refuses_is_a_dead_letter(store: MessageStore, db: Database) -> None:
    async with endpoint([400]) as there:
        to = Destination("url", there.url)
        await send(store, to)
        await served(store, [to], lambda: DeadLetters(db).count())
    [letter] = [row.letter for row in DeadLetters(db).page()]
    assert (letter.queue, letter.event) == (f"outbox:{there.url}", RECORD)


async def test_a_directory_gets_it(store: MessageStore, tmp_path: Path) -> None:
    to = Destination("directory", str(tmp_path / "out"))
    message = await send(store, to)
    await served(store, [to], lambda: not store.depth(f"outbox:{to.name}").messages)
    [file] = [path for path in tmp_path.joinpath("out").rglob("*") if path.is_file()]
    assert file.name.endswith(message.uuid)
    assert file.read_bytes() == RECORD


async def test_one_that_cannot_be_written_is_tried_again(
    store: MessageStore, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "out").write_text("a file is in the way")
    to = Destination("directory", str(tmp_path / "out"))
    await send(store, to)
    await served(
        store, [to], lambda: any(row.attempts for row in store.newest(f"outbox:{to.name}", 1))
    )
    assert f"cannot write into {tmp_path}/out: Not a directory" in caplog.text


async def test_what_is_left_of_another_configuration_is_sent_too(store: MessageStore) -> None:
    async with endpoint() as there:
        await send(store, Destination("url", there.url))
        await served(store, [], lambda: there.got)
    assert there.bodies == [RECORD]


async def test_one_that_is_down_holds_up_nobody_else(store: MessageStore) -> None:
    async with endpoint([0]) as hanging, endpoint() as there:
        for to in (hanging, there):
            for _ in range(20):
                await send(store, Destination("url", to.url))
        to_both = [Destination("url", to.url) for to in (hanging, there)]
        http = HttpSender()
        async with task_group() as tasks:
            made = Outbox(store, http, tasks)
            made.serve(to_both)
            await until(lambda: len(there.got) == 20)
            assert store.depth(f"outbox:{hanging.url}").messages == 20
            made.stop()
            made.close()
        await http.close()


async def test_a_function_gets_it_as_an_event(store: MessageStore) -> None:
    message = await send(store, Destination("function", "f"))
    assert store.name(message) == "function:f"
    assert events.decode_attributes(message.attributes).source == "destination"


async def test_queues_and_topics_have_sinks_of_their_own() -> None:
    got: list[Any] = []
    sinks = {"topic": lambda *told: got.append(told)}
    batch = Batch()
    to = Destinations(sinks)
    to.send(batch, Destination("topic", "t"), b"x", {"a": ("String", "b")}, "Root=1")
    to.send(batch, Destination("topic", "t"), b"y")
    assert got == [
        (batch, "t", b"x", {"a": ("String", "b")}, "Root=1"),
        (batch, "t", b"y", {}, ""),
    ]


async def test_a_place_that_is_gone_is_told() -> None:
    def gone(*_: object) -> None:
        raise ServiceError("NotFoundException", "Topic does not exist")

    with pytest.raises(ServiceError):
        Destinations({"topic": gone}).send(Batch(), Destination("topic", "t"), b"")
