"""AWS SAM templates: served, and deployed to a gateway that runs."""

from __future__ import annotations

import json
import shutil
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.e2e.project import Project, until

EXAMPLE = Path(__file__).parents[2] / "examples" / "sam-orders"
TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Parameters:
  Greeting: {Type: String, Default: hello}
Resources:
  Failed: {Type: AWS::SQS::Queue}
  Jobs:
    Type: AWS::SQS::Queue
    Properties:
      RedrivePolicy: {deadLetterTargetArn: !GetAtt Failed.Arn, maxReceiveCount: 3}
  News: {Type: AWS::SNS::Topic}
  Forward:
    Type: AWS::SNS::Subscription
    Properties:
      TopicArn: !Ref News
      Protocol: sqs
      Endpoint: !GetAtt Jobs.Arn
      RawMessageDelivery: true
  Clicks: {Type: AWS::Kinesis::Stream, Properties: {ShardCount: 2, RetentionPeriodHours: 48}}
  Shared: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: shared}}
  Work:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: work
      Handler: app.handler
      Runtime: python3.12
      Layers: [!Ref Shared]
      AutoPublishAlias: live
      FunctionUrlConfig: {AuthType: NONE}
      ReservedConcurrentExecutions: 2
      EventInvokeConfig:
        MaximumRetryAttempts: 1
        DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt Failed.Arn}}
      Environment: {Variables: {GREETING: !Ref Greeting, QUEUE: !Ref Jobs}}
      Events:
        Jobs: {Type: SQS, Properties: {Queue: !GetAtt Jobs.Arn}}
        Clicks:
          Type: Kinesis
          Properties: {Stream: !GetAtt Clicks.Arn, StartingPosition: TRIM_HORIZON}
        Often: {Type: Schedule, Properties: {Schedule: rate(1 day)}}
        Ask: {Type: HttpApi, Properties: {Path: "/ask/{who}", Method: get}}
"""
CODE = """\
import os
import shared

def handler(event, context):
    who = event.get("pathParameters", {}).get("who", shared.WHO)
    for record in event.get("Records", []):
        print("got", record.get("body", "a record"))
    return {"said": f"{os.environ['GREETING']}, {who}", "queue": os.environ["QUEUE"]}
