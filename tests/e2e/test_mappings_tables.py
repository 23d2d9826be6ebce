"""Event source mappings of DynamoDB's streams, as moto serves them."""

from __future__ import annotations

import json
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.e2e.control import client
from tests.e2e.project import Project
from tests.e2e.test_mappings import depth, got, until

MOTO = Path(__file__).parents[1] / "aws/.venv/bin/moto_server"
START_S_MAX = 60.0
CONFIG = """
[endpoints]
dynamodb = "{url}"

[queues.lost]

[functions.f]
handler = "app.handler"
"""
CODE = """
import json

def handler(event, context):
    for record in event["Records"]:
        print("GOT", json.dumps([record]))
        if record["dynamodb"]["Keys"] == {"id": {"S": "raise"}}:
            raise ValueError("raise")
"""


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where it answers."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (tmp_path_factory.mktemp("moto") / "output").open("wb") as output:
        argv = [MOTO, "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(argv, stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_S_MAX
        while not answers(url):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/moto-api/", timeout=5) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False


def moto_client(url: str, service: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )


@pytest.fixture
def served(project: Project, moto: str, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    project.write("microfaas.toml", CONFIG.format(url=moto))
    project.write("app.py", CODE)
    project.start()
    return project


def table(tables: Any, name: str) -> str:
    """A table, and its stream's ARN."""
    made = tables.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    return str(made["TableDescription"]["LatestStreamArn"])


def records(project: Project) -> list[Any]:
    """What the function was given."""
    return [each[0] for each in got(project)]


def put(tables: Any, name: str, id: str, **more: Any) -> None:
    tables.put_item(TableName=name, Item={"id": {"S": id}, **more})


def test_what_happens_to_a_tables_items(served: Project, moto: str) -> None:
    tables = moto_client(moto, "dynamodb")
    arn = table(tables, "items")
    put(tables, "items", "a", b={"B": b"\x00"})
    made = client(served).create_event_source_mapping(
        FunctionName="f",
        EventSourceArn=arn,
        StartingPosition="TRIM_HORIZON",
        MaximumRetryAttempts=0,
        BisectBatchOnFunctionError=True,
        DestinationConfig={"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:123456789012:lost"}},
        FilterCriteria={
            "Filters": [
                {"Pattern": '{"dynamodb": {"Keys": {"id": {"S": [{"prefix": "a"}, "raise"]}}}}'}
            ]
        },
    )
    assert made["BatchSize"] == 100
    until(lambda: len(records(served)) == 1)
    put(tables, "items", "a", b={"B": b"\x01"})
    put(tables, "items", "unwanted")
    tables.delete_item(TableName="items", Key={"id": {"S": "a"}})
    until(lambda: len(records(served)) == 3)
    first, second, third = records(served)
    assert [each["eventName"] for each in (first, second, third)] == ["INSERT", "MODIFY", "REMOVE"]
    assert {each["eventSource"] for each in (first, second, third)} == {"aws:dynamodb"}
    assert {each["eventSourceARN"] for each in (first, second, third)} == {arn}
    assert first["dynamodb"]["NewImage"] == {"id": {"S": "a"}, "b": {"B": "AA=="}}
    assert second["dynamodb"]["OldImage"] == first["dynamodb"]["NewImage"]
    assert isinstance(first["dynamodb"]["ApproximateCreationDateTime"], int | float)

    # A power cut, and a batch that is given up. What comes next is begun when all before it is
    # dealt with.
    put(tables, "items", "a1")
    until(lambda: len(records(served)) == 4)
    served.kill()
    put(tables, "items", "raise")
    put(tables, "items", "a2")
    served.start()
    until(lambda: depth(served, "lost") == 1)
    queues = client(served, "sqs")
    url = queues.get_queue_url(QueueName="lost")["QueueUrl"]
    (message,) = queues.receive_message(QueueUrl=url)["Messages"]
    told = json.loads(message["Body"])
    assert told["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert told["DDBStreamBatchInfo"]["streamArn"] == arn
    until(lambda: records(served)[-1]["dynamodb"]["Keys"] == {"id": {"S": "a2"}})
    assert [each["eventName"] for each in records(served)].count("MODIFY") == 1


def test_what_a_new_mapping_does_not_ask_for(served: Project, moto: str) -> None:
    tables = moto_client(moto, "dynamodb")
    arn = table(tables, "late")
    put(tables, "late", "before")
    create = client(served).create_event_source_mapping
    uuid = create(FunctionName="f", EventSourceArn=arn, StartingPosition="LATEST")["UUID"]
    wanted = 0
    while not records(served):  # until the mapping is there to see it
        wanted += 1
        put(tables, "late", f"after-{wanted}")
        time.sleep(0.2)
    keys = {each["dynamodb"]["Keys"]["id"]["S"] for each in records(served)}
    assert "before" not in keys
    client(served).delete_event_source_mapping(UUID=uuid)
    unknown = arn.replace("late", "none")
    with pytest.raises(ClientError, match="Stream not found: "):
        create(FunctionName="f", EventSourceArn=unknown, StartingPosition="LATEST")
    with pytest.raises(ClientError, match="Unsupported starting position for arn type"):
        create(
            FunctionName="f",
            EventSourceArn=arn,
            StartingPosition="AT_TIMESTAMP",
            StartingPositionTimestamp=1,
        )
