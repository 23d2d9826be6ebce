"""Event source mappings and deployed triggers of a real server, by boto3."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e.control import client, create
from tests.e2e.project import Project

PATIENCE_S = 60.0
WHERE = "us-east-1:123456789012"
CONFIG = """
[queues.orders]
visibility_timeout_s = 3

[queues.lost]

[streams.clicks]

[functions.declared]
handler = "app.handler"
"""
CODE = """
import base64, json, time

def handler(event, context):
    for record in event["Records"]:
        data = record.get("body") or base64.b64decode(record["kinesis"]["data"]).decode()
        print("GOT", json.dumps([data, context.function_version, record["eventSourceARN"]]))
        if data == "slow":
            time.sleep(1)
        if data == "raise":
            raise ValueError(data)
"""


@pytest.fixture
def served(project: Project) -> Project:
    project.write("microfaas.toml", CONFIG)
    project.write("app.py", CODE)
    project.start()
    create(client(project), code=CODE)
    return project


def got(project: Project, name: str = "f") -> list[list[str]]:
    """What a function was given so far: the data, the version that ran, and the source."""
    lines: list[str] = []
    for path in (project.data / "logs").glob(f"{name}.*"):
        # A line may just be being written.
        lines += path.read_text().rpartition("\n")[0].splitlines()
    return [json.loads(line.split("GOT ", 1)[1]) for line in lines if "GOT " in line]


def data(project: Project, name: str = "f") -> list[str]:
    return [each[0] for each in got(project, name)]


def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.02)


def send(project: Project, *bodies: str) -> None:
    queues = client(project, "sqs")
    url = queues.get_queue_url(QueueName="orders")["QueueUrl"]
    for body in bodies:
        queues.send_message(QueueUrl=url, MessageBody=body)


def depth(project: Project, name: str = "orders") -> int:
    queues = client(project, "sqs")
    url = queues.get_queue_url(QueueName=name)["QueueUrl"]
    names = [f"ApproximateNumberOfMessages{each}" for each in ("", "NotVisible", "Delayed")]
    found = queues.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return sum(int(found[each]) for each in names)


def mapped(project: Project, function: str = "f", source: str = "sqs:orders", **more: Any) -> str:
    service, _, name = source.partition(":")
    made = client(project).create_event_source_mapping(
        FunctionName=function, EventSourceArn=f"arn:aws:{service}:{WHERE}:{name}", **more
    )
    assert made["State"] == "Creating"
    return str(made["UUID"])


def state(project: Project, uuid: str) -> str:
    return str(client(project).get_event_source_mapping(UUID=uuid)["State"])


def test_a_queues_mapping_from_its_creation_to_its_end(served: Project) -> None:
    lambdas = client(served)
    uuid = mapped(served, FilterCriteria={"Filters": [{"Pattern": '{"body": {"a": [1]}}'}]})
    until(lambda: state(served, uuid) == "Enabled")
    send(served, '{"a": 1}', '{"a": 2}')
    until(lambda: depth(served) == 0)
    until(lambda: got(served) == [['{"a": 1}', "$LATEST", f"arn:aws:sqs:{WHERE}:orders"]])

    changed = lambdas.update_event_source_mapping(UUID=uuid, Enabled=False, FilterCriteria={})
    assert changed["State"] == "Disabling"
    until(lambda: state(served, uuid) == "Disabled")
    send(served, "plain")
    assert lambdas.update_event_source_mapping(UUID=uuid, Enabled=True)["State"] == "Enabling"
    until(lambda: data(served)[1:] == ["plain"])

    assert lambdas.delete_event_source_mapping(UUID=uuid)["State"] == "Deleting"
    until(lambda: not lambdas.list_event_source_mappings()["EventSourceMappings"])
    send(served, "late")
    assert depth(served) == 1
    with pytest.raises(ClientError, match="The resource you requested does not exist"):
        state(served, uuid)


def test_what_was_begun_is_settled_before_a_mapping_is_gone(served: Project) -> None:
    lambdas, queues = client(served), client(served, "sqs")
    uuid = mapped(served)
    url = queues.get_queue_url(QueueName="orders")["QueueUrl"]
    send(served, "slow")
    hidden = "ApproximateNumberOfMessagesNotVisible"

    def in_flight() -> bool:
        found = queues.get_queue_attributes(QueueUrl=url, AttributeNames=[hidden])
        return found["Attributes"][hidden] == "1"

    until(in_flight)
    assert lambdas.delete_event_source_mapping(UUID=uuid)["State"] == "Deleting"
    until(lambda: not lambdas.list_event_source_mappings()["EventSourceMappings"])
    assert depth(served) == 0
    until(lambda: data(served) == ["slow"])


def test_an_alias_is_what_is_called(served: Project) -> None:
    lambdas = client(served)
    version = lambdas.publish_version(FunctionName="f")["Version"]
    lambdas.create_alias(FunctionName="f", Name="live", FunctionVersion=version)
    uuid = mapped(served, "f:live")
    mapping = lambdas.get_event_source_mapping(UUID=uuid)
    assert mapping["FunctionArn"] == f"arn:aws:lambda:{WHERE}:function:f:live"
    send(served, "a")
    until(lambda: depth(served) == 0)
    until(lambda: [each[1] for each in got(served)] == [version])

    # Without its alias the mapping stays, and what it cannot deliver waits.
    lambdas.delete_alias(FunctionName="f", Name="live")
    send(served, "b")
    time.sleep(0.3)
    assert state(served, uuid) == "Enabled"
    assert depth(served) == 1
    lambdas.create_alias(FunctionName="f", Name="live", FunctionVersion="$LATEST")
    until(lambda: depth(served) == 0)
    until(lambda: [each[:2] for each in got(served)] == [["a", version], ["b", "$LATEST"]])


def test_a_streams_mapping_and_what_it_gives_up(served: Project) -> None:
    lambdas, streams = client(served), client(served, "kinesis")
    uuid = mapped(
        served,
        source="kinesis:stream/clicks",
        StartingPosition="TRIM_HORIZON",
        MaximumRetryAttempts=0,
        BisectBatchOnFunctionError=True,
        DestinationConfig={"OnFailure": {"Destination": f"arn:aws:sqs:{WHERE}:lost"}},
    )
    shown = lambdas.get_event_source_mapping(UUID=uuid)
    assert shown["LastProcessingResult"] == "No records processed"
    records = [{"Data": each.encode(), "PartitionKey": "k"} for each in ("a", "raise", "b")]
    streams.put_records(StreamName="clicks", Records=records)
    until(lambda: depth(served, "lost") == 1)
    queues = client(served, "sqs")
    url = queues.get_queue_url(QueueName="lost")["QueueUrl"]
    (message,) = queues.receive_message(QueueUrl=url)["Messages"]
    record = json.loads(message["Body"])
    assert record["requestContext"]["functionArn"] == f"arn:aws:lambda:{WHERE}:function:f"
    assert record["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert record["KinesisBatchInfo"]["batchSize"] == 1
    until(lambda: data(served)[-1:] == ["b"])
    shown = lambdas.get_event_source_mapping
    until(lambda: shown(UUID=uuid)["LastProcessingResult"] == "OK")


def noted(project: Project) -> list[Any]:
    """What is on disk of mappings' last calls."""
    with contextlib.closing(sqlite3.connect(project.data / "microfaas.db")) as database:
        rows = database.execute("SELECT name, settings FROM resources WHERE kind='mapping-result'")
        return rows.fetchall()


