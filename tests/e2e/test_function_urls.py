"""Function URLs through AWS's client: their configuration, aliases, restarts, and TLS aside."""

from __future__ import annotations

import http.client
import json
import re
import sys
from typing import Any
from urllib.parse import urlsplit

import botocore.exceptions
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.e2e.control import client, create
from tests.e2e.project import Project
from tests.e2e.test_access import create as create_key

ARN = "arn:aws:lambda:us-east-1:123456789012:function:f"
GONE = "The resource you requested does not exist."
CALLER = """
import http.client
import os
from urllib.parse import urlsplit

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.session import Session

def handler(event, context):
    asked = AWSRequest("GET", event["url"])
    SigV4Auth(Session().get_credentials(), "lambda", os.environ["AWS_REGION"]).add_auth(asked)
    gateway = urlsplit(os.environ["AWS_ENDPOINT_URL_LAMBDA"])
    connection = http.client.HTTPConnection(gateway.hostname, gateway.port)
    headers = {**dict(asked.headers), "Host": urlsplit(event["url"]).netloc}
    connection.request("GET", "/", headers=headers)
    return connection.getresponse().status
"""
PATTERN = r"((?!^\d+$)^[0-9a-zA-Z-_]+$)"


@pytest.fixture
def lambdas(project: Project) -> Any:
    project.write("microfaas.toml", "")
    project.start()
    made = client(project)
    create(made)
    return made


def told(reply: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in reply.items() if key != "ResponseMetadata"}


def refused(call: Any, **params: Any) -> tuple[str, str]:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**params)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def permit(lambdas: Any, **more: str) -> None:
    lambdas.add_permission(
        FunctionName="f",
        StatementId="url",
        Action="lambda:InvokeFunctionUrl",
        Principal="*",
        FunctionUrlAuthType="NONE",
        **more,
    )


def get(url: str, path: str = "/", **headers: str) -> tuple[int, Any]:
    place = urlsplit(url)
    connection = http.client.HTTPConnection("127.0.0.1", place.port, timeout=60)
    connection.request("GET", path, headers={"Host": place.netloc, **headers})
    reply = connection.getresponse()
    status, body = reply.status, json.loads(reply.read())
    connection.close()
    return status, body


def test_a_configuration_from_its_making_to_its_end(lambdas: Any, project: Project) -> None:
    made = told(lambdas.create_function_url_config(FunctionName="f", AuthType="NONE"))
    port = urlsplit(project.url).port
    url = made.pop("FunctionUrl")
    host = r"[0-9a-z]{32}\.lambda-url\.us-east-1\.localhost"
    assert re.fullmatch(rf"http://{host}:{port}/", url)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", made.pop("CreationTime"))
    assert made == {"AuthType": "NONE", "FunctionArn": ARN}

    assert refused(lambdas.create_function_url_config, FunctionName="f", AuthType="NONE") == (
        "ResourceConflictException",
        f"Failed to create function url config for [functionArn = {ARN}]. Error message:  "
        "FunctionUrlConfig exists for this Lambda function",
    )
    got = lambdas.get_function_url_config(FunctionName="f")
    assert (got["FunctionUrl"], got["InvokeMode"]) == (url, "BUFFERED")
    assert got["LastModifiedTime"] == got["CreationTime"]

    cors = {"AllowOrigins": ["https://a.example"], "MaxAge": 5}
    changed = told(
        lambdas.update_function_url_config(FunctionName="f", AuthType="AWS_IAM", Cors=cors)
    )
    assert (changed["AuthType"], changed["Cors"], changed["FunctionUrl"]) == ("AWS_IAM", cors, url)
    assert "InvokeMode" not in changed
    stream = lambdas.update_function_url_config(FunctionName="f", InvokeMode="RESPONSE_STREAM")
    assert stream["InvokeMode"] == "RESPONSE_STREAM"
    lambdas.update_function_url_config(FunctionName="f")
    kept = lambdas.get_function_url_config(FunctionName="f")
    assert (kept["InvokeMode"], kept["AuthType"], kept["Cors"]) == (
        *("RESPONSE_STREAM", "AWS_IAM", cors),
    )

    lambdas.delete_function_url_config(FunctionName="f")
    assert refused(lambdas.get_function_url_config, FunctionName="f") == (
        *("ResourceNotFoundException", GONE),
    )
    assert get(url) == (403, {"Message": None})


def test_what_has_no_configuration(lambdas: Any) -> None:
    lambdas.publish_version(FunctionName="f")
    creating, missing = lambdas.create_function_url_config, "ResourceNotFoundException"
    for params in ({"FunctionName": "no"}, {"FunctionName": "f", "Qualifier": "no"}):
        assert refused(creating, **params, AuthType="NONE") == (missing, "Function does not exist")
        for call in (lambdas.get_function_url_config, lambdas.delete_function_url_config):
            assert refused(call, **params) == (missing, GONE)
        assert refused(lambdas.update_function_url_config, **params) == (missing, GONE)
    assert refused(lambdas.list_function_url_configs, FunctionName="no") == (
        *(missing, "Function does not exist"),
    )


