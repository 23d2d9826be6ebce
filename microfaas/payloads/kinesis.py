"""Kinesis's events as functions get them, and what is told of batches that were given up. Pure."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec

from microfaas.model import Address, Outcome, Status
from microfaas.payloads.s3 import time_of

ROLE = "lambda-role"
_encode = msgspec.json.Encoder().encode


class Given(NamedTuple):
    """A record as functions know it."""

    number: str
    at_ms: int
    key: str
    data: bytes


class Source(NamedTuple):
    """What the events of a shard have in common."""

    address: Address
    stream: str
    shard_id: str

    @property
    def arn(self) -> str:
        return (
            f"arn:aws:kinesis:{self.address.region}:{self.address.account_id}:stream/{self.stream}"
        )


class Window(NamedTuple):
    """The tumbling window that a batch belongs to."""

    start_ms: int
    end_ms: int
    state: bytes
    final: bool
    early: bool


def inner(record: Given) -> dict[str, Any]:
    """The record's "kinesis" object, which filters look at too."""
    return {
        "kinesisSchemaVersion": "1.0",
        "partitionKey": record.key,
        "sequenceNumber": record.number,
        "data": base64.b64encode(record.data).decode(),
        "approximateArrivalTimestamp": record.at_ms / 1000,
    }


def event(source: Source, records: Sequence[Given], window: Window | None = None) -> bytes:
    """The event of a batch."""
    address = source.address
    shared = {
        "eventSource": "aws:kinesis",
        "eventVersion": "1.0",
        "eventName": "aws:kinesis:record",
        "invokeIdentityArn": f"arn:aws:iam::{address.account_id}:role/{ROLE}",
        "awsRegion": address.region,
        "eventSourceARN": source.arn,
    }
    table: dict[str, Any] = {
        "Records": [
            {
                "kinesis": inner(record),
                "eventID": f"{source.shard_id}:{record.number}",
                **shared,
            }
            for record in records
        ]
    }
    if window is not None:
        table |= {
            "window": {"start": _second(window.start_ms), "end": _second(window.end_ms)},
            "state": msgspec.Raw(window.state),
            "shardId": source.shard_id,
            "eventSourceARN": source.arn,
            "isFinalInvokeForWindow": window.final,
            "isWindowTerminatedEarly": window.early,
        }
    return _encode(table)


def size_of(key: str, data: bytes) -> int:
    """What a record takes in an event, or a little more."""
    # A character of a key may become six, as \\u001f does.
    return 800 + 6 * len(key) + (len(data) + 2) // 3 * 4


class Lost(NamedTuple):
    """Records that a function will not see again."""

    first: str
    last: str
    first_ms: int
    last_ms: int
    records: int


def failure(
    *,
    at_ms: int,
    request_id: str,
    function_arn: str,
    condition: str,
    attempts: int,
    outcome: Outcome | None,
    source: Source,
    lost: Lost,
) -> bytes:
    """The record that a destination gets of a batch that was given up."""
    table: dict[str, Any] = {
        "requestContext": {
            "requestId": request_id,
            "functionArn": function_arn,
            "condition": condition,
            "approximateInvokeCount": attempts,
        },
        "version": "1.0",
        "timestamp": time_of(at_ms),
        "KinesisBatchInfo": {
            "shardId": source.shard_id,
            "startSequenceNumber": lost.first,
            "endSequenceNumber": lost.last,
            "approximateArrivalOfFirstRecord": time_of(lost.first_ms),
            "approximateArrivalOfLastRecord": time_of(lost.last_ms),
            "batchSize": lost.records,
            "streamArn": source.arn,
        },
    }
    if outcome is not None:
        table["responseContext"] = {
            "statusCode": 200,
            "executedVersion": outcome.version,
            # A function that only reported items as failed has not failed itself.
            "functionError": None if outcome.status is Status.OK else "Unhandled",
        }
    return _encode(table)


def first_failed(payload: bytes, sent: Sequence[str]) -> int | None:
    """Which of the numbers sent is the lowest that a function says has failed, by its place.

    None when all went well; what it says and cannot be understood means that all have failed.
    """
    try:
        answer = msgspec.json.decode(payload or b"null")
    except msgspec.DecodeError:
        return 0
    if not answer:
        return None
    if not isinstance(answer, dict) or not answer.keys() & {"batchItemFailures", "state"}:
        return 0
    failures = answer.get("batchItemFailures")
    if failures is None or failures == []:
        return None
    places = {number: place for place, number in enumerate(sent)}
    try:
        return min(places[failed["itemIdentifier"]] for failed in failures)
    except (TypeError, KeyError):
        return 0


def state_in(payload: bytes) -> bytes:
    """The state that a function passes on to the next batch of the window."""
    try:
        answer = msgspec.json.decode(payload or b"null", type=dict[str, msgspec.Raw])
    except msgspec.DecodeError:
        return b"{}"
    state = bytes(answer.get("state", b"{}"))
    return state if state.lstrip()[:1] == b"{" else b"{}"


def _second(at_ms: int) -> str:
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
