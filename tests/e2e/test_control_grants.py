"""Who else calls functions of the API: topics and rules that a policy permits, other functions."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

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


def test_a_new_function_has_nothing_of_a_files_of_that_name(project: Project) -> None:
    project.write("app.py", "def handler(event, context):\n    return 1\n")
    project.write("microfaas.toml", '[functions.f]\nhandler = "app.handler"\n')
    project.start()
    before = client(project)
    permit(before, "sns.amazonaws.com", f"arn:aws:sns:{HERE}:t")
    before.tag_resource(Resource=FUNCTION, Tags={"a": "1"})
    project.stop()
    project.write("microfaas.toml", "")
    project.start()
    lambdas = client(project)
    create(lambdas)
    assert lambdas.list_tags(Resource=FUNCTION)["Tags"] == {}
    with pytest.raises(ClientError, match="The resource you requested does not exist"):
        lambdas.get_policy(FunctionName="f")


def test_what_a_function_returns_may_go_to_anothers_alias(project: Project, lambdas: Any) -> None:
    results = queue(project, "results")
    create(lambdas, "g", code="def handler(event, context):\n    return 1\n")
    create(lambdas, code="def handler(event, context):\n    return context.function_version\n")
    lambdas.publish_version(FunctionName="f")
    lambdas.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    to_queue(lambdas, Qualifier="live")
    destination = {"OnSuccess": {"Destination": f"{FUNCTION}:live"}}
    lambdas.put_function_event_invoke_config(FunctionName="g", DestinationConfig=destination)
    lambdas.invoke(FunctionName="g", InvocationType="Event", Payload=b"{}")
    record = results()
    assert record["responsePayload"] == "1"
    assert record["requestPayload"]["responsePayload"] == 1
