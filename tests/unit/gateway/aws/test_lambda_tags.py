"""Tags through Lambda's own API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from lambda_world import ADDRESS, ARN, World, serving

from microfaas.control import revisions
from microfaas.control.mappings import EventSourceMapping, Mappings
from microfaas.control.signing import SigningConfig, SigningConfigs
from microfaas.gateway.aws.lambda_tags import TagsApi
from microfaas.gateway.aws.service import Call

WRONG, MISSING = ("InvalidParameterValueException", 400), ("ResourceNotFoundException", 404)
PREFIX = "arn:aws:lambda:us-east-1:123456789012:"
NO_MAPPING = f"{PREFIX}event-source-mapping:00000000-0000-0000-0000-000000000000"


class Runs:
    """Nothing runs of mappings here."""

    def listen(self, tell: Any) -> None:
        pass

    async def check(self, _: EventSourceMapping) -> None: ...

    def run(self, _: str, __: EventSourceMapping | None) -> None: ...

    def changing(self, _: str) -> bool:
        return False


class Parts:
    """What else has tags."""

    mappings: Mappings
    signing: SigningConfigs


def operations(parts: Parts, tasks: asyncio.TaskGroup) -> Any:
    def made(world: World) -> Mapping[str, Call]:
        runs: Any = Runs()
        parts.mappings = Mappings(world.registry.resources, runs, ADDRESS, tasks)
        parts.mappings.open()
        parts.signing = SigningConfigs(world.registry)
        parts.signing.open()
        return TagsApi(world.registry, world.lifecycle, parts.mappings, parts.signing).operations

    return made


@pytest.fixture
def parts() -> Parts:
    return Parts()


@pytest.fixture
async def world(tmp_path: Path, parts: Parts) -> AsyncIterator[World]:
    async with asyncio.TaskGroup() as tasks, serving(tmp_path, operations(parts, tasks)) as made:
        await made.define()
        yield made


async def tags(world: World, arn: str) -> dict[str, str]:
    found: dict[str, str] = (await world.ask("list_tags", Resource=arn))["Tags"]
    return found


async def test_functions_have_tags(world: World) -> None:
    assert await tags(world, ARN) == {}
    before = revisions.of(world.registry, "f")
    for more in ({"a": "1", "b": "2"}, {"b": "3", "a key/with:more": ""}):
        assert await world.status("tag_resource", Resource=ARN, Tags=more) == 204
    kept = {"a": "1", "b": "3", "a key/with:more": ""}
    assert await tags(world, ARN) == world.restarted().head("f").tags == kept
    assert revisions.of(world.registry, "f") != before
    gone = ["a", "a key/with:more", "not there"]
    assert await world.status("untag_resource", Resource=ARN, TagKeys=gone) == 204
    assert await tags(world, ARN) == {"b": "3"}


async def test_so_do_a_files_functions(world: World) -> None:
    world.define_in_file("g")
    await world.ask("tag_resource", Resource=f"{PREFIX}function:g", Tags={"a": "1"})
    assert world.restarted().head("g").tags == {"a": "1"}


async def test_so_do_mappings_and_signing_configs(world: World, parts: Parts) -> None:
    source = "arn:aws:sqs:us-east-1:123456789012:q"
    mapping = EventSourceMapping(function="f", source=source, kind="queue", batch_size=1)
    name, _ = await parts.mappings.create(mapping)
    config, _ = await parts.signing.create(SigningConfig(publishers=()))
    for arn in (parts.mappings.arn(name), parts.signing.arn(config)):
        await world.ask("tag_resource", Resource=arn, Tags={"a": "1", "b": "2"})
        await world.ask("untag_resource", Resource=arn, TagKeys=["a"])
        assert await tags(world, arn) == {"b": "2"}


async def test_changes_at_the_same_time_are_all_made(world: World, parts: Parts) -> None:
    source = "arn:aws:sqs:us-east-1:123456789012:q"
    mapping = EventSourceMapping(function="f", source=source, kind="queue", batch_size=1)
    name, _ = await parts.mappings.create(mapping)
    config, _ = await parts.signing.create(SigningConfig(publishers=()))
    for arn in (ARN, parts.mappings.arn(name), parts.signing.arn(config)):
        all_tags = {str(number): "" for number in range(8)}
        calls = [world.ask("tag_resource", Resource=arn, Tags={key: ""}) for key in all_tags]
        await asyncio.gather(*calls)
        assert await tags(world, arn) == all_tags


async def test_there_may_be_fifty(world: World, parts: Parts) -> None:
    config, _ = await parts.signing.create(SigningConfig(publishers=()))
    text = "Number of tags exceeds resource tag limit."
    for arn in (ARN, parts.signing.arn(config)):
        fifty = {str(i): "x" for i in range(50)}
        await world.ask("tag_resource", Resource=arn, Tags=fifty)
        await world.ask("tag_resource", Resource=arn, Tags={"0": "y"})
        many = {"Resource": arn, "Tags": {"more": "z"}}
        assert await world.refused("tag_resource", **many) == (*WRONG, text)
        assert len(await tags(world, arn)) == 50


async def test_what_cannot_be_is_refused_in_lambdas_words(world: World) -> None:
    qualified = (
        "Tags on function aliases and versions are not supported. Please specify a function ARN."
    )
    for qualifier in ("1", "live", "$LATEST"):
        arn = f"{ARN}:{qualifier}"
        assert await world.refused("list_tags", Resource=arn) == (*WRONG, qualified)
        tag = {"Resource": arn, "Tags": {"a": "1"}}
        assert await world.refused("tag_resource", **tag) == (*WRONG, qualified)
        untag = {"Resource": arn, "TagKeys": ["a"]}
        assert await world.refused("untag_resource", **untag) == (*WRONG, qualified)
    assert await world.refused("tag_resource", Resource=ARN, Tags={}) == (
        *WRONG,
        "An error occurred and the request cannot be processed.",
    )
    assert await world.refused("untag_resource", Resource=ARN, TagKeys=[]) == (
        "ValidationException",
        400,
        "1 validation error detected: Value null at 'tagKeys' failed to satisfy constraint: Member "
        "must not be null",
    )
    for arn, text in (
        (ARN[:-1] + "doesnotexist", f"Function not found: {ARN[:-1]}doesnotexist"),
        (NO_MAPPING, f"Event source mapping not found: {NO_MAPPING}"),
        (
            f"{PREFIX}capacity-provider:p",
            f"Capacity provider not found: {PREFIX}capacity-provider:p",
        ),
        (f"{PREFIX}layer:l", f"Layer not found: {PREFIX}layer:l"),
    ):
        for operation, more in (
            ("list_tags", {}),
            ("tag_resource", {"Tags": {"a": "1"}}),
            ("untag_resource", {"TagKeys": ["a"]}),
        ):
            params: dict[str, Any] = {"Resource": arn, **more}
            assert await world.refused(operation, **params) == (*MISSING, text)
    kind, _, text = await world.refused("list_tags", Resource="arn:aws:something")
    assert kind == "ValidationException"
    assert "Value 'arn:aws:something' at 'resource' failed to satisfy constraint" in text
