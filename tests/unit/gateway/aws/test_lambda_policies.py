"""Policies of functions, versions and aliases through Lambda's own API."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from lambda_world import ARN, World, serving

from microfaas.control import revisions
from microfaas.gateway.aws.lambda_policies import PoliciesApi
from microfaas.gateway.aws.service import Call

ADD = {
    "FunctionName": "f",
    "StatementId": "s3",
    "Action": "lambda:InvokeFunction",
    "Principal": "s3.amazonaws.com",
}
NO_FUNCTION = ARN[:-1] + "doesnotexist"


def operations(world: World) -> Mapping[str, Call]:
    return PoliciesApi(world.registry, world.lifecycle).operations


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with serving(tmp_path, operations) as made:
        await made.define()
        yield made


def statement(**more: Any) -> dict[str, Any]:
    return {
        "Sid": "s3",
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": "lambda:InvokeFunction",
        "Resource": ARN,
        **more,
    }


async def added(world: World, **more: Any) -> dict[str, Any]:
    """The statement that comes back."""
    told = (await world.ask("add_permission", **{**ADD, **more}))["Statement"]
    made: dict[str, Any] = json.loads(told)
    assert told == json.dumps(made, separators=(",", ":"))
    return made


async def test_a_statement_is_what_aws_makes_of_it(world: World) -> None:
    assert list((await added(world)).items()) == list(statement().items())
    found = await world.ask("get_policy", FunctionName="f")
    assert json.loads(found["Policy"]) == {
        "Version": "2012-10-17",
        "Id": "default",
        "Statement": [statement()],
    }
    assert await world.status("add_permission", **{**ADD, "StatementId": "t"}) == 201
    kept = world.restarted().policies.get("f")
    assert kept is not None
    assert [each["Sid"] for each in kept.statements] == ["s3", "t"]


@pytest.mark.parametrize(
    ("principal", "written"),
    [
        ("*", "*"),
        ("111111111111", {"AWS": "arn:aws:iam::111111111111:root"}),
        ("arn:aws:iam::111111111111:role/r", {"AWS": "arn:aws:iam::111111111111:role/r"}),
        ("logs.us-east-1.amazonaws.com", {"Service": "logs.us-east-1.amazonaws.com"}),
        ("alexa-appkit.amazon.com", {"Service": "alexa-appkit.amazon.com"}),
    ],
)
async def test_principals(world: World, principal: str, written: Any) -> None:
    assert (await added(world, Principal=principal))["Principal"] == written


async def test_what_else_is_given_becomes_a_condition(world: World) -> None:
    made = await added(
        world,
        SourceArn="arn:aws:s3:::bucket",
        SourceAccount="111111111111",
        PrincipalOrgID="o-1234567890",
        EventSourceToken="token",
    )
    assert made["Condition"] == {
        "StringEquals": {
            "AWS:SourceAccount": "111111111111",
            "lambda:EventSourceToken": "token",
            "aws:PrincipalOrgID": "o-1234567890",
        },
        "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::bucket"},
    }
    url = await added(
        world,
        StatementId="url",
        Action="lambda:InvokeFunctionUrl",
        Principal="*",
        FunctionUrlAuthType="NONE",
        InvokedViaFunctionUrl=True,
    )
    assert url["Condition"] == {
        "StringEquals": {"lambda:FunctionUrlAuthType": "NONE"},
        "Bool": {"lambda:InvokedViaFunctionUrl": "true"},
    }


async def test_versions_and_aliases_have_policies_of_their_own(world: World) -> None:
    for qualifier in ("1", "live"):
        made = await added(world, Qualifier=qualifier)
        assert made["Resource"] == f"{ARN}:{qualifier}"
    none = ("ResourceNotFoundException", 404, "The resource you requested does not exist.")
    assert await world.refused("get_policy", FunctionName="f") == none
    assert await world.refused("get_policy", FunctionName="f", Qualifier="7") == none
    found = await world.ask("get_policy", FunctionName=f"{ARN}:live")
    assert json.loads(found["Policy"])["Statement"] == [statement(Resource=f"{ARN}:live")]


async def test_each_change_gives_a_new_revision(world: World) -> None:
    """One that is the function's, too."""
    before = revisions.of(world.registry, "f")
    stale = (
        "PreconditionFailedException",
        412,
        "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API to "
        "retrieve the latest Revision Id",
    )
    assert await world.refused("add_permission", **ADD, RevisionId="old") == stale
    await added(world, RevisionId=before)
    now = (await world.ask("get_policy", FunctionName="f"))["RevisionId"]
    assert now == revisions.of(world.registry, "f") == revisions.of(world.restarted(), "f")
    assert now != before
    remove = {"FunctionName": "f", "StatementId": "s3"}
    assert await world.refused("remove_permission", **remove, RevisionId=before) == stale
    assert await world.status("remove_permission", **remove, RevisionId=now) == 204
    assert revisions.of(world.registry, "f") not in (before, now)
    assert revisions.of(world.registry, "f", "live") == "a1"
    await added(world, Qualifier="live", RevisionId="a1")
    assert revisions.of(world.registry, "f", "live") != "a1"


