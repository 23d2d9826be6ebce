"""Reserved and provisioned instances, and the account's settings, through Lambda's own API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from lambda_world import ARN, CODE_BYTES_MAX, World, package, serving

from microfaas.control.account import Account
from microfaas.control.layers import About
from microfaas.control.records import Alias, Provisioned
from microfaas.control.registry import Registry, key
from microfaas.control.routing import Allocation
from microfaas.gateway.aws.lambda_concurrency import ConcurrencyApi
from microfaas.gateway.aws.service import Call
from microfaas.model import Function, Limits, Version

WRONG, MISSING = ("InvalidParameterValueException", 400), ("ResourceNotFoundException", 404)
PUT, GET = "put_provisioned_concurrency_config", "get_provisioned_concurrency_config"
LIST, DELETE = "list_provisioned_concurrency_configs", "delete_provisioned_concurrency_config"
RESERVE = "put_function_concurrency"


class Routing:
    """What is provisioned is kept; how far it is, a test says."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self.there = Allocation(0, 0, "")

    async def provision(self, name: str, qualifier: str, instances: int) -> Provisioned:
        record, table = Provisioned(instances, 1000), self._registry.provisioned
        place = key(name, qualifier)
        edit = table.put(place, record) if instances else table.remove(place)
        await self._registry.commit(edit)
        return record

    def allocation(self, _: str, __: str) -> Allocation:
        return self.there


class Parts:
    """What a test may change while the API is there."""

    routing: Routing


@pytest.fixture
def parts() -> Parts:
    return Parts()