@pytest.mark.parametrize(
    "params",
    [
        {"FunctionName": "f", "Qualifier": "1"},
        {"FunctionName": "f", "Qualifier": "$LATEST"},
    ],
)
def test_neither_versions_nor_latest_have_urls(lambdas: Any, params: dict[str, str]) -> None:
    value = params["Qualifier"]
    assert refused(lambdas.create_function_url_config, AuthType="NONE", **params) == (
        "ValidationException",
        f"1 validation error detected: Value '{value}' at 'qualifier' failed to satisfy "
        f"constraint: Member must satisfy regular expression pattern: {PATTERN}",
    )


def test_modes_are_those_of_aws(lambdas: Any) -> None:
    assert refused(
        *(lambdas.create_function_url_config,),
        FunctionName="f",
        AuthType="NONE",
        InvokeMode="UNKNOWN",
    ) == (
        "ValidationException",
        "1 validation error detected: Value 'UNKNOWN' at 'invokeMode' failed to satisfy "
        "constraint: Member must satisfy enum value set: [RESPONSE_STREAM, BUFFERED]",
    )


def test_lists_by_the_page(lambdas: Any) -> None:
    lambdas.publish_version(FunctionName="f")
    assert lambdas.list_function_url_configs(FunctionName="f")["FunctionUrlConfigs"] == []
    lambdas.create_function_url_config(FunctionName="f", AuthType="NONE")
    for alias in ("-", "live"):
        lambdas.create_alias(FunctionName="f", Name=alias, FunctionVersion="1")
        lambdas.create_function_url_config(FunctionName="f", Qualifier=alias, AuthType="NONE")
    pages = lambdas.get_paginator("list_function_url_configs")
    rows = [
        row
        for page in pages.paginate(FunctionName="f", PaginationConfig={"PageSize": 1})
        for row in page["FunctionUrlConfigs"]
    ]
    assert [row["FunctionArn"] for row in rows] == [ARN, f"{ARN}:-", f"{ARN}:live"]


def test_an_aliases_url_calls_its_version(lambdas: Any) -> None:
    lambdas.publish_version(FunctionName="f")
    lambdas.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    url = lambdas.create_function_url_config(FunctionName="f", Qualifier="live", AuthType="NONE")[
        "FunctionUrl"
    ]
    permit(lambdas)
    assert get(url)[0] == 403  # that was the function's own policy
    permit(lambdas, Qualifier="live")
    status, answer = get(url, "/a?b=c")
    assert (status, answer["version"], answer["arn"]) == (200, "1", f"{ARN}:live")
    assert answer["event"]["rawPath"] == "/a"


def test_urls_outlive_the_server(lambdas: Any, project: Project) -> None:
    url = lambdas.create_function_url_config(FunctionName="f", AuthType="NONE")["FunctionUrl"]
    permit(lambdas)
    assert get(url)[0] == 200
    project.kill()
    project.start()
    moved = re.sub(r":\d+/$", f":{urlsplit(project.url).port}/", url)
    assert get(moved)[0] == 200
    client(project).delete_function(FunctionName="f")
    assert get(moved) == (403, {"Message": None})


def test_keys_sign_requests(project: Project) -> None:
    project.write("microfaas.toml", "auth = true\n")
    project.start()
    project.key = create_key(project, "admin")
    lambdas = client(project)
    create(lambdas)
    url = lambdas.create_function_url_config(FunctionName="f", AuthType="AWS_IAM")["FunctionUrl"]

    def signed(key: tuple[str, str]) -> tuple[int, Any]:
        asked = AWSRequest("GET", url)
        SigV4Auth(Credentials(*key), "lambda", "us-east-1").add_auth(asked)
        return get(url, **dict(asked.headers))

    mine = create_key(project, "invoke:f")
    status, answer = signed(mine)
    assert (status, answer["event"]["requestContext"]["authorizer"]["iam"]["accessKey"]) == (
        *(200, mine[0]),
    )
    assert signed(create_key(project, "invoke:g,read"))[0] == 403
    assert signed((mine[0], "s" * 40))[0] == 403
    assert get(url)[0] == 403


@pytest.mark.parametrize("auth", ["true", "false"])
def test_functions_sign_with_their_own_keys(project: Project, auth: str) -> None:
    project.write("caller.py", CALLER)
    table = f"""
auth = {auth}
[functions.caller]
handler = "caller.handler"
interpreter = {json.dumps(sys.executable)}
memory_mb = 256
timeout_s = 60
init_timeout_s = 60
"""
    project.write("microfaas.toml", table)
    project.start()
    project.key = create_key(project, "admin")
    lambdas = client(project)
    create(lambdas)
    url = lambdas.create_function_url_config(FunctionName="f", AuthType="AWS_IAM")["FunctionUrl"]
    assert get(url)[0] == 403
    assert project.invoke("caller", {"url": url}) == 200
