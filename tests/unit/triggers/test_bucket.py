"""Buckets as a user meets them: drop files, see what the function is given, and how often."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import sys
from collections import Counter
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trigger_world import QUEUE, World, until

from microfaas import config
from microfaas.errors import ConfigError, MachineError
from microfaas.payloads import s3
from microfaas.store.messages import Batch
from microfaas.triggers import agenda, bucket, files, following, pump, table, watching

CREATED = "ObjectCreated:Put"
REMOVED = "ObjectRemoved:Delete"


async def test_a_dropped_file_is_an_upload(world: World) -> None:
    async with world.running():
        (world.inbox / "a b.txt").write_text("hello")
        await until(lambda: bool(world.records))
    (record,) = world.records
    assert record["eventName"] == CREATED
    assert record["s3"]["bucket"]["arn"] == "arn:aws:s3:::inbox"
    assert record["s3"]["object"]["key"] == "a+b.txt"
    assert record["s3"]["object"]["size"] == 5
    assert record["s3"]["object"]["eTag"] == md5(b"hello").hexdigest()


async def test_what_arrived_while_down_is_delivered_once(world: World) -> None:
    (world.inbox / "early").write_text("x")
    for _ in range(3):
        async with world.running():
            await world.quiesce()
    assert Counter(world.keys)["early"] == 1


async def test_another_qualifier_delivers_nothing_again(world: World) -> None:
    (world.inbox / "early").write_text("x")
    async with world.running():
        await world.quiesce()
    before = len(world.records)
    async with world.running(qualifier="live"):
        await world.quiesce()
    assert Counter(world.keys)["early"] == 1
    assert set(world.qualifiers[:before]) == {""}
    assert set(world.qualifiers[before:]) == {"live"}


async def test_a_file_still_open_is_not_delivered(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bucket, "RECHECK_S", 0.01)
    monkeypatch.setattr(following, "TICK_S", 0.01)
    with (world.inbox / "before").open("w") as before:
        before.write("half")
        before.flush()
        async with world.running():
            with (world.inbox / "after").open("w") as after:
                after.write("half")
                after.flush()
                await world.quiesce()
                await asyncio.sleep(0.2)
                assert not {"before", "after"} & set(world.keys)
                before.write(" and half")
                before.close()
                after.write(" and half")
            await until(lambda: {"before", "after"} <= set(world.keys))
            await world.quiesce()
    sizes = {
        record["s3"]["object"]["key"]: record["s3"]["object"]["size"] for record in world.records
    }
    assert sizes["before"] == sizes["after"] == len("half and half")
    assert Counter(world.keys)["before"] == Counter(world.keys)["after"] == 1


async def test_without_leases_closes_and_rest_are_trusted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "being_written", lambda _: None)
    monkeypatch.setattr(bucket, "QUIET_S", 3600.0)
    monkeypatch.setattr(bucket, "RECHECK_S", 0.01)
    monkeypatch.setattr(following, "TICK_S", 0.01)
    (world.inbox / "rested").touch()
    os.utime(world.inbox / "rested", (1e9, 1e9))
    (world.inbox / "fresh").touch()
    async with world.running():
        await until(lambda: world.keys == ["rested"])
        with (world.inbox / "open").open("w"):
            (world.inbox / "closed").touch()
            await until(lambda: "closed" in world.keys)
            await asyncio.sleep(0.1)
            assert not {"fresh", "open"} & set(world.keys)
            os.utime(world.inbox / "fresh", (1e9, 1e9))
        await until(lambda: {"fresh", "open"} <= set(world.keys))


async def test_a_large_copy_is_one_event(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "ETAG_PART_BYTES", 1024)
    async with world.running():
        with (world.inbox / "large").open("wb") as file:
            for _ in range(200):
                file.write(b"x" * 65536)
                await asyncio.sleep(0)
        await until(lambda: bool(world.records))
        await world.quiesce()
    assert Counter(world.keys)["large"] == 1
    assert world.records[0]["s3"]["object"]["size"] == 200 * 65536
    assert world.records[0]["s3"]["object"]["eTag"].endswith("-12800")


async def test_a_rewrite_is_another_event_with_a_greater_sequencer(world: World) -> None:
    async with world.running():
        for number in range(5):
            (world.inbox / "k").write_text(str(number))
            await until(lambda: len(world.records) > number)  # noqa: B023
    sequencers = [record["s3"]["object"]["sequencer"] for record in world.records]
    assert sequencers == sorted(set(sequencers))
    assert len(sequencers) == 5


async def test_a_rewrite_in_flight_is_delivered_after_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On its way to the disk a key is alone; what is heard meanwhile is one more event."""
    gate, commit = asyncio.Event(), world.store.commit
    flying: Counter[str] = Counter()

    async def slow(batch: Batch) -> Any:
        keys = [row[1] for _, rows in batch.writes for row in rows]
        flying.update(keys)
        assert set(flying.values()) == {1}
        await gate.wait()
        flying.subtract(keys)
        return await commit(batch)

    monkeypatch.setattr(world.store, "commit", slow)
    async with world.running():
        (world.inbox / "k").write_text("1")
        await until(lambda: flying["k"] == 1)
        for content in "234":  # of the same size, and perhaps within one tick of the clock
            (world.inbox / "k").write_text(content)
        await asyncio.sleep(0.1)
        assert world.records == []
        flying.clear()
        gate.set()
        await until(lambda: len(world.records) == 2)
    tags = [record["s3"]["object"]["eTag"] for record in world.records]
    assert tags == [md5(b"1").hexdigest(), md5(b"4").hexdigest()]


