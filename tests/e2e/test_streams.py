"""Streams through a real server: Kinesis's API by boto3 and aws, triggers, log files, crashes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import botocore.config
import pytest
from botocore.exceptions import ClientError

from tests.e2e.project import BIN, Project, until

EXAMPLE = Path(__file__).parents[2] / "examples" / "log-analytics"
CODE = """
import base64, os, time

def handler(event, context):
    texts = [base64.b64decode(r["kinesis"]["data"]).decode() for r in event["Records"]]
    with open(os.path.join(os.environ["OUT"], "seen"), "a") as file:
        file.write("".join(text + "\\n" for text in texts))
    if any(text.startswith("bad") for text in texts):
        raise ValueError("bad record")
"""
CONFIG = """
[streams.clicks]
shards = 2

[functions.count]
handler = "app.handler"
code = "code"
timeout_s = 60
mounts = { OUT = { path = "out", write = true } }

[[functions.count.triggers]]
type = "stream"
stream = "clicks"
starting_position = "TRIM_HORIZON"
batch_size = 10
bisect_on_error = true
retries_max = 0
"""


@pytest.fixture
def clicks(project: Project) -> Project:
    project.write("microfaas.toml", CONFIG)
    project.write("code/app.py", CODE)
    (project.root / "out").mkdir()
    (project.root / "out").chmod(0o777)
    return project


def kinesis(project: Project) -> Any:
    return boto3.client(
        "kinesis",
        endpoint_url=project.url,
        region_name="us-east-1",
        aws_access_key_id=project.key[0],
        aws_secret_access_key=project.key[1],
        config=botocore.config.Config(retries={"max_attempts": 0}),
    )


def aws(project: Project, *arguments: str) -> Any:
    """What the aws command prints, decoded."""
    env = {**os.environ, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x"}
    argv = [BIN / "aws", "kinesis", *arguments, "--endpoint-url", project.url]
    done = subprocess.run(
        [*argv, "--region", "us-east-1", "--output", "json"], capture_output=True, env=env
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout else None


def seen(project: Project) -> list[str]:
    path = project.root / "out" / "seen"
    return path.read_text().splitlines() if path.exists() else []


def read(client: Any, stream: str, shard: str, **start: Any) -> list[bytes]:
    given = {"ShardIteratorType": "TRIM_HORIZON", **start}
    iterator = client.get_shard_iterator(StreamName=stream, ShardId=shard, **given)
    page = client.get_records(ShardIterator=iterator["ShardIterator"])
    return [record["Data"] for record in page["Records"]]


def test_kinesis_by_boto3(clicks: Project) -> None:
    clicks.start()
    client = kinesis(clicks)
    client.create_stream(StreamName="made", ShardCount=2, Tags={"team": "a"})
    client.get_waiter("stream_exists").wait(StreamName="made")
    assert client.list_streams()["StreamNames"] == ["clicks", "made"]
    pages = client.get_paginator("list_streams").paginate(PaginationConfig={"PageSize": 1})
    assert [name for page in pages for name in page["StreamNames"]] == ["clicks", "made"]
    told = client.describe_stream(StreamName="made")["StreamDescription"]
    assert (told["StreamStatus"], told["RetentionPeriodHours"]) == ("ACTIVE", 24)
    ranges = [shard["HashKeyRange"] for shard in told["Shards"]]
    assert ranges[0]["StartingHashKey"] == "0"
    assert ranges[1]["EndingHashKey"] == str((1 << 128) - 1)
    assert client.list_shards(StreamName="made")["Shards"] == told["Shards"]
    arn, (first, second) = told["StreamARN"], [each["ShardId"] for each in told["Shards"]]

    put = client.put_record(StreamARN=arn, Data=b"\x00\xff", PartitionKey="k", ExplicitHashKey="0")
    assert put["ShardId"] == first
    records = [{"Data": b"%d" % n, "PartitionKey": "k", "ExplicitHashKey": "7"} for n in range(5)]
    many = client.put_records(StreamName="made", Records=records)
    assert many["FailedRecordCount"] == 0
    numbers = [record["SequenceNumber"] for record in many["Records"]]
    assert [put["SequenceNumber"], *numbers] == sorted([put["SequenceNumber"], *numbers], key=int)

    assert read(client, "made", first) == [b"\x00\xff", b"0", b"1", b"2", b"3", b"4"]
    assert read(client, "made", second) == []
    assert read(client, "made", first, ShardIteratorType="LATEST") == []
    at = {"StartingSequenceNumber": numbers[2]}
    exact = read(client, "made", first, ShardIteratorType="AT_SEQUENCE_NUMBER", **at)
    behind = read(client, "made", first, ShardIteratorType="AFTER_SEQUENCE_NUMBER", **at)
    assert (exact, behind) == ([b"2", b"3", b"4"], [b"3", b"4"])
    early = read(client, "made", first, ShardIteratorType="AT_TIMESTAMP", Timestamp=1_000_000_000)
    assert len(early) == 6

    client.increase_stream_retention_period(StreamName="made", RetentionPeriodHours=48)
    summary = client.describe_stream_summary(StreamARN=arn)["StreamDescriptionSummary"]
    assert (summary["RetentionPeriodHours"], summary["OpenShardCount"]) == (48, 2)
    assert summary["MaxRecordSizeInKiB"] == 1024
    made: Any = {"StreamName": "made"}
    client.decrease_stream_retention_period(**made, RetentionPeriodHours=24)
    names = [str(number) for number in range(8)]
    with ThreadPoolExecutor(16) as threads:
        calls = [
            *(threads.submit(client.add_tags_to_stream, **made, Tags={n: "c"}) for n in names),
            threads.submit(client.remove_tags_from_stream, **made, TagKeys=["team"]),
        ]
    for call in calls:
        call.result()
    tags = client.list_tags_for_stream(**made)["Tags"]
    assert tags == [{"Key": name, "Value": "c"} for name in names]
    same: Any = {"ScalingType": "UNIFORM_SCALING", "TargetShardCount": 2}
    counts = client.update_shard_count(**made, **same)
    assert (counts["CurrentShardCount"], counts["TargetShardCount"]) == (2, 2)
    with pytest.raises(client.exceptions.InvalidArgumentException, match="fixed"):
        client.update_shard_count(**made, **{**same, "TargetShardCount": 4})

    # It outlives the server.
    clicks.stop()
    clicks.start()
    client = kinesis(clicks)
    assert read(client, "made", first) == [b"\x00\xff", b"0", b"1", b"2", b"3", b"4"]
    client.delete_stream(StreamName="made")
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="made"):
        client.describe_stream(StreamName="made")


def test_what_kinesis_refuses(clicks: Project) -> None:
    clicks.start()
    client = kinesis(clicks)
    shard = "shardId-000000000000"
    at = {"StreamName": "clicks", "ShardId": shard}
    refused = {
        "ResourceInUseException": lambda: client.create_stream(StreamName="clicks", ShardCount=1),
        "ResourceNotFoundException": lambda: client.put_record(
            StreamName="other", Data=b"", PartitionKey="k"
        ),
        "InvalidArgumentException": lambda: client.get_shard_iterator(
            **at, ShardIteratorType="AT_SEQUENCE_NUMBER", StartingSequenceNumber="1"
        ),
        "LimitExceededException": lambda: client.create_stream(StreamName="x", ShardCount=65),
    }
    for kind, call in refused.items():
        with pytest.raises(ClientError) as caught:
            call()
        assert caught.value.response["Error"]["Code"] == kind
    with pytest.raises(ClientError, match="Invalid ShardIterator"):
        client.get_records(ShardIterator="AAAA")


def test_kinesis_by_aws_and_our_own_command(clicks: Project) -> None:
    clicks.start()
    put = aws(
        clicks, "put-record", "--stream-name", "clicks", "--partition-key", "a", "--data", "one"
    )
    assert len(put["SequenceNumber"]) == 56
    place = ["--stream-name", "clicks", "--shard-id", put["ShardId"]]
    iterator = aws(clicks, "get-shard-iterator", *place, "--shard-iterator-type", "TRIM_HORIZON")
    page = aws(clicks, "get-records", "--shard-iterator", iterator["ShardIterator"])
    assert [record["Data"] for record in page["Records"]] == ["b25l"]  # "one"
    done = clicks.cli("stream", "put", "clicks", "--key", "a", stdin=b"two\nthree\n")
    assert (done.stdout, done.returncode) == (b"2\n", 0)
    assert clicks.cli("stream", "put", "clicks", "-d", "four", "--key", "a").stdout == b"1\n"
    tail = clicks.cli("stream", "tail", "clicks")
    assert tail.stdout == b"one\ntwo\nthree\nfour\n"
    until(lambda: len(seen(clicks)) == 4, "the function")

    def behind() -> list[int]:
        stats = json.loads(clicks.cli("stream", "stats", "clicks", "--json").stdout)
        return [each["readers"][0]["records_behind"] for each in stats["shards"]]

    until(lambda: behind() == [0, 0], "the checkpoints")
    assert clicks.cli("stream", "put", "nowhere", "-d", "x").returncode == 100


def test_a_bad_record_is_found_and_becomes_a_dead_letter(clicks: Project) -> None:
    clicks.start()
    records = [{"Data": b"%d" % n, "PartitionKey": "k"} for n in range(10)]
    records[6]["Data"] = b"bad"
    kinesis(clicks).put_records(StreamName="clicks", Records=records)
    until(lambda: "9" in seen(clicks), "the rest")
    until(lambda: "1 records of shardId" in clicks.output.read_text(), "the message")
    tried = seen(clicks).count("bad")
    again = clicks.cli("dead", "redrive", "--function", "count")
    assert again.returncode == 0, again.stderr
    until(lambda: seen(clicks).count("bad") == tried + 1, "the event that was sent again")


def test_no_record_is_lost_when_the_server_is_killed(clicks: Project) -> None:
    clicks.start()
    put: list[str] = []
    for round_ in range(3):
        killing = threading.Timer(0.3, clicks.kill)
        killing.start()
        client = kinesis(clicks)
        for number in range(100_000):
            rows = [
                {"Data": f"{round_}/{number}/{n}".encode(), "PartitionKey": str(n)}
                for n in range(5)
            ]
            try:
                client.put_records(StreamName="clicks", Records=rows)
            except Exception:
                break
            put += [row["Data"].decode() for row in rows]  # type: ignore[attr-defined]
        killing.join()
        clicks.start()
    until(lambda: set(put) <= set(seen(clicks)), "all that was accepted")
    # Order: what is seen for the first time comes as it was put, for each key.
    for n in range(5):
        mine = [text for text in dict.fromkeys(seen(clicks)) if text.endswith(f"/{n}")]
        assert [text for text in put if text.endswith(f"/{n}")] == [
            t for t in mine if t in set(put)
        ]


@pytest.mark.parametrize("rotation", ["rename", "copytruncate"])
def test_log_analytics(project: Project, rotation: str) -> None:
    _example(project)
    log, counted = project.root / "logs" / "access.log", Counter[str]()
    project.start()
    for round_ in range(4):
        # Asked for afterwards, all of it might be there.
        before = _records(project)
        writing = subprocess.Popen(
            [
                sys.executable,
                project.root / "traffic.py",
                log,
                *("--lines", "600", "--rate", "600", "--errors", "0.2"),
                *("--rotate-every", "250", "--rotation", rotation, "--seed", str(round_)),
            ],
            stdout=subprocess.PIPE,
        )
        if round_ < 3:
            until(lambda b=before: _records(project) > b, "traffic")  # type: ignore[misc]
            project.kill()
            project.start()
        output, _ = writing.communicate()
        counted.update(json.loads(output)["statuses"])

    def statuses() -> Counter[str]:
        found = Counter[str]()
        for path in (project.root / "summaries").glob("*.json"):
            found.update(json.loads(path.read_text())["statuses"])
        return found

    until(lambda: statuses().total() >= counted.total(), "the summaries", 600)
    assert statuses() == counted
    until(lambda: "of the requests failed" in project.log("page"), "the alarm")


def _records(project: Project) -> int:
    """How many lines are in the stream."""
    [shard] = json.loads(project.cli("stream", "stats", "--json").stdout)["shards"]
    records: int = shard["records"]
    return records


def _example(project: Project) -> None:
    """The example, with windows that a test can wait for."""
    ignored = shutil.ignore_patterns(".venv", ".microfaas", "__pycache__", "*.log*", "*.json")
    shutil.copytree(EXAMPLE, project.root, dirs_exist_ok=True, ignore=ignored)
    (project.root / ".venv").symlink_to(EXAMPLE / ".venv")
    configuration = project.root / "microfaas.toml"
    text = configuration.read_text().replace("tumbling_window_s = 60", "tumbling_window_s = 2")
    configuration.write_text(text.replace("window_s = 1\n", "window_s = 0.1\n"))
