"""How asynchronous invocations are seen through, as Lambda's own API sets it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from lambda_world import ARN, World, serving

from microfaas.gateway.aws.lambda_invoke_configs import InvokeConfigsApi
from microfaas.gateway.aws.service import Call
from microfaas.messaging.targets import Place
from microfaas.model import Destination

PUT, UPDATE = "put_function_event_invoke_config", "update_function_event_invoke_config"
GET, LIST = "get_function_event_invoke_config", "list_function_event_invoke_configs"
DELETE = "delete_function_event_invoke_config"
HERE = "123456789012"
QUEUE, TOPIC = f"arn:aws:sqs:us-east-1:{HERE}:q", f"arn:aws:sns:us-east-1:{HERE}:t"
BUS = f"arn:aws:events:us-east-1:{HERE}:event-bus/default"
OTHER = ARN[:-1] + "g"
WRONG, MISSING = ("InvalidParameterValueException", 400), ("ResourceNotFoundException", 404)
NOTHING = {"OnSuccess": {}, "OnFailure": {}}


def operations(world: World) -> Mapping[str, Call]:
    def serves(to: Place) -> bool:
        if to.kind == "function":
            return world.registry.exists(to.name, to.qualifier)
        return (to.kind, to.name) in (("queue", "q"), ("topic", "t"))

    return InvokeConfigsApi(world.registry, world.lifecycle, serves).operations


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with serving(tmp_path, operations) as made:
        await made.define()
        await made.define("g")
        yield made


def to(success: str = "", failure: str = "") -> dict[str, Any]:
    config: dict[str, Any] = {}
    if success:
        config["OnSuccess"] = {"Destination": success}
    if failure:
        config["OnFailure"] = {"Destination": failure}
    return {"DestinationConfig": config}


async def told(world: World, operation: str, **params: Any) -> dict[str, Any]:
    """What comes back, without its time, which is checked."""
    made = await world.ask(operation, **params)
    changed: datetime = made.pop("LastModified")
    assert 0 <= time.time() - changed.timestamp() < 60
    return made


async def test_it_is_set_changed_and_removed(world: World) -> None:
    made = await told(world, PUT, FunctionName="f", MaximumRetryAttempts=0)
    assert made == {
        "FunctionArn": f"{ARN}:$LATEST",
        "MaximumRetryAttempts": 0,
        "DestinationConfig": NOTHING,
    }
    more = {"MaximumEventAgeInSeconds": 60, **to(QUEUE, TOPIC)}
    changed = await told(world, UPDATE, FunctionName="f", **more)
    assert changed == {**made, **more}
    assert await told(world, GET, FunctionName="f", Qualifier="$LATEST") == changed
    settings = world.restarted().event_settings("f")
    assert (settings.retries_max, settings.age_s_max) == (0, 60)
    assert settings.on_success == Destination("queue", "q")
    assert settings.on_failure == Destination("topic", "t")
    instead = await told(world, PUT, FunctionName="f", **to(failure=OTHER))
    assert instead == {
        "FunctionArn": f"{ARN}:$LATEST",
        "DestinationConfig": {"OnSuccess": {}, "OnFailure": {"Destination": OTHER}},
    }
    assert await world.status(DELETE, FunctionName="f") == 204
    assert world.restarted().event_settings("f").retries_max == 2


async def test_the_default_bus_may_be_told(world: World) -> None:
    await told(world, PUT, FunctionName="f", **to(BUS, BUS))
    settings = world.restarted().event_settings("f")
    assert settings.on_success == settings.on_failure == Destination("bus", "default")


async def test_each_qualifier_has_its_own(world: World) -> None:
    for qualifier, retries in (("live", 1), ("1", 0)):
        await told(world, PUT, FunctionName=f"f:{qualifier}", MaximumRetryAttempts=retries)
    await told(world, PUT, FunctionName="g", MaximumRetryAttempts=2)
    found = (await world.ask(LIST, FunctionName="f"))["FunctionEventInvokeConfigs"]
    assert [(each["FunctionArn"], each["MaximumRetryAttempts"]) for each in found] == [
        (f"{ARN}:1", 0),
        (f"{ARN}:live", 1),
    ]
    first = await world.ask(LIST, FunctionName="f", MaxItems=1)
    second = await world.ask(LIST, FunctionName="f", Marker=first["NextMarker"])
    assert second["FunctionEventInvokeConfigs"] == found[1:]
    assert world.registry.event_settings("f", "live").retries_max == 1
    assert world.registry.event_settings("f").retries_max == 2


async def test_what_cannot_be_is_refused_in_lambdas_words(world: World) -> None:
    await told(world, PUT, FunctionName="g", MaximumRetryAttempts=0)
    nothing = "You must specify at least one of error handling or destination setting."
    nobody = "The function doesn't exist."
    gone = ARN[:-1] + "doesnotexist"
    strange = f"arn:aws:iam:us-east-1:{HERE}:function:f"

    def none(arn: str) -> str:
        return f"The function {arn} doesn't have an EventInvokeConfig"

    one = {"MaximumRetryAttempts": 1}
    for operation, params, expected, text in (
        (PUT, {"FunctionName": "f"}, WRONG, nothing),
        (UPDATE, {"FunctionName": "f"}, WRONG, nothing),
        (PUT, {"FunctionName": "doesnotexist", **one}, MISSING, nobody),
        (PUT, {"FunctionName": "f", "Qualifier": "1221", **one}, MISSING, nobody),
        (UPDATE, {"FunctionName": "doesnotexist", **one}, MISSING, nobody),
        (LIST, {"FunctionName": "doesnotexist"}, MISSING, nobody),
        (UPDATE, {"FunctionName": "f", **one}, MISSING, none(f"{ARN}:$LATEST")),
        (GET, {"FunctionName": "f"}, MISSING, none(f"{ARN}:$LATEST")),
        (GET, {"FunctionName": "doesnotexist"}, MISSING, none(f"{gone}:$LATEST")),
        (GET, {"FunctionName": "f", "Qualifier": "1221"}, MISSING, none(f"{ARN}:1221")),
        (DELETE, {"FunctionName": "f", "Qualifier": "doesnotexist"}, MISSING,
         none(f"{ARN}:doesnotexist")),
        (PUT, {"FunctionName": "f", **to(ARN)}, WRONG,
         "You can't specify the function as a destination for itself."),
        (PUT, {"FunctionName": "f", **to(gone)}, WRONG, f"The destination ARN {gone} is invalid."),
        (UPDATE, {"FunctionName": "g", **to(failure=QUEUE + "x")}, WRONG,
         f"The destination ARN {QUEUE}x is invalid."),
        (PUT, {"FunctionName": "f", **to(strange)}, WRONG,
         "The provided destination config DestinationConfig(onSuccess=OnSuccess(destination="
         f"{strange}), onFailure=null) is invalid."),
        (PUT, {"FunctionName": "f", **to(failure="arn:aws:s3:::b")}, WRONG,
         "microfaas sends to functions, queues, topics and its default event bus, and not to "
         "arn:aws:s3:::b."),
        (PUT, {"FunctionName": "f", **to(BUS + "s")}, WRONG,
         "microfaas sends to functions, queues, topics and its default event bus, and not to "
         f"{BUS}s."),
    ):  # fmt: skip
        given: dict[str, Any] = dict(params)
        assert await world.refused(operation, **given) == (*expected, text), (operation, params)
    kind, _, text = await world.refused(PUT, FunctionName="f", MaximumRetryAttempts=3)
    assert (kind, "maximumRetryAttempts" in text) == ("ValidationException", True)


async def test_what_a_file_says_of_its_function_stays(tmp_path: Path) -> None:
    async with serving(tmp_path, operations) as world:
        world.define_in_file("h")
        kind, _, text = await world.refused(PUT, FunctionName="h", MaximumRetryAttempts=0)
        assert kind == "ResourceConflictException"
        assert "stands in the configuration file" in text


async def test_unless_the_api_may_adopt_it(tmp_path: Path) -> None:
    async with serving(tmp_path, operations, adopt=True) as world:
        world.define_in_file("h")
        await told(world, PUT, FunctionName="h", MaximumRetryAttempts=0)
        assert world.registry.event_settings("h").retries_max == 0


async def test_what_goes_while_it_is_asked_for_gets_none(world: World) -> None:
    """Else another alias of that name would have it one day."""
    async with world.lifecycle.lock("f"):
        asked = asyncio.create_task(
            world.refused(PUT, FunctionName="f", Qualifier="live", MaximumRetryAttempts=1)
        )
        await asyncio.sleep(0.2)
        await world.registry.commit(*world.registry.detached("f", "live"))
    assert (await asked)[:2] == MISSING
    assert "f:live" not in world.registry.invoke_configs
