"""Event source mappings of queues and streams that another server has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e.control import client
from tests.e2e.project import Project
from tests.e2e.test_mappings import CODE, data, got, until

# The other one's account, which the first one says is elsewhere.
THERE = "eu-west-1:210987654321"
OTHER = """
region = "eu-west-1"
account_id = "210987654321"

[queues.orders]
visibility_timeout_s = 2
dead_letter_queue = "lost"
receives_max = 2

[queues.lost]

[queues."ordered.fifo"]
content_based_deduplication = true

[streams.clicks]
shards = 2
"""
FIRST = """
[endpoints]
sqs = "{url}"
kinesis = "{url}"

[queues.lost]

[functions.f]
handler = "app.handler"
timeout_s = 2
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Project]:
    """A server that is elsewhere."""
    root = tmp_path / "other"
    root.mkdir()
    made = Project(root)
    made.write("microfaas.toml", OTHER)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def served(project: Project, other: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    project.write("microfaas.toml", FIRST.format(url=other.url))
    project.write("app.py", CODE)
    project.start()
    return project


def mapped(project: Project, source: str, **more: Any) -> str:
    made = client(project).create_event_source_mapping(
        FunctionName="f", EventSourceArn=source, **more
    )
    return str(made["UUID"])


def send(project: Project, *bodies: str, queue: str = "orders", **more: Any) -> None:
    queues = client(project, "sqs")
    url = queues.get_queue_url(QueueName=queue)["QueueUrl"]
    for body in bodies:
        queues.send_message(QueueUrl=url, MessageBody=body, **more)


def depth(project: Project, queue: str = "orders") -> int:
    queues = client(project, "sqs")
    url = queues.get_queue_url(QueueName=queue)["QueueUrl"]
    names = [f"ApproximateNumberOfMessages{each}" for each in ("", "NotVisible", "Delayed")]
    found = queues.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(found[each]) for each in names)


def test_messages_of_a_queue_elsewhere(served: Project, other: Project) -> None:
    source = f"arn:aws:sqs:{THERE}:orders"
    pattern = json.dumps({"body": [{"anything-but": "unwanted"}]})
    uuid = mapped(served, source, FilterCriteria={"Filters": [{"Pattern": pattern}]})
    send(other, "a", "unwanted", *(str(n) for n in range(20)))
    until(lambda: depth(other) == 0)
    until(lambda: set(data(served)) == {"a", *(str(n) for n in range(20))})
    assert {each[2] for each in got(served)} == {source}

    # What fails comes back, and goes to the queue's own dead letter queue.
    send(other, "raise")
    until(lambda: depth(other, "lost") == 1)
    assert data(served).count("raise") == 2

    # A queue that its server does not answer for is waited for.
    other.kill()
    client(served).update_event_source_mapping(UUID=uuid, BatchSize=1)
    other.start("--listen", other.url.rpartition("/")[2])
    send(other, "late")
    until(lambda: data(served)[-1] == "late")
    client(served).delete_event_source_mapping(UUID=uuid)
    until(lambda: not client(served).list_event_source_mappings()["EventSourceMappings"])
    send(other, "after")
    assert depth(other) == 1


def test_messages_of_a_fifo_queue_elsewhere_stay_in_order(served: Project, other: Project) -> None:
    mapped(served, f"arn:aws:sqs:{THERE}:ordered.fifo")
    wanted = [str(n) for n in range(25)]
    send(other, *wanted, queue="ordered.fifo", MessageGroupId="g")
    until(lambda: len(data(served)) == 25)
    assert data(served) == wanted


def test_queues_that_are_not_there(served: Project, other: Project) -> None:
    with pytest.raises(ClientError, match="The specified queue does not exist"):
        mapped(served, f"arn:aws:sqs:{THERE}:none")
    other.kill()
    with pytest.raises(ClientError, match=f"cannot reach {other.url}"):
        mapped(served, f"arn:aws:sqs:{THERE}:orders")


def put(project: Project, *records: str, key: str = "k") -> None:
    streams = client(project, "kinesis")
    rows = [{"Data": each.encode(), "PartitionKey": key} for each in records]
    assert streams.put_records(StreamName="clicks", Records=rows)["FailedRecordCount"] == 0


def test_records_of_a_stream_elsewhere(served: Project, other: Project) -> None:
    source = f"arn:aws:kinesis:{THERE}:stream/clicks"
    put(other, "before")
    uuid = mapped(
        served,
        source,
        StartingPosition="TRIM_HORIZON",
        BatchSize=10,
        ParallelizationFactor=2,
        MaximumRetryAttempts=0,
        BisectBatchOnFunctionError=True,
        DestinationConfig={"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:123456789012:lost"}},
        FilterCriteria={"Filters": [{"Pattern": '{"partitionKey": ["k", "other"]}'}]},
    )
    until(lambda: data(served) == ["before"])
    wanted = [str(n) for n in range(30)]
    put(other, *wanted)
    put(other, "unseen", key="unwanted")
    until(lambda: data(served) == ["before", *wanted])
    assert {each[2] for each in got(served)} == {source}
    shown = client(served).get_event_source_mapping
    until(lambda: shown(UUID=uuid)["LastProcessingResult"] == "OK")

    put(other, "fine", "raise", "good")
    until(lambda: depth(served, "lost") == 1)
    queues = client(served, "sqs")
    url = queues.get_queue_url(QueueName="lost")["QueueUrl"]
    (message,) = queues.receive_message(QueueUrl=url)["Messages"]
    record = json.loads(message["Body"])
    assert record["KinesisBatchInfo"]["streamArn"] == source
    assert record["KinesisBatchInfo"]["batchSize"] == 1
    until(lambda: data(served)[-1] == "good")

    # After a power cut it goes on behind what was dealt with, as all is before what comes next.
    put(other, "next")
    until(lambda: data(served)[-1] == "next")
    served.kill()
    put(other, "meanwhile", "while", key="other")
    served.start()
    put(other, "after")
    until(lambda: {"meanwhile", "while", "after"} <= set(data(served)))
    assert data(served).count("good") == 1
    assert data(served).count("before") == 1


def test_streams_that_are_not_there(served: Project, other: Project) -> None:
    text = f"Stream not found: arn:aws:kinesis:{THERE}:stream/none"
    with pytest.raises(ClientError, match=text):
        mapped(served, f"arn:aws:kinesis:{THERE}:stream/none", StartingPosition="LATEST")