@pytest.fixture
async def world(
    tmp_path: Path, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[World]:
    def operations(world: World) -> Mapping[str, Call]:
        parts.routing = Routing(world.registry)
        routing: Any = parts.routing

        async def reserve(name: str, count: int | None) -> None:
            head = msgspec.structs.replace(world.lifecycle.changeable(name), reserved=count)
            await world.registry.commit(world.registry.functions.put(name, head))

        monkeypatch.setattr(world.lifecycle, "reserve", reserve)
        account = Account(world.registry, world.layers.storage, 1000)
        return ConcurrencyApi(account, world.lifecycle, routing).operations

    async with serving(tmp_path, operations) as made:
        await made.define()
        yield made


def requested(count: int, qualifier: str = "1") -> dict[str, Any]:
    return {
        "FunctionName": "f",
        "Qualifier": qualifier,
        "ProvisionedConcurrentExecutions": count,
    }


async def test_reserved_instances(world: World) -> None:
    get = "get_function_concurrency"
    assert await world.ask(get, FunctionName="f") == {}
    for count in (0, 900):
        made = await world.ask(RESERVE, FunctionName="f", ReservedConcurrentExecutions=count)
        assert made == await world.ask(get, FunctionName="f")
        assert made == {"ReservedConcurrentExecutions": count}
    await world.define("g")
    refused = await world.refused(RESERVE, FunctionName="g", ReservedConcurrentExecutions=1)
    assert refused == (
        *WRONG,
        "Specified ReservedConcurrentExecutions for function decreases account's "
        "UnreservedConcurrentExecution below its minimum value of [100].",
    )
    refused = await world.refused(RESERVE, FunctionName="f", ReservedConcurrentExecutions=901)
    assert refused[0] == "InvalidParameterValueException"
    assert await world.status("delete_function_concurrency", FunctionName="f") == 204
    assert await world.ask(get, FunctionName="f") == {}


async def test_what_cannot_be_reserved(world: World) -> None:
    one = {"ReservedConcurrentExecutions": 1}
    gone = ARN[:-1] + "doesnotexist"
    assert await world.refused(RESERVE, FunctionName="doesnotexist", **one) == (
        *MISSING,
        f"Function not found: {gone}:$LATEST",
    )
    assert await world.refused(RESERVE, FunctionName=f"{ARN}:1", **one) == (
        *WRONG,
        "This operation is permitted on Lambda functions only. Aliases and versions do not support "
        "this operation. Please specify either a function name or an unqualified function ARN.",
    )
    await world.ask(PUT, **requested(2))
    assert await world.refused(RESERVE, FunctionName="f", **one) == (
        *WRONG,
        " ReservedConcurrentExecutions  1 should not be lower than function's total provisioned "
        "concurrency [2].",
    )
    refused = await world.refused("get_function_concurrency", FunctionName="doesnotexist")
    assert refused == (*MISSING, f"Function not found: {gone}")


async def test_provisioned_instances_become_ready(world: World, parts: Parts) -> None:
    counts = ("Requested", "Allocated", "Available")

    def of(told: dict[str, Any]) -> tuple[Any, ...]:
        numbers = [told[f"{each}ProvisionedConcurrentExecutions"] for each in counts]
        return (*numbers, told["Status"], told.get("StatusReason"))

    which = {"FunctionName": "f", "Qualifier": "1"}
    made = await world.ask(PUT, **requested(3))
    assert of(made) == (3, 0, 0, "IN_PROGRESS", None)
    assert made["LastModified"] == "1970-01-01T00:00:01.000+0000"
    fault = "FUNCTION_ERROR_INIT_FAILURE"
    for there, expected in (
        (Allocation(2, 1, ""), (3, 2, 1, "IN_PROGRESS", None)),
        (Allocation(5, 4, ""), (3, 3, 3, "READY", None)),
        (Allocation(4, 3, fault), (3, 3, 3, "READY", None)),
        (Allocation(1, 0, fault), (3, 0, 0, "FAILED", fault)),
    ):
        parts.routing.there = there
        assert of(await world.ask(GET, **which)) == expected
    (item,) = (await world.ask(LIST, FunctionName="f"))["ProvisionedConcurrencyConfigs"]
    assert item.pop("FunctionArn") == f"{ARN}:1"
    assert item == await world.ask(GET, **which)
    for _ in range(2):  # what is not there is deleted
        assert await world.status(DELETE, **which) == 204
    assert await world.refused(GET, **which) == (
        "ProvisionedConcurrencyConfigNotFoundException",
        404,
        "No Provisioned Concurrency Config found for this function",
    )


async def test_a_version_and_its_alias_do_not_both_ask(world: World) -> None:
    await world.ask(PUT, **requested(1))
    conflict = ("ResourceConflictException", 409)
    assert await world.refused(PUT, **requested(1, "live")) == (
        *conflict,
        "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned "
        "version",
    )
    await world.ask(DELETE, FunctionName="f", Qualifier="1")
    await world.ask(PUT, **requested(1, "live"))
    assert await world.refused(PUT, **requested(1)) == (
        *conflict,
        "Version is pointed by a Provisioned Concurrency alias",
    )


async def test_what_cannot_be_provisioned(world: World) -> None:
    gone = ARN[:-1] + "doesnotexist"
    await world.registry.commit(
        world.registry.aliases.put("f:newest", Alias(version="$LATEST", revision="r"))
    )
    published = "The function resource provided must be an alias or a published version."
    unpublished = (
        "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
    )
    for operation, params, expected, text in (
        (PUT, requested(1, "$LATEST"), WRONG, unpublished),
        (PUT, requested(1, "newest"), WRONG, unpublished),
        (GET, {"FunctionName": "f", "Qualifier": "$LATEST"}, WRONG, published),
        (DELETE, {"FunctionName": "f", "Qualifier": "$LATEST"}, WRONG, published),
        (PUT, requested(1, "10"), MISSING, f"Function not found: {ARN}:10"),
        (PUT, requested(1, "noalias"), MISSING, f"Cannot find alias arn: {ARN}:noalias"),
        (GET, {"FunctionName": "doesnotexist", "Qualifier": "noalias"}, MISSING,
         f"Cannot find alias arn: {gone}:noalias"),
        (DELETE, {"FunctionName": "doesnotexist", "Qualifier": "1"}, MISSING,
         f"Function not found: {gone}:1"),
        (LIST, {"FunctionName": "doesnotexist"}, MISSING, f"Function not found: {gone}"),
        (PUT, requested(0), ("ValidationException", 400),
         "1 validation error detected: Value '0' at 'provisionedConcurrentExecutions' failed to "
         "satisfy constraint: Member must have value greater than or equal to 1"),
        (PUT, requested(1001), WRONG,
         "Specified ConcurrentExecutions for function is greater than account's unreserved "
         "concurrency [1000]."),
        (PUT, requested(901), WRONG,
         "Specified ConcurrentExecutions for function decreases account's "
         "UnreservedConcurrentExecution below its minimum value of [100]."),
    ):  # fmt: skip
        given: dict[str, Any] = dict(params)
        assert await world.refused(operation, **given) == (*expected, text), (operation, params)
    await world.ask(RESERVE, FunctionName="f", ReservedConcurrentExecutions=1)
    assert await world.refused(PUT, **requested(2)) == (
        *WRONG,
        "Requested Provisioned Concurrency should not be greater than the "
        "reservedConcurrentExecution for function",
    )


async def test_no_more_than_the_machine_has_memory_for(world: World) -> None:
    limits = Limits(concurrency_max=4)
    function = Function(name="f", runtime="python", handler="a.b", code="", limits=limits)
    world.registry.served.put(Version(function=function, code_dir="/", code_sha256=""))
    await world.ask(PUT, **requested(4))
    text = "This machine has memory for 4 instances of f, and not for 5."
    assert await world.refused(PUT, **requested(5)) == (*WRONG, text)


async def test_the_accounts_settings(world: World) -> None:
    await world.define("g")
    _, version = await world.layers.publish("tools", package(), About())
    await world.ask(RESERVE, FunctionName="f", ReservedConcurrentExecutions=30)
    await world.ask(PUT, **requested(20))  # out of those 30
    await world.ask(PUT, **{**requested(5), "FunctionName": "g"})
    assert await world.ask("get_account_settings") == {
        "AccountLimit": {
            "TotalCodeSize": CODE_BYTES_MAX,
            "CodeSizeUnzipped": 262144000,
            "CodeSizeZipped": 52428800,
            "ConcurrentExecutions": 1000,
            "UnreservedConcurrentExecutions": 965,
        },
        # Each has $LATEST and a version, of 100 bytes.
        "AccountUsage": {"TotalCodeSize": 400 + version.package.size, "FunctionCount": 2},
    }
