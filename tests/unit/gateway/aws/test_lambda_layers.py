"""Layers through Lambda's own API: versions, what is refused, policies, restarts."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import secrets
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from lambda_world import ADDRESS, CODE_BYTES_MAX, World, package, serving

from microfaas.control import packing
from microfaas.control.downloads import Downloads
from microfaas.control.layers import About, Layers
from microfaas.errors import ServiceError
from microfaas.gateway.aws.lambda_layer_policies import LayerPolicies
from microfaas.gateway.aws.lambda_layers import LayersApi
from microfaas.gateway.aws.service import Call
from microfaas.store import archive
from microfaas.store.machine_key import MachineKey

ARN = "arn:aws:lambda:us-east-1:123456789012:layer:tools"
NOT_THERE = ("ResourceNotFoundException", 404, "The resource you requested does not exist.")
POLICY = {
    "LayerName": "tools",
    "VersionNumber": 1,
    "StatementId": "s1",
    "Action": "lambda:GetLayerVersion",
    "Principal": "*",
}


def operations(buckets: Mapping[str, str]) -> Any:
    def made(world: World) -> Mapping[str, Call]:
        downloads = Downloads(MachineKey(b"k" * 32))
        tidy = world.layers.forget_unused
        api = LayersApi(world.layers, downloads, buckets, ADDRESS, tidy)
        return {**api.operations, **LayerPolicies(world.layers, ADDRESS).operations}

    return made


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "l.zip").write_bytes(package({"b": "2"}))
    async with serving(tmp_path, operations({"artifacts": str(tmp_path / "artifacts")})) as made:
        yield made


async def publish(world: World, name: str = "tools", **more: Any) -> dict[str, Any]:
    return await world.ask(
        "publish_layer_version", LayerName=name, Content={"ZipFile": package()}, **more
    )


async def test_a_version_is_published_and_told_of(world: World) -> None:
    data = package()
    more = {
        "Description": "d",
        "LicenseInfo": "MIT",
        "CompatibleRuntimes": ["python3.12"],
        "CompatibleArchitectures": ["x86_64"],
    }
    made = await publish(world, **more)
    content = made.pop("Content")
    assert content.pop("Location").startswith(f"http://127.0.0.1:{world.port}/")
    assert content == {
        "CodeSha256": base64.b64encode(hashlib.sha256(data).digest()).decode(),
        "CodeSize": len(data),
    }
    assert made.pop("CreatedDate").endswith("+0000")
    assert made == {"LayerArn": ARN, "LayerVersionArn": f"{ARN}:1", "Version": 1, **more}
    for ask in (
        {"operation": "get_layer_version", "LayerName": "tools", "VersionNumber": 1},
        {"operation": "get_layer_version", "LayerName": ARN, "VersionNumber": 1},
        {"operation": "get_layer_version_by_arn", "Arn": f"{ARN}:1"},
    ):
        found = await world.ask(**ask)
        assert (found["LayerVersionArn"], found["Description"]) == (f"{ARN}:1", "d")
    sha256 = world.layers.package(f"{ARN}:1")
    assert world.packages.read(sha256) == data
    assert world.layers.size(f"{ARN}:1") == len(data)


async def test_what_was_not_said_is_not_told(world: World) -> None:
    made = await publish(world)
    assert made["Description"] == ""
    assert made.keys().isdisjoint({"LicenseInfo", "CompatibleRuntimes", "CompatibleArchitectures"})


async def test_numbers_are_never_given_twice(world: World, tmp_path: Path) -> None:
    await publish(world)
    assert (await publish(world))["Version"] == 2
    assert await world.status("delete_layer_version", LayerName="tools", VersionNumber=2) == 204
    assert (await publish(world))["Version"] == 3
    for number in (1, 3):
        await world.ask("delete_layer_version", LayerName="tools", VersionNumber=number)
    assert (await world.ask("list_layers"))["Layers"] == []
    again = Layers(world.restarted(), world.packages, CODE_BYTES_MAX)
    await again.open()
    number, _ = await again.publish("tools", package(), About())
    assert number == 4


async def test_a_package_may_come_from_a_local_bucket(world: World) -> None:
    content = {"S3Bucket": "artifacts", "S3Key": "l.zip"}
    made = await world.ask("publish_layer_version", LayerName="tools", Content=content)
    assert made["Content"]["CodeSize"] == len(package({"b": "2"}))


async def test_lists_are_filtered_and_paged(world: World) -> None:
    for runtime in ("python3.12", "nodejs22.x", "python3.12"):
        await publish(world, CompatibleRuntimes=[runtime])
    await publish(world, "other", CompatibleArchitectures=["arm64"])
    first = await world.ask("list_layer_versions", LayerName="tools", MaxItems=2)
    assert [each["Version"] for each in first["LayerVersions"]] == [3, 2]
    rest = await world.ask("list_layer_versions", LayerName="tools", Marker=first["NextMarker"])
    assert [each["Version"] for each in rest["LayerVersions"]] == [1]
    assert "NextMarker" not in rest
    found = await world.ask(
        "list_layer_versions", LayerName="tools", CompatibleRuntime="python3.12"
    )
    assert [each["Version"] for each in found["LayerVersions"]] == [3, 1]
    layers = (await world.ask("list_layers"))["Layers"]
    assert [(each["LayerName"], each["LatestMatchingVersion"]["Version"]) for each in layers] == [
        ("other", 1),
        ("tools", 3),
    ]
    node = (await world.ask("list_layers", CompatibleRuntime="nodejs22.x"))["Layers"]
    assert node[0]["LatestMatchingVersion"]["LayerVersionArn"] == f"{ARN}:2"
    arm = (await world.ask("list_layers", CompatibleArchitecture="arm64"))["Layers"]
    assert [each["LayerName"] for each in arm] == ["other"]
    none = await world.ask("list_layer_versions", LayerName="nothing")
    assert none["LayerVersions"] == []


async def test_what_is_not_there(world: World) -> None:
    await publish(world)
    get = "get_layer_version"
    assert await world.refused(get, LayerName="none", VersionNumber=1) == NOT_THERE
    assert await world.refused(get, LayerName="tools", VersionNumber=9) == NOT_THERE
    elsewhere = ARN.replace("us-east-1", "eu-west-1")
    assert await world.refused(get, LayerName=elsewhere, VersionNumber=1) == NOT_THERE
    assert await world.refused("get_layer_version_by_arn", Arn=f"{ARN}:9") == NOT_THERE
    less = ("InvalidParameterValueException", 400, "Layer Version Cannot be less than 1")
    assert await world.refused(get, LayerName="tools", VersionNumber=0) == less
    deletion = {"LayerName": "tools", "VersionNumber": -1}
    assert await world.refused("delete_layer_version", **deletion) == less
    assert await world.status("delete_layer_version", LayerName="none", VersionNumber=1) == 204
    kind, _, text = await world.refused("get_layer_version_by_arn", Arn=ARN)
    assert kind == "ValidationException"
    assert text.startswith(f"1 validation error detected: Value '{ARN}' at 'arn' failed to")


async def test_packages_that_are_none(world: World) -> None:
    params = {"LayerName": "tools", "Content": {"ZipFile": b"no archive"}}
    assert await world.refused("publish_layer_version", **params) == (
        "InvalidParameterValueException",
        400,
        "Could not unzip uploaded file. Please check your file, then try to upload again.",
    )
    data = package({"../evil": "x"})
    kind, _, text = await world.refused(
        "publish_layer_version", LayerName="tools", Content={"ZipFile": data}
    )
    assert kind == "InvalidParameterValueException"
    assert "../evil" in text
    assert str(world.packages.path("")) not in text
    assert world.layers.names() == []


async def test_unpacked_it_must_not_be_too_large(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive, "UNPACKED_BYTES_MAX", 10)
    too_much = "Unzipped size must be smaller than 10 bytes"
    content = {"ZipFile": package({"a": "x" * 10})}
    params = {"LayerName": "tools", "Content": content}
    refused = ("InvalidParameterValueException", 400, too_much)
    assert await world.refused("publish_layer_version", **params) == refused
    each = world.packages.path(world.packages.put(package({"a": "x" * 5})))
    assert packing.unpacked_bytes([each]) == 5
    with pytest.raises(ServiceError, match=too_much):
        packing.unpacked_bytes([each, each])


async def test_what_functions_may_not_be_given(world: World) -> None:
    for name in ("tools", "a", "b", "c", "d", "e"):
        await publish(world, name)
    await publish(world)
    of = world.layers.arn

    def fault(*arns: str) -> str:
        with pytest.raises(ServiceError) as caught:
            world.layers.check(arns)
        assert caught.value.kind == "InvalidParameterValueException"
        return str(caught.value)

    world.layers.check([of("tools", 1), of("a", 1), of("b", 1), of("c", 1), of("d", 1)])
    six = [of(name, 1) for name in ("tools", "a", "b", "c", "d", "e")]
    assert fault(*six) == "Cannot reference more than 5 layers."
    assert fault(f"{ARN}:9") == f"Layer version {ARN}:9 does not exist."
    assert fault(of("none", 1)) == f"Layer version {of('none', 1)} does not exist."
    other = f"{ARN.replace('123456789012', '210987654321')}:1"
    assert fault(other) == f"Layer version {other} does not exist."
    assert fault(f"{ARN.replace('us-east-1', 'eu-west-1')}:1") == (
        "Layers are not in the same region as the function. Layers are expected to be in region "
        "us-east-1."
    )
    for second in (f"{ARN}:1", f"{ARN}:2"):
        assert fault(f"{ARN}:1", second) == (
            "Two different versions of the same layer are not allowed to be referenced in the same "
            f"function. {ARN}:1 and {second} are versions of the same layer."
        )


async def test_functions_keep_a_version_that_is_deleted(world: World) -> None:
    await publish(world)
    await world.define(layers=(f"{ARN}:1",))
    await world.ask("delete_layer_version", LayerName="tools", VersionNumber=1)
    found = {"LayerName": "tools", "VersionNumber": 1}
    assert await world.refused("get_layer_version", **found) == NOT_THERE
    with pytest.raises(ServiceError, match=r"does not exist\."):
        world.layers.check([f"{ARN}:1"])
    again = Layers(world.restarted(), world.packages, CODE_BYTES_MAX)
    await again.open()
    assert again.package(f"{ARN}:1") in again.packages()
    await world.registry.commit(*world.registry.forgotten("f"))
    last = Layers(world.restarted(), world.packages, CODE_BYTES_MAX)
    await last.open()
    assert last.packages() == set()


async def test_layers_take_room_until_nothing_has_them(world: World) -> None:
    big = package({"b": secrets.token_hex(CODE_BYTES_MAX // 3)})
    content = {"ZipFile": big}
    await world.ask("publish_layer_version", LayerName="tools", Content=content)
    taken = world.layers.storage.taken
    assert taken == len(big)
    assert await world.refused("publish_layer_version", LayerName="more", Content=content) == (
        "CodeStorageExceededException",
        400,
        "Code storage limit exceeded.",
    )
    kept = os.path.dirname(world.packages.path(""))
    assert len(os.listdir(kept)) == 1
    await world.define(layers=(f"{ARN}:1",))
    found = {"LayerName": "tools", "VersionNumber": 1}
    await world.ask("delete_layer_version", **found)
    assert world.layers.storage.taken > taken  # the function has it still
    await world.registry.commit(*world.registry.forgotten("f"))
    await world.ask("delete_layer_version", **found)
    assert world.layers.storage.taken == 0
    await world.ask("publish_layer_version", LayerName="more", Content=content)


async def test_who_else_may_use_it(world: World) -> None:
    await publish(world)
    await publish(world)
    made = await world.ask("add_layer_version_permission", **POLICY)
    statement = {
        "Sid": "s1",
        "Effect": "Allow",
        "Principal": "*",
        "Action": "lambda:GetLayerVersion",
        "Resource": f"{ARN}:1",
    }
    assert made["Statement"] == json.dumps(statement, separators=(",", ":"))
    second = {**POLICY, "StatementId": "s2", "Principal": "*", "OrganizationId": "o-1234567890"}
    later = await world.ask("add_layer_version_permission", **second, RevisionId=made["RevisionId"])
    assert later["RevisionId"] != made["RevisionId"]
    condition = {"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}}
    found = await world.ask("get_layer_version_policy", LayerName="tools", VersionNumber=1)
    assert found["RevisionId"] == later["RevisionId"]
    assert json.loads(found["Policy"]) == {
        "Version": "2012-10-17",
        "Id": "default",
        "Statement": [statement, {**statement, "Sid": "s2", "Condition": condition}],
    }
    which = {"LayerName": "tools", "VersionNumber": 1}
    for sid in ("s1", "s2"):
        assert (
            await world.status("remove_layer_version_permission", **which, StatementId=sid) == 204
        )
    assert await world.refused("get_layer_version_policy", **which) == (
        "ResourceNotFoundException",
        404,
        "No policy is associated with the given resource.",
    )


async def test_policies_that_are_refused(world: World) -> None:
    await publish(world)
    await world.ask("add_layer_version_permission", **POLICY)
    add, remove = "add_layer_version_permission", "remove_layer_version_permission"
    assert await world.refused(add, **POLICY) == (
        "ResourceConflictException",
        409,
        "The statement id (s1) provided already exists. Please provide a new statement id, or "
        "remove the existing statement.",
    )
    stale = (
        "PreconditionFailedException",
        412,
        "The Revision Id provided does not match the latest Revision Id. Call the GetLayerPolicy "
        "API to retrieve the latest Revision Id",
    )
    other = {**POLICY, "StatementId": "s2"}
    assert await world.refused(add, **other, RevisionId="old") == stale
    which = {"LayerName": "tools", "VersionNumber": 1, "StatementId": "s1"}
    assert await world.refused(remove, **which, RevisionId="old") == stale
    assert await world.refused(remove, **{**which, "StatementId": "doesnotexist"}) == (
        "ResourceNotFoundException",
        404,
        "Statement doesnotexist is not found in resource policy.",
    )
    missing = ("ResourceNotFoundException", 404, f"Layer version {ARN}:2 does not exist.")
    assert await world.refused(add, **{**POLICY, "VersionNumber": 2}) == missing
    assert await world.refused(remove, **{**which, "VersionNumber": 2}) == missing
    query = {"LayerName": "tools", "VersionNumber": 2}
    assert await world.refused("get_layer_version_policy", **query) == missing
    assert await world.refused(add, **{**POLICY, "Action": "*"}) == (
        "ValidationException",
        400,
        "1 validation error detected: Value '*' at 'action' failed to satisfy constraint: Member "
        "must satisfy regular expression pattern: lambda:GetLayerVersion",
    )
