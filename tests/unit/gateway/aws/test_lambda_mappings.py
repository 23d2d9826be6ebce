"""Lambda's operations on event source mappings: what is shown, and what is refused."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

from microfaas.control.mappings import EventSourceMapping, Mappings
from microfaas.control.table import Edit
from microfaas.errors import ServiceError
from microfaas.gateway.aws.lambda_mappings import MappingsApi
from microfaas.gateway.aws.service import Caller
from microfaas.model import Address
from microfaas.store.db import Database
from microfaas.store.resources import Resources

WHERE = "us-east-1:123456789012"
QUEUE = f"arn:aws:sqs:{WHERE}:q"
STREAM = f"arn:aws:kinesis:{WHERE}:stream/s"
TABLE = f"arn:aws:dynamodb:{WHERE}:table/t/stream/2026-01-01T00:00:00.000"
FUNCTION = f"arn:aws:lambda:{WHERE}:function:f"
CALLER = Caller("id", "127.0.0.1", "http://x")


class Runs:
    """Nothing runs; how the last call went is what the test says."""

    well: bool | None = None

    async def check(self, mapping: EventSourceMapping) -> None:
        pass

    def run(self, name: str, mapping: EventSourceMapping | None) -> None:
        pass

    def changing(self, name: str) -> bool:
        return False

    async def settled(self, name: str) -> None:
        pass

    def went_well(self, name: str) -> bool | None:
        return self.well

    def listen(self, tell: Callable[[], None]) -> None:
        self.tell = tell

    def forgotten(self, name: str) -> Sequence[Edit]:
        return []


class Asked:
    """The operations, called as the engine does once it has validated the parameters."""

    def __init__(self, api: MappingsApi, runs: Runs) -> None:
        self._operations = api.operations
        self.runs = runs

    async def __call__(self, verb: str, **params: Any) -> Any:
        plural = "s" if verb == "List" else ""
        return await self._operations[f"{verb}EventSourceMapping{plural}"](CALLER, params)

    async def refusal(self, verb: str, **params: Any) -> tuple[str, str]:
        with pytest.raises(ServiceError) as refused:
            await self(verb, **params)
        return refused.value.kind, str(refused.value)


@contextlib.asynccontextmanager
async def asking(db: Database) -> AsyncIterator[Asked]:
    runs = Runs()
    async with asyncio.TaskGroup() as tasks:
        mappings = Mappings(Resources(db), runs, Address(), tasks, clock=lambda: 1234.5)
        mappings.open()
        known = {("f", ""), ("f", "live"), ("f", "$LATEST")}
        api = MappingsApi(mappings, lambda *which: which in known, Address())
        yield Asked(api, runs)


async def test_a_queues_mapping_as_it_is_shown(db: Database) -> None:
    async with asking(db) as ask:
        made = await ask("Create", FunctionName="f", EventSourceArn=QUEUE)
        name = made["UUID"]
        assert made == {
            "UUID": name,
            "BatchSize": 10,
            "EventSourceArn": QUEUE,
            "EventSourceMappingArn": f"arn:aws:lambda:{WHERE}:event-source-mapping:{name}",
            "FunctionArn": FUNCTION,
            "FunctionResponseTypes": [],
            "LastModified": 1234.5,
            "MaximumBatchingWindowInSeconds": 0,
            "State": "Creating",
            "StateTransitionReason": "USER_INITIATED",
        }
        assert await ask("Get", UUID=name) == {**made, "State": "Enabled"}


async def test_a_streams_mapping_as_it_is_shown(db: Database) -> None:
    async with asking(db) as ask:
        made = await ask(
            "Create", FunctionName="f", EventSourceArn=STREAM, StartingPosition="LATEST"
        )
        name = made["UUID"]
        assert made == {
            "UUID": name,
            "BatchSize": 100,
            "BisectBatchOnFunctionError": False,
            "DestinationConfig": {"OnFailure": {}},
            "EventSourceArn": STREAM,
            "EventSourceMappingArn": f"arn:aws:lambda:{WHERE}:event-source-mapping:{name}",
            "FunctionArn": FUNCTION,
            "FunctionResponseTypes": [],
            "LastModified": 1234.5,
            "LastProcessingResult": "No records processed",
            "MaximumBatchingWindowInSeconds": 0,
            "MaximumRecordAgeInSeconds": -1,
            "MaximumRetryAttempts": -1,
            "ParallelizationFactor": 1,
            "StartingPosition": "LATEST",
            "StartingPositionTimestamp": None,
            "State": "Creating",
            "StateTransitionReason": "User action",
            "TumblingWindowInSeconds": 0,
        }
        ask.runs.well = False
        shown = await ask("Get", UUID=name)
        assert shown["LastProcessingResult"] == "PROBLEM: Function call failed"
        ask.runs.well = True
        assert (await ask("Get", UUID=name))["LastProcessingResult"] == "OK"


async def test_what_is_asked_for_is_kept_and_shown(db: Database) -> None:
    pattern = '{"body": {"a": [1]}}'
    asked = {
        "BatchSize": 100,
        "MaximumBatchingWindowInSeconds": 5,
        "FilterCriteria": {"Filters": [{"Pattern": pattern}]},
        "FunctionResponseTypes": ["ReportBatchItemFailures"],
        "ScalingConfig": {"MaximumConcurrency": 7},
        "KMSKeyArn": "arn:aws:kms:x",
    }
    async with asking(db) as ask:
        made = await ask("Create", FunctionName="f:live", EventSourceArn=QUEUE, **asked)
        assert {key: made[key] for key in asked} == asked
        assert made["FunctionArn"] == f"{FUNCTION}:live"
        changed = await ask(
            "Update",
            UUID=made["UUID"],
            FunctionName=f"{FUNCTION}:$LATEST",
            FilterCriteria={},
            ScalingConfig={},
            FunctionResponseTypes=[],
            Enabled=False,
        )
        assert changed["State"] == "Disabling"
        assert changed["FunctionArn"] == f"{FUNCTION}:$LATEST"
        assert not {"FilterCriteria", "ScalingConfig"} & changed.keys()
        assert changed["BatchSize"] == 100


async def test_lists_are_filtered_and_come_by_the_page(db: Database) -> None:
    async with asking(db) as ask:
        names = set()
        for function in ("f", "f:live", "f:$LATEST"):
            made = await ask("Create", FunctionName=function, EventSourceArn=QUEUE)
            names.add(made["UUID"])
        await ask("Create", FunctionName="f", EventSourceArn=STREAM, StartingPosition="LATEST")

        async def listed(**params: Any) -> list[str]:
            found = (await ask("List", **params))["EventSourceMappings"]
            return [each["UUID"] for each in found]

        assert set(await listed(EventSourceArn=QUEUE)) == names
        assert len(await listed(FunctionName="f")) == 4
        assert len(await listed(FunctionName="f:live")) == 1
        assert await listed(FunctionName="g") == []
        first = await ask("List", EventSourceArn=QUEUE, MaxItems=2)
        rest = await listed(EventSourceArn=QUEUE, MaxItems=2, Marker=first["NextMarker"])
        assert {each["UUID"] for each in first["EventSourceMappings"]} | set(rest) == names
        assert len(rest) == 1


INVALID = "InvalidParameterValueException"


@pytest.mark.parametrize(
    ("params", "text"),
    [
        ({"EventSourceArn": ""}, "Unrecognized event source."),
        ({"EventSourceArn": "arn:aws:s3:::bucket"}, "Unrecognized event source."),
        (
            {"EventSourceArn": "", "SelfManagedEventSource": {"Endpoints": {}}},
            "Required 'sourceAccessConfigurations' parameter is missing.",
        ),
        ({"FunctionName": "nope"}, "Function does not exist"),
        ({"FunctionName": "f:nope"}, "Function does not exist"),
        (
            {"BatchSize": 11},
            "Maximum batch window in seconds must be greater than 0 if maximum batch size is "
            "greater than 10",
        ),
        (
            {"EventSourceArn": f"{QUEUE}.fifo", "BatchSize": 11},
            "Maximum batch size for FIFO queues is 10.",
        ),
        (
            {"DestinationConfig": {"OnFailure": {"Destination": QUEUE}}},
            "Unsupported DestinationConfig parameter for given event source mapping type.",
        ),
        (
            {"EventSourceArn": STREAM},
            "1 validation error detected: Value null at 'startingPosition' failed to satisfy "
            "constraint: Member must not be null.",
        ),
        (
            {"EventSourceArn": TABLE, "StartingPosition": "AT_TIMESTAMP"},
            f"Unsupported starting position for arn type: {TABLE}",
        ),
        (
            {"EventSourceArn": STREAM, "DestinationConfig": {"OnSuccess": {"Destination": QUEUE}}},
            "Unsupported DestinationConfig parameter for given event source mapping type.",
        ),
        (
            {
                "EventSourceArn": STREAM,
                "DestinationConfig": {"OnFailure": {"Destination": FUNCTION}},
            },
            f"The destination ARN {FUNCTION} is invalid.",
        ),
        (
            {"EventSourceArn": STREAM, "ScalingConfig": {"MaximumConcurrency": 2}},
            "Unsupported ScalingConfig parameter for given event source mapping type.",
        ),
        (
            {"FilterCriteria": {"Filters": [{"Pattern": '{"body": 1}'}]}},
            "Invalid filter pattern definition.",
        ),
        ({"FilterCriteria": {"Filters": [{}]}}, "Invalid filter pattern definition."),
        (
            {
                "EventSourceArn": STREAM,
                "StartingPosition": "LATEST",
                "MaximumRecordAgeInSeconds": 59,
            },
            "1 validation error detected: Value '59' at 'maximumRecordAgeInSeconds' failed to "
            "satisfy constraint: Member must have value greater than or equal to 60",
        ),
    ],
)
async def test_what_aws_refuses_is_refused_in_its_words(
    db: Database, params: dict[str, Any], text: str
) -> None:
    async with asking(db) as ask:
        asked = {"FunctionName": "f", "EventSourceArn": QUEUE, **params}
        assert await ask.refusal("Create", **asked) == (INVALID, text)
        assert (await ask("List"))["EventSourceMappings"] == []


async def test_an_update_is_checked_as_a_whole(db: Database) -> None:
    async with asking(db) as ask:
        made = await ask("Create", FunctionName="f", EventSourceArn=QUEUE)
        refused = await ask.refusal("Update", UUID=made["UUID"], BatchSize=50)
        assert refused[0] == INVALID
        refused = await ask.refusal("Update", UUID=made["UUID"], TumblingWindowInSeconds=5)
        text = "Unsupported TumblingWindowInSeconds parameter for given event source mapping type."
        assert refused == (INVALID, text)
        assert (await ask("Get", UUID=made["UUID"]))["BatchSize"] == 10


async def test_one_that_is_not_there(db: Database) -> None:
    async with asking(db) as ask:
        for verb in ("Get", "Update", "Delete"):
            assert await ask.refusal(verb, UUID="x" * 36) == (
                "ResourceNotFoundException",
                "The resource you requested does not exist.",
            )
