"""What to do about recursion, and when runtimes change, as Lambda's own API keeps it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import msgspec
import pytest
from botocore.exceptions import ClientError
from lambda_world import ADDRESS, ARN, World, serving

from microfaas.control.table import Edit
from microfaas.control.urls import Urls
from microfaas.gateway.aws.lambda_management import ManagementApi
from microfaas.gateway.aws.lambda_urls import LambdaUrls
from microfaas.gateway.aws.service import Call

RUNTIME = "arn:aws:lambda:us-east-1::runtime:" + "0" * 64
NOT_FOUND = ("ResourceNotFoundException", 404, f"Function not found: {ARN[:-1]}doesnotexist")


def operations(world: World) -> Mapping[str, Call]:
    return ManagementApi(world.registry, world.lifecycle).operations


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with serving(tmp_path, operations) as made:
        await made.define()
        yield made


async def test_recursion(world: World) -> None:
    get, put = "get_function_recursion_config", "put_function_recursion_config"
    assert await world.ask(get, FunctionName="f") == {"RecursiveLoop": "Terminate"}
    made = await world.ask(put, FunctionName="f", RecursiveLoop="Allow")
    assert made == await world.ask(get, FunctionName="f") == {"RecursiveLoop": "Allow"}
    assert world.restarted().allows_loops("f")
    await world.ask(put, FunctionName="f", RecursiveLoop="Terminate")
    assert not world.restarted().allows_loops("f")
    assert await world.refused(get, FunctionName="doesnotexist") == NOT_FOUND
    assert await world.refused(put, FunctionName="f", RecursiveLoop="InvalidValue") == (
        "ValidationException",
        400,
        "1 validation error detected: Value 'InvalidValue' at 'recursiveLoop' failed to satisfy "
        "constraint: Member must satisfy enum value set: [Terminate, Allow]",
    )


async def test_recursion_of_a_files_function_is_the_files_to_say(world: World) -> None:
    world.define_in_file("g")
    version = world.registry.served.resolve("g")
    assert not world.registry.allows_loops("g")
    function = msgspec.structs.replace(version.function, recursive_loop="allow")
    world.registry.served.put(msgspec.structs.replace(version, function=function))
    told = await world.ask("get_function_recursion_config", FunctionName="g")
    assert told == {"RecursiveLoop": "Allow"}
    refused = await world.refused(
        "put_function_recursion_config", FunctionName="g", RecursiveLoop="Terminate"
    )
    assert refused[:2] == ("ResourceConflictException", 409)
    assert world.registry.allows_loops("g")
    assert not world.registry.allows_loops("nobody")


async def test_runtimes(world: World) -> None:
    get, put = "get_runtime_management_config", "put_runtime_management_config"
    usual = {"UpdateRuntimeOn": "Auto", "FunctionArn": f"{ARN}:$LATEST"}
    assert await world.ask(get, FunctionName="f") == usual
    manual = {"UpdateRuntimeOn": "Manual", "RuntimeVersionArn": RUNTIME}
    made = await world.ask(put, FunctionName="f", Qualifier="1", **manual)
    assert made == {**manual, "FunctionArn": f"{ARN}:1"}
    assert await world.ask(get, FunctionName="f:1") == made
    assert await world.ask(get, FunctionName="f") == usual
    assert world.restarted().managed.get("f:1") is not None
    await world.ask(put, FunctionName="f", UpdateRuntimeOn="FunctionUpdate")
    assert (await world.ask(get, FunctionName="f"))["UpdateRuntimeOn"] == "FunctionUpdate"
    for wrong in ({"UpdateRuntimeOn": "Manual"}, {**manual, "UpdateRuntimeOn": "Auto"}):
        kind, _, text = await world.refused(put, FunctionName="f", **wrong)
        assert kind == "InvalidParameterValueException"
        assert text.startswith("RuntimeVersionArn must be given when")
    assert await world.refused(get, FunctionName="doesnotexist") == NOT_FOUND
    for qualifier in ("7", "live"):
        found = await world.refused(get, FunctionName="f", Qualifier=qualifier)
        assert found[2] == f"Function not found: {ARN}:{qualifier}"


async def test_of_two_who_make_a_url_at_once_one_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def urls(world: World) -> Mapping[str, Call]:
        return LambdaUrls(
            Urls(world.registry), world.lifecycle, ADDRESS, "http://127.0.0.1:1"
        ).operations

    async with serving(tmp_path, urls) as world:
        await world.define()
        commit = world.registry.commit

        async def slow(*edits: Edit) -> None:
            await asyncio.sleep(0.2)
            await commit(*edits)

        monkeypatch.setattr(world.registry, "commit", slow)
        asked = {"FunctionName": "f", "AuthType": "NONE"}
        first, second = await asyncio.gather(
            *(world.ask("create_function_url_config", **asked) for _ in range(2)),
            return_exceptions=True,
        )
        assert isinstance(first, ClientError) != isinstance(second, ClientError)
