"""Records that batches leave for streams."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from delivery_world import task_group, until

from microfaas.dispatch.into_streams import QUEUE, IntoStreams
from microfaas.errors import ServiceError
from microfaas.messaging.streams import Stream, Streams
from microfaas.messaging.targets import Place
from microfaas.model import Address
from microfaas.store.db import Database
from microfaas.store.dead import DeadLetters
from microfaas.store.messages import Batch, MessageStore
from microfaas.store.resources import Resources
from microfaas.store.streams import StreamStore

STREAM = Stream(name="s", declared=True)


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = Database(str(tmp_path / "store.db"))
    database.open()
    yield database
    database.close()


async def streams_of(db: Database) -> Streams:
    streams = Streams(StreamStore(db), Resources(db), Address(), [STREAM])
    await streams.open()
    return streams


async def test_a_record_of_a_batch_arrives_also_after_a_crash(db: Database) -> None:
    store, streams = MessageStore(db), await streams_of(db)
    async with task_group() as tasks:
        batch = Batch()
        IntoStreams(store, streams, tasks).add(batch, Place("stream", "s", "", "key"), b"body")
        await store.commit(batch)
    store, streams = MessageStore(db), await streams_of(db)
    async with task_group() as tasks:
        into = IntoStreams(store, streams, tasks)
        into.serve()
        await until(lambda: not store.depth(QUEUE).messages)
        for route in into.stop():
            await route.drained()
    [shard] = streams.shards("s")
    records = list(streams.read(shard, 0, 10, 1 << 20))
    assert [(record.key, record.data) for record in records] == [("key", b"body")]


async def test_where_there_is_no_stream_there_is_no_way(db: Database) -> None:
    async with task_group() as tasks:
        into = IntoStreams(MessageStore(db), await streams_of(db), tasks)
        with pytest.raises(ServiceError, match="nowhere"):
            into.add(Batch(), Place("stream", "nowhere"), b"body")


async def test_what_a_stream_never_takes_is_a_dead_letter(db: Database) -> None:
    store, streams = MessageStore(db), await streams_of(db)
    async with task_group() as tasks:
        into = IntoStreams(store, streams, tasks)
        batch = Batch()
        into.add(batch, Place("stream", "s"), b"x" * (11 << 20))
        await store.commit(batch)
        into.serve()
        await until(lambda: not store.depth(QUEUE).messages)
        for route in into.stop():
            await route.drained()
    [buried] = DeadLetters(db).page()
    assert (buried.letter.queue, len(buried.letter.event)) == (QUEUE, 11 << 20)
