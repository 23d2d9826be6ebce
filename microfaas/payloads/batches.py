"""Batches of streams' records as functions get them, whatever the stream; what functions say of
them, and what is told of those that were given up. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NamedTuple

import msgspec

from microfaas.model import Address, Outcome, Status
from microfaas.payloads.s3 import time_of

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
    arn: str
    shard_id: str


class Window(NamedTuple):
    """The tumbling window that a batch belongs to."""

    start_ms: int
    end_ms: int
    state: bytes
    final: bool
    early: bool


class Form(NamedTuple):
    """How a sort of stream tells of its records.

    `data_key` is where in a record its data is; `inner` is what filters look at, `size` what a
    record takes in an event or a little more, `record` the record there; `info` is what a failure
    calls the batch.
    """

    data_key: Literal["data", "dynamodb"]
    inner: Callable[[Given], Mapping[str, Any]]
    size: Callable[[Given], int]
    record: Callable[[Source, Given], Mapping[str, Any]]
    info: str


def event(
    form: Form, source: Source, records: Sequence[Given], window: Window | None = None
) -> bytes:
    """The event of a batch."""
    table: dict[str, Any] = {"Records": [form.record(source, record) for record in records]}
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
    form: Form,
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
        form.info: {
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
    except (ValueError, RecursionError):
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
    except (ValueError, RecursionError):
        return b"{}"
    state = bytes(answer.get("state", b"{}"))
    return state if state.lstrip()[:1] == b"{" else b"{}"


def _second(at_ms: int) -> str:
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")
