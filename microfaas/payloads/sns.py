"""SNS's messages: what functions, queues, HTTP endpoints and people get of a publication. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

# name → (type, value); a binary value is base64.
Attributes = Mapping[str, tuple[str, str]]


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """What was published, what makes it verifiable, and the trace it was published in."""

    topic_arn: str
    message_id: str
    message: str
    timestamp: str
    subject: str | None = None
    attributes: dict[str, tuple[str, str]] = {}
    signature: str = ""
    signature_version: str = "1"
    signing_cert_url: str = ""
    trace_id: str = ""


def to_sign(fields: Mapping[str, str | None]) -> bytes:
    """The text whose signature vouches for a message: its fields in the order of their names."""
    return "".join(f"{name}\n{fields[name]}\n" for name in sorted(fields) if fields[name]).encode()


def signed_fields(publication: Publication) -> dict[str, str | None]:
    """Those of a notification that are signed."""
    return {
        "Message": publication.message,
        "MessageId": publication.message_id,
        "Subject": publication.subject,
        "Timestamp": publication.timestamp,
        "TopicArn": publication.topic_arn,
        "Type": "Notification",
    }


def function_event(publication: Publication, subscription_arn: str, unsubscribe_url: str) -> bytes:
    """The event of a function that is subscribed."""
    sns = {
        "Type": "Notification",
        "MessageId": publication.message_id,
        "TopicArn": publication.topic_arn,
        "Subject": publication.subject,
        "Message": publication.message,
        "Timestamp": publication.timestamp,
        "SignatureVersion": publication.signature_version,
        "Signature": publication.signature,
        # Spelt so in events of functions, and with URL everywhere else.
        "SigningCertUrl": publication.signing_cert_url,
        "UnsubscribeUrl": unsubscribe_url,
        "MessageAttributes": _attributes(publication.attributes),
    }
    record = {
        "EventSource": "aws:sns",
        "EventVersion": "1.0",
        "EventSubscriptionArn": subscription_arn,
        "Sns": sns,
    }
    return msgspec.json.encode({"Records": [record]})


def notification(publication: Publication, unsubscribe_url: str) -> bytes:
    """What queues and HTTP endpoints get, unless they want the bare message."""
    table: dict[str, Any] = {
        "Type": "Notification",
        "MessageId": publication.message_id,
        "TopicArn": publication.topic_arn,
    }
    if publication.subject is not None:
        table["Subject"] = publication.subject
    table |= {
        "Message": publication.message,
        "Timestamp": publication.timestamp,
        "SignatureVersion": publication.signature_version,
        "Signature": publication.signature,
        "SigningCertURL": publication.signing_cert_url,
        "UnsubscribeURL": unsubscribe_url,
    }
    if publication.attributes:
        table["MessageAttributes"] = _attributes(publication.attributes)
    return msgspec.json.encode(table)


def confirmation(fields: Mapping[str, str], signature: str, version: str, cert_url: str) -> bytes:
    """What asks an endpoint whether it wants to be subscribed."""
    signed = {"SignatureVersion": version, "Signature": signature, "SigningCertURL": cert_url}
    return msgspec.json.encode({**fields, **signed})


def headers(kind: str, message_id: str, topic_arn: str, subscription_arn: str) -> dict[str, str]:
    """The headers by which an HTTP endpoint tells what comes."""
    made = {
        "x-amz-sns-message-type": kind,
        "x-amz-sns-message-id": message_id,
        "x-amz-sns-topic-arn": topic_arn,
        "Content-Type": "text/plain; charset=UTF-8",
        "User-Agent": "Amazon Simple Notification Service Agent",
    }
    if kind == "Notification":
        made["x-amz-sns-subscription-arn"] = subscription_arn
    return made


def size(message: str, attributes: Attributes) -> int:
    """Bytes of a message as SNS counts them."""
    total = len(message.encode())
    for name, (kind, value) in attributes.items():
        total += len(name.encode()) + len(kind) + len(value.encode())
    return total


def short_name(topic_arn: str, endpoint: str) -> str:
    """A UUID of a subscription that is declared in a file: the same at every start."""
    digits = hashlib.sha256(f"{topic_arn}\n{endpoint}".encode()).hexdigest()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:32]}"


def _attributes(attributes: Attributes) -> dict[str, dict[str, str]]:
    return {name: {"Type": kind, "Value": value} for name, (kind, value) in attributes.items()}
