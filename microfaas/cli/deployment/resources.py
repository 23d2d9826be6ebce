"""Queues and streams at a gateway."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from microfaas.cli.deployment.changes import Change, Changes, differing
from microfaas.cli.deployment.wanted import arn
from microfaas.config import QueueTable, StreamTable
from microfaas.errors import MicrofaasError
from microfaas.model import Address, Destination

_SQS = "AmazonSQS"
_KINESIS = "Kinesis_20131202"
_HOUR_S = 3600
_HOURS = 24


class CannotChange(MicrofaasError):
    """What is there already is not as it would have to be, and cannot become so."""


def queues(changes: Changes, tables: Mapping[str, QueueTable], address: Address) -> None:
    """Create the queues, or set what differs. Raises ClientError."""
    new = {name for name, table in tables.items() if _create_queue(changes, name, table)}
    # A dead letter queue must be there before it is named.
    for name, table in tables.items():
        wanted = {**_attributes(table), **_redrive(table, address)}
        if name in new:
            wanted = {key: value for key, value in wanted.items() if key == "RedrivePolicy"}
        if not (name in new and changes.dry):
            _set_attributes(changes, name, wanted)


def streams(changes: Changes, tables: Mapping[str, StreamTable]) -> None:
    """Create the streams. Raises ClientError, and CannotChange for another number of shards."""
    for name, table in tables.items():
        _stream(changes, name, table)


def _create_queue(changes: Changes, name: str, table: QueueTable) -> bool:
    """Create a queue that is not there; whether it was not."""
    if changes.found(lambda: _sqs(changes, "GetQueueUrl", QueueName=name)) is not None:
        return False
    told = _attributes(table)
    if table.fifo:
        told["FifoQueue"] = "true"
    changes.make(
        Change("queue", name, "created"),
        lambda: _sqs(changes, "CreateQueue", QueueName=name, Attributes=told),
    )
    return True


def _set_attributes(changes: Changes, name: str, wanted: Mapping[str, str]) -> None:
    if not wanted:
        return
    url = _sqs(changes, "GetQueueUrl", QueueName=name)["QueueUrl"]
    answer = _sqs(changes, "GetQueueAttributes", QueueUrl=url, AttributeNames=["All"])
    there = {key: _parsed(key, value) for key, value in answer.get("Attributes", {}).items()}
    parsed = {key: _parsed(key, value) for key, value in wanted.items()}
    changed = {key: wanted[key] for key in differing(parsed, there)}
    if changed:
        changes.make(
            Change("queue", name, "changed", ", ".join(changed)),
            lambda: _sqs(changes, "SetQueueAttributes", QueueUrl=url, Attributes=changed),
        )


def _attributes(table: QueueTable) -> dict[str, str]:
    made = {
        "VisibilityTimeout": str(table.visibility_timeout_s),
        "DelaySeconds": str(table.delay_s),
        "MessageRetentionPeriod": str(table.retention_s),
        "ReceiveMessageWaitTimeSeconds": str(table.receive_wait_s),
        "MaximumMessageSize": str(table.message_bytes_max),
    }
    if table.fifo:
        made["ContentBasedDeduplication"] = str(table.content_based_deduplication).lower()
    return made


def _redrive(table: QueueTable, address: Address) -> dict[str, str]:
    if not table.dead_letter_queue:
        return {}
    target = arn(address, Destination("queue", table.dead_letter_queue))
    policy = {"deadLetterTargetArn": target, "maxReceiveCount": table.receives_max}
    return {"RedrivePolicy": json.dumps(policy)}


def _parsed(key: str, value: str) -> Any:
    """An attribute to compare; SQS gives the number in a policy back as it was set."""
    if key != "RedrivePolicy":
        return value
    return {inner: str(told) for inner, told in json.loads(value).items()}


def _stream(changes: Changes, name: str, table: StreamTable) -> None:
    there = changes.found(lambda: _kinesis(changes, "DescribeStreamSummary", name))
    hours = _HOURS
    if there is None:
        changes.make(
            Change("stream", name, "created"),
            lambda: _kinesis(changes, "CreateStream", name, ShardCount=table.shards),
        )
    else:
        summary = there["StreamDescriptionSummary"]
        hours = summary["RetentionPeriodHours"]
        if summary["OpenShardCount"] != table.shards:
            raise CannotChange(
                f"cannot change the stream {name}: it has {summary['OpenShardCount']} shards and "
                f"is to have {table.shards}; delete it first, with its records"
            )
    wanted = max(1, table.retention_s // _HOUR_S)
    if wanted != hours:
        operation = f"{'Increase' if wanted > hours else 'Decrease'}StreamRetentionPeriod"
        changes.make(
            Change("stream", name, "changed", f"retention of {wanted} hours"),
            lambda: _kinesis(changes, operation, name, RetentionPeriodHours=wanted),
        )


def _sqs(changes: Changes, operation: str, **params: object) -> dict[str, Any]:
    return changes.client.call(f"{_SQS}.{operation}", **params)


def _kinesis(changes: Changes, operation: str, name: str, **params: object) -> dict[str, Any]:
    return changes.client.call(f"{_KINESIS}.{operation}", StreamName=name, **params)
