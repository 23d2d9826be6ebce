"""What tests of the control API have in common: clients, and packages."""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import boto3
import botocore.config

from tests.e2e.project import Project

ROLE = "arn:aws:iam::123456789012:role/service-role"
ECHO = """
import os

def handler(event, context):
    return {
        "event": event,
        "version": context.function_version,
        "arn": context.invoked_function_arn,
        "said": os.environ.get("SAID"),
        "kind": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"],
    }
"""


def package(code: str = ECHO, name: str = "app.py") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        # A time of its own would make other bytes of the same code.
        archive.writestr(zipfile.ZipInfo(name), code)
    return buffer.getvalue()


def client(project: Project, service: str = "lambda") -> Any:
    return boto3.client(
        service,
        endpoint_url=project.url,
        region_name="us-east-1",
        aws_access_key_id=project.key[0],
        aws_secret_access_key=project.key[1],
        config=botocore.config.Config(
            retries={"total_max_attempts": 1},
            inject_host_prefix=False,  # the host is an address
        ),
    )


def create(lambdas: Any, name: str = "f", code: str = ECHO, **more: Any) -> Any:
    """A function that is ready to be called."""
    made = lambdas.create_function(
        **{
            "FunctionName": name,
            "Runtime": "python3.12",
            "Role": ROLE,
            "Handler": "app.handler",
            "Code": {"ZipFile": package(code)},
            **more,
        }
    )
    lambdas.get_waiter("function_active_v2").wait(FunctionName=name)
    return made


def call(lambdas: Any, name: str = "f", qualifier: str | None = None, event: Any = None) -> Any:
    """What a function answers."""
    more = {"Qualifier": qualifier} if qualifier else {}
    reply = lambdas.invoke(FunctionName=name, Payload=json.dumps(event).encode(), **more)
    answer = json.loads(reply["Payload"].read())
    assert "FunctionError" not in reply, answer
    return answer
