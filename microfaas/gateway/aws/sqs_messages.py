"""SQS's messages and batches, as they come and as they go. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from microfaas.errors import ServiceError
from microfaas.gateway.aws.service import Caller, Params
from microfaas.messaging.directory import Queue
from microfaas.messaging.kept import Received, sequence_number
from microfaas.messaging.sending import Outgoing, Sent
from microfaas.payloads import sqs

BATCH_MAX = 10
_ENTRY_ID = re.compile(r"[a-zA-Z0-9_-]{1,80}")


def outgoing(caller: Caller, params: Params) -> Outgoing:
    system = _attribute_values(params.get("MessageSystemAttributes", {}))
    for name in system.keys() - {"AWSTraceHeader"}:
        text = f"Message system attribute name '{name}' is invalid."
        raise ServiceError("InvalidParameterValue", text)
    return Outgoing(
        body=params["MessageBody"],
        attributes=_attribute_values(params.get("MessageAttributes", {})),
        delay_s=params.get("DelaySeconds"),
        group=params.get("MessageGroupId"),
        deduplication_id=params.get("MessageDeduplicationId"),
        trace=str(system.get("AWSTraceHeader", ("", caller.trace_id))[1]),
        sender=caller.key_id or "anonymous",
    )


def _attribute_values(given: Mapping[str, Params]) -> dict[str, tuple[str, str | bytes]]:
    values: dict[str, tuple[str, str | bytes]] = {}
    for name, one in given.items():
        binary: bytes | None = one.get("BinaryValue")
        values[name] = one["DataType"], one.get("StringValue", "") if binary is None else binary
    return values


def sent(queue: Queue, message: Outgoing, sent: Sent, params: Params) -> Params:
    result: Params = {
        "MessageId": sent.id,
        "MD5OfMessageBody": sqs.md5_of(message.body.encode()),
    }
    if message.attributes:
        result["MD5OfMessageAttributes"] = sqs.md5_of_attributes(message.attributes)
    if system := params.get("MessageSystemAttributes"):
        result["MD5OfMessageSystemAttributes"] = sqs.md5_of_attributes(_attribute_values(system))
    if queue.fifo:
        result["SequenceNumber"] = sequence_number(sent.number)
    return result


def message(one: Received, system: Sequence[str], names: Sequence[str]) -> Params:
    told = one.system()
    attributes = {k: v for k, v in one.attributes.items() if _is_wanted(k, names)}
    result: Params = {
        "MessageId": one.id,
        "ReceiptHandle": one.handle,
        "Body": one.message.body.decode(),
        "MD5OfBody": sqs.md5_of(one.message.body),
    }
    if found := {k: v for k, v in told.items() if "All" in system or k in system}:
        result["Attributes"] = found
    if attributes:
        result["MD5OfMessageAttributes"] = sqs.md5_of_attributes(attributes)
        result["MessageAttributes"] = {
            name: {
                "DataType": kind,
                "StringValue" if isinstance(value, str) else "BinaryValue": value,
            }
            for name, (kind, value) in attributes.items()
        }
    return result


def _is_wanted(name: str, patterns: Sequence[str]) -> bool:
    return any(
        pattern in ("All", name)
        or (pattern.endswith(".*") and name.startswith(pattern.removesuffix(".*")))
        for pattern in patterns
    )


def entries(params: Params) -> list[Params]:
    """A batch's entries, whose ids tell them apart. Raises ServiceError."""
    entries: list[Params] = params["Entries"]
    if not entries:
        text = "There should be at least one entry in the request."
        raise ServiceError("EmptyBatchRequest", text)
    if len(entries) > BATCH_MAX:
        text = f"Maximum number of entries per request are {BATCH_MAX}. "
        text += f"You have sent {len(entries)}."
        raise ServiceError("TooManyEntriesInBatchRequest", text)
    ids = [entry["Id"] for entry in entries]
    for each in ids:
        if not _ENTRY_ID.fullmatch(each):
            text = "A batch entry id can only contain alphanumeric characters, hyphens and "
            text += "underscores. It can be at most 80 letters long."
            raise ServiceError("InvalidBatchEntryId", text)
        if ids.count(each) > 1:
            raise ServiceError("BatchEntryIdsNotDistinct", f"Id {each} repeated.")
    return entries


def batched(rows: Iterable[tuple[str, ServiceError | Params]]) -> Params:
    good: list[Params] = []
    failed: list[Params] = []
    for number, one in rows:
        if isinstance(one, ServiceError):
            failed.append(
                {
                    "Id": number,
                    "SenderFault": one.sender,
                    "Code": one.kind,
                    "Message": str(one),
                }
            )
        else:
            good.append({"Id": number, **one})
    return {"Successful": good or None, "Failed": failed or None}