async def test_removals_are_events_if_asked_for(world: World) -> None:
    (world.inbox / "d").mkdir()
    for name in ("d/a", "b", "c"):
        (world.inbox / name).touch()
    async with world.running(events=["created", "removed"]):
        await until(lambda: len(world.records) == 3)
        shutil.rmtree(world.inbox / "d")
        os.rename(world.inbox / "b", world.inbox / "b2")
        await until(lambda: len(world.records) == 6)
    (world.inbox / "c").unlink()
    async with world.running(events=["created", "removed"]):
        await until(lambda: len(world.records) == 7)
    async with world.running(events=["created", "removed"]):
        await world.quiesce()
    happened = Counter(world.happened)
    assert {key for name, key in happened if name == REMOVED} == {"d/a", "b", "c"}
    assert happened[(CREATED, "b2")] == 1
    assert set(happened.values()) == {1}


async def test_removals_alone(world: World) -> None:
    (world.inbox / "a").touch()
    async with world.running(events=["removed"]):
        await until(lambda: bool(world.ledger.keys("f:inbox", "", "")))
        (world.inbox / "a").unlink()
        await until(lambda: bool(world.records))
    assert world.happened == [(REMOVED, "a")]


async def test_a_file_that_went_and_came_is_new(world: World, tmp_path: Path) -> None:
    (world.inbox / "a").touch()
    async with world.running():
        await until(lambda: world.keys == ["a"])
        await until(lambda: world.ledger.find("f:inbox", "a") is not None)
        os.rename(world.inbox / "a", tmp_path / "a")
        await until(lambda: world.ledger.find("f:inbox", "a") is None)
        os.rename(tmp_path / "a", world.inbox / "a")
        await until(lambda: world.keys == ["a", "a"])


async def test_trees_moved_in_and_copied_in(world: World, tmp_path: Path) -> None:
    for name in ("x/y/1", "x/2", "z/w/v/3"):
        (tmp_path / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "tree" / name).write_text(name)
    async with world.running():
        shutil.copytree(tmp_path / "tree", world.inbox / "copy")
        os.rename(tmp_path / "tree", world.inbox / "moved")
        await until(lambda: len(set(world.keys)) == 6)
        os.rename(world.inbox / "moved", world.inbox / "again")
        await until(lambda: len(set(world.keys)) == 9)
        await world.quiesce()
    counts = Counter(world.keys)
    assert {counts[f"{top}/x/y/1"] for top in ("copy", "moved", "again")} == {1}
    assert set(counts.values()) == {1}


