"""Queues of a real server: by boto3 and the command line's clients, and as triggers."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.e2e.project import Project

PATIENCE_S = 60.0

CONFIG = """
[queues.orders]
dead_letter_queue = "failed"
receives_max = 2
visibility_timeout_s = 3

[queues.failed]

[queues."ordered.fifo"]
content_based_deduplication = true
visibility_timeout_s = 3

[functions.take]
timeout_s = 3
mounts.OUT = { path = "out", write = true }
"""

HANDLER = """
import json, os, time

def handler(event, context):
    failures = []
    with open(os.path.join(os.environ["OUT"], "log"), "a") as log:
        for record in event["Records"]:
            body = record["body"]
            if body == "raise":
                raise ValueError(body)
            if body == "bad":
                failures.append({"itemIdentifier": record["messageId"]})
            if body.startswith("slow"):
                time.sleep(0.05)
            log.write(json.dumps([len(event["Records"]), body, record]) + "\\n")
            log.flush()
    return {"batchItemFailures": failures}
"""


def sqs_of(project: Project, kind: str = "client") -> Any:
    make = boto3.client if kind == "client" else boto3.resource
    return make(
        "sqs",
        endpoint_url=project.url,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
    )


def url(project: Project, name: str) -> str:
    return f"{project.url}/123456789012/{name}"


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.05)


class Taken:
    """What the function has written down."""

    def __init__(self, project: Project) -> None:
        self.path: Path = project.root / "out" / "log"

    def rows(self) -> list[Any]:
        if not self.path.exists():
            return []
        return [json.loads(line) for line in self.path.read_text().splitlines()]

    def bodies(self) -> list[str]:
        return [body for _, body, _ in self.rows()]


@pytest.fixture
def taken(project: Project) -> Taken:
    (project.root / "out").mkdir(mode=0o777)
    (project.root / "out").chmod(0o777)
    project.write("app.py", HANDLER)
    return Taken(project)


def serve(project: Project, trigger: str = "") -> Any:
    project.write("microfaas.toml", CONFIG + trigger)
    project.start()
    return sqs_of(project)


def test_boto3_finds_its_way_about(project: Project, taken: Taken) -> None:
    client = serve(project)
    queue = client.get_queue_url(QueueName="orders")["QueueUrl"]
    assert queue == url(project, "orders")
    attributes = {
        "colour": {"DataType": "String", "StringValue": "red"},
        "data": {"DataType": "Binary", "BinaryValue": b"\x00\x01"},
    }
    # boto3 compares the digests it calculates with those it is told.
    sent = client.send_message(
        QueueUrl=queue,
        MessageBody="héllo",
        MessageAttributes=attributes,
        MessageSystemAttributes={"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1"}},
    )
    received = client.receive_message(
        QueueUrl=queue, AttributeNames=["All"], MessageAttributeNames=["col.*", "colour"]
    )
    (message,) = received["Messages"]
    assert (message["MessageId"], message["Body"]) == (sent["MessageId"], "héllo")
    assert message["MessageAttributes"] == {"colour": attributes["colour"]}
    assert message["Attributes"]["AWSTraceHeader"] == "Root=1"
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    handle = message["ReceiptHandle"]
    client.change_message_visibility(QueueUrl=queue, ReceiptHandle=handle, VisibilityTimeout=60)
    found = client.get_queue_attributes(QueueUrl=queue, AttributeNames=["All"])["Attributes"]
    assert found["ApproximateNumberOfMessagesNotVisible"] == "1"
    assert json.loads(found["RedrivePolicy"])["maxReceiveCount"] == 2
    client.delete_message(QueueUrl=queue, ReceiptHandle=handle)
    again = client.get_queue_attributes(
        QueueUrl=queue, AttributeNames=["ApproximateNumberOfMessagesNotVisible"]
    )
    assert again["Attributes"] == {"ApproximateNumberOfMessagesNotVisible": "0"}


def test_what_goes_wrong_has_awss_names(project: Project, taken: Taken) -> None:
    client = serve(project)
    queue = url(project, "orders")
    with pytest.raises(client.exceptions.QueueDoesNotExist) as missing:
        client.receive_message(QueueUrl=url(project, "none"))
    assert missing.value.response["Error"]["Code"] == "AWS.SimpleQueueService.NonExistentQueue"
    with pytest.raises(client.exceptions.ReceiptHandleIsInvalid):
        client.delete_message(QueueUrl=queue, ReceiptHandle="handle")
    with pytest.raises(client.exceptions.UnsupportedOperation, match=r"microfaas\.toml"):
        client.delete_queue(QueueUrl=queue)
    with pytest.raises(client.exceptions.EmptyBatchRequest):
        client.send_message_batch(QueueUrl=queue, Entries=[])
    with pytest.raises(client.exceptions.BatchEntryIdsNotDistinct):
        client.send_message_batch(QueueUrl=queue, Entries=[{"Id": "a", "MessageBody": "x"}] * 2)
    with pytest.raises(client.exceptions.InvalidAttributeName):
        client.create_queue(QueueName="new", Attributes={"KmsMasterKeyId": "alias/aws/sqs"})
    with pytest.raises(client.exceptions.InvalidAttributeValue):
        client.create_queue(QueueName="new", Attributes={"DelaySeconds": "901"})
    with pytest.raises(client.exceptions.QueueNameExists):
        client.create_queue(QueueName="orders", Attributes={"VisibilityTimeout": "9"})
    with pytest.raises(client.exceptions.InvalidMessageContents):
        client.send_message(QueueUrl=queue, MessageBody="\x01")
    with pytest.raises(ClientError) as wrong:
        client.receive_message(QueueUrl=queue, WaitTimeSeconds=21)
    assert wrong.value.response["Error"]["Code"] == "InvalidParameterValue"
    with pytest.raises(ClientError) as wrong:
        client.send_message(QueueUrl=url(project, "ordered.fifo"), MessageBody="x")
    assert wrong.value.response["Error"]["Code"] == "MissingParameter"


def test_a_queue_is_made_used_and_deleted_through_resources(project: Project, taken: Taken) -> None:
    serve(project)
    service = sqs_of(project, "resource")
    queue = service.create_queue(
        QueueName="made.fifo",
        Attributes={"FifoQueue": "true", "ContentBasedDeduplication": "true"},
        tags={"team": "a"},
    )
    entries = [{"Id": str(n), "MessageBody": str(n), "MessageGroupId": "g"} for n in range(3)]
    answer = queue.send_messages(Entries=[*entries, {"Id": "x", "MessageBody": "x"}])
    assert [one["Id"] for one in answer["Successful"]] == ["0", "1", "2"]
    assert [one["Id"] for one in answer["Failed"]] == ["x"]
    messages = queue.receive_messages(MaxNumberOfMessages=10, AttributeNames=["All"])
    assert [message.body for message in messages] == ["0", "1", "2"]
    numbers = [message.attributes["SequenceNumber"] for message in messages]
    assert numbers == sorted(numbers)
    handles = [{"Id": m.body, "ReceiptHandle": m.receipt_handle} for m in messages]
    assert len(queue.delete_messages(Entries=handles)["Successful"]) == 3
    queue.set_attributes(Attributes={"VisibilityTimeout": "7", "FifoQueue": "true"})
    queue.reload()
    assert queue.attributes["VisibilityTimeout"] == "7"
    assert [one.url for one in service.queues.filter(QueueNamePrefix="made")] == [queue.url]
    assert queue.meta.client.list_queue_tags(QueueUrl=queue.url)["Tags"] == {"team": "a"}
    queue.purge()
    queue.delete()
    assert [one.url for one in service.queues.filter(QueueNamePrefix="made")] == []


def test_changes_at_the_same_time_are_all_made(project: Project, taken: Taken) -> None:
    serve(project)
    client = sqs_of(project)
    to = {"QueueUrl": client.create_queue(QueueName="made")["QueueUrl"]}
    attributes = {"DelaySeconds": "7", "VisibilityTimeout": "8", "Policy": "{}"}
    names = [str(number) for number in range(8)]
    with ThreadPoolExecutor(16) as threads:
        calls = [
            *(threads.submit(client.tag_queue, **to, Tags={name: ""}) for name in names),
            *(
                threads.submit(client.set_queue_attributes, **to, Attributes={name: value})
                for name, value in attributes.items()
            ),
        ]
    for call in calls:
        call.result()
    assert client.list_queue_tags(**to)["Tags"] == dict.fromkeys(names, "")
    told = client.get_queue_attributes(**to, AttributeNames=["All"])["Attributes"]
    assert told | attributes == told


def test_a_receiver_waits_without_asking_again(project: Project, taken: Taken) -> None:
    client = serve(project)
    queue = url(project, "orders")
    client.send_message(QueueUrl=queue, MessageBody="later", DelaySeconds=1)
    answer = client.receive_message(QueueUrl=queue, WaitTimeSeconds=20)
    assert [message["Body"] for message in answer["Messages"]] == ["later"]


def test_a_trigger_removes_what_succeeded_and_gives_up_the_rest(
    project: Project, taken: Taken
) -> None:
    client = serve(
        project,
        "[[functions.take.triggers]]\ntype = 'queue'\nqueue = 'orders'\nbatch_size = 5\n"
        "window_s = 1\nreport_batch_item_failures = true\n",
    )
    bodies = ["a", "bad", "b", "c"]
    entries = [{"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies)]
    client.send_message_batch(QueueUrl=url(project, "orders"), Entries=entries)
    answer: dict[str, Any] = {}

    def dead() -> bool:
        nonlocal answer
        answer = client.receive_message(
            QueueUrl=url(project, "failed"), WaitTimeSeconds=1, AttributeNames=["All"]
        )
        return "Messages" in answer

    until(dead)
    (message,) = answer["Messages"]
    assert message["Body"] == "bad"
    assert message["Attributes"]["DeadLetterQueueSourceArn"].endswith(":orders")
    assert sorted(set(taken.bodies())) == ["a", "b", "bad", "c"]
    assert taken.bodies().count("bad") == 2
    assert taken.bodies().count("a") == 1
    record = taken.rows()[0][2]
    assert record["eventSourceARN"] == "arn:aws:sqs:us-east-1:123456789012:orders"
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    left = client.get_queue_attributes(QueueUrl=url(project, "orders"), AttributeNames=["All"])
    assert left["Attributes"]["ApproximateNumberOfMessages"] == "0"
    assert left["Attributes"]["ApproximateNumberOfMessagesNotVisible"] == "0"
    redrive_and_look(project, client)


def redrive_and_look(project: Project, client: Any) -> None:
    """The dead letter, once it is visible again, goes back to its queue, and dies once more."""
    source = "arn:aws:sqs:us-east-1:123456789012:failed"
    failed = url(project, "failed")
    client.send_message(QueueUrl=failed, MessageBody="not from anywhere")
    client.start_message_move_task(
        SourceArn=source, DestinationArn=source.replace("failed", "orders")
    )

    def ended() -> bool:
        (task,) = client.list_message_move_tasks(SourceArn=source)["Results"]
        return bool(task["Status"] == "COMPLETED" and task["ApproximateNumberOfMessagesMoved"] == 1)

    until(ended)


def test_filters_remove_what_no_function_wants(project: Project, taken: Taken) -> None:
    client = serve(
        project,
        "[[functions.take.triggers]]\ntype = 'queue'\nqueue = 'orders'\n"
        "filters = [{ body = { kind = ['a'] } }]\n",
    )
    for kind in ("b", "a", "b", "a"):
        body = json.dumps({"kind": kind})
        client.send_message(QueueUrl=url(project, "orders"), MessageBody=body)
    until(lambda: len(taken.bodies()) >= 2)

    def empty() -> bool:
        found = client.get_queue_attributes(QueueUrl=url(project, "orders"), AttributeNames=["All"])
        numbers = found["Attributes"]
        return (
            numbers["ApproximateNumberOfMessages"] == "0"
            and numbers["ApproximateNumberOfMessagesNotVisible"] == "0"
        )

    until(empty)
    assert taken.bodies() == [json.dumps({"kind": "a"})] * 2


def test_groups_keep_their_order_though_the_server_is_killed(
    project: Project, taken: Taken
) -> None:
    trigger = (
        "[[functions.take.triggers]]\ntype = 'queue'\nqueue = 'ordered.fifo'\nbatch_size = 3\n"
    )
    client = serve(project, trigger)
    for number in range(30):
        client.send_message(
            QueueUrl=url(project, "ordered.fifo"),
            MessageBody=f"slow {number % 2} {number:02d}",
            MessageGroupId=str(number % 2),
        )
    until(lambda: len(taken.bodies()) >= 4)
    project.kill()
    project.start()
    until(lambda: len(set(taken.bodies())) == 30)
    for group in "01":
        bodies = [body for body in taken.bodies() if body.split()[1] == group]
        # What was in flight is repeated as a batch; without the repetitions all are in order.
        assert list(dict.fromkeys(bodies)) == sorted(set(bodies))


def test_a_function_may_not_run_longer_than_its_messages_are_hidden(project: Project) -> None:
    project.write("app.py", HANDLER)
    project.write(
        "microfaas.toml",
        "[queues.q]\nvisibility_timeout_s = 5\n[functions.f]\ntimeout_s = 6\n"
        "[[functions.f.triggers]]\ntype = 'queue'\nqueue = 'q'\n",
    )
    with pytest.raises(
        AssertionError, match=r"queues\.q\.visibility_timeout_s: must be at least 6"
    ):
        project.start()


def command(project: Project, *arguments: str) -> str:
    done = project.cli("queue", *arguments, "--endpoint-url", project.url)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


def test_the_command_line_sends_looks_and_clears_up(project: Project, taken: Taken) -> None:
    serve(project)
    sent = command(project, "send", "orders", "-d", "hello", "--attribute", "n:Number=3").strip()
    command(project, "send", "ordered.fifo", "-d", "first", "--group", "g", "--dedup", "1")
    command(project, "send", "orders", "-d", "late", "--delay", "600")
    shown = json.loads(command(project, "peek", "orders", "--json"))["messages"]
    assert (shown[0]["id"], shown[0]["state"]) == (sent, "ready")
    assert [one["body"] for one in shown] == ["hello", "late"]
    assert shown[0]["message_attributes"] == {"n": {"type": "Number", "value": "3"}}
    rows = [line.split() for line in command(project, "stats").splitlines()]
    assert ["orders", "1", "0", "1", "failed"] in rows
    command(project, "purge", "orders")
    assert ["orders", "0", "0", "0", "failed"] in [
        line.split() for line in command(project, "stats", "orders").splitlines()
    ]
    command(project, "send", "failed", "-d", "again")
    command(project, "redrive", "failed", "--to", "orders")
    shown = json.loads(command(project, "peek", "orders", "--json"))["messages"]
    assert [one["body"] for one in shown] == ["again"]
    missing = project.cli("queue", "peek", "none", "--endpoint-url", project.url)
    assert missing.returncode == 100
    assert b"none" in missing.stderr
