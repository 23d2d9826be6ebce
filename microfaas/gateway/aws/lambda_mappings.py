"""Lambda's operations on event source mappings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from microfaas.control.mappings import EventSourceMapping, Mappings
from microfaas.control.registry import key
from microfaas.gateway.aws.lambda_mapping_params import Checked, changed, made
from microfaas.gateway.aws.lambda_names import which
from microfaas.gateway.aws.paging import page
from microfaas.gateway.aws.service import Call, Caller, Params
from microfaas.model import Address

_RESULTS = {
    None: "No records processed",
    True: "OK",
    False: "PROBLEM: Function call failed",
}


class MappingsApi:
    """One coroutine per operation."""

    def __init__(
        self, mappings: Mappings, exists: Callable[[str, str], bool], address: Address
    ) -> None:
        """`exists` tells whether there is a function, or a version or alias of it."""
        self._mappings = mappings
        self._address = address
        self._checked = Checked(exists, address)

    @property
    def operations(self) -> Mapping[str, Call]:
        return {
            "CreateEventSourceMapping": self._create,
            "GetEventSourceMapping": self._get,
            "ListEventSourceMappings": self._list,
            "UpdateEventSourceMapping": self._update,
            "DeleteEventSourceMapping": self._delete,
        }

    async def _create(self, _: Caller, params: Params) -> Params:
        name, mapping = await self._mappings.create(made(params, self._checked))
        return self._shown(name, mapping, mapping.transition)

    async def _get(self, _: Caller, params: Params) -> Params:
        name = params["UUID"]
        mapping = self._mappings.get(name)
        return self._shown(name, mapping, self._mappings.state(name, mapping))

    async def _list(self, _: Caller, params: Params) -> Params:
        source = params.get("EventSourceArn")
        function = which(params, self._address) if "FunctionName" in params else None
        rows = [
            (name, self._shown(name, each, self._mappings.state(name, each)))
            for name, each in self._mappings.all()
            if source in (None, each.source) and _is_of(each, function)
        ]
        found, more = page(rows, params)
        return {"EventSourceMappings": found, "NextMarker": more}

    async def _update(self, _: Caller, params: Params) -> Params:
        name = params["UUID"]
        change = changed(params, self._checked)
        mapping = await self._mappings.update(name, change)
        return self._shown(name, mapping, mapping.transition)

    async def _delete(self, _: Caller, params: Params) -> Params:
        name = params["UUID"]
        mapping = await self._mappings.delete(name)
        return self._shown(name, mapping, mapping.transition)

    def _shown(self, name: str, mapping: EventSourceMapping, state: str) -> Params:
        of_queue = mapping.kind == "queue"
        table: dict[str, Any] = {
            "UUID": name,
            "EventSourceMappingArn": self._mappings.arn(name),
            "EventSourceArn": mapping.source,
            "FunctionArn": self._address.arn(key(mapping.function, mapping.qualifier)),
            "BatchSize": mapping.batch_size,
            "MaximumBatchingWindowInSeconds": mapping.window_s,
            "FunctionResponseTypes": ["ReportBatchItemFailures"] if mapping.report_items else [],
            "LastModified": mapping.changed_ms / 1000,
            "State": state,
            "StateTransitionReason": "USER_INITIATED" if of_queue else "User action",
            **mapping.told,
        }
        if mapping.filters:
            table["FilterCriteria"] = {"Filters": [{"Pattern": each} for each in mapping.filters]}
        return table | (_of_queue(mapping) if of_queue else self._of_stream(name, mapping))

    def _of_stream(self, name: str, mapping: EventSourceMapping) -> Params:
        failure = {"Destination": mapping.on_failure} if mapping.on_failure else {}
        return {
            "BisectBatchOnFunctionError": mapping.bisect,
            "DestinationConfig": {"OnFailure": failure},
            "LastProcessingResult": _RESULTS[self._mappings.went_well(name)],
            "MaximumRecordAgeInSeconds": mapping.age_s_max,
            "MaximumRetryAttempts": mapping.retries_max,
            "ParallelizationFactor": mapping.parallelization,
            "StartingPosition": mapping.start,
            "StartingPositionTimestamp": mapping.start_s,
            "TumblingWindowInSeconds": mapping.tumbling_s,
        }


def _of_queue(mapping: EventSourceMapping) -> Params:
    if mapping.concurrency is None:
        return {}
    return {"ScalingConfig": {"MaximumConcurrency": mapping.concurrency}}


def _is_of(mapping: EventSourceMapping, function: tuple[str, str] | None) -> bool:
    if function is None:
        return True
    name, qualifier = function
    return mapping.function == name and qualifier in ("", mapping.qualifier)
