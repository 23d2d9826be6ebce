"""Code signing configurations through Lambda's own API."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from lambda_world import ARN, World, serving

from microfaas.control.signing import SigningConfigs
from microfaas.gateway.aws.lambda_signing import SigningApi
from microfaas.gateway.aws.service import Call

PROFILE = "arn:aws:signer:us-east-1:123456789012:/signing-profiles/test"
PREFIX = "arn:aws:lambda:us-east-1:123456789012:code-signing-config:csc-"
NONE = PREFIX + "0123456789abcdefg"
MISSING = "ResourceNotFoundException"


def operations(world: World) -> Mapping[str, Call]:
    configs = SigningConfigs(world.registry)
    configs.open()
    return SigningApi(world.registry, world.lifecycle, configs).operations


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with serving(tmp_path, operations) as made:
        await made.define()
        yield made


async def create(world: World, **more: Any) -> dict[str, Any]:
    publishers = {"SigningProfileVersionArns": [PROFILE]}
    made = await world.ask("create_code_signing_config", AllowedPublishers=publishers, **more)
    config: dict[str, Any] = made["CodeSigningConfig"]
    return config


async def test_it_is_made_changed_and_removed(world: World) -> None:
    made = await create(world, Description="one")
    arn = made["CodeSigningConfigArn"]
    assert re.fullmatch(re.escape(PREFIX) + "[0-9a-f]{17}", arn)
    assert made.pop("LastModified").endswith("+0000")
    assert made == {
        "CodeSigningConfigId": arn.rpartition(":")[2],
        "CodeSigningConfigArn": arn,
        "Description": "one",
        "AllowedPublishers": {"SigningProfileVersionArns": [PROFILE]},
        "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": "Warn"},
    }
    which = {"CodeSigningConfigArn": arn}
    policies = {"UntrustedArtifactOnDeployment": "Enforce"}
    await world.ask("update_code_signing_config", **which, CodeSigningPolicies=policies)
    found = (await world.ask("get_code_signing_config", **which))["CodeSigningConfig"]
    found.pop("LastModified")
    assert found == {**made, "CodeSigningPolicies": policies}
    again = SigningConfigs(world.restarted())
    again.open()
    assert again.need(arn)[1].untrusted == "Enforce"
    second = await create(world)
    listed = (await world.ask("list_code_signing_configs"))["CodeSigningConfigs"]
    assert {each["CodeSigningConfigArn"] for each in listed} == {
        arn,
        second["CodeSigningConfigArn"],
    }
    assert await world.status("delete_code_signing_config", **which) == 204
    assert (await world.refused("get_code_signing_config", **which))[0] == MISSING


async def test_functions_have_one(world: World) -> None:
    arn = (await create(world))["CodeSigningConfigArn"]
    which = {"CodeSigningConfigArn": arn}
    get = "get_function_code_signing_config"
    assert await world.ask(get, FunctionName="f") == {"FunctionName": "f"}
    made = await world.ask("put_function_code_signing_config", FunctionName=ARN, **which)
    assert made == {**which, "FunctionName": "f"}
    assert await world.ask(get, FunctionName="f") == made
    assert world.restarted().head("f").signing_config == arn
    using = await world.ask("list_functions_by_code_signing_config", **which)
    assert using["FunctionArns"] == [ARN]
    kind, _, text = await world.refused("delete_code_signing_config", **which)
    assert (kind, text.endswith("it is used by the functions f.")) == (
        "ResourceConflictException",
        True,
    )
    assert await world.status("delete_function_code_signing_config", FunctionName="f") == 204
    assert await world.status("delete_code_signing_config", **which) == 204


async def test_what_is_not_there(world: World) -> None:
    which = {"CodeSigningConfigArn": NONE}
    gone = (MISSING, 404, f"The Lambda code signing configuration {NONE} can not be found.")
    for operation in (
        "get_code_signing_config",
        "update_code_signing_config",
        "delete_code_signing_config",
        "list_functions_by_code_signing_config",
    ):
        assert await world.refused(operation, **which) == gone, operation
    assert await world.refused("put_function_code_signing_config", FunctionName="f", **which) == (
        "CodeSigningConfigNotFoundException",
        404,
        "The code signing configuration cannot be found. Check that the provided configuration is "
        f"not deleted: {NONE}.",
    )
    nobody = {"FunctionName": "csc-test-doesnotexist"}
    text = f"Function not found: {ARN[:-1]}csc-test-doesnotexist"
    arn = (await create(world))["CodeSigningConfigArn"]
    for operation, more in (
        ("get_function_code_signing_config", {}),
        ("delete_function_code_signing_config", {}),
        ("put_function_code_signing_config", {"CodeSigningConfigArn": arn}),
    ):
        assert await world.refused(operation, **nobody, **more) == (MISSING, 404, text)
