"""Who may use AWS's other services: scopes, functions' own keys, and how refusals read."""

from __future__ import annotations

import json
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import Any

import boto3
import botocore.config
import pytest
from botocore.exceptions import ClientError

from tests.e2e.project import Project, until
from tests.e2e.test_access import create, curl

TOPIC = "arn:aws:sns:us-east-1:123456789012:orders"
# As a function of AWS's would: no address, no key, no region.
APP = """import boto3, json

def handler(event, context):
    if "Records" in event:
        print("got", event["Records"][0]["Sns"]["Message"])
        return None
    boto3.client("sns").publish(TopicArn=event["topic"], Message=event["message"])
    sqs = boto3.client("sqs")
    url = sqs.get_queue_url(QueueName="q")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=event["message"])
    [got] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"]
    return got["Body"]
"""
CONFIG = f"""
auth = true
[queues.q]
[streams.s]
[topics.orders]
[topics.other]
[functions.order]
interpreter = {json.dumps(sys.executable)}
timeout_s = 30
memory_mb = 256
init_timeout_s = 30
[[functions.order.triggers]]
type = "topic"
topic = "orders"
"""

Call = Callable[[Any], Any]
# Those whose faults have the names of the query protocol, whichever they speak.
FORMS = ("sns", "sqs")


@pytest.fixture
def made(project: Project) -> Project:
    project.write("app.py", APP)
    project.write("microfaas.toml", CONFIG)
    return project


def client(project: Project, service: str, key: tuple[str, str]) -> Any:
    return boto3.client(
        service,
        endpoint_url=project.url,
        region_name="us-east-1",
        aws_access_key_id=key[0],
        aws_secret_access_key=key[1],
        config=botocore.config.Config(retries={"max_attempts": 0}),
    )


def url_of(project: Project) -> str:
    return f"{project.url}/123456789012/q"


# What is asked for, and what of the scopes lets one do it; admin does everything.
ASKED: dict[str, tuple[str, Callable[[Project], Call], set[str]]] = {
    "publish": (
        "sns",
        lambda p: lambda c: c.publish(TopicArn=TOPIC, Message="m"),
        {"send", "send:orders", "send:ord*"},
    ),
    "list topics": ("sns", lambda p: lambda c: c.list_topics(), {"read"}),
    "create topic": ("sns", lambda p: lambda c: c.create_topic(Name="new"), set()),
    "subscribe": (
        "sns",
        lambda p: (
            lambda c: c.subscribe(TopicArn=TOPIC, Protocol="http", Endpoint="http://127.0.0.1:9/")
        ),
        set(),
    ),
    "send": (
        "sqs",
        lambda p: lambda c: c.send_message(QueueUrl=url_of(p), MessageBody="m"),
        {"send"},
    ),
    "receive": (
        "sqs",
        lambda p: lambda c: c.receive_message(QueueUrl=url_of(p)),
        {"receive", "receive:q"},
    ),
    "list queues": ("sqs", lambda p: lambda c: c.list_queues(), {"read"}),
    "purge": ("sqs", lambda p: lambda c: c.purge_queue(QueueUrl=url_of(p)), set()),
    "put record": (
        "kinesis",
        lambda p: lambda c: c.put_record(StreamName="s", Data=b"d", PartitionKey="k"),
        {"send"},
    ),
    "list streams": ("kinesis", lambda p: lambda c: c.list_streams(), {"read"}),
    "put events": (
        "events",
        lambda p: (
            lambda c: c.put_events(Entries=[{"Source": "s", "DetailType": "d", "Detail": "{}"}])
        ),
        {"send"},
    ),
    "list rules": ("events", lambda p: lambda c: c.list_rules(), {"read"}),
    "list schedules": ("scheduler", lambda p: lambda c: c.list_schedules(), {"read"}),
}
SCOPES = (
    *("send", "send:orders", "send:ord*", "send:other"),
    *("receive", "receive:q", "read", "invoke", "admin"),
)


def test_a_scope_lets_one_do_what_it_says(made: Project) -> None:
    made.start()
    for scope in SCOPES:
        key = create(made, scope)
        for name, (service, call, allowing) in ASKED.items():
            try:
                call(made)(client(made, service, key))
                answer = "ok"
            except ClientError as error:
                answer = error.response["Error"]["Code"]
            right = scope == "admin" or scope in allowing
            refused = {"AccessDenied"} if service in FORMS else {"AccessDeniedException"}
            assert answer in ({"ok"} if right else refused), f"{scope}: {name}"


def test_a_function_is_let_in_without_any_configuration(made: Project) -> None:
    made.start()
    made.key = create(made, "invoke")
    assert made.invoke("order", {"topic": TOPIC, "message": "hello"}) == "hello"
    until(lambda: "got hello" in made.log("order"), "the message that it published")