"""


def get(url: str, host: str = "") -> Any:
    request = urllib.request.Request(url, headers={"Host": host} if host else {})
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)


def test_the_example_is_served(project: Project) -> None:
    shutil.copytree(EXAMPLE, project.root, dirs_exist_ok=True)
    project.start("--parameter", "Stage=prod", path="template.yaml")
    assert project.invoke("Report", {"time": "now"}) == {"stage": "prod", "at": "now"}
    order = json.dumps({"item": "keyboard", "count": 3}).encode()
    with urllib.request.urlopen(f"{project.url}/http/quotes", order) as reply:
        assert json.load(reply) == {"total": 149.7}
    shutil.copy(project.root / "orders.csv", project.root / "buckets" / "orders-incoming")
    for what in ("1 x cable", "3 x keyboard"):
        until(lambda what=what: f"shipped {what}" in project.log("Ship"), f"the shipping of {what}")


def test_code_of_a_served_template_is_reloaded(project: Project) -> None:
    shutil.copytree(EXAMPLE, project.root, dirs_exist_ok=True)
    project.start(path="template.yaml")
    assert project.invoke("Report")["stage"] == "test"

    def is_new() -> bool:
        # Just after the start nobody may be watching yet.
        project.write("report/app.py", "def handler(event, context):\n    return 'changed'\n")
        return bool(project.invoke("Report") == "changed")

    until(is_new, "the new code")


def test_what_cannot_be_had_is_told_before_anything_is_made(project: Project) -> None:
    table = "  Table: {Type: AWS::DynamoDB::Table}\n"
    project.write("template.yaml", f"{TEMPLATE}{table}")
    done = project.cli("run", "template.yaml")
    assert done.returncode == 2
    line = TEMPLATE.count("\n") + 1
    told = f"template.yaml:{line}: AWS::DynamoDB::Table (Table): microfaas has no tables"
    assert told in done.stderr.decode()
    assert sorted(path.name for path in project.root.iterdir()) == ["template.yaml"]


@pytest.fixture
def gateway(project: Project) -> Project:
    """A gateway without functions, and a template beside it."""
    project.write("microfaas.toml", "")
    project.write("shop/template.yaml", TEMPLATE)
    project.write("shop/work/app.py", CODE)
    project.write("shop/shared/python/shared.py", "WHO = 'world'\n")
    project.start()
    return project


def deploy(project: Project, *arguments: str, path: str = "shop/template.yaml") -> list[Any]:
    """The changes."""
    done = project.cli("deploy", path, "--json", *arguments)
    assert done.returncode == 0, done.stderr.decode()
    return [(row["did"], row["kind"], row["name"]) for row in json.loads(done.stdout)["changes"]]


def test_a_template_is_deployed(gateway: Project) -> None:
    made = deploy(gateway)
    assert {row[1:] for row in made} >= {
        ("queue", "Jobs"),
        ("topic", "News"),
        ("subscription", "News"),
        ("stream", "Clicks"),
        ("layer", "shared"),
        ("function", "Work"),
        ("event settings", "Work"),
        ("concurrency", "Work"),
        ("triggers", "Work"),
        ("alias", "Work:live"),
        ("url", "Work:live"),
    }
    queue = f"{gateway.url}/123456789012/Jobs"
    assert gateway.invoke("Work") == {"said": "hello, world", "queue": queue}
    assert gateway.invoke("Work:live")["said"] == "hello, world"
    fired = get(f"{gateway.url}/_microfaas/v1/functions/Work/triggers")["triggers"]
    assert [row["qualifier"] for row in fired] == ["live"] * 4
    assert get(f"{gateway.url}/http/ask/Ada")["said"] == "hello, Ada"
    lambdas = gateway.lambda_client()
    url = lambdas.get_function_url_config(FunctionName="Work", Qualifier="live")["FunctionUrl"]
    # No name server knows the host.
    assert get(gateway.url, host=urlsplit(url).netloc)["said"] == "hello, world"
    assert gateway.cli("queue", "send", "Jobs", "-d", "a parcel").returncode == 0
    until(lambda: "got a parcel" in gateway.log("Work"), "the message")
    assert deploy(gateway) == []


def test_only_what_changed_is_deployed(gateway: Project) -> None:
    deploy(gateway)
    gateway.write("shop/work/app.py", CODE.replace('"said"', '"told"'))
    assert deploy(gateway, "--dry-run", "--parameter", "Greeting=hi") == [
        ("changed", "function", "Work"),
        ("changed", "function", "Work"),
    ]
    assert gateway.invoke("Work")["said"] == "hello, world"
    assert deploy(gateway, "--parameter", "Greeting=hi") == [
        ("changed", "function", "Work"),
        ("changed", "function", "Work"),
        ("changed", "alias", "Work:live"),
    ]
    assert gateway.invoke("Work:live")["told"] == "hi, world"


def test_a_deployment_outlives_a_restart(gateway: Project) -> None:
    deploy(gateway)
    gateway.stop()
    gateway.start()
    assert gateway.invoke("Work:live")["said"] == "hello, world"
    assert get(f"{gateway.url}/http/ask/Ada")["said"] == "hello, Ada"


def test_a_project_is_deployed(gateway: Project) -> None:
    gateway.write(
        "own/microfaas.toml",
        '[queues.jobs]\n[functions.work]\nenvironment = { SAID = "yes" }\n'
        'on_failure = "queue:jobs"\n[[functions.work.triggers]]\ntype = "queue"\nqueue = "jobs"\n',
    )
    gateway.write(
        "own/app.py", "import os\ndef handler(event, context):\n    return os.environ['SAID']\n"
    )
    made = deploy(gateway, "--alias", "live", path="own")
    assert ("created", "alias", "work:live") in made
    assert gateway.invoke("work:live") == "yes"
    assert deploy(gateway, "--alias", "live", path="own") == []
    assert deploy(gateway, "--function", "work", path="own") == []
