"""Event source mappings out of their parameters, and what AWS refuses about them. Pure, but for
asking which functions there are."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from microfaas.control.making import destination
from microfaas.control.mappings import Changed, EventSourceMapping, Source
from microfaas.control.refusal import refuse
from microfaas.gateway.aws.lambda_names import which
from microfaas.gateway.aws.service import Params
from microfaas.model import Address
from microfaas.patterns import InvalidPattern, compile_filters
from microfaas.patterns.filters import DataKey

_SOURCE = re.compile(
    r"arn:aws[\w-]*:(?:(?P<queue>sqs):[\w-]+:\d{12}:[\w.-]+"
    r"|(?P<stream>kinesis):[\w-]+:\d{12}:stream/[\w.-]+"
    r"|(?P<table>dynamodb):[\w-]+:\d{12}:table/[\w.-]+/stream/[\w.:-]+)"
)
_BATCH_SIZE = MappingProxyType[Source, int]({"queue": 10, "stream": 100, "table": 100})
_DATA_KEY = MappingProxyType[Source, DataKey](
    {"queue": "body", "stream": "data", "table": "dynamodb"}
)
PLAIN_BATCH_MAX = 10
AGE_S_LEAST = 60
# What only one sort of source knows, and what none does that is served here.
_OF_STREAMS = (
    "BisectBatchOnFunctionError",
    "DestinationConfig",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "ParallelizationFactor",
    "TumblingWindowInSeconds",
)
_OF_QUEUES = ("ScalingConfig",)
_OF_OTHERS = (
    "AmazonManagedKafkaEventSourceConfig",
    "DocumentDBEventSourceConfig",
    "Queues",
    "SelfManagedKafkaEventSourceConfig",
    "SourceAccessConfigurations",
    "Topics",
)
# What is kept for whoever asks, and not acted on.
_TOLD = ("KMSKeyArn", "LoggingConfig", "MetricsConfig", "ProvisionedPollerConfig")


class Checked(NamedTuple):
    """What parameters are compared with."""

    exists: Callable[[str, str], bool]
    address: Address


def made(params: Params, known: Checked) -> EventSourceMapping:
    """A new mapping. Raises ServiceError, InvalidRequest."""
    _check_destinations(params)
    if "SelfManagedEventSource" in params and "SourceAccessConfigurations" not in params:
        refuse("Required 'sourceAccessConfigurations' parameter is missing.")
    source = params.get("EventSourceArn", "")
    kind = _kind(source)
    _check_kind(params, kind)
    start = _start(params, kind, source)
    mapping = EventSourceMapping(
        function="",
        source=source,
        kind=kind,
        batch_size=_BATCH_SIZE[kind],
        tags=params.get("Tags", {}),
        start=start,
        start_s=params.get("StartingPositionTimestamp"),
    )
    mapping = _with(mapping, params)
    _check_whole(mapping)
    return _calling(mapping, params, known)


def changed(params: Params, known: Checked) -> Changed:
    """What an update makes of a mapping; it raises ServiceError, InvalidRequest."""

    def change(mapping: EventSourceMapping) -> EventSourceMapping:
        _check_destinations(params)
        _check_kind(params, mapping.kind)
        mapping = _with(mapping, params)
        _check_whole(mapping)
        return _calling(mapping, params, known) if "FunctionName" in params else mapping

    return change


def _kind(source: str) -> Source:
    found = _SOURCE.fullmatch(source)
    if found is None:
        refuse("Unrecognized event source.")
    return next(kind for kind in _BATCH_SIZE if found[kind])


def _check_destinations(params: Params) -> None:
    to = params.get("DestinationConfig", {})
    if to.get("OnSuccess"):
        refuse("Unsupported DestinationConfig parameter for given event source mapping type.")
    arn = to.get("OnFailure", {}).get("Destination", "")
    made = destination(arn)
    if arn and (made is None or made.kind not in ("queue", "topic")):
        refuse(f"The destination ARN {arn} is invalid.")


def _check_kind(params: Params, kind: Source) -> None:
    """What does not go with this sort of source."""
    other = _OF_STREAMS if kind == "queue" else _OF_QUEUES
    for name in (*other, *_OF_OTHERS):
        if params.get(name):
            refuse(f"Unsupported {name} parameter for given event source mapping type.")


def _start(params: Params, kind: Source, source: str) -> Any:
    """Where to begin, of the values that the model allows."""
    start = params.get("StartingPosition", "")
    if kind == "queue":
        if start:
            refuse("StartingPosition is not valid for SQS event sources.")
        return ""
    if not start:
        refuse(
            "1 validation error detected: Value null at 'startingPosition' failed to satisfy "
            "constraint: Member must not be null."
        )
    if start == "AT_TIMESTAMP" and kind == "table":
        refuse(f"Unsupported starting position for arn type: {source}")
    if (start == "AT_TIMESTAMP") != ("StartingPositionTimestamp" in params):
        refuse("StartingPositionTimestamp goes with the StartingPosition AT_TIMESTAMP.")
    return start


def _with(mapping: EventSourceMapping, params: Params) -> EventSourceMapping:
    """A mapping with what the parameters say of its settings."""
    plain = {
        "Enabled": "enabled",
        "BatchSize": "batch_size",
        "MaximumBatchingWindowInSeconds": "window_s",
        "ParallelizationFactor": "parallelization",
        "BisectBatchOnFunctionError": "bisect",
        "MaximumRetryAttempts": "retries_max",
        "MaximumRecordAgeInSeconds": "age_s_max",
        "TumblingWindowInSeconds": "tumbling_s",
    }
    values = {field: params[name] for name, field in plain.items() if name in params}
    if "FunctionResponseTypes" in params:
        values["report_items"] = bool(params["FunctionResponseTypes"])
    if "FilterCriteria" in params:
        values["filters"] = _filters(params["FilterCriteria"], mapping.kind)
    if "ScalingConfig" in params:
        values["concurrency"] = params["ScalingConfig"].get("MaximumConcurrency")
    if "DestinationConfig" in params:
        failure = params["DestinationConfig"].get("OnFailure", {})
        values["on_failure"] = failure.get("Destination", "")
    told = {name: params[name] for name in _TOLD if name in params}
    return msgspec.structs.replace(mapping, told={**mapping.told, **told}, **values)


def _filters(criteria: Params, kind: Source) -> tuple[str, ...]:
    filters: Iterable[Params] = criteria.get("Filters", ())
    patterns = tuple(each.get("Pattern", "") for each in filters)
    try:
        compile_filters(patterns, _DATA_KEY[kind])
    except InvalidPattern:
        refuse("Invalid filter pattern definition.")
    return patterns


def _check_whole(mapping: EventSourceMapping) -> None:
    """What no one parameter shows."""
    large = mapping.batch_size > PLAIN_BATCH_MAX
    if mapping.kind == "queue":
        if mapping.source.endswith(".fifo"):
            if large:
                refuse(f"Maximum batch size for FIFO queues is {PLAIN_BATCH_MAX}.")
            if mapping.window_s:
                refuse("Batching window is not supported for FIFO queues.")
        elif large and not mapping.window_s:
            refuse(
                "Maximum batch window in seconds must be greater than 0 if maximum batch size is "
                "greater than 10"
            )
    elif 0 <= mapping.age_s_max < AGE_S_LEAST:
        refuse(
            f"1 validation error detected: Value '{mapping.age_s_max}' at "
            "'maximumRecordAgeInSeconds' failed to satisfy constraint: Member must have value "
            f"greater than or equal to {AGE_S_LEAST}"
        )
    elif mapping.tumbling_s and mapping.parallelization > 1:
        refuse("TumblingWindowInSeconds is not supported with a ParallelizationFactor above 1.")


def _calling(mapping: EventSourceMapping, params: Params, known: Checked) -> EventSourceMapping:
    name, qualifier = which(params, known.address)
    if not known.exists(name, qualifier):
        refuse("Function does not exist")
    return msgspec.structs.replace(mapping, function=name, qualifier=qualifier)