@pytest.mark.parametrize(
    ("service", "call", "unknown", "forged"),
    [
        (
            "sns",
            lambda c: c.list_topics(),
            "InvalidClientTokenId",
            "SignatureDoesNotMatch",
        ),
        (
            "sqs",
            lambda c: c.list_queues(),
            "InvalidClientTokenId",
            "SignatureDoesNotMatch",
        ),
        (
            "kinesis",
            lambda c: c.list_streams(),
            "UnrecognizedClientException",
            "InvalidSignatureException",
        ),
        (
            "scheduler",
            lambda c: c.list_schedules(),
            "UnrecognizedClientException",
            "InvalidSignatureException",
        ),
    ],
)
def test_a_wrong_key_is_told_in_the_services_own_words(
    made: Project, service: str, call: Call, unknown: str, forged: str
) -> None:
    made.start()
    key_id, _ = create(made, "admin")
    for key, code in ((("AKIANOBODY", "x"), unknown), ((key_id, "wrong"), forged)):
        with pytest.raises(ClientError) as caught:
            call(client(made, service, key))
        assert caught.value.response["Error"]["Code"] == code
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_no_key_is_told_in_xml_or_json(made: Project) -> None:
    made.start()
    form = "Action=ListTopics&Version=2010-03-31"
    status, body = curl("-d", form, f"{made.url}/")
    assert (status, "<Code>MissingAuthenticationToken</Code>" in body) == (403, True)
    target = ("-H", "X-Amz-Target: AmazonSQS.ListQueues", "-d", "{}")
    status, body = curl(*target, f"{made.url}/")
    assert (status, json.loads(body)["__type"]) == (403, "MissingAuthenticationTokenException")
    status, body = curl(f"{made.url}/schedules")
    assert status == 403
    assert json.loads(body)["message"] == "Missing Authentication Token"


def test_a_bearer_gets_in_as_well(made: Project) -> None:
    made.start()
    bearer = f"Authorization: Bearer {'.'.join(create(made, 'read'))}"
    form = "Action=ListTopics&Version=2010-03-31"
    status, body = curl("-H", bearer, "-d", form, f"{made.url}/")
    assert (status, TOPIC in body) == (200, True)


def test_a_presigned_url_is_its_own_key(made: Project) -> None:
    made.start()
    sns = client(made, "sns", create(made, "send:orders"))
    url = sns.generate_presigned_url(
        "publish", {"TopicArn": TOPIC, "Message": "signed"}, HttpMethod="GET"
    )
    status, body = curl(url)
    assert (status, "<MessageId>" in body) == (200, True), body
    until(lambda: "got signed" in made.log("order"), "the message")
    forged = url.replace("Message=signed", "Message=forged")
    assert forged != url
    status, body = curl(forged)
    assert (status, "<Code>SignatureDoesNotMatch</Code>" in body) == (403, True)


def test_links_need_no_key_but_must_be_right(made: Project) -> None:
    made.start()
    sns = client(made, "sns", create(made, "admin"))
    [declared] = sns.list_subscriptions_by_topic(TopicArn=TOPIC)["Subscriptions"]
    endpoint = "http://127.0.0.1:9/"
    arn = sns.subscribe(
        TopicArn=TOPIC, Protocol="http", Endpoint=endpoint, ReturnSubscriptionArn=True
    )["SubscriptionArn"]

    def link(**parameters: str) -> int:
        query = "&".join(f"{name}={value}" for name, value in parameters.items())
        return curl(f"{made.url}/?{query}")[0]

    assert link(Action="ConfirmSubscription", TopicArn=TOPIC, Token="0" * 128) == 400
    guess = f"{TOPIC}:00000000-0000-4000-8000-000000000000"
    assert link(Action="Unsubscribe", SubscriptionArn=guess) == 200  # nothing is given away
    assert link(Action="Unsubscribe", SubscriptionArn=declared["SubscriptionArn"]) == 400
    assert len(sns.list_subscriptions()["Subscriptions"]) == 2
    assert link(Action="Unsubscribe", SubscriptionArn=arn) == 200
    assert sns.list_subscriptions()["Subscriptions"] == [declared]
    # No other action is let in that way, and none by another method.
    assert link(Action="DeleteTopic", TopicArn=TOPIC) == 403
    form = f"Action=Unsubscribe&SubscriptionArn={arn}"
    assert curl("-d", form, f"{made.url}/")[0] == 403


def test_a_certificate_needs_no_key(made: Project) -> None:
    made.start()
    sns = client(made, "sns", create(made, "admin"))
    queue = "arn:aws:sqs:us-east-1:123456789012:q"
    sns.subscribe(TopicArn=TOPIC, Protocol="sqs", Endpoint=queue)
    sns.publish(TopicArn=TOPIC, Message="m")
    sqs = client(made, "sqs", create(made, "receive"))
    [got] = sqs.receive_message(QueueUrl=url_of(made), WaitTimeSeconds=20)["Messages"]
    with urllib.request.urlopen(json.loads(got["Body"])["SigningCertURL"]) as answer:
        assert answer.read().startswith(b"-----BEGIN CERTIFICATE-----")
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{made.url}/_microfaas/v1/sns/topics.pem")
    assert caught.value.code == 403
