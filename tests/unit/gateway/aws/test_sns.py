"""SNS's operations over real topics: what is asked as boto3 has it, and what is answered."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

sys.path.append(str(Path(__file__).parents[2] / "messaging"))
from topic_world import ARN, TopicWorld

from microfaas.errors import ServiceError
from microfaas.gateway.aws import sns as api
from microfaas.gateway.aws.service import Caller
from microfaas.gateway.aws.sns import SnsApi
from microfaas.model import Address

CALLER = Caller("id", "127.0.0.1", "http://gateway:9000")
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:f"
QUEUE = "arn:aws:sqs:us-east-1:123456789012:q"


class Asked:
    """The API, asked by operation."""

    def __init__(self, world: TopicWorld) -> None:
        self.world = world
        there = {("lambda", "f"), ("sqs", "q")}
        made = SnsApi(world.topics, Address(), lambda *place: place in there, world.store.commit)
        self._operations = made.service().operations

    async def __call__(self, operation: str, **params: Any) -> dict[str, Any]:
        return await self._operations[operation](CALLER, params)

    async def refused(self, operation: str, **params: Any) -> tuple[str, str]:
        with pytest.raises(ServiceError) as caught:
            await self(operation, **params)
        return caught.value.kind, str(caught.value)


@pytest_asyncio.fixture
async def ask(tmp_path: Path) -> AsyncIterator[Asked]:
    world = await TopicWorld(tmp_path).open()
    yield Asked(world)
    world.db.close()


async def test_changes_at_the_same_time_are_all_made(ask: Asked) -> None:
    rows = [{"Key": str(number), "Value": ""} for number in range(8)]
    name = {"AttributeName": "DisplayName", "AttributeValue": "Shop"}
    await asyncio.gather(
        *(ask("TagResource", ResourceArn=ARN, Tags=[row]) for row in rows),
        ask("SetTopicAttributes", TopicArn=ARN, **name),
    )
    assert (await ask("ListTagsForResource", ResourceArn=ARN))["Tags"] == rows
    told = await ask("GetTopicAttributes", TopicArn=ARN)
    assert told["Attributes"]["DisplayName"] == "Shop"


async def test_topics_are_listed_by_pages(ask: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "PAGE", 2)
    for name in ("a", "b"):
        await ask("CreateTopic", Name=name)
    first = await ask("ListTopics")
    rest = await ask("ListTopics", NextToken=first["NextToken"])
    arns = [row["TopicArn"].rpartition(":")[2] for row in first["Topics"] + rest["Topics"]]
    assert (arns, rest["NextToken"]) == (["a", "b", "t"], None)
    assert (await ask.refused("ListTopics", NextToken="x"))[0] == "InvalidParameterException"


async def test_a_topic_has_snss_policy_until_it_is_given_one(ask: Asked) -> None:
    usual = (await ask("GetTopicAttributes", TopicArn=ARN))["Attributes"]["Policy"]
    [statement] = json.loads(usual)["Statement"]
    assert (statement["Principal"], statement["Resource"]) == ({"AWS": "*"}, ARN)
    for given, shown in (("{}", "{}"), ("", usual)):
        await ask("SetTopicAttributes", TopicArn=ARN, AttributeName="Policy", AttributeValue=given)
        told = await ask("GetTopicAttributes", TopicArn=ARN)
        assert told["Attributes"]["Policy"] == shown


async def test_a_topics_attributes(ask: Asked) -> None:
    for name, value in (("DisplayName", "Shop"), ("SignatureVersion", "2"), ("Policy", "{}")):
        await ask("SetTopicAttributes", TopicArn=ARN, AttributeName=name, AttributeValue=value)
    await ask("Subscribe", TopicArn=ARN, Protocol="lambda", Endpoint=FUNCTION)
    await ask("Subscribe", TopicArn=ARN, Protocol="http", Endpoint="http://h/")
    assert (await ask("GetTopicAttributes", TopicArn=ARN))["Attributes"] == {
        "TopicArn": ARN,
        "Owner": "123456789012",
        "DisplayName": "Shop",
        "SignatureVersion": "2",
        "Policy": "{}",
        "SubscriptionsConfirmed": "1",
        "SubscriptionsPending": "1",
        "SubscriptionsDeleted": "0",
    }


@pytest.mark.parametrize(
    ("name", "value"), [("SignatureVersion", "3"), ("Colour", "red"), ("FifoTopic", "true")]
)
async def test_an_attribute_may_be_wrong(ask: Asked, name: str, value: str) -> None:
    kind, _ = await ask.refused(
        "SetTopicAttributes", TopicArn=ARN, AttributeName=name, AttributeValue=value
    )
    assert kind == "InvalidParameterException"


async def test_tags(ask: Asked) -> None:
    await ask("TagResource", ResourceArn=ARN, Tags=[{"Key": k, "Value": k} for k in "ab"])
    await ask("UntagResource", ResourceArn=ARN, TagKeys=["a", "z"])
    tags = (await ask("ListTagsForResource", ResourceArn=ARN))["Tags"]
    assert tags == [{"Key": "b", "Value": "b"}]


async def test_a_subscription_as_it_is_told(ask: Asked) -> None:
    policy = '{"a": ["b"]}'
    redrive = json.dumps({"deadLetterTargetArn": QUEUE})
    arn = (
        await ask(
            "Subscribe",
            TopicArn=ARN,
            Protocol="sqs",
            Endpoint=QUEUE,
            Attributes={"FilterPolicy": policy, "RawMessageDelivery": "true"},
        )
    )["SubscriptionArn"]
    await ask(
        "SetSubscriptionAttributes",
        SubscriptionArn=arn,
        AttributeName="RedrivePolicy",
        AttributeValue=redrive,
    )
    told = (await ask("GetSubscriptionAttributes", SubscriptionArn=arn))["Attributes"]
    assert told == {
        "SubscriptionArn": arn,
        "TopicArn": ARN,
        "Owner": "123456789012",
        "Protocol": "sqs",
        "Endpoint": QUEUE,
        "RawMessageDelivery": "true",
        "PendingConfirmation": "false",
        "ConfirmationWasAuthenticated": "true",
        "SubscriptionPrincipal": "arn:aws:iam::123456789012:root",
        "FilterPolicy": policy,
        "FilterPolicyScope": "MessageAttributes",
        "RedrivePolicy": redrive,
    }
    for name, value in (("FilterPolicy", "{ }"), ("RedrivePolicy", "")):
        await ask(
            "SetSubscriptionAttributes",
            SubscriptionArn=arn,
            AttributeName=name,
            AttributeValue=value,
        )
    told = (await ask("GetSubscriptionAttributes", SubscriptionArn=arn))["Attributes"]
    assert not told.keys() & {"FilterPolicy", "FilterPolicyScope", "RedrivePolicy"}
    await ask("Unsubscribe", SubscriptionArn=arn)
    await ask("Unsubscribe", SubscriptionArn=arn)
    assert (await ask("ListSubscriptions"))["Subscriptions"] == []
    kind, _ = await ask.refused("GetSubscriptionAttributes", SubscriptionArn=arn)
    assert kind == "NotFoundException"


async def test_one_that_waits_for_an_answer_has_no_arn_yet(ask: Asked) -> None:
    wanted = {"TopicArn": ARN, "Protocol": "https", "Endpoint": "https://h/"}
    assert (await ask("Subscribe", **wanted))["SubscriptionArn"] == "pending confirmation"
    shown = await ask("Subscribe", **wanted, ReturnSubscriptionArn=True)
    assert shown["SubscriptionArn"].startswith(f"{ARN}:")
    [row] = (await ask("ListSubscriptionsByTopic", TopicArn=ARN))["Subscriptions"]
    assert row["SubscriptionArn"] == "PendingConfirmation"


@pytest.mark.parametrize(
    ("protocol", "endpoint"),
    [
        *(("sms", "+4912345"), ("application", "x"), ("firehose", "x")),
        *(("lambda", "arn:aws:lambda:us-east-1:123456789012:function:gone"), ("lambda", QUEUE)),
        *(("sqs", "arn:aws:sqs:us-east-1:123456789012:gone"), ("sqs", FUNCTION), ("sqs", "")),
        *(("http", "https://h/"), ("https", "http://h/"), ("http", "http://"), ("http", "")),
        *(("email", "ada"), ("email", "a@b\r\nBcc: c@d"), ("email-json", "a b@c"), ("email", "")),
    ],
)
async def test_an_endpoint_may_be_wrong(ask: Asked, protocol: str, endpoint: str) -> None:
    kind, _ = await ask.refused("Subscribe", TopicArn=ARN, Protocol=protocol, Endpoint=endpoint)
    assert kind == "InvalidParameterException"
    assert ask.world.book.all() == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("FilterPolicy", "{"), ("FilterPolicy", '{"a": 1}'), ("FilterPolicyScope", "Body")),
        *(("RedrivePolicy", "x"), ("RedrivePolicy", '{"deadLetterTargetArn": "x"}'), ("X", "y")),
        *(("RedrivePolicy", "[" * 9999), ("RedrivePolicy", '{"deadLetterTargetArn": 5}')),
    ],
)
async def test_a_subscriptions_attribute_may_be_wrong(ask: Asked, name: str, value: str) -> None:
    made = (await ask("Subscribe", TopicArn=ARN, Protocol="lambda", Endpoint=FUNCTION))[
        "SubscriptionArn"
    ]
    kind, _ = await ask.refused(
        "SetSubscriptionAttributes",
        SubscriptionArn=made,
        AttributeName=name,
        AttributeValue=value,
    )
    assert kind == "InvalidParameterException"


async def test_some_protocols_get_other_texts(ask: Asked) -> None:
    await ask("Subscribe", TopicArn=ARN, Protocol="lambda", Endpoint=FUNCTION)
    await ask("Subscribe", TopicArn=ARN, Protocol="sqs", Endpoint=QUEUE)
    texts = json.dumps({"default": "long", "sqs": "short", "unknown": 1})
    await ask("Publish", TargetArn=ARN, Message=texts, MessageStructure="json")
    assert ask.world.bodies("function:f")[0]["Records"][0]["Sns"]["Message"] == "long"
    assert ask.world.bodies("queue:q")[0]["Message"] == "short"


@pytest.mark.parametrize(
    "params",
    [
        {"Message": "m"},
        {"Message": "m", "PhoneNumber": "+49"},
        {"TopicArn": ARN, "Message": "no JSON", "MessageStructure": "json"},
        {"TopicArn": ARN, "Message": "{}", "MessageStructure": "json"},
        {"TopicArn": ARN, "Message": "[]", "MessageStructure": "json"},
        {"TopicArn": ARN, "Message": "[" * 9999 + "]" * 9999, "MessageStructure": "json"},
        {
            "TopicArn": ARN,
            "MessageStructure": "json",
            "Message": json.dumps({"default": "m", "sqs": "m" * 270_000}),
        },
        {"TopicArn": ARN, "Message": "m", "MessageAttributes": {"a": {"DataType": "Date"}}},
        {"TopicArn": ARN, "Message": "m", "MessageAttributes": {"a": {"DataType": "String"}}},
    ],
)
async def test_what_is_published_may_be_wrong(ask: Asked, params: dict[str, Any]) -> None:
    kind, _ = await ask.refused("Publish", **params)
    assert kind in ("InvalidParameterException", "InvalidParameterValueException")


async def test_a_binary_attribute_is_told_in_base64(ask: Asked) -> None:
    await ask("Subscribe", TopicArn=ARN, Protocol="lambda", Endpoint=FUNCTION)
    attributes = {"b": {"DataType": "Binary", "BinaryValue": b"\0\xff"}}
    await ask("Publish", TopicArn=ARN, Message="m", MessageAttributes=attributes)
    told = ask.world.bodies("function:f")[0]["Records"][0]["Sns"]["MessageAttributes"]
    assert told == {"b": {"Type": "Binary", "Value": "AP8="}}


async def test_a_batch_is_one_commit(ask: Asked) -> None:
    await ask("Subscribe", TopicArn=ARN, Protocol="lambda", Endpoint=FUNCTION)
    entries = [{"Id": str(n), "Message": str(n)} for n in range(10)]
    reply = await ask("PublishBatch", TopicArn=ARN, PublishBatchRequestEntries=entries)
    assert [row["Id"] for row in reply["Successful"]] == [str(n) for n in range(10)]
    assert len(ask.world.waiting("function:f")) == 10


@pytest.mark.parametrize(
    ("entries", "kind"),
    [
        ([], "EmptyBatchRequestException"),
        ([{"Id": "a", "Message": "m"}] * 2, "BatchEntryIdsNotDistinctException"),
    ],
)
async def test_a_batch_may_be_wrong(ask: Asked, entries: list[Any], kind: str) -> None:
    refused = await ask.refused("PublishBatch", TopicArn=ARN, PublishBatchRequestEntries=entries)
    assert refused[0] == kind
