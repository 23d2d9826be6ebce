"""Files dropped into a directory fire a function: once each, never half-written, none lost."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import threading
import time
from collections import Counter
from pathlib import Path
from urllib.parse import unquote_plus

import pytest

from microfaas.store.db import Database
from microfaas.store.dead import DeadLetters
from tests.e2e.project import Project, until

# Notes each event in a file of its own, by the request id; reads the object as S3 users do.
APP = """import hashlib, json, os
from urllib.parse import unquote_plus
def handler(event, context):
    record = event["Records"][0]
    key = unquote_plus(record["s3"]["object"]["key"])
    path = os.path.join(os.environ["IN"], key)
    if record["eventName"].startswith("ObjectCreated"):
        with open(path, "rb") as file:
            md5 = hashlib.md5(file.read()).hexdigest()
    else:
        md5 = None
    if key.endswith("bad"):
        raise ValueError("cannot digest " + key)
    seen = {"key": key, "name": record["eventName"], "md5": md5, "record": record}
    with open(os.path.join(os.environ["OUT"], context.aws_request_id), "w") as file:
        json.dump(seen, file)
"""
CONFIG = """[functions.app]
timeout_s = 30
concurrency_max = 4
retry_delay_s = 0.2
mounts = {{ IN = {{ path = "in" }}, OUT = {{ path = "out", write = true }} }}
[[functions.app.triggers]]
type = "bucket"
path = "in"
{extra}
"""


class Bucket:
    """The project, and what its function has noted."""

    def __init__(self, project: Project, extra: str = "") -> None:
        self.project = project
        self.inbox = project.root / "in"
        self.out = project.root / "out"
        for directory in (self.inbox, self.out):
            directory.mkdir()
        project.write("app.py", APP)
        project.write("microfaas.toml", CONFIG.format(extra=extra))

    def seen(self) -> list[dict[str, object]]:
        rows = []
        for path in self.out.iterdir():
            try:
                rows.append(json.loads(path.read_text()))
            except ValueError:
                continue  # being written at this moment
        return rows

    def keys(self) -> list[str]:
        return sorted(str(row["key"]) for row in self.seen())

    def expect(self, *keys: str) -> None:
        until(lambda: self.keys() == sorted(keys), f"{keys}; there are {self.keys()}")


@pytest.fixture
def bucket(project: Project) -> Bucket:
    return Bucket(project)


def test_a_dropped_file_is_an_s3_event(bucket: Bucket) -> None:
    bucket.project.start()
    (bucket.inbox / "a b\u00e4.jpg").write_bytes(b"x" * 1000)
    bucket.expect("a b\u00e4.jpg")
    record = bucket.seen()[0]["record"]
    assert isinstance(record, dict)
    assert record["eventSource"] == "aws:s3"
    assert record["eventName"] == "ObjectCreated:Put"
    assert record["s3"]["bucket"]["name"] == "in"
    assert record["s3"]["object"]["key"] == "a+b%C3%A4.jpg"
    assert record["s3"]["object"]["size"] == 1000
    assert record["s3"]["object"]["eTag"] == bucket.seen()[0]["md5"]


def test_nested_directories_and_renames_count(bucket: Bucket, tmp_path: Path) -> None:
    bucket.project.start()
    deep = bucket.inbox / "a" / "b c"
    deep.mkdir(parents=True)
    (deep / "new").write_text("1")
    (tmp_path / "elsewhere").write_text("2")
    (tmp_path / "elsewhere").rename(bucket.inbox / "moved")
    bucket.expect("a/b c/new", "moved")


def test_a_file_is_delivered_when_it_is_complete(bucket: Bucket) -> None:
    bucket.project.start()
    with (bucket.inbox / "slow").open("wb") as file:
        for _ in range(5):
            file.write(b"x" * 100_000)
            file.flush()
            time.sleep(0.1)
        assert bucket.keys() == []
    bucket.expect("slow")
    record = bucket.seen()[0]["record"]
    assert isinstance(record, dict)
    assert record["s3"]["object"]["size"] == 500_000


def test_files_that_came_while_it_was_down_are_delivered_once(bucket: Bucket) -> None:
    bucket.project.start()
    (bucket.inbox / "one").write_text("1")
    bucket.expect("one")
    until(lambda: _ledger(bucket.project) == {"one"}, "the ledger")
    bucket.project.stop()
    (bucket.inbox / "two").write_text("2")
    bucket.project.start()
    bucket.expect("one", "two")
    time.sleep(0.5)
    assert bucket.keys() == ["one", "two"]


def test_prefix_suffix_and_removals(project: Project) -> None:
    bucket = Bucket(project, 'prefix = "p/"\nsuffix = ".txt"\nevents = ["created", "removed"]')
    project.start()
    (bucket.inbox / "p").mkdir()
    for name in ("p/a.txt", "p/a.jpg", "a.txt"):
        (bucket.inbox / name).write_text(name)
    bucket.expect("p/a.txt")
    (bucket.inbox / "p" / "a.txt").unlink()
    bucket.expect("p/a.txt", "p/a.txt")
    assert {row["name"] for row in bucket.seen()} == {"ObjectCreated:Put", "ObjectRemoved:Delete"}


def test_links_that_lead_outside_are_refused(bucket: Bucket) -> None:
    bucket.project.start()
    secret = bucket.project.root / "secret"
    secret.write_text("secret")
    (bucket.inbox / "link").symlink_to(secret)
    (bucket.inbox / "plain").write_text("1")
    bucket.expect("plain")
    assert bucket.keys() == ["plain"]


def test_a_directory_that_is_made_again_is_followed(bucket: Bucket) -> None:
    bucket.project.start()
    (bucket.inbox / "one").write_text("1")
    bucket.expect("one")
    shutil.rmtree(bucket.inbox)
    until(lambda: "has gone" in bucket.project.output.read_text(), "the loss to be noticed")
    bucket.inbox.mkdir()
    (bucket.inbox / "two").write_text("2")
    bucket.expect("one", "two")


def test_what_fails_is_tried_three_times_and_kept(bucket: Bucket) -> None:
    bucket.project.start()
    (bucket.inbox / "bad").write_text("1")
    (bucket.inbox / "good").write_text("1")
    bucket.expect("good")
    until(lambda: "bad" in bucket.project.output.read_text(), "the dead letter", 60)
    line = "[ERROR] ValueError: cannot digest bad"
    until(lambda: bucket.project.log("app").count(line) == 3, "three attempts in the log")
    assert bucket.project.stop() == 0
    letters = DeadLetters(Database.reader(str(bucket.project.data / "microfaas.db"))).page()
    assert [buried.letter.attempts for buried in letters] == [3]
    assert letters[0].letter.source == "app:in/bad"
    key = json.loads(letters[0].letter.event)["Records"][0]["s3"]["object"]["key"]
    assert unquote_plus(key) == "bad"


def test_killed_during_a_burst_it_loses_no_file(bucket: Bucket) -> None:
    """kill -9 twice while 3,000 files arrive; after the last start all have been handled.

    What the ledger knew when it was killed is in the queue or dealt with: it is not asked for
    again, and runs again only if it was running or just being recorded.
    """
    count = 3000

    def drop() -> None:
        for number in range(count):
            path = bucket.inbox / f"{number % 10}"
            path.mkdir(exist_ok=True)
            (path / f"file {number}").write_text(str(number))

    bucket.project.start()
    dropping = threading.Thread(target=drop)
    dropping.start()
    for _ in range(2):
        until(lambda: len(os.listdir(bucket.out)) > 100, "some to be handled")
        bucket.project.kill()
        assert _ledger(bucket.project)
        bucket.project.start()
    dropping.join()
    wanted = {f"{number % 10}/file {number}" for number in range(count)}
    until(lambda: len(os.listdir(bucket.out)) >= count, "all files", 600)
    until(lambda: set(bucket.keys()) == wanted, "every file", 600)
    until(lambda: _ledger(bucket.project) == wanted, "the ledger")
    # By the request's id: what ran twice is there once, and nothing was two events.
    assert Counter(bucket.keys()) == Counter(wanted)


def _ledger(project: Project) -> set[str]:
    """The keys that are recorded as delivered."""
    with sqlite3.connect(f"file:{project.data}/microfaas.db?mode=ro", uri=True) as database:
        return {key for (key,) in database.execute("SELECT key FROM objects")}