async def test_a_files_function_may_have_a_policy_too(world: World) -> None:
    world.define_in_file("g")
    await added(world, FunctionName="g")
    assert world.restarted().policies.get("g") is not None


async def test_what_cannot_be_is_refused_in_lambdas_words(world: World) -> None:
    await added(world)
    wrong, missing = "InvalidParameterValueException", "ResourceNotFoundException"
    for more, *expected in (
        ({"Qualifier": "$LATEST"}, wrong, 400,
         "We currently do not support adding policies for $LATEST."),
        ({"Principal": "invalid.nonaws.com", "StatementId": "n"}, wrong, 400,
         "The provided principal was invalid. Please check the principal and try again."),
        ({}, "ResourceConflictException", 409,
         "The statement id (s3) provided already exists. Please provide a new statement id, or "
         "remove the existing statement."),
        ({"FunctionName": "doesnotexist"}, missing, 404, f"Function not found: {NO_FUNCTION}"),
        ({"Qualifier": "alias-doesnotexist"}, missing, 404,
         f"Cannot find alias arn: {ARN}:alias-doesnotexist"),
        ({"Qualifier": "42"}, missing, 404, f"Function not found: {ARN}:42"),
        ({"Qualifier": "valid-with-$-but-doesnotexist"}, missing, 404,
         f"Function not found: {ARN}:valid-with-$-but-doesnotexist"),
        ({"StatementId": "example.com"}, "ValidationException", 400,
         "1 validation error detected: Value 'example.com' at 'statementId' failed to satisfy "
         "constraint: Member must satisfy regular expression pattern: ([a-zA-Z0-9-_]+)"),
        ({"Qualifier": "invalid-qualifier-with-?-char"}, "ValidationException", 400,
         "1 validation error detected: Value 'invalid-qualifier-with-?-char' at 'qualifier' failed "
         "to satisfy constraint: Member must satisfy regular expression pattern: "
         r"\$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+"),
    ):  # fmt: skip
        params: dict[str, Any] = {**ADD, **more}  # type: ignore[dict-item]
        assert await world.refused("add_permission", **params) == tuple(expected), more
    for params, *expected in (
        ({"FunctionName": "doesnotexist", "StatementId": "s3"}, missing, 404,
         f"No policy found for: {NO_FUNCTION}"),
        ({"FunctionName": "f", "StatementId": "non-existent"}, missing, 404,
         "Statement non-existent is not found in resource policy."),
        ({"FunctionName": "f", "StatementId": "s3", "Qualifier": "1"}, missing, 404,
         "No policy is associated with the given resource."),
    ):  # fmt: skip
        assert await world.refused("remove_permission", **params) == tuple(expected), params
    assert await world.refused("get_policy", FunctionName="doesnotexist") == (
        missing,
        404,
        f"Function not found: {NO_FUNCTION}",
    )


async def test_a_policy_has_a_limit(world: World) -> None:
    source = "arn:aws:s3:::" + "b" * 3000
    for i in range(6):
        await added(world, StatementId=f"s{i}", SourceArn=source)
    kind, status, text = await world.refused(
        "add_permission", **{**ADD, "StatementId": "last", "SourceArn": source}
    )
    assert (kind, status) == ("PolicyLengthExceededException", 400)
    assert text.startswith("The final policy size (2")
    assert text.endswith(") is bigger than the limit (20480).")
