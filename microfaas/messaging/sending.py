"""What may be sent to a queue, in SQS's words. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import NamedTuple

from microfaas.config.queues import QueueTable
from microfaas.errors import ServiceError
from microfaas.messaging.directory import Queue
from microfaas.messaging.kept import PREFIX, Kept, encode_kept, in_bytes, is_binary
from microfaas.payloads import sqs
from microfaas.store.messages import Draft

DELAY_S_MAX = 900
ATTRIBUTES_MAX = 10
NAME_CHARS_MAX = 256
_UNTELLABLE = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NAME = re.compile(r"[a-zA-Z0-9_.-]{1,256}")
_TYPE = re.compile(r"(String|Number|Binary)(\.[^\x00]{1,240})?")
_ID = re.compile(r"[\x21-\x7e]{1,128}")
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")


class Outgoing(NamedTuple):
    """A message that somebody wants to send."""

    body: str
    attributes: Mapping[str, tuple[str, str | bytes]] = {}
    delay_s: int | None = None
    group: str | None = None
    deduplication_id: str | None = None
    trace: str = ""
    sender: str = ""


class Sent(NamedTuple):
    """One that was accepted. `number` is its place among all."""

    id: str
    number: int


def invalid(parameter: str, value: object, reason: str) -> ServiceError:
    text = f"Value {value} for parameter {parameter} is invalid. Reason: {reason}"
    return ServiceError("InvalidParameterValue", text)


def check(queue: Queue, message: Outgoing) -> None:
    """Raises ServiceError for what the queue does not take."""
    settings = queue.settings
    if not message.body:
        text = "The request must contain the parameter MessageBody."
        raise ServiceError("MissingParameter", text)
    if found := _UNTELLABLE.search(message.body):
        raise ServiceError(
            "InvalidMessageContents",
            "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to "
            f"#xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF; not #x{ord(found[0]):X}",
        )
    _check_attributes(message.attributes)
    size = size_of(message)
    if size > settings.message_bytes_max:
        raise ServiceError(
            "InvalidParameterValue",
            "One or more parameters are invalid. Reason: Message must be shorter than "
            f"{settings.message_bytes_max} bytes.",
        )
    if message.delay_s is not None and not 0 <= message.delay_s <= DELAY_S_MAX:
        reason = f"DelaySeconds must be >= 0 and <= {DELAY_S_MAX}."
        raise invalid("DelaySeconds", message.delay_s, reason)
    _check_order(queue, message)


def size_of(message: Outgoing) -> int:
    return sqs.size_of(message.body.encode(), message.attributes)


def deduplication_id(settings: QueueTable, message: Outgoing) -> str:
    """What tells a message from others; the body's hash where the queue has it so."""
    if message.deduplication_id:
        return message.deduplication_id
    return sha256(message.body.encode()).hexdigest()


def draft(queue: Queue, message: Outgoing) -> Draft:
    """The message for the store."""
    settings, fifo = queue.settings, queue.fifo
    kept = Kept(
        attributes=in_bytes(message.attributes),
        sender=message.sender,
        trace=message.trace,
        group=message.group or "",
        deduplication_id=deduplication_id(settings, message) if fifo else "",
    )
    delay_s = settings.delay_s if message.delay_s is None or fifo else message.delay_s
    return Draft(
        PREFIX + queue.name,
        message.body.encode(),
        encode_kept(kept),
        delay_s * 1000,
        message.group if fifo else None,
    )


def _check_order(queue: Queue, message: Outgoing) -> None:
    """Groups and deduplication, which FIFO queues need and others do not take."""
    not_here = "The request include parameter that is not valid for this queue type."
    group, deduplication = message.group, message.deduplication_id
    if group is not None and not _ID.fullmatch(group):
        raise invalid("MessageGroupId", group, "1 to 128 letters, digits and punctuation.")
    if deduplication is not None and not _ID.fullmatch(deduplication):
        what = "1 to 128 letters, digits and punctuation."
        raise invalid("MessageDeduplicationId", deduplication, what)
    if not queue.fifo:
        if deduplication is not None:
            raise invalid("MessageDeduplicationId", deduplication, not_here)
        return
    if message.delay_s:
        raise invalid("DelaySeconds", message.delay_s, not_here)
    if group is None:
        text = "The request must contain the parameter MessageGroupId."
        raise ServiceError("MissingParameter", text)
    if deduplication is None and not queue.settings.content_based_deduplication:
        raise ServiceError(
            "InvalidParameterValue",
            "The queue should either have ContentBasedDeduplication enabled or "
            "MessageDeduplicationId provided explicitly",
        )


def _check_attributes(attributes: Mapping[str, tuple[str, str | bytes]]) -> None:
    if len(attributes) > ATTRIBUTES_MAX:
        text = f"Number of message attributes [{len(attributes)}] exceeds the allowed maximum [10]."
        raise ServiceError("InvalidParameterValue", text)
    for name, (kind, value) in attributes.items():
        _check_name(name)
        if not _TYPE.fullmatch(kind):
            text = (
                f"The type of message (user) attribute '{name}' is invalid. You must use only the "
                "following supported type prefixes: Binary, Number, String."
            )
            raise ServiceError("InvalidParameterValue", text)
        if not value or isinstance(value, bytes) != is_binary(kind):
            text = f"The message (user) attribute '{name}' must contain a non-empty value of type "
            raise ServiceError("InvalidParameterValue", f"{text}'{kind.partition('.')[0]}'.")
        if isinstance(value, str):
            _check_text(name, kind, value)


def _check_name(name: str) -> None:
    lower = name.lower()
    plain = not (name.startswith(".") or name.endswith(".") or ".." in name)
    if not _NAME.fullmatch(name) or not plain or lower.startswith(("aws.", "amazon.")):
        text = (
            f"The message (user) attribute name '{name[:NAME_CHARS_MAX]}' is invalid: it has 1 to "
            "256 letters, digits, '_', '-' and single '.', and does not begin with AWS. or Amazon."
        )
        raise ServiceError("InvalidParameterValue", text)


def _check_text(name: str, kind: str, value: str) -> None:
    if _UNTELLABLE.search(value):
        text = f"The message (user) attribute '{name}' has characters that no message may have."
        raise ServiceError("InvalidMessageContents", text)
    if kind.startswith("Number") and not _NUMBER.fullmatch(value):
        text = f"Can't cast the value of message (user) attribute '{name}' to a number."
        raise ServiceError("InvalidParameterValue", text)
