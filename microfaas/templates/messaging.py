"""Queues, topics and streams of a template, and the functions that read them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from microfaas.model import qualified
from microfaas.templates.mapping import (
    Resource,
    Scene,
    as_table,
    flag,
    last_name,
    number,
    service_of,
    without_none,
)
from microfaas.templates.references import function_of
from microfaas.templates.stack import SourceMapping

_QUEUE_NUMBERS = {
    "visibility_timeout_s": "VisibilityTimeout",
    "delay_s": "DelaySeconds",
    "retention_s": "MessageRetentionPeriod",
    "receive_wait_s": "ReceiveMessageWaitTimeSeconds",
    "message_bytes_max": "MaximumMessageSize",
}
_HOUR_S = 3600
_READABLE = frozenset(("sqs", "kinesis", "dynamodb"))


def queue(scene: Scene, resource: Resource) -> None:
    """AWS::SQS::Queue."""
    given = resource.properties
    redrive = as_table(given.get("RedrivePolicy")) or {}
    table = {key: number(given.get(name)) for key, name in _QUEUE_NUMBERS.items()}
    table["content_based_deduplication"] = flag(given.get("ContentBasedDeduplication"))
    if redrive:
        table["dead_letter_queue"] = last_name(str(redrive.get("deadLetterTargetArn", "")))
        table["receives_max"] = number(redrive.get("maxReceiveCount"))
    scene.stack.queues[resource.name] = without_none(table)


def topic(scene: Scene, resource: Resource) -> None:
    """AWS::SNS::Topic, with what is subscribed in it."""
    given = resource.properties
    scene.refuse(resource, ("FifoTopic",), "is not had here: topics keep no order")
    table = {
        "display_name": given.get("DisplayName"),
        "signature_version": given.get("SignatureVersion"),
    }
    # A subscription may have come before its topic.
    scene.stack.topics.setdefault(resource.name, {}).update(without_none(table))
    for row in given.get("Subscription") or []:
        _subscribe(scene, resource, resource.name, row)


def subscription(scene: Scene, resource: Resource) -> None:
    """AWS::SNS::Subscription."""
    given = resource.properties
    _subscribe(scene, resource, last_name(str(given.get("TopicArn", ""))), given)


def stream(scene: Scene, resource: Resource) -> None:
    """AWS::Kinesis::Stream."""
    given = resource.properties
    hours = number(given.get("RetentionPeriodHours"))
    table = {
        "shards": number(given.get("ShardCount")),
        "retention_s": hours * _HOUR_S if isinstance(hours, int) else hours,
    }
    scene.stack.streams[resource.name] = without_none(table)


def source_mapping(scene: Scene, resource: Resource) -> None:
    """AWS::Lambda::EventSourceMapping."""
    given = resource.properties
    arn = str(given.get("EventSourceArn", ""))
    if flag(given.get("Enabled", True)) is False:
        return
    service = service_of(arn)
    if service in _READABLE and (service == "dynamodb" or scene.is_elsewhere(arn)):
        if scene.function(resource, "FunctionName") is not None:
            scene.stack.mappings.append(_elsewhere(given))
        return
    filters = (given.get("FilterCriteria") or {}).get("Filters") or []
    shared = {
        "batch_size": number(given.get("BatchSize")),
        "window_s": number(given.get("MaximumBatchingWindowInSeconds")),
        "filters": [_pattern(row) for row in filters] or None,
        "report_batch_item_failures": "ReportBatchItemFailures"
        in (given.get("FunctionResponseTypes") or [])
        or None,
    }
    if service == "sqs":
        scaling = given.get("ScalingConfig") or {}
        own = {"queue": last_name(arn), "concurrency": number(scaling.get("MaximumConcurrency"))}
        scene.trigger(resource, "FunctionName", {"type": "queue", **own, **shared})
    elif service == "kinesis":
        scene.trigger(resource, "FunctionName", {**_stream(scene, resource, arn), **shared})
    else:
        what = f"reads {arn or 'what is no queue and no stream'}; here functions read queues "
        scene.fault(resource, f"{what}(SQS), streams (Kinesis), and tables' streams elsewhere")


def _elsewhere(given: Mapping[str, Any]) -> SourceMapping:
    name, qualifier = function_of(str(given["FunctionName"]))
    whole = qualified(name, qualifier)
    return SourceMapping(name, {**given, "FunctionName": whole})


def _stream(scene: Scene, resource: Resource, arn: str) -> dict[str, Any]:
    given = resource.properties
    to = ((given.get("DestinationConfig") or {}).get("OnFailure") or {}).get("Destination")
    moment = given.get("StartingPositionTimestamp")
    return {
        "type": "stream",
        "stream": last_name(arn),
        "starting_position": given.get("StartingPosition"),
        "starting_at": None if moment is None else _iso(float(moment)),
        "parallelization": number(given.get("ParallelizationFactor")),
        "bisect_on_error": flag(given.get("BisectBatchOnFunctionError")),
        "retries_max": number(given.get("MaximumRetryAttempts")),
        "record_age_s_max": number(given.get("MaximumRecordAgeInSeconds")),
        "tumbling_window_s": number(given.get("TumblingWindowInSeconds")),
        "on_failure": scene.destination(resource, to) if to else None,
    }


def _iso(moment_s: float) -> str:
    return datetime.fromtimestamp(moment_s, UTC).isoformat()


def _pattern(row: Mapping[str, Any]) -> Any:
    """A filter's pattern as a table; what is none stays, for others to refuse."""
    return as_table(row.get("Pattern")) or row.get("Pattern")


def _subscribe(scene: Scene, resource: Resource, topic: str, row: Mapping[str, Any]) -> None:
    protocol, endpoint = row.get("Protocol"), str(row.get("Endpoint", ""))
    policy = {
        "filter": as_table(row.get("FilterPolicy")),
        "filter_scope": row.get("FilterPolicyScope"),
    }
    if protocol == "lambda":
        found = Resource(resource.id, resource.name, row)
        scene.trigger(found, "Endpoint", {"type": "topic", "topic": topic, **policy})
        return
    keys = {"sqs": "queue", "http": "url", "https": "url", "email": "email"}
    if protocol not in keys:
        what = f"the protocol {protocol} is not had here; lambda, sqs, http, https and email are"
        scene.fault(resource, what)
        return
    letters = (as_table(row.get("RedrivePolicy")) or {}).get("deadLetterTargetArn")
    table = {
        keys[protocol]: last_name(endpoint) if protocol == "sqs" else endpoint,
        "raw": flag(row.get("RawMessageDelivery")),
        "dead_letter": last_name(letters) if letters else None,
        **policy,
    }
    rows = scene.stack.topics.setdefault(topic, {}).setdefault("subscriptions", [])
    rows.append(without_none(table))
