"""How Kinesis and DynamoDB's streams are asked for their shards and records."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any, NamedTuple

from microfaas.payloads import kinesis, table_streams
from microfaas.payloads.batches import Form, Given
from microfaas.remote.calls import KINESIS, TABLE_STREAMS, Service

Params = dict[str, Any]


class Listed(NamedTuple):
    """A shard as the service lists it; `ending` is its last number once it is closed."""

    id: str
    parents: tuple[str, ...]
    ending: int | None


class Page(NamedTuple):
    """Some of the shards, and what to ask for the rest; None when these were all."""

    shards: list[Listed]
    more: Params | None


class Dialect(NamedTuple):
    """A service, by what it calls things. `stream` names one by its ARN, `behind` is the parameter
    with the number to read on behind; `poll_s` is how often a shard may be asked for records when
    it had none."""

    service: Service
    form: Form
    poll_s: float
    has_times: bool
    listing: str
    behind: str
    stream: Callable[[str], Params]
    page: Callable[[Params], Page]
    given: Callable[[Params], Given]


def _kinesis_stream(arn: str) -> Params:
    return {"StreamName": arn.partition(":stream/")[2]}


def _kinesis_page(answer: Params) -> Page:
    token = answer.get("NextToken")
    return Page(_listed(answer["Shards"]), {"NextToken": token} if token else None)


def _kinesis_given(record: Params) -> Given:
    at_ms = int(record.get("ApproximateArrivalTimestamp", 0) * 1000)
    data = base64.b64decode(record["Data"])
    return Given(record["SequenceNumber"], at_ms, record["PartitionKey"], data)


def _table_stream(arn: str) -> Params:
    return {"StreamArn": arn}


def _table_page(answer: Params) -> Page:
    told = answer["StreamDescription"]
    last = told.get("LastEvaluatedShardId")
    more = {"StreamArn": told["StreamArn"], "ExclusiveStartShardId": last} if last else None
    return Page(_listed(told["Shards"]), more)


def _listed(shards: list[Params]) -> list[Listed]:
    made = []
    for each in shards:
        parents = (each.get("ParentShardId"), each.get("AdjacentParentShardId"))
        ending = each["SequenceNumberRange"].get("EndingSequenceNumber")
        made.append(
            Listed(each["ShardId"], tuple(filter(None, parents)), int(ending) if ending else None)
        )
    return made


STREAMS = Dialect(
    KINESIS,
    kinesis.FORM,
    1.0,
    True,
    "ListShards",
    "StartingSequenceNumber",
    _kinesis_stream,
    _kinesis_page,
    _kinesis_given,
)
TABLES = Dialect(
    TABLE_STREAMS,
    table_streams.FORM,
    0.25,
    False,
    "DescribeStream",
    "SequenceNumber",
    _table_stream,
    _table_page,
    table_streams.given,
)


def of(arn: str) -> Dialect:
    """That of the stream's service."""
    return TABLES if arn.split(":")[2] == "dynamodb" else STREAMS