async def test_links(world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    outside = tmp_path / "secret"
    outside.write_text("s")
    async with world.running():
        (world.inbox / "real").write_text("r")
        os.symlink("real", world.inbox / "inside")
        os.symlink(outside, world.inbox / "outside")
        os.symlink(tmp_path, world.inbox / "folder")
        os.link(outside, world.inbox / "hard")
        await until(lambda: {"real", "inside", "hard"} <= set(world.keys))
        await world.quiesce()
    async with world.running():
        await world.quiesce()
    assert not {"outside", "folder", "folder/secret"} & set(world.keys)
    texts = [record.getMessage() for record in caplog.records]
    assert len([text for text in texts if "outside the bucket" in text]) == 4  # two per start


async def test_a_name_that_is_no_text_is_refused(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    (world.inbox / os.fsdecode(b"bad\xff")).touch()
    async with world.running():
        (world.inbox / os.fsdecode(b"worse\xfe")).touch()
        (world.inbox / "gut-ü").touch()
        await until(lambda: bool(world.records))
        await world.quiesce()
    assert world.keys[0] == "gut-ü"
    assert len(world.keys) == 2
    assert r"cannot take bad\xff" in caplog.text
    assert r"cannot take worse\xfe" in caplog.text


async def test_prefix_and_suffix_are_of_the_decoded_key(world: World) -> None:
    async with world.running(prefix="ein gang/", suffix="ü.txt"):
        (world.inbox / "ein gang").mkdir()
        for name in ("ein gang/ü.txt", "ein gang/x.txt", "ü.txt"):
            (world.inbox / name).touch()
        await until(lambda: bool(world.records))
        (world.inbox / "ein gang" / "last-ü.txt").touch()
        await until(lambda: len(world.records) == 2)
    assert set(world.keys) == {"ein gang/ü.txt", "ein gang/last-ü.txt"}


NAMES = st.lists(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\0"), min_size=1).filter(
        lambda name: name not in (".", "..") and len(name.encode()) < 200
    ),
    min_size=1,
    max_size=3,
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(NAMES, max_size=4, unique_by=lambda parts: parts[0]))
def test_any_name_arrives_as_it_is(world: World, paths: list[list[str]]) -> None:
    async def drop() -> None:
        async with world.running():
            for parts in paths:
                place = world.inbox.joinpath(*parts)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_text("x")
            await until(lambda: {"/".join(parts) for parts in paths} <= set(world.keys))

    shutil.rmtree(world.inbox)
    world.inbox.mkdir()
    world.records.clear()
    asyncio.run(drop())
    world.watcher.close()


async def test_an_overflow_loses_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    deaf = [True]
    hear = watching.Watch.on_event

    def on_event(self: watching.Watch, event: Any) -> None:
        if not deaf[0]:
            hear(self, event)

    monkeypatch.setattr(watching.Watch, "on_event", on_event)
    watches: list[watching.Watch] = []
    (world.inbox / "first").touch()
    open_watch = watching.Watch.open
    monkeypatch.setattr(
        watching.Watch, "open", lambda self: (watches.append(self), open_watch(self))[1]
    )
    async with world.running():
        # Then what was there at the start has been looked at.
        await until(lambda: world.keys == ["first"])
        world.records.clear()
        (world.inbox / "deep" / "er").mkdir(parents=True)
        (world.inbox / "deep" / "er" / "lost").touch()
        await asyncio.sleep(0.1)
        assert world.records == []
        deaf[0] = False
        watches[0].on_queue_overflow()
        await until(lambda: world.keys == ["deep/er/lost"])
        (world.inbox / "deep" / "er" / "next").touch()
        await until(lambda: len(world.keys) == 2)


async def test_a_full_agenda_is_made_up_for_by_a_scan(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agenda, "PENDING_MAX", 6)
    monkeypatch.setattr(following, "TICK_S", 0.02)
    async with world.running():
        for number in range(300):
            (world.inbox / str(number)).touch()
        await until(lambda: len(set(world.keys)) == 300)
    assert len(world.keys) == 300


async def test_a_directory_removed_and_made_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "MISSING_POLL_S", 0.02)
    async with world.running():
        for turn in range(3):
            (world.inbox / "same").write_text(str(turn))
            await until(lambda: len(world.keys) == 2 * turn + 1)  # noqa: B023
            shutil.rmtree(world.inbox)
            await asyncio.sleep(0.03 * turn)
            (world.inbox / "sub").mkdir(parents=True)
            (world.inbox / "sub" / f"{turn}").write_text("x")
            await until(lambda: len(world.keys) == 2 * turn + 2)  # noqa: B023
    assert Counter(world.keys)["same"] == 3


