"""SQS's messages: the digests of their attributes, and the events that functions get. Pure."""

from __future__ import annotations

import base64
import struct
from collections.abc import Mapping, Sequence
from hashlib import md5
from typing import Any

import msgspec

from microfaas.model import Address

# By name: the data type, such as "Number" or "String.color", and the value.
MessageAttributes = Mapping[str, tuple[str, str | bytes]]
_STRING, _BINARY = b"\x01", b"\x02"


def md5_of(body: bytes) -> str:
    return md5(body, usedforsecurity=False).hexdigest()


def md5_of_attributes(attributes: MessageAttributes) -> str:
    """As clients calculate it: by name, each part with its length before it."""
    digest = md5(usedforsecurity=False)
    for name in sorted(attributes):
        kind, value = attributes[name]
        digest.update(_part(name.encode()) + _part(kind.encode()))
        if isinstance(value, str):
            digest.update(_STRING + _part(value.encode()))
        else:
            digest.update(_BINARY + _part(value))
    return digest.hexdigest()


def _part(value: bytes) -> bytes:
    return struct.pack(">I", len(value)) + value


def size_of(body: bytes, attributes: MessageAttributes) -> int:
    """What counts against a queue's limit of bytes."""
    return len(body) + sum(
        len(name.encode())
        + len(kind.encode())
        + len(value.encode() if isinstance(value, str) else value)
        for name, (kind, value) in attributes.items()
    )


def arn(address: Address, queue: str) -> str:
    return f"arn:aws:sqs:{address.region}:{address.account_id}:{queue}"


def record(
    *,
    message_id: str,
    receipt_handle: str,
    body: bytes,
    system: Mapping[str, str],
    attributes: MessageAttributes,
    queue_arn: str,
    region: str,
) -> dict[str, Any]:
    """One message, as a function gets it."""
    table: dict[str, Any] = {
        "messageId": message_id,
        "receiptHandle": receipt_handle,
        "body": body.decode(),
        "attributes": dict(system),
        "messageAttributes": {name: _attribute(*kept) for name, kept in attributes.items()},
        "md5OfBody": md5_of(body),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": region,
    }
    if attributes:
        table["md5OfMessageAttributes"] = md5_of_attributes(attributes)
    return table


def group_of(record: Mapping[str, Any]) -> str:
    """The group of a record's message; empty without one."""
    return str(record["attributes"].get("MessageGroupId", ""))


def trace_of(record: Mapping[str, Any]) -> str:
    """The trace that the message of a record was sent with; empty without one."""
    return str(record["attributes"].get("AWSTraceHeader", ""))


def event(records: Sequence[bytes]) -> bytes:
    """The event with records that are encoded already."""
    return b'{"Records":[' + b",".join(records) + b"]}"


encode_record = msgspec.json.Encoder().encode


def _attribute(kind: str, value: str | bytes) -> dict[str, Any]:
    if isinstance(value, str):
        told = {"stringValue": value}
    else:
        told = {"binaryValue": base64.b64encode(value).decode()}
    return {**told, "stringListValues": [], "binaryListValues": [], "dataType": kind}


def failed_ids(payload: bytes, sent: Sequence[str]) -> set[str]:
    """Which messages a function says it could not deal with; all of them when what it says
    cannot be understood, as Lambda has it."""
    try:
        answer = msgspec.json.decode(payload or b"null")
    except (ValueError, RecursionError):
        return set(sent)
    if not answer:
        return set()
    if not isinstance(answer, dict) or "batchItemFailures" not in answer:
        return set(sent)
    failures = answer["batchItemFailures"]
    if failures is None:
        return set()
    named = {_named(each) for each in failures} if isinstance(failures, list) else {""}
    return named if named <= set(sent) else set(sent)


def _named(failure: object) -> str:
    """The id; empty, which no message has, when there is none."""
    name = failure.get("itemIdentifier") if isinstance(failure, dict) else None
    return name if isinstance(name, str) else ""
