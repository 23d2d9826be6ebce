"""What subscribers get, to the letter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from microfaas.payloads import sns
from microfaas.payloads.sns import Publication

TOPIC = "arn:aws:sns:us-east-1:123456789012:t"
SUBSCRIPTION = f"{TOPIC}:028f316b-4217-404d-2050-ae7872af058c"
UNSUBSCRIBE = "http://h/?Action=Unsubscribe"
PUBLICATION = Publication(
    topic_arn=TOPIC,
    message_id="95df01b4-ee98-5cb9-9903-4c221d41eb5e",
    message="Hello from SNS!",
    subject="TestInvoke",
    timestamp="2015-06-03T17:43:27.123Z",
    attributes={"Test": ("String", "TestString"), "TestBinary": ("Binary", "VGVzdA==")},
    signature="c2lnbmF0dXJl",
    signing_cert_url="http://h/c.pem",
)
PLAIN = Publication(
    topic_arn=TOPIC,
    message_id=PUBLICATION.message_id,
    message='{"a": 1}',
    timestamp=PUBLICATION.timestamp,
    signature_version="2",
)
ATTRIBUTES = {
    "Test": {"Type": "String", "Value": "TestString"},
    "TestBinary": {"Type": "Binary", "Value": "VGVzdA=="},
}


def event(publication: Publication) -> Any:
    return json.loads(sns.function_event(publication, SUBSCRIPTION, UNSUBSCRIBE))


def test_a_function_gets_one_record() -> None:
    assert event(PUBLICATION) == {
        "Records": [
            {
                "EventVersion": "1.0",
                "EventSubscriptionArn": SUBSCRIPTION,
                "EventSource": "aws:sns",
                "Sns": {
                    "Signature": "c2lnbmF0dXJl",
                    "MessageId": "95df01b4-ee98-5cb9-9903-4c221d41eb5e",
                    "Type": "Notification",
                    "TopicArn": TOPIC,
                    "MessageAttributes": ATTRIBUTES,
                    "SignatureVersion": "1",
                    "Timestamp": "2015-06-03T17:43:27.123Z",
                    "SigningCertUrl": "http://h/c.pem",
                    "Message": "Hello from SNS!",
                    "UnsubscribeUrl": UNSUBSCRIBE,
                    "Subject": "TestInvoke",
                },
            }
        ]
    }


def test_for_a_function_what_is_not_there_is_named_nonetheless() -> None:
    told = event(PLAIN)["Records"][0]["Sns"]
    assert told["Subject"] is None
    assert told["MessageAttributes"] == {}
    assert told["SignatureVersion"] == "2"
    assert told["Message"] == '{"a": 1}'


def test_a_queue_gets_it_in_a_wrapper() -> None:
    assert json.loads(sns.notification(PUBLICATION, UNSUBSCRIBE)) == {
        "Type": "Notification",
        "MessageId": "95df01b4-ee98-5cb9-9903-4c221d41eb5e",
        "TopicArn": TOPIC,
        "Subject": "TestInvoke",
        "Message": "Hello from SNS!",
        "Timestamp": "2015-06-03T17:43:27.123Z",
        "SignatureVersion": "1",
        "Signature": "c2lnbmF0dXJl",
        "SigningCertURL": "http://h/c.pem",
        "UnsubscribeURL": UNSUBSCRIBE,
        "MessageAttributes": ATTRIBUTES,
    }


def test_for_a_queue_what_is_not_there_is_not_named() -> None:
    told = json.loads(sns.notification(PLAIN, UNSUBSCRIBE))
    assert told.keys().isdisjoint({"Subject", "MessageAttributes"})


def test_what_is_signed_is_awss_text() -> None:
    assert sns.to_sign(sns.signed_fields(PUBLICATION)) == (
        b"Message\nHello from SNS!\n"
        b"MessageId\n95df01b4-ee98-5cb9-9903-4c221d41eb5e\n"
        b"Subject\nTestInvoke\n"
        b"Timestamp\n2015-06-03T17:43:27.123Z\n"
        b"TopicArn\narn:aws:sns:us-east-1:123456789012:t\n"
        b"Type\nNotification\n"
    )
    assert b"Subject" not in sns.to_sign(sns.signed_fields(PLAIN))


def test_headers_tell_what_comes() -> None:
    told = sns.headers("Notification", "id", TOPIC, SUBSCRIPTION)
    asked = sns.headers("SubscriptionConfirmation", "id", TOPIC, SUBSCRIPTION)
    assert told.keys() - asked.keys() == {"x-amz-sns-subscription-arn"}
    assert asked["x-amz-sns-message-type"] == "SubscriptionConfirmation"


@pytest.mark.parametrize(
    ("message", "attributes", "size"),
    [("", {}, 0), ("ä€", {}, 5), ("m", {"a": ("String", "ä")}, 1 + 1 + 6 + 2)],
)
def test_a_size_is_counted_in_bytes(
    message: str, attributes: dict[str, tuple[str, str]], size: int
) -> None:
    assert sns.size(message, attributes) == size


def test_a_declared_subscription_has_the_same_name_at_every_start() -> None:
    name = sns.short_name(TOPIC, "lambda:f")
    assert name == sns.short_name(TOPIC, "lambda:f")
    assert name != sns.short_name(TOPIC, "lambda:g")
    assert [len(part) for part in name.split("-")] == [8, 4, 4, 4, 12]
