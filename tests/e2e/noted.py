"""A project whose function notes what it gets, and AWS's clients of its server."""

from __future__ import annotations

import json
import os
import subprocess
from datetime import datetime
from typing import Any

import boto3
import botocore.config
import botocore.exceptions
import pytest

from tests.e2e.project import BIN, Project, until

# Notes each event in a file of its own, by the request id.
APP = """import json, os
def handler(event, context):
    with open(os.path.join(os.environ["OUT"], context.aws_request_id), "w") as file:
        json.dump(event, file)
"""
FUNCTION = """[functions.app]
timeout_s = 30
mounts = { OUT = { path = "out", write = true } }
"""
ROLE = "arn:aws:iam::123456789012:role/scheduler"
ARN = "arn:aws:lambda:us-east-1:123456789012:function:app"


class Noted:
    """A project whose function notes what it gets."""

    def __init__(self, project: Project, extra: str = "") -> None:
        self.project = project
        self.out = project.root / "out"
        self.out.mkdir()
        project.write("app.py", APP)
        project.write("microfaas.toml", FUNCTION + extra)
        project.start()

    def events(self) -> list[Any]:
        texts = [path.read_text() for path in self.out.iterdir()]
        return [json.loads(text) for text in texts if text]

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.project.url,
            region_name="us-east-1",
            aws_access_key_id="x",
            aws_secret_access_key="x",
            config=botocore.config.Config(retries={"max_attempts": 0}),
        )

    def aws(self, *arguments: str) -> Any:
        """What the aws CLI says."""
        environment = {
            **os.environ,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_PAGER": "",
        }
        done = subprocess.run(
            [BIN / "aws", "--endpoint-url", self.project.url, "--output", "json", *arguments],
            capture_output=True,
            env=environment,
            check=True,
        )
        return json.loads(done.stdout) if done.stdout.strip() else None

    def one(self) -> Any:
        """The only event there is, or will be soon."""
        until(self.events, "an event")
        [event] = self.events()
        return event


def error_of(call: Any, **params: Any) -> tuple[str, str]:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call(**params)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def schedule(extra: str = "") -> str:
    return (
        f'[[functions.app.triggers]]\ntype = "schedule"\nexpression = "rate(1 second)"\n{extra}\n'
    )


def moment(event: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(event["time"])
