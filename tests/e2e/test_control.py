"""Functions, versions and aliases through Lambda's own API, with boto3."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import urllib.error
import urllib.request
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e.control import ECHO, ROLE, call, client, create, package
from tests.e2e.project import Project, until

ARN = "arn:aws:lambda:us-east-1:123456789012:function:f"


@pytest.fixture
def lambdas(project: Project) -> Any:
    project.write("microfaas.toml", "")
    project.start()
    return client(project)


def refusal(caught: pytest.ExceptionInfo[ClientError]) -> tuple[str, int, str]:
    error = caught.value.response["Error"]
    status = caught.value.response["ResponseMetadata"]["HTTPStatusCode"]
    return error["Code"], status, error["Message"]


def test_a_function_comes_into_being_and_runs(lambdas: Any) -> None:
    data = package()
    made = create(lambdas, Environment={"Variables": {"SAID": "one"}}, Timeout=7, MemorySize=256)
    assert (made["State"], made["StateReasonCode"]) == ("Pending", "Creating")
    assert made["CodeSha256"] == base64.b64encode(hashlib.sha256(data).digest()).decode()
    assert (made["CodeSize"], made["Timeout"], made["MemorySize"]) == (len(data), 7, 256)
    assert made["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": "/aws/lambda/f"}
    assert call(lambdas, event={"a": 1}) == {
        "event": {"a": 1},
        "version": "$LATEST",
        "arn": ARN,
        "said": "one",
        "kind": "on-demand",
    }
    seen = lambdas.get_function_configuration(FunctionName="f")
    assert (seen["State"], seen["LastUpdateStatus"]) == ("Active", "Successful")
    assert "StateReason" not in seen


def test_its_package_can_be_fetched_by_who_has_the_link_alone(lambdas: Any) -> None:
    create(lambdas, Tags={"team": "one"})
    found = lambdas.get_function(FunctionName="f")
    assert found["Tags"] == {"team": "one"}
    link = found["Code"]["Location"]
    with urllib.request.urlopen(link) as reply:
        assert reply.read() == package()
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(link[:-4] + "beef")
    assert caught.value.code == 403


def test_new_code_and_settings_are_served_after_the_reply(lambdas: Any) -> None:
    create(lambdas)
    changed = lambdas.update_function_code(
        FunctionName="f", ZipFile=package(ECHO.replace('"said"', '"told"'))
    )
    assert changed["LastUpdateStatus"] == "InProgress"
    lambdas.get_waiter("function_updated_v2").wait(FunctionName="f")
    assert "told" in call(lambdas)
    lambdas.update_function_configuration(
        FunctionName="f", Environment={"Variables": {"SAID": "two"}}, Description="second"
    )
    lambdas.get_waiter("function_updated_v2").wait(FunctionName="f")
    assert call(lambdas)["told"] == "two"
    assert lambdas.get_function_configuration(FunctionName="f")["Description"] == "second"


def test_versions_stay_what_they_were(lambdas: Any) -> None:
    create(lambdas, Environment={"Variables": {"SAID": "one"}})
    first = lambdas.publish_version(FunctionName="f", Description="the first")
    assert (first["Version"], first["FunctionArn"]) == ("1", f"{ARN}:1")
    assert lambdas.publish_version(FunctionName="f")["Version"] == "1"
    lambdas.update_function_configuration(
        FunctionName="f", Environment={"Variables": {"SAID": "two"}}
    )
    assert lambdas.publish_version(FunctionName="f")["Version"] == "2"
    assert [call(lambdas, qualifier=q)["said"] for q in ("1", "2", "$LATEST")] == [
        "one",
        "two",
        "two",
    ]
    versions = lambdas.list_versions_by_function(FunctionName="f")["Versions"]
    assert [each["Version"] for each in versions] == ["$LATEST", "1", "2"]
    assert versions[1]["Description"] == "the first"
    lambdas.delete_function(FunctionName="f", Qualifier="2")
    lambdas.update_function_configuration(FunctionName="f", Timeout=4)
    assert lambdas.publish_version(FunctionName="f")["Version"] == "3"


def test_an_alias_leads_to_its_versions(lambdas: Any) -> None:
    create(lambdas, Publish=True)
    lambdas.update_function_configuration(FunctionName="f", Timeout=5)
    lambdas.publish_version(FunctionName="f")
    made = lambdas.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    assert made["AliasArn"] == f"{ARN}:live"
    answer = call(lambdas, qualifier="live")
    assert (answer["version"], answer["arn"]) == ("1", f"{ARN}:live")
    lambdas.update_alias(
        FunctionName="f",
        Name="live",
        RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}},
    )
    seen = {call(lambdas, qualifier="live")["version"] for _ in range(60)}
    assert seen == {"1", "2"}
    reply = lambdas.invoke(FunctionName="f", Qualifier="live")
    assert reply["ExecutedVersion"] == json.loads(reply["Payload"].read())["version"]
    streamed = lambdas.invoke_with_response_stream(FunctionName="f", Qualifier="live")
    assert streamed["ExecutedVersion"] in ("1", "2")
    lambdas.delete_alias(FunctionName="f", Name="live")
    with pytest.raises(ClientError) as caught:
        call(lambdas, qualifier="live")
    assert refusal(caught) == (
        "ResourceNotFoundException",
        404,
        f"Function not found: {ARN}:live",
    )


def test_everything_is_there_after_kill_9(project: Project, lambdas: Any) -> None:
    create(lambdas, Environment={"Variables": {"SAID": "one"}}, Publish=True)
    lambdas.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    lambdas.update_function_configuration(
        FunctionName="f", Environment={"Variables": {"SAID": "two"}}
    )
    before = lambdas.get_function_configuration(FunctionName="f")
    project.kill()
    project.start()
    again = client(project)
    after = again.get_function_configuration(FunctionName="f")
    del before["ResponseMetadata"], after["ResponseMetadata"]
    assert after == before
    assert call(again)["said"] == "two"
    assert call(again, qualifier="live")["said"] == "one"


def test_nothing_is_left_of_what_is_deleted(project: Project, lambdas: Any) -> None:
    create(lambdas, Publish=True)
    lambdas.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    lambdas.delete_function(FunctionName="f")
    for qualifier in ("$LATEST", "1", "live"):
        with pytest.raises(ClientError) as caught:
            call(lambdas, qualifier=qualifier)
        assert refusal(caught)[0] == "ResourceNotFoundException"
    assert lambdas.list_functions()["Functions"] == []
    assert create(lambdas)["Version"] == "$LATEST"
    assert lambdas.list_aliases(FunctionName="f")["Aliases"] == []
    assert lambdas.publish_version(FunctionName="f")["Version"] == "1"


def test_packages_and_code_of_nobody_are_forgotten(project: Project, lambdas: Any) -> None:
    create(lambdas, Publish=True)
    other = ECHO.replace('"said"', '"told"')
    lambdas.update_function_code(FunctionName="f", ZipFile=package(other))
    for path in (project.data / "packages").iterdir():
        os.utime(path, (1, 1))
    lambdas.update_function_code(FunctionName="f", ZipFile=package(other + "# again"))
    kept = [package(), package(other + "# again")]
    assert {path.name for path in (project.data / "packages").iterdir()} == {
        f"{hashlib.sha256(data).hexdigest()}.zip" for data in kept
    }
    assert "told" in call(lambdas)
    assert "said" in call(lambdas, qualifier="1")
    lambdas.delete_function(FunctionName="f")
    for path in (project.data / "packages").iterdir():
        os.utime(path, (1, 1))
    create(lambdas, "g")
    lambdas.update_function_configuration(FunctionName="g", Timeout=9)
    until(lambda: len(list((project.data / "packages").iterdir())) == 1, "one package")


REFUSALS = [
    ("get_function", {"FunctionName": "g"}, "ResourceNotFoundException", 404,
     "Function not found: arn:aws:lambda:us-east-1:123456789012:function:g"),
    ("get_function", {"FunctionName": "f", "Qualifier": "10"}, "ResourceNotFoundException", 404,
     f"Function not found: {ARN}:10"),
    ("get_function", {"FunctionName": "f:1", "Qualifier": "2"}, "InvalidParameterValueException",
     400, "The derived qualifier from the function name does not match the specified qualifier."),
    ("get_function", {"FunctionName": ARN.replace("us-east-1", "eu-west-1")},
     "ResourceNotFoundException", 404,
     "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')"),
    ("delete_function", {"FunctionName": "f", "Qualifier": "$LATEST"},
     "InvalidParameterValueException", 400,
     "$LATEST version cannot be deleted without deleting the function."),
    ("delete_function", {"FunctionName": "f", "Qualifier": "1"}, "ResourceConflictException", 409,
     "Unable to delete version because the following aliases reference it: [live]"),
    ("publish_version", {"FunctionName": "f", "RevisionId": "other"},
     "PreconditionFailedException", 412,
     "The Revision Id provided does not match the latest Revision Id. Call the "
     "GetFunction/GetAlias API to retrieve the latest Revision Id"),
    ("create_alias", {"FunctionName": "f", "Name": "live", "FunctionVersion": "1"},
     "ResourceConflictException", 409, f"Alias already exists: {ARN}:live"),
    ("create_alias", {"FunctionName": "f", "Name": "new", "FunctionVersion": "7"},
     "ResourceNotFoundException", 404, f"Function not found: {ARN}:7"),
    ("create_alias", {"FunctionName": "f", "Name": "new", "FunctionVersion": "1",
                      "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.5}}},
     "InvalidParameterValueException", 400,
     "Invalid function version 1. Function version 1 is already included in routing "
     "configuration."),
    ("create_alias", {"FunctionName": "f", "Name": "new", "FunctionVersion": "$LATEST",
                      "RoutingConfig": {"AdditionalVersionWeights": {"1": 0.5}}},
     "InvalidParameterValueException", 400,
     "$LATEST is not supported for an alias pointing to more than 1 version"),
    ("get_alias", {"FunctionName": "f", "Name": "new"}, "ResourceNotFoundException", 404,
     f"Cannot find alias arn: {ARN}:new"),
    ("update_alias", {"FunctionName": "f", "Name": "new"}, "ResourceNotFoundException", 404,
     f"Alias not found: {ARN}:new"),
    ("update_function_code", {"FunctionName": "f", "ZipFile": b"no archive"},
     "InvalidParameterValueException", 400,
     "Could not unzip uploaded file. Please check your file, then try to upload again."),
    ("update_function_code", {"FunctionName": "f", "S3Bucket": "none", "S3Key": "a.zip"},
     "InvalidParameterValueException", 400,
     "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The "
     "specified bucket does not exist"),
    ("update_function_configuration",
     {"FunctionName": "f", "Environment": {"Variables": {"AWS_REGION": "mars"}}},
     "InvalidParameterValueException", 400,
     "Lambda was unable to configure your environment variables because the environment "
     "variables you have provided contains reserved keys that are currently not supported for "
     "modification. Reserved keys used in this request: AWS_REGION"),
]  # fmt: skip


def test_what_cannot_be_is_refused_in_lambdas_words(lambdas: Any) -> None:
    create(lambdas, Publish=True)
    lambdas.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    for operation, params, *expected in REFUSALS:
        with pytest.raises(ClientError) as caught:
            getattr(lambdas, operation)(**params)
        assert refusal(caught) == tuple(expected), operation
    with pytest.raises(ClientError) as caught:
        create(lambdas)
    assert refusal(caught) == ("ResourceConflictException", 409, "Function already exist: f")


def test_the_environment_has_a_limit(lambdas: Any) -> None:
    create(lambdas)
    variables = {"SMALL": "ok", "LARGE": "x" * 4096}
    with pytest.raises(ClientError) as caught:
        lambdas.update_function_configuration(
            FunctionName="f", Environment={"Variables": variables}
        )
    assert refusal(caught)[2].endswith(json.dumps(variables, separators=(",", ":")))


def test_a_package_may_come_from_a_local_bucket(project: Project) -> None:
    project.write("app.py", "def handler(event, context):\n    return None\n")
    (project.root / "artifacts").mkdir()
    (project.root / "artifacts" / "f.zip").write_bytes(package())
    project.write(
        "microfaas.toml",
        "[functions.watcher]\n[[functions.watcher.triggers]]\n"
        'type = "bucket"\npath = "artifacts"\n',
    )
    project.start()
    lambdas = client(project)
    create(lambdas, Code={"S3Bucket": "artifacts", "S3Key": "f.zip"})
    assert call(lambdas)["version"] == "$LATEST"
    for key in ("../microfaas.toml", "nothing.zip"):
        with pytest.raises(ClientError) as caught:
            lambdas.update_function_code(FunctionName="f", S3Bucket="artifacts", S3Key=key)
        assert "S3 Error Code: NoSuchKey" in refusal(caught)[2]


def file_project(project: Project, *arguments: str) -> Any:
    project.write("app.py", ECHO)
    project.write("microfaas.toml", "[functions.f]\ntimeout_s = 2.5\n")
    project.start(*arguments)
    return client(project)


def test_what_a_file_says_is_not_changed_by_the_api(project: Project) -> None:
    lambdas = file_project(project)
    seen = lambdas.get_function_configuration(FunctionName="f")
    assert (seen["Handler"], seen["Timeout"], seen["State"]) == ("app.handler", 3, "Active")
    for change in (
        lambda: lambdas.update_function_code(FunctionName="f", ZipFile=package()),
        lambda: lambdas.update_function_configuration(FunctionName="f", Timeout=4),
        lambda: lambdas.delete_function(FunctionName="f"),
    ):
        with pytest.raises(ClientError) as caught:
            change()
        code, status, text = refusal(caught)
        assert (code, status) == ("ResourceConflictException", 409)
        assert "--adopt" in text
    # What is beside it may be added, and outlives a restart.
    assert lambdas.publish_version(FunctionName="f")["Version"] == "1"
    lambdas.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    project.write("app.py", "def handler(event, context):\n    return 'new'\n")
    until(lambda: call(lambdas) == "new", "the new code")
    assert call(lambdas, qualifier="live")["version"] == "1"
    project.kill()
    project.start()
    assert call(client(project), qualifier="live")["version"] == "1"
    assert call(client(project)) == "new"


def test_what_a_file_says_may_be_adopted(project: Project) -> None:
    lambdas = file_project(project, "--adopt")
    lambdas.update_function_configuration(
        FunctionName="f", Environment={"Variables": {"SAID": "mine"}}
    )
    assert call(lambdas)["said"] == "mine"
    # The file's is passed over from now on, with and without the option.
    project.write("app.py", "def handler(event, context):\n    return 'new'\n")
    project.kill()
    project.start()
    lambdas = client(project)
    assert call(lambdas)["said"] == "mine"
    lambdas.update_function_configuration(FunctionName="f", Timeout=9)
    lambdas.delete_function(FunctionName="f")
    project.kill()
    project.start()
    assert call(client(project)) == "new"


def test_a_file_does_not_take_the_name_of_an_apis_function(project: Project) -> None:
    project.write("microfaas.toml", "")
    project.start()
    create(client(project))
    assert project.stop() == 0
    project.write("app.py", ECHO)
    project.write("microfaas.toml", "[functions.f]\n")
    with pytest.raises(AssertionError, match="the API has made a function of that name"):
        project.start()


def test_strictly_a_change_shows_as_in_progress(project: Project) -> None:
    project.write("microfaas.toml", "[api]\nstrict = true\nupdate_s = 6\n")
    project.start()
    lambdas = client(project)
    made = create(lambdas, Environment={"Variables": {"SAID": "one"}})
    assert call(lambdas)["said"] == "one"
    changed = lambdas.update_function_configuration(
        FunctionName="f", Environment={"Variables": {"SAID": "two"}}
    )
    seen = lambdas.get_function_configuration(FunctionName="f")
    assert seen["LastUpdateStatus"] == "InProgress"
    assert seen["RevisionId"] == changed["RevisionId"] != made["RevisionId"]
    assert call(lambdas)["said"] == "one"
    with pytest.raises(ClientError) as caught:
        lambdas.update_function_code(FunctionName="f", ZipFile=package())
    assert refusal(caught) == (
        "ResourceConflictException",
        409,
        "The operation cannot be performed at this time. An update is in progress for "
        f"resource: {ARN}",
    )
    lambdas.get_waiter("function_updated_v2").wait(FunctionName="f")
    until(lambda: call(lambdas)["said"] == "two", "the change")
    with pytest.raises(ClientError) as caught:
        create(lambdas, "old", Runtime="python3.7")
    assert refusal(caught)[2].startswith("The runtime parameter of python3.7 is no longer")
    assert seen["Role"] == ROLE


def test_strictly_an_update_may_publish_what_it_makes(project: Project) -> None:
    project.write("microfaas.toml", "[api]\nstrict = true\nupdate_s = 6\n")
    project.start()
    lambdas = client(project)
    create(lambdas)
    made = lambdas.update_function_code(FunctionName="f", ZipFile=package(), Publish=True)
    assert made["Version"] == "1"
    with pytest.raises(ClientError, match="An update is in progress"):
        lambdas.publish_version(FunctionName="f")


def test_lists_come_by_the_page(lambdas: Any) -> None:
    names = ["f", "f-a", "f1", "f2", "f3"]
    for name in names:
        create(lambdas, name, Publish=True)

    def pages(**more: Any) -> list[list[str]]:
        found = lambdas.get_paginator("list_functions").paginate(
            PaginationConfig={"PageSize": 2}, **more
        )
        return [[f["FunctionName"] for f in each["Functions"]] for each in found]

    assert pages() == [names[:2], names[2:4], names[4:]]
    assert pages(FunctionVersion="ALL") == [[name] * 2 for name in names]
