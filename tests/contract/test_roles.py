"""STS and IAM with boto3: who one is, and roles and policies as deploy tools make them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from account_world import Client, World, key_of_function, listening

ACCOUNT = "123456789012"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}
ALLOW = {
    "Version": "2012-10-17",
    "Statement": {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"},
}
BASIC = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with listening(tmp_path) as made:
        yield made


@pytest.fixture
def iam(world: World) -> Client:
    return world.client("iam")


async def made(iam: Client, name: str = "r", **more: Any) -> Any:
    answer = await iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST), **more
    )
    return answer["Role"]


async def made_policy(iam: Client, name: str = "p", **more: Any) -> str:
    answer = await iam.create_policy(PolicyName=name, PolicyDocument=json.dumps(ALLOW), **more)
    arn: str = answer["Policy"]["Arn"]
    return arn


async def test_a_key_is_a_user(world: World) -> None:
    found = await world.client("sts").get_caller_identity()
    key_id = world.key[0]
    assert (found["Account"], found["UserId"]) == (ACCOUNT, key_id)
    assert found["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/{key_id}"


async def test_a_functions_key_is_a_role_that_it_has(world: World) -> None:
    found = await world.client("sts", key_of_function("f")).get_caller_identity()
    assert found["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/f/f"
    assert found["UserId"].endswith(":f")


async def test_roles_cannot_be_assumed(world: World) -> None:
    role = f"arn:aws:iam::{ACCOUNT}:role/r"
    status, code, text = await world.client("sts").refused(
        "assume_role", RoleArn=role, RoleSessionName="ss"
    )
    assert (status, code) == (403, "AccessDenied")
    assert f"not authorized to perform: sts:AssumeRole on resource: {role}" in text


async def test_a_role_from_its_making_to_its_end(iam: Client) -> None:
    role = await made(iam, Path="/apps/", Description="d", Tags=[{"Key": "a", "Value": "b"}])
    assert role["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/apps/r"
    assert role["RoleId"].startswith("AROA")
    assert len(role["RoleId"]) == 21
    await iam.attach_role_policy(RoleName="r", PolicyArn=BASIC)
    await iam.put_role_policy(RoleName="r", PolicyName="own", PolicyDocument=json.dumps(ALLOW))
    found = (await iam.get_role(RoleName="r"))["Role"]
    assert found == role
    assert found["AssumeRolePolicyDocument"] == TRUST
    attached = (await iam.list_attached_role_policies(RoleName="r"))["AttachedPolicies"]
    assert attached == [{"PolicyName": "AWSLambdaBasicExecutionRole", "PolicyArn": BASIC}]
    assert (await iam.list_role_policies(RoleName="r"))["PolicyNames"] == ["own"]
    own = await iam.get_role_policy(RoleName="r", PolicyName="own")
    assert own["PolicyDocument"] == ALLOW
    assert (await iam.refused("delete_role", RoleName="r"))[:2] == (409, "DeleteConflict")
    await iam.detach_role_policy(RoleName="r", PolicyArn=BASIC)
    assert (await iam.refused("delete_role", RoleName="r"))[:2] == (409, "DeleteConflict")
    await iam.delete_role_policy(RoleName="r", PolicyName="own")
    assert (await iam.list_instance_profiles_for_role(RoleName="r"))["InstanceProfiles"] == []
    await iam.delete_role(RoleName="r")
    refused = await iam.refused("get_role", RoleName="r")
    assert refused == (404, "NoSuchEntity", "The role with name r cannot be found.")


async def test_a_role_is_changed(iam: Client) -> None:
    await made(iam, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    await iam.update_role(RoleName="r", Description="new", MaxSessionDuration=7200)
    other = {**TRUST, "Id": "other"}
    await iam.update_assume_role_policy(RoleName="r", PolicyDocument=json.dumps(other))
    await iam.tag_role(RoleName="r", Tags=[{"Key": "a", "Value": "3"}])
    await iam.untag_role(RoleName="r", TagKeys=["b"])
    found = (await iam.get_role(RoleName="r"))["Role"]
    assert (found["Description"], found["MaxSessionDuration"]) == ("new", 7200)
    assert found["AssumeRolePolicyDocument"] == other
    assert found["Tags"] == [{"Key": "a", "Value": "3"}]
    assert (await iam.list_role_tags(RoleName="r"))["Tags"] == found["Tags"]


async def test_a_role_is_described_by_itself_and_bounded(iam: Client) -> None:
    await made(iam, PermissionsBoundary=BASIC)
    told = await iam.update_role_description(RoleName="r", Description="new")
    assert told["Role"] == (await iam.get_role(RoleName="r"))["Role"]
    assert told["Role"]["Description"] == "new"
    assert told["Role"]["PermissionsBoundary"]["PermissionsBoundaryArn"] == BASIC
    other = f"{BASIC}2"
    await iam.put_role_permissions_boundary(RoleName="r", PermissionsBoundary=other)
    found = (await iam.get_role(RoleName="r"))["Role"]["PermissionsBoundary"]
    assert found["PermissionsBoundaryArn"] == other
    await iam.delete_role_permissions_boundary(RoleName="r")
    assert "PermissionsBoundary" not in (await iam.get_role(RoleName="r"))["Role"]


async def test_changes_at_the_same_time_are_all_made(iam: Client) -> None:
    await made(iam)
    names = [f"p{number}" for number in range(8)]
    document = json.dumps(ALLOW)
    await asyncio.gather(
        *(iam.attach_role_policy(RoleName="r", PolicyArn=f"{BASIC}{each}") for each in names),
        *(
            iam.put_role_policy(RoleName="r", PolicyName=each, PolicyDocument=document)
            for each in names
        ),
        *(iam.tag_role(RoleName="r", Tags=[{"Key": each, "Value": ""}]) for each in names),
    )
    attached = (await iam.list_attached_role_policies(RoleName="r"))["AttachedPolicies"]
    assert [each["PolicyArn"] for each in attached] == [f"{BASIC}{each}" for each in names]
    assert (await iam.list_role_policies(RoleName="r"))["PolicyNames"] == names
    tags = (await iam.list_role_tags(RoleName="r"))["Tags"]
    assert [each["Key"] for each in tags] == names


async def test_lists_of_roles_come_by_the_page(iam: Client) -> None:
    for number in range(5):
        await made(iam, f"r{number}", Path="/odd/" if number % 2 else "/")
    pages = await iam.pages("list_roles", PaginationConfig={"PageSize": 2})
    assert [[role["RoleName"] for role in page["Roles"]] for page in pages] == [
        ["r0", "r1"],
        ["r2", "r3"],
        ["r4"],
    ]
    assert [page["IsTruncated"] for page in pages] == [True, True, False]
    odd = await iam.list_roles(PathPrefix="/odd/")
    assert [role["RoleName"] for role in odd["Roles"]] == ["r1", "r3"]


async def test_what_is_there_is_not_made_again(iam: Client) -> None:
    await made(iam)
    await made_policy(iam)
    role = await iam.refused(
        "create_role", RoleName="r", AssumeRolePolicyDocument=json.dumps(TRUST)
    )
    assert role == (409, "EntityAlreadyExists", "Role with name r already exists.")
    policy = await iam.refused("create_policy", PolicyName="p", PolicyDocument=json.dumps(ALLOW))
    assert policy[:2] == (409, "EntityAlreadyExists")


async def test_a_policy_from_its_making_to_its_end(iam: Client) -> None:
    await made(iam)
    arn = await made_policy(iam, Path="/apps/", Description="d")
    assert arn == f"arn:aws:iam::{ACCOUNT}:policy/apps/p"
    await iam.attach_role_policy(RoleName="r", PolicyArn=arn)
    found = (await iam.get_policy(PolicyArn=arn))["Policy"]
    assert (found["DefaultVersionId"], found["AttachmentCount"]) == ("v1", 1)
    assert found["PolicyId"].startswith("ANPA")
    assert (await iam.list_policies(Scope="Local"))["Policies"][0]["Arn"] == arn
    assert (await iam.list_policies(Scope="AWS"))["Policies"] == []
    assert (await iam.refused("delete_policy", PolicyArn=arn))[:2] == (409, "DeleteConflict")
    await iam.detach_role_policy(RoleName="r", PolicyArn=arn)
    await iam.delete_policy(PolicyArn=arn)
    refused = await iam.refused("get_policy", PolicyArn=arn)
    assert refused == (404, "NoSuchEntity", f"Policy {arn} was not found.")


async def test_a_policy_has_tags(iam: Client) -> None:
    arn = await made_policy(iam, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    await iam.tag_policy(PolicyArn=arn, Tags=[{"Key": "a", "Value": "3"}])
    await iam.untag_policy(PolicyArn=arn, TagKeys=["b"])
    tags = (await iam.list_policy_tags(PolicyArn=arn))["Tags"]
    assert tags == [{"Key": "a", "Value": "3"}]
    assert (await iam.get_policy(PolicyArn=arn))["Policy"]["Tags"] == tags


async def test_a_policy_has_versions(iam: Client) -> None:
    arn = await made_policy(iam)
    other = json.dumps({**ALLOW, "Id": "other"})
    version = await iam.create_policy_version(
        PolicyArn=arn, PolicyDocument=other, SetAsDefault=True
    )
    assert (
        version["PolicyVersion"]["VersionId"],
        version["PolicyVersion"]["IsDefaultVersion"],
    ) == (
        "v2",
        True,
    )
    found = await iam.get_policy_version(PolicyArn=arn, VersionId="v2")
    assert found["PolicyVersion"]["Document"] == json.loads(other)
    for _ in range(3):
        await iam.create_policy_version(PolicyArn=arn, PolicyDocument=other)
    listed = (await iam.list_policy_versions(PolicyArn=arn))["Versions"]
    assert [each["VersionId"] for each in listed] == ["v1", "v2", "v3", "v4", "v5"]
    sixth = await iam.refused("create_policy_version", PolicyArn=arn, PolicyDocument=other)
    assert sixth[:2] == (409, "LimitExceeded")
    default = await iam.refused("delete_policy_version", PolicyArn=arn, VersionId="v2")
    assert default[:2] == (409, "DeleteConflict")
    assert (await iam.refused("delete_policy", PolicyArn=arn))[:2] == (409, "DeleteConflict")
    for number in (1, 3, 4, 5):
        await iam.delete_policy_version(PolicyArn=arn, VersionId=f"v{number}")
    gone = await iam.refused("get_policy_version", PolicyArn=arn, VersionId="v1")
    assert gone[:2] == (404, "NoSuchEntity")
    await iam.delete_policy(PolicyArn=arn)


async def test_policies_of_aws_are_taken_to_be_there(iam: Client) -> None:
    found = (await iam.get_policy(PolicyArn=BASIC))["Policy"]
    assert (found["PolicyName"], found["Path"]) == ("AWSLambdaBasicExecutionRole", "/service-role/")
    version = await iam.get_policy_version(PolicyArn=BASIC, VersionId="v1")
    assert version["PolicyVersion"]["Document"]["Statement"] == []


async def test_a_policy_that_is_nowhere_is_not_attached(iam: Client) -> None:
    await made(iam)
    arn = f"arn:aws:iam::{ACCOUNT}:policy/none"
    refused = await iam.refused("attach_role_policy", RoleName="r", PolicyArn=arn)
    text = f"Policy {arn} does not exist or is not attachable."
    assert refused == (404, "NoSuchEntity", text)
    refused = await iam.refused("detach_role_policy", RoleName="r", PolicyArn=BASIC)
    assert refused[:2] == (404, "NoSuchEntity")


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ("{", "This policy contains invalid Json"),
        ("[]", "Syntax errors in policy."),
        ('{"Statement": [1]}', "Syntax errors in policy."),
        ('{"Statement": {"Effect": "May"}}', "Syntax errors in policy."),
        ('{"Statement": {"Effect": "Allow"}}', "Policy statement must contain actions."),
        (
            '{"Statement": {"Effect": "Allow", "Action": "*"}}',
            "Policy statement must contain resources.",
        ),
        (
            '{"Statement": {"Effect": "Allow", "Action": "*", "Principal": "*"}}',
            "Policy document should not specify a principal.",
        ),
    ],
)
async def test_what_is_no_policy_is_refused(iam: Client, document: str, text: str) -> None:
    refused = await iam.refused("create_policy", PolicyName="p", PolicyDocument=document)
    assert refused == (400, "MalformedPolicyDocument", text)


@pytest.mark.parametrize("field", ["Principal", "Resource"])
async def test_trust_is_of_somebody_and_in_nothing(iam: Client, field: str) -> None:
    statement: dict[str, object] = {"Effect": "Allow", "Action": "sts:AssumeRole"}
    if field == "Resource":
        statement |= {"Principal": "*", "Resource": "*"}
    refused = await iam.refused(
        "create_role",
        RoleName="r",
        AssumeRolePolicyDocument=json.dumps({"Statement": [statement]}),
    )
    assert refused[:2] == (400, "MalformedPolicyDocument")
    assert field in refused[2]


async def test_a_service_may_have_a_role_of_its_own(iam: Client) -> None:
    service = "replicator.lambda.amazonaws.com"
    role = (await iam.create_service_linked_role(AWSServiceName=service))["Role"]
    name = "AWSServiceRoleForReplicator"
    assert role["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/{service}/{name}"
    again = await iam.refused("create_service_linked_role", AWSServiceName=service)
    assert again[:2] == (400, "InvalidInput")


async def test_a_user_sees_himself_alone(world: World, iam: Client) -> None:
    user = (await iam.get_user())["User"]
    assert (user["UserName"], user["Arn"].rpartition("/")[2]) == (world.key[0], world.key[0])
    assert (await iam.get_user(UserName=world.key[0]))["User"] == user
    refused = await iam.refused("get_user", UserName="other")
    assert refused == (404, "NoSuchEntity", "The user with name other cannot be found.")


async def test_what_was_made_is_there_after_a_restart(tmp_path: Path) -> None:
    async with listening(tmp_path) as world:
        await made(world.client("iam"))
        arn = await made_policy(world.client("iam"))
        await world.client("iam").attach_role_policy(RoleName="r", PolicyArn=arn)
    async with listening(tmp_path) as world:
        iam = world.client("iam")
        assert (await iam.get_role(RoleName="r"))["Role"]["AssumeRolePolicyDocument"] == TRUST
        assert (await iam.get_policy(PolicyArn=arn))["Policy"]["AttachmentCount"] == 1
