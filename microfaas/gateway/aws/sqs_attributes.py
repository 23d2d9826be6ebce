"""A queue's settings as SQS's attributes, and back."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

import msgspec

from microfaas.config.queues import QueueTable, is_fifo
from microfaas.errors import ServiceError
from microfaas.messaging.directory import Definition, Queue
from microfaas.messaging.queues import Queues
from microfaas.model import Address
from microfaas.payloads import sqs

# SQS's attribute: the setting, and its range.
_NUMBERS: Mapping[str, tuple[str, int, int]] = {
    "DelaySeconds": ("delay_s", 0, 900),
    "MaximumMessageSize": ("message_bytes_max", 1024, 1024 * 1024),
    "MessageRetentionPeriod": ("retention_s", 60, 1209600),
    "ReceiveMessageWaitTimeSeconds": ("receive_wait_s", 0, 20),
    "VisibilityTimeout": ("visibility_timeout_s", 0, 43200),
}
# Told again as they were set. They say who may do what, and how AWS encrypts.
_TOLD = ("Policy", "RedriveAllowPolicy", "SqsManagedSseEnabled")
_FIFO_ONLY = {"DeduplicationScope": "queue", "FifoThroughputLimit": "perQueue"}
# Accepted as what they are, and nothing else.
_FIXED = {"FifoQueue": "true", **_FIFO_ONLY}
# Known, though a queue may have none of them.
OPTIONAL = frozenset(
    (
        *_TOLD,
        *_FIFO_ONLY,
        "RedrivePolicy",
        "FifoQueue",
        "ContentBasedDeduplication",
        "KmsMasterKeyId",
        "KmsDataKeyReusePeriodSeconds",
    )
)


class Redrive(msgspec.Struct):
    """A redrive policy, as clients write it."""

    deadLetterTargetArn: str
    maxReceiveCount: int | str


def name_of(arn: str) -> str:
    """The queue's name in an ARN."""
    return arn.rpartition(":")[2]


def new(name: str, given: Mapping[str, str], tags: Mapping[str, str]) -> Definition:
    """A new queue's settings. Raises ServiceError."""
    fifo = given.get("FifoQueue")
    if fifo not in (None, "true") or (fifo is None and is_fifo(name)):
        raise unknown("FifoQueue", "must be true for a queue whose name ends in .fifo, or absent")
    if fifo == "true" and not is_fifo(name):
        text = "The name of a FIFO queue can only include alphanumeric characters, hyphens, or "
        raise ServiceError("InvalidParameterValue", f"{text}underscores, and must end with .fifo")
    rest = {key: value for key, value in given.items() if key != "FifoQueue"}
    empty = Definition(settings=QueueTable(fifo=is_fifo(name)), changed_ms=0, tags=dict(tags))
    return changed(name, empty, rest)


def changed(name: str, old: Definition, given: Mapping[str, str]) -> Definition:
    """The settings with some set anew. Raises ServiceError."""
    settings, told = old.settings, dict(old.told)
    for key, value in given.items():
        if key in _NUMBERS:
            field, least, most = _NUMBERS[key]
            number = _number(key, value, least, most)
            settings = msgspec.structs.replace(settings, **{field: number})
        elif key == "RedrivePolicy":
            settings = _redriven(settings, value)
        elif key == "ContentBasedDeduplication" and is_fifo(name) and value in ("true", "false"):
            settings = msgspec.structs.replace(
                settings, content_based_deduplication=value == "true"
            )
        elif key in _TOLD:
            told[key] = value
        elif not (is_fifo(name) and value == _FIXED.get(key)):
            raise unknown(key)
    told = {key: value for key, value in told.items() if value}
    return msgspec.structs.replace(
        old, settings=settings, told=told, changed_ms=int(time.time() * 1000)
    )


def differs(old: QueueTable, new: QueueTable, given: Mapping[str, str]) -> str | None:
    """The first attribute that was given and is another than the queue has."""
    fields = {key: row[0] for key, row in _NUMBERS.items()}
    fields["ContentBasedDeduplication"] = "content_based_deduplication"
    fields["RedrivePolicy"] = "dead_letter_queue"
    for key in given:
        field = fields.get(key)
        if field is not None and getattr(old, field) != getattr(new, field):
            return key
    return None


def told(queues: Queues, queue: Queue, address: Address) -> dict[str, str]:
    """All attributes of a queue."""
    settings = queue.settings
    ready, unavailable = queues.count(queue.name)
    table = {key: str(getattr(settings, field)) for key, (field, _, _) in _NUMBERS.items()}
    table |= {
        "QueueArn": sqs.arn(address, queue.name),
        "CreatedTimestamp": str(queue.made_ms // 1000),
        "LastModifiedTimestamp": str(queue.definition.changed_ms // 1000),
        "ApproximateNumberOfMessages": str(ready),
        "ApproximateNumberOfMessagesNotVisible": str(unavailable.in_flight),
        "ApproximateNumberOfMessagesDelayed": str(unavailable.delayed),
        **queue.definition.told,
    }
    if settings.dead_letter_queue:
        policy = {
            "deadLetterTargetArn": sqs.arn(address, settings.dead_letter_queue),
            "maxReceiveCount": settings.receives_max,
        }
        table["RedrivePolicy"] = json.dumps(policy, separators=(",", ":"))
    if queue.fifo:
        table["FifoQueue"] = "true"
        table["ContentBasedDeduplication"] = str(settings.content_based_deduplication).lower()
        table |= _FIFO_ONLY
    return table


def unknown(name: str, why: str = "") -> ServiceError:
    text = f"Unknown Attribute {name}." if not why else f"The attribute {name} {why}."
    return ServiceError("InvalidAttributeName", text)


def _number(name: str, value: str, least: int, most: int) -> int:
    if value.isascii() and value.isdecimal() and len(value) < 10 and least <= int(value) <= most:
        return int(value)
    text = f"Invalid value for the parameter {name}. Reason: must be {least} to {most}."
    raise ServiceError("InvalidAttributeValue", text)


def _redriven(settings: QueueTable, value: str) -> QueueTable:
    if not value:
        return msgspec.structs.replace(settings, dead_letter_queue="")
    text = f"Value {value[:200]} for parameter RedrivePolicy is invalid. Reason: "
    try:
        policy = msgspec.json.decode(value, type=Redrive)
        count = int(policy.maxReceiveCount)
    except (ValueError, RecursionError):
        text += "it needs deadLetterTargetArn and maxReceiveCount."
        raise ServiceError("InvalidParameterValue", text) from None
    if not 1 <= count <= 1000:
        text += "Invalid value for maxReceiveCount: must be 1 to 1000."
        raise ServiceError("InvalidParameterValue", text)
    return msgspec.structs.replace(
        settings, dead_letter_queue=name_of(policy.deadLetterTargetArn), receives_max=count
    )
