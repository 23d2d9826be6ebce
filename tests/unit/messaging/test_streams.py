"""Streams: records in shards, numbers that grow, iterators, retention, and their bounds."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microfaas.errors import ServiceError
from microfaas.messaging import stream_numbers as numbers
from microfaas.messaging.stream_numbers import Place
from microfaas.messaging.stream_shard import Entry
from microfaas.messaging.streams import Put, Stream, Streams
from microfaas.model import MIB, Address
from microfaas.store.db import Database
from microfaas.store.resources import Resources
from microfaas.store.streams import ShardRow, StreamStore


class Clock:
    def __init__(self) -> None:
        self.now_s = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = Database(str(tmp_path / "store.db"))
    database.open()
    yield database
    database.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def opened(db: Database, clock: Clock, *declared: Stream) -> Streams:
    streams = Streams(StreamStore(db), Resources(db), Address(), declared, clock, clock)
    await streams.open()
    return streams


def data(streams: Streams, name: str, index: int = 0) -> list[bytes]:
    shard = streams.shards(name)[index]
    return [r.data for r in streams.read(shard, shard.row.trimmed, 10_000, 10 * MIB)]


@given(st.integers(0, numbers.HASHES - 1), st.integers(1, 64))
def test_every_hash_key_is_in_the_range_of_its_shard_alone(hash_key: int, shards: int) -> None:
    index = numbers.shard_of(hash_key, shards)
    first, last = numbers.hash_range(index, shards)
    assert first <= hash_key <= last


@given(st.integers(1, 64))
def test_ranges_leave_nothing_out(shards: int) -> None:
    ranges = [numbers.hash_range(index, shards) for index in range(shards)]
    assert ranges[0][0] == 0
    assert ranges[-1][1] == numbers.HASHES - 1
    assert all(end + 1 == start for (_, end), (start, _) in itertools.pairwise(ranges))
    for first, last in ranges:
        assert numbers.shard_of(first, shards) == numbers.shard_of(last, shards)


def test_a_partition_key_is_hashed_as_by_kinesis() -> None:
    assert numbers.hash_of("") == 0xD41D8CD98F00B204E9800998ECF8427E


@given(st.integers(1, 10**9), st.integers(0, 1 << 62), st.integers(0, 1 << 62))
def test_sequence_numbers_have_56_digits_and_grow(shard: int, one: int, other: int) -> None:
    names = [numbers.sequence_number(shard, each) for each in (one, other)]
    assert [len(name) for name in names] == [56, 56]
    assert (int(names[0]) < int(names[1])) == (one < other)
    assert numbers.sequence_of(names[0], shard) == one
    assert numbers.sequence_of(names[0], shard + 1) is None


@pytest.mark.parametrize("text", ["", "0", "4" * 56, "x" * 56, "49" + "1" * 200])
def test_what_is_no_sequence_number_of_a_shard(text: str) -> None:
    assert numbers.sequence_of(text, 1) is None


async def test_records_stay_in_order_and_outlive_the_server(db: Database, clock: Clock) -> None:
    streams = await opened(db, clock, Stream(name="s"))
    stream = streams.get("s")
    puts = [streams.put(stream, [Entry("k", b"%d" % n)]) for n in range(50)]
    done = [put for [put] in await asyncio.gather(*puts)]
    assert [put.number for put in done] == sorted({put.number for put in done})
    again = await opened(db, clock, Stream(name="s"))
    assert data(again, "s") == [b"%d" % n for n in range(50)]
    [more] = await again.put(stream, [Entry("k", b"50")])
    assert more.number > done[-1].number
    row = again.shards("s")[0].row
    assert again.store.shards() == [row]


async def test_a_number_is_never_given_again(db: Database, clock: Clock) -> None:
    streams = await opened(db, clock)
    await streams.create(Stream(name="s"))
    [first] = await streams.put(streams.get("s"), [Entry("k", b"1")])
    await streams.delete(streams.get("s"))
    await streams.create(Stream(name="s"))
    [second] = await streams.put(streams.get("s"), [Entry("k", b"2")])
    assert first.number < second.number
    assert data(streams, "s") == [b"2"]


async def test_hash_keys_choose_the_shard(db: Database, clock: Clock) -> None:
    streams = await opened(db, clock, Stream(name="s", shards=3))
    ranges = [numbers.hash_range(index, 3) for index in range(3)]
    entries = [Entry("k", b"x", key) for first_last in ranges for key in first_last]
    done = await streams.put(streams.get("s"), entries)
    assert [put.shard for put in done] == [0, 0, 1, 1, 2, 2]
    [wrong] = await streams.put(streams.get("s"), [Entry("k", b"x", numbers.HASHES)])
    assert wrong.error is not None
    assert wrong.error.kind == "InvalidArgumentException"


async def test_a_full_stream_refuses_until_retention_made_room(db: Database, clock: Clock) -> None:
    streams = await opened(db, clock, Stream(name="s", mb_max=1, retention_s=3600))
    stream = streams.get("s")
    entries = [Entry("k", bytes(300_000))] * 4
    done = await streams.put(stream, entries)
    assert [_kind(put) for put in done] == ["", "", "", "ProvisionedThroughputExceededException"]
    with pytest.raises(ServiceError, match="holds as much as it may, 1 MiB"):
        await streams.put_all(stream, entries)
    await streams.trim()
    assert len(data(streams, "s")) == 3
    clock.now_s += 3601
    await streams.trim()
    assert data(streams, "s") == []
    row = streams.shards("s")[0].row
    assert (row.records, row.bytes, row.trimmed) == (0, 0, 3)
    assert streams.store.shards() == [row]
    await streams.put_all(stream, [Entry("k", b"new")])


async def test_retention_goes_by_when_a_record_came(db: Database, clock: Clock) -> None:
    streams = await opened(db, clock, Stream(name="s", retention_s=3600))
    for _ in range(1500):
        clock.now_s += 4
        await streams.put(streams.get("s"), [Entry("k", b"x")])
    await streams.trim()
    assert len(data(streams, "s")) == 901  # of the last hour, its first second included


@given(
    steps=st.lists(st.integers(-2000, 5000), min_size=1, max_size=30),
    wanted=st.integers(-5000, 60_000),
)
def test_a_moment_is_found_whatever_the_clock_did(steps: list[int], wanted: int) -> None:
    # One database would be too slow for each example: its rows are played instead.
    clock, moments = 0, []
    for step in steps:
        clock += step
        moments.append(max(clock, moments[-1] if moments else 0))

    class Rows(StreamStore):
        def __init__(self) -> None:
            pass

        def moment(self, shard: int, after: int) -> tuple[int, int] | None:
            return (after + 1, moments[after]) if after < len(moments) else None

    row = ShardRow(1, "s", 0, 0, 0, len(moments), 0, 0)
    assert Rows().before(row, wanted) == sum(at < wanted for at in moments)


async def test_iterators_expire_and_cannot_be_made_up(db: Database, clock: Clock) -> None:
    streams = await opened(db, clock, Stream(name="s"))
    await streams.put(streams.get("s"), [Entry("k", b"1"), Entry("k", b"2")])
    shard = streams.shards("s")[0]
    iterator = streams.iterator(shard, 1)
    assert [r.data for r in streams.page(streams.place(iterator), 10)[1].records] == [b"2"]
    for wrong in ("", "AAAA", iterator[:-4] + "AAAA", "é"):
        with pytest.raises(ServiceError, match="Invalid ShardIterator"):
            streams.place(wrong)
    clock.now_s += 301
    with pytest.raises(ServiceError, match="Iterator expired") as caught:
        streams.place(iterator)
    assert caught.value.kind == "ExpiredIteratorException"


async def test_a_page_tells_how_far_behind_it_is(db: Database, clock: Clock) -> None:
    streams = await opened(db, clock, Stream(name="s"))
    for _ in range(3):
        await streams.put(streams.get("s"), [Entry("k", bytes(900_000))] * 5)
        clock.now_s += 10
    place = Place(streams.shards("s")[0].id, 0, streams.now_ms())
    _, page = streams.page(place, 10_000)
    assert (len(page.records), page.behind_ms) == (11, 10_000)
    _, page = streams.page(place._replace(after=page.after), 10_000)
    assert (len(page.records), page.behind_ms) == (4, 0)


async def test_streams_of_the_file_are_changed_there(db: Database, clock: Clock) -> None:
    streams = await opened(db, clock, Stream(name="s", declared=True))
    for change in (streams.delete, streams.change):
        with pytest.raises(ServiceError, match=r"is of microfaas\.toml"):
            await change(streams.get("s"))
    with pytest.raises(ServiceError, match="already exists"):
        await streams.create(Stream(name="s"))
    for wrong in ("", "a b", "x" * 129):
        with pytest.raises(ServiceError, match="name has 1 to 128"):
            await streams.create(Stream(name=wrong))
    with pytest.raises(ServiceError, match="1 to 64 shards, not 65"):
        await streams.create(Stream(name="t", shards=65))


async def test_the_number_of_shards_is_kept(
    db: Database, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    await opened(db, clock, Stream(name="s", shards=2, declared=True))
    streams = await opened(db, clock, Stream(name="s", shards=4, declared=True))
    assert streams.get("s").shards == len(streams.shards("s")) == 2
    assert "streams.s.shards: is 4, but the stream was made with 2" in caplog.text


async def test_what_is_declared_no_more_goes_after_a_day(db: Database, clock: Clock) -> None:
    streams = await opened(db, clock, Stream(name="s"))
    await streams.put(streams.get("s"), [Entry("k", b"1")])
    streams = await opened(db, clock)
    with pytest.raises(ServiceError, match="Stream s under account 123456789012 not found"):
        streams.get("s")
    await streams.trim()
    assert len(streams.store.shards()) == 1
    clock.now_s += 90_000
    await streams.trim()
    assert streams.store.shards() == []


async def test_a_clock_that_is_set_back_does_not_reorder(db: Database, clock: Clock) -> None:
    streams = await opened(db, clock, Stream(name="s"))
    for step in (0, -500, 100):
        clock.now_s += step
        await streams.put(streams.get("s"), [Entry("k", b"x")])
    shard = streams.shards("s")[0]
    moments = [record.at_ms for record in streams.read(shard, 0, 10, MIB)]
    assert moments == sorted(moments)


async def test_who_gives_up_waiting_does_not_unwrite(db: Database, clock: Clock) -> None:
    streams = await opened(db, clock, Stream(name="s"))
    told = asyncio.Event()
    streams.shards("s")[0].listeners.append(told.set)
    putting = asyncio.ensure_future(streams.put(streams.get("s"), [Entry("k", b"x")]))
    await asyncio.sleep(0)
    putting.cancel()
    await told.wait()
    assert data(streams, "s") == [b"x"]


def _kind(put: Put) -> str:
    return put.error.kind if put.error is not None else ""