def test_mappings_and_how_far_they_have_come_outlive_a_power_cut(served: Project) -> None:
    streams = client(served, "kinesis")
    queue = mapped(served)
    stream = mapped(served, source="kinesis:stream/clicks", StartingPosition="TRIM_HORIZON")
    off = mapped(served, "declared", Enabled=False)
    streams.put_record(StreamName="clicks", Data=b"first", PartitionKey="k")
    until(lambda: data(served) == ["first"])
    shown = client(served).get_event_source_mapping
    until(lambda: shown(UUID=stream)["LastProcessingResult"] == "OK")
    until(lambda: noted(served) == [(stream, b'{"well":true}')])
    served.kill()
    served.start()
    shown = client(served).get_event_source_mapping
    assert shown(UUID=stream)["LastProcessingResult"] == "OK"
    assert [state(served, each) for each in (queue, stream, off)] == [
        "Enabled",
        "Enabled",
        "Disabled",
    ]
    client(served, "kinesis").put_record(StreamName="clicks", Data=b"second", PartitionKey="k")
    send(served, "message")
    until(lambda: sorted(data(served)) == ["first", "message", "second"])


def test_what_is_refused(served: Project) -> None:
    mapped(served)
    for source, text in (
        ("sqs:orders", "already exists. Please update or delete the existing mapping with UUID"),
        ("sqs:none", "SQS Error Code: AWS.SimpleQueueService.NonExistentQueue"),
        ("kinesis:stream/none", f"Stream not found: arn:aws:kinesis:{WHERE}:stream/none"),
    ):
        start = {"StartingPosition": "LATEST"} if source.startswith("kinesis") else {}
        with pytest.raises(ClientError, match=text):
            mapped(served, source=source, **start)
    client(served).update_function_configuration(FunctionName="f", Timeout=4)
    client(served).get_waiter("function_updated_v2").wait(FunctionName="f")
    with pytest.raises(ClientError, match="3 seconds is less than Function timeout: 4 seconds"):
        mapped(served, "f:$LATEST")


