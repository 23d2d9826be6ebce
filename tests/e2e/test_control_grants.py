"""Topics and rules call functions of the API that permit them, and no others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.control import client, create
from tests.e2e.project import Project

HERE = "us-east-1:123456789012"
FUNCTION = f"arn:aws:lambda:{HERE}:function:f"
TELLS = """
def handler(event, context):
    return event["Records"][0]["Sns"]["Message"] if "Records" in event else event["detail"]
"""


@pytest.fixture
def lambdas(project: Project) -> Any:
    project.write("microfaas.toml", "")
    project.start()
    return client(project)


def queue(project: Project, name: str) -> Any:
    """What takes the first message of a new queue."""
    queues = client(project, "sqs")
    url = queues.create_queue(QueueName=name)["QueueUrl"]

    def take() -> Any:
        found = queues.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"][0]
        queues.delete_message(QueueUrl=url, ReceiptHandle=found["ReceiptHandle"])
        return json.loads(found["Body"])

    return take


def permit(lambdas: Any, service: str, source: str, **more: str) -> None:
    lambdas.add_permission(
        FunctionName="f",
        StatementId=service.partition(".")[0],
        Action="lambda:InvokeFunction",
        Principal=service,
        SourceArn=source,
        **more,
    )


def to_queue(lambdas: Any, **more: str) -> None:
    """What the function returns goes to the queue `results`."""
    destination = {"OnSuccess": {"Destination": f"arn:aws:sqs:{HERE}:results"}}
    lambdas.put_function_event_invoke_config(
        FunctionName="f", DestinationConfig=destination, **more
    )


def test_a_topic_needs_a_permission(project: Project, lambdas: Any) -> None:
    results, graves = queue(project, "results"), queue(project, "graves")
    create(lambdas, code=TELLS, Publish=True)
    lambdas.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    to_queue(lambdas, Qualifier="live")
    topics = client(project, "sns")
    topic = topics.create_topic(Name="t")["TopicArn"]
    redrive = json.dumps({"deadLetterTargetArn": f"arn:aws:sqs:{HERE}:graves"})
    topics.subscribe(
        TopicArn=topic,
        Protocol="lambda",
        Endpoint=f"{FUNCTION}:live",
        Attributes={"RedrivePolicy": redrive},
    )
    permit(lambdas, "sns.amazonaws.com", topic)  # the function's, not the alias's
    topics.publish(TopicArn=topic, Message="refused")
    assert graves()["Records"][0]["Sns"]["Message"] == "refused"
    permit(lambdas, "sns.amazonaws.com", topic, Qualifier="live")
    topics.publish(TopicArn=topic, Message="taken")
    record = results()
    assert record["responsePayload"] == "taken"
    assert record["requestContext"]["functionArn"] == f"{FUNCTION}:live"


def test_a_rule_needs_a_permission(project: Project, lambdas: Any) -> None:
    results, graves = queue(project, "results"), queue(project, "graves")
    create(lambdas, code=TELLS)
    to_queue(lambdas)
    bus = client(project, "events")
    rule = bus.put_rule(Name="r", EventPattern=json.dumps({"source": ["shop"]}))["RuleArn"]
    dead = {"Arn": f"arn:aws:sqs:{HERE}:graves"}
    bus.put_targets(Rule="r", Targets=[{"Id": "1", "Arn": FUNCTION, "DeadLetterConfig": dead}])

    def put(detail: dict[str, int]) -> None:
        entry = {"Source": "shop", "DetailType": "t", "Detail": json.dumps(detail)}
        assert bus.put_events(Entries=[entry])["FailedEntryCount"] == 0

    put({"n": 1})
    assert graves()["detail"] == {"n": 1}
    permit(lambdas, "events.amazonaws.com", rule)
    put({"n": 2})
    assert results()["responsePayload"] == {"n": 2}