async def test_a_directory_moved_away_and_back_is_not_handled_twice(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (world.inbox / "a").touch()
    async with world.running():
        await until(lambda: world.keys == ["a"])
        os.rename(world.inbox, tmp_path / "away")
        await until(lambda: "no such directory; waiting" in caplog.text)
        os.rename(tmp_path / "away", world.inbox)
        (world.inbox / "b").touch()
        await until(lambda: "b" in world.keys)
        await world.quiesce()
    assert Counter(world.keys)["a"] == 1


async def test_a_path_that_is_a_file_is_named_until_it_is_a_directory(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(following, "MISSING_POLL_S", 0.02)
    world.inbox.rmdir()
    world.inbox.touch()
    async with world.running():
        await until(lambda: bool(caplog.records))
        assert "cannot watch" in caplog.text
        assert str(world.inbox) in caplog.text
        world.inbox.unlink()
        world.inbox.mkdir()
        (world.inbox / "a").touch()
        await until(lambda: world.keys == ["a"])


async def test_a_limit_of_watches_is_named_and_scans_stand_in(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    add = watching.Watch._add_one

    def add_one(self: watching.Watch, folder: str) -> None:
        if folder.endswith("/sub"):
            raise OSError(28, "inotify watch limit reached")
        add(self, folder)

    monkeypatch.setattr(watching.Watch, "_add_one", add_one)
    monkeypatch.setattr(following, "BLIND_SCAN_S", 0.05)
    monkeypatch.setattr(following, "TICK_S", 0.02)
    (world.inbox / "sub").mkdir()
    async with world.running():
        await until(lambda: "max_user_watches" in caplog.text)
        (world.inbox / "sub" / "a").touch()
        await until(lambda: world.keys == ["sub/a"])


async def test_an_event_says_which_file_it_is_of(world: World) -> None:
    (world.inbox / "a").touch()
    async with world.running():
        await until(lambda: world.sources == ["f:inbox/a"])


async def test_event_and_record_are_one_commit(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whenever it is looked at: a file is known exactly if its event is in the queue."""
    seen: set[tuple[bool, bool]] = set()
    submit = world.db.submit

    def look() -> None:
        before = world.ledger.find("f:inbox", "a")
        queued = world.store.newest(QUEUE, 9)
        if world.ledger.find("f:inbox", "a") == before:  # else the commit came in between
            seen.add((bool(queued), before is not None))

    def watched(writes: Any) -> asyncio.Future[None]:
        look()
        done = submit(writes)
        while not done.done():
            look()
            if (True, True) in seen:
                break
        return done

    monkeypatch.setattr(world.db, "submit", watched)
    (world.inbox / "a").touch()
    async with world.running():
        await until(lambda: world.keys == ["a"])
    assert seen == {(False, False), (True, True)}


async def test_stopping_leaves_what_was_not_taken_for_the_next_start(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Batch] = []

    async def refuse(batch: Batch) -> Any:
        begun.append(batch)
        raise MachineError("the disk is full")

    (world.inbox / "a").touch()
    with monkeypatch.context() as broken:
        broken.setattr(world.store, "commit", refuse)
        async with world.running():
            await until(lambda: bool(begun))
    assert world.ledger.find("f:inbox", "a") is None
    async with world.running():
        await until(lambda: world.keys == ["a"])


async def test_stopping_waits_for_what_was_begun(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate, begun, commit = asyncio.Event(), asyncio.Event(), world.store.commit

    async def slow(batch: Batch) -> Any:
        begun.set()
        await gate.wait()
        return await commit(batch)

    monkeypatch.setattr(world.store, "commit", slow)
    (world.inbox / "a").touch()
    async with world.running():
        await begun.wait()
        asyncio.get_running_loop().call_later(0.1, gate.set)
    assert world.ledger.find("f:inbox", "a") is not None
    assert world.keys == ["a"]


async def test_a_failing_machine_is_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bucket, "RETRY_S", 0.02)
    monkeypatch.setattr(following, "TICK_S", 0.02)
    monkeypatch.setattr(table, "RESTART_S", 0.02)
    commit = world.store.commit
    faults = [MachineError("the disk is full")] * 3 + [ZeroDivisionError()]

    async def failing(batch: Batch) -> Any:
        if faults:
            raise faults.pop(0)
        return await commit(batch)

    monkeypatch.setattr(world.store, "commit", failing)
    (world.inbox / "a").touch()
    async with world.running():
        await until(lambda: world.keys == ["a"])
    assert world.ledger.find("f:inbox", "a") is not None
    assert caplog.text.count("the disk is full; it is offered again") == 1
    assert "the bucket trigger of f failed" in caplog.text


async def test_a_full_queue_makes_the_files_wait(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bucket, "RETRY_S", 0.02)
    monkeypatch.setattr(following, "TICK_S", 0.02)
    world.store.bound(QUEUE, 2, 1 << 20)
    for name in "abcde":
        (world.inbox / name).touch()
    async with world.running():
        await until(lambda: "cannot accept more for function:f" in caplog.text)
        await until(lambda: len(world.keys) == 2)
        await world.clear()
        await until(lambda: len(world.keys) == 4)
        await world.clear()
        await until(lambda: len(world.keys) == 5)
    assert sorted(world.keys) == list("abcde")


async def test_only_so_many_are_on_their_way_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pump, "ACCEPTING_MAX", 3)
    commit = world.store.commit
    now, most = 0, 0

    async def counted(batch: Batch) -> Any:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.002)
        now -= 1
        return await commit(batch)

    monkeypatch.setattr(world.store, "commit", counted)
    for number in range(50):
        (world.inbox / str(number)).touch()
    async with world.running():
        await until(lambda: len(world.keys) == 50)
    assert most == 3


async def test_a_burst_survives_a_crash(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Cancelled in the midst, as by a kill: what was recorded is not repeated, the rest is."""
    caplog.set_level(logging.ERROR)
    count = 10_000
    script = (
        "import sys\nfor n in range(int(sys.argv[2])): open(f'{sys.argv[1]}/{n}', 'w').write('x')"
    )
    writer = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", script, str(world.inbox), str(count))
    )
    with contextlib.suppress(BaseExceptionGroup):
        async with world.running() as task:
            await until(lambda: len(world.records) > count // 3)
            task.cancel()
            raise InterruptedError
    recorded = world.db.read("objects", {"bucket": "f:inbox", "keys": json.dumps(world.keys)})
    first = {row[0] for row in recorded}
    before = len(world.records)
    assert first
    await writer.wait()
    async with world.running():
        await until(lambda: len(world.records) >= count)
        await until(lambda: len(set(world.keys)) == count)
        await world.quiesce()
    again = set(world.keys[before:])
    assert not first & again
    assert len(again) == len(world.keys[before:])


async def test_a_known_directory_of_many_files_is_only_looked_through(world: World) -> None:
    async with world.running():
        for number in range(2000):
            (world.inbox / f"{number}").touch()
        await until(lambda: len(world.keys) == 2000)
    async with world.running():
        await world.quiesce()
    assert len(world.keys) == 2001


def test_settings_come_from_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "microfaas.toml").write_text(
        '[functions.f]\n[[functions.f.triggers]]\ntype = "bucket"\npath = "in"\nsuffix = ".png"\n'
    )
    (trigger,) = config.load(str(tmp_path), table.settings()).triggers
    assert trigger.settings == bucket.BucketSettings(path="in", suffix=".png")
    (tmp_path / "microfaas.toml").write_text(
        '[functions.f]\n[[functions.f.triggers]]\ntype = "bucket"\nevents = ["made"]\nsufix = ""\n'
    )
    with pytest.raises(ConfigError) as caught:
        config.load(str(tmp_path), table.settings())
    assert len(caught.value.problems) == 3
