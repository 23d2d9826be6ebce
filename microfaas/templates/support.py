"""Which resources and events of a template can be had here, and why the others cannot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from microfaas.errors import Problem
from microfaas.templates.document import Document

# What stands for others, and is gone after the transform.
_SAM = frozenset(
    f"AWS::Serverless::{name}"
    for name in ("Api", "Connector", "Function", "HttpApi", "LayerVersion")
)
# What becomes something here.
MAPPED = frozenset(
    (
        "AWS::ApiGateway::RestApi",
        "AWS::ApiGatewayV2::Api",
        "AWS::Events::Rule",
        "AWS::Kinesis::Stream",
        "AWS::Lambda::Alias",
        "AWS::Lambda::EventInvokeConfig",
        "AWS::Lambda::EventSourceMapping",
        "AWS::Lambda::Function",
        "AWS::Lambda::LayerVersion",
        "AWS::Lambda::Permission",
        "AWS::Lambda::Url",
        "AWS::S3::Bucket",
        "AWS::SNS::Subscription",
        "AWS::SNS::Topic",
        "AWS::SQS::Queue",
        "AWS::Scheduler::Schedule",
    )
)
# What may stand there and asks for nothing: rights, logs, groups, the rest of what is mapped.
ACCEPTED = frozenset(
    (
        "AWS::ApiGateway::Account",
        "AWS::ApiGateway::Deployment",
        "AWS::ApiGateway::Stage",
        "AWS::ApiGatewayV2::Stage",
        "AWS::ApplicationInsights::Application",
        "AWS::CodeDeploy::Application",
        "AWS::CodeDeploy::DeploymentGroup",
        "AWS::IAM::ManagedPolicy",
        "AWS::IAM::Policy",
        "AWS::IAM::Role",
        "AWS::Lambda::Version",
        "AWS::Logs::LogGroup",
        "AWS::ResourceGroups::Group",
        "AWS::S3::BucketPolicy",
        "AWS::SNS::TopicPolicy",
        "AWS::SQS::QueuePolicy",
    )
)
EVENTS = frozenset(
    (
        "Api",
        "CloudWatchEvent",
        "DynamoDB",
        "EventBridgeRule",
        "HttpApi",
        "Kinesis",
        "S3",
        "SNS",
        "SQS",
        "Schedule",
        "ScheduleV2",
    )
)
_NO_TABLES = "microfaas has no tables; name a table of AWS's by its name in a parameter"
_OWN_ADDRESS = "requests come to the gateway's own address; leave its domain out"
_REASONS: Mapping[str, str] = MappingProxyType(
    {
        "AWS::DynamoDB::": _NO_TABLES,
        "DynamoDB": "microfaas has no tables; name the stream of one of AWS's by its ARN",
        "AWS::Serverless::SimpleTable": _NO_TABLES,
        "AWS::Serverless::Application": "microfaas has no nested applications; "
        "run that one's own template",
        "AWS::CloudFormation::": "microfaas has no nested stacks; run that one's own template",
        "AWS::Serverless::StateMachine": "microfaas has no state machines; "
        "chain the functions by queues or destinations",
        "AWS::StepFunctions::": "microfaas has no state machines; "
        "chain the functions by queues or destinations",
        "AWS::Cognito::": "microfaas has no user pools; check tokens in the function",
        "AWS::EC2::": "microfaas has no networks of AWS's; see the function's key network",
        "AWS::ApiGateway::DomainName": _OWN_ADDRESS,
        "AWS::ApiGatewayV2::DomainName": _OWN_ADDRESS,
        "AWS::ApiGateway": "routes come from the API's Body, or from the functions' events Api "
        "and HttpApi; write it so",
        "Cognito": "microfaas has no user pools",
        "MQ": "microfaas reads no broker; forward its messages to a queue",
        "MSK": "microfaas reads no broker; forward its records to a stream",
        "SelfManagedKafka": "microfaas reads no broker; forward its records to a stream",
        "CloudWatchLogs": "microfaas starts no function on log lines; let a stream follow a log",
    }
)
_NOT_HERE = "microfaas has no such thing; take it out of the template, or guard it by a condition"


def check(document: Document, resources: Mapping[str, Any], problems: list[Problem]) -> None:
    """Name each of `resources` that is not supported, and each event of a function that is not."""
    for logical_id, row in resources.items():
        kind = str(row.get("Type", ""))
        if kind not in _SAM | MAPPED | ACCEPTED:
            what = f"{kind} ({logical_id}): {_reason(kind)}"
            problems.append(Problem(document.place_of(logical_id), what))
        elif kind == "AWS::Serverless::Function":
            problems.extend(_events(document, logical_id, row))


def _events(document: Document, logical_id: str, row: Mapping[str, Any]) -> Iterator[Problem]:
    for name, event in (row.get("Properties", {}).get("Events") or {}).items():
        kind = event.get("Type", "") if isinstance(event, Mapping) else ""
        if kind not in EVENTS or (kind == "DynamoDB" and not _names_a_stream(event)):
            place = document.place_of(logical_id, "Properties", "Events", name)
            what = f"event {kind} ({logical_id}.{name}): {_reason(kind)}"
            yield Problem(place, what)


def _names_a_stream(event: Mapping[str, Any]) -> bool:
    """Whether it is the stream of a table elsewhere, and none of the template's own."""
    return isinstance((event.get("Properties") or {}).get("Stream"), str)


def _reason(kind: str) -> str:
    return next((why for known, why in _REASONS.items() if kind.startswith(known)), _NOT_HERE)