def triggers(project: Project, function: str, put: object = None) -> tuple[int, Any]:
    """GET, or PUT when there is anything to put: the status and what was answered."""
    url = f"{project.url}/_microfaas/v1/functions/{function}/triggers"
    body = None if put is None else json.dumps(put).encode()
    request = urllib.request.Request(url, body, method="GET" if body is None else "PUT")
    try:
        with urllib.request.urlopen(request) as reply:
            return reply.status, json.loads(reply.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


def test_triggers_of_a_file_may_be_put_for_functions_of_the_api(served: Project) -> None:
    assert triggers(served, "f") == (200, {"triggers": []})
    tables = [
        {"type": "queue", "queue": "orders", "batch_size": 5},
        {"type": "schedule", "expression": "rate(1 day)", "name": "daily"},
        {"type": "stream", "stream": "clicks", "starting_position": "TRIM_HORIZON"},
    ]
    assert triggers(served, "f", tables) == (200, {"triggers": tables})
    send(served, "a")
    until(lambda: data(served) == ["a"])
    until(lambda: depth(served) == 0)
    served.kill()
    served.start()
    assert triggers(served, "f") == (200, {"triggers": tables})
    schedules = client(served, "events")
    assert schedules.list_rules()["Rules"] == []
    client(served, "kinesis").put_record(StreamName="clicks", Data=b"b", PartitionKey="k")
    send(served, "c")
    until(lambda: sorted(data(served)) == ["a", "b", "c"])
    assert triggers(served, "f", []) == (200, {"triggers": []})
    time.sleep(0.2)
    send(served, "d")
    assert depth(served) == 1


def test_a_functions_triggers_go_with_it(served: Project) -> None:
    tables = [{"type": "queue", "queue": "orders"}]
    assert triggers(served, "f", tables)[0] == 200
    mapped(served, source="kinesis:stream/clicks", StartingPosition="LATEST")
    client(served).delete_function(FunctionName="f")
    assert triggers(served, "f")[0] == 404
    create(client(served), code=CODE)
    assert triggers(served, "f") == (200, {"triggers": []})
    # Mappings stay, as on AWS.
    assert len(client(served).list_event_source_mappings()["EventSourceMappings"]) == 1


def test_deployed_triggers_listen_to_topics_and_events(served: Project) -> None:
    topics, buses = client(served, "sns"), client(served, "events")
    topic = topics.create_topic(Name="news")["TopicArn"]
    code = 'def handler(event, context):\n    print(\'GOT\', \'["x", "", ""]\')\n'
    create(client(served), "g", code)
    tables: list[dict[str, Any]] = [
        {"type": "topic", "topic": "news"},
        {"type": "event", "pattern": {"source": ["shop"]}},
    ]
    assert triggers(served, "g", tables) == (200, {"triggers": tables})
    topics.publish(TopicArn=topic, Message="hello")
    until(lambda: len(got(served, "g")) == 1)
    buses.put_events(Entries=[{"Source": "shop", "DetailType": "sold", "Detail": "{}"}])
    until(lambda: len(got(served, "g")) == 2)
    assert triggers(served, "g", tables[1:])[0] == 200
    topics.publish(TopicArn=topic, Message="unheard")
    buses.put_events(Entries=[{"Source": "shop", "DetailType": "sold", "Detail": "{}"}])
    until(lambda: len(got(served, "g")) == 3)
    topics.delete_topic(TopicArn=topic)


def test_triggers_that_cannot_be_put(served: Project) -> None:
    status, told = triggers(served, "declared", [])
    assert status == 409
    assert "stand in microfaas.toml" in told["message"]
    assert triggers(served, "nobody")[0] == 404
    assert triggers(served, "f", {"type": "queue"})[0] == 400
    wrong = [
        {"type": "queue"},
        {"type": "fax"},
        {"type": "stream", "stream": "none"},
        {"type": "topic", "topic": "none"},
    ]
    status, told = triggers(served, "f", wrong)
    assert status == 400
    for text in (
        "functions.f.triggers[0].queue: is missing",
        "functions.f.triggers[1].type: is 'fax'; it must be one of: bucket, event",
    ):
        assert text in told["message"]
    status, told = triggers(served, "f", wrong[2:])
    assert "reads the stream 'none'" in told["message"]
    assert "there is no topic none; make it first" in told["message"]
    assert triggers(served, "f") == (200, {"triggers": []})
