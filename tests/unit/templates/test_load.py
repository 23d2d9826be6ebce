"""Whole templates: what they come to, and what of them cannot be had."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from template_world import Load, sam

from microfaas.errors import ConfigError
from microfaas.templates.stack import Alias, FunctionUrl
from microfaas.triggers import table

FUNCTION = """\
Type: AWS::Serverless::Function
Properties:
  CodeUri: src
  Handler: app.handler
  Runtime: python3.12
"""


def function(name: str = "Orders", more: str = "") -> str:
    """A function of SAM's, with more properties."""
    lines = [f"  {line}" for line in FUNCTION.splitlines()]
    return "\n".join([f"{name}:", *lines, *(f"    {line}" for line in more.splitlines())]) + "\n"


def with_event(kind: str, properties: str, more: str = "") -> str:
    event = f"Events:\n  Event:\n    Type: {kind}\n    Properties: {properties}\n"
    return sam(function(more=event) + more)


def test_a_function_is_a_table(load: Load) -> None:
    text = sam(
        "Queue: {Type: AWS::SQS::Queue}\n"
        "Layer: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: lib}}\n"
        + function(
            more="""\
MemorySize: 512
Timeout: 20
Description: takes orders
EphemeralStorage: {Size: 1024}
ReservedConcurrentExecutions: 4
RecursiveLoop: Allow
Layers: [!Ref Layer]
DeadLetterQueue: {Type: SQS, TargetArn: !GetAtt Queue.Arn}
LoggingConfig: {LogFormat: JSON, SystemLogLevel: WARN, LogGroup: shop}
Environment:
  Variables: {QUEUE: !Ref Queue, ARN: !GetAtt Queue.Arn, COUNT: 3, ON: true}
EventInvokeConfig:
  MaximumRetryAttempts: 1
  MaximumEventAgeInSeconds: 120
  DestinationConfig:
    OnFailure: {Type: SQS, Destination: !GetAtt Queue.Arn}
    OnSuccess:
      Type: EventBridge
      Destination: !Sub "arn:aws:events:${AWS::Region}:${AWS::AccountId}:event-bus/default"
"""
        )
    )
    assert load(text).functions == {
        "Orders": {
            "code": "src",
            "runtime": "python3.12",
            "handler": "app.handler",
            "description": "takes orders",
            "memory_mb": 512,
            "timeout_s": 20,
            "tmp_mb": 1024,
            "concurrency_max": 4,
            "recursive_loop": "allow",
            "layers": ["lib"],
            "log_group": "shop",
            "log_format": "JSON",
            "system_log_level": "WARN",
            "dead_letter": "queue:Queue",
            "on_success": "bus:default",
            "environment": {
                "QUEUE": "http://here:9000/111122223333/Queue",
                "ARN": "arn:aws:sqs:eu-central-1:111122223333:Queue",
                "COUNT": "3",
                "ON": "true",
            },
            "retries_max": 1,
            "event_age_s_max": 120,
            "on_failure": "queue:Queue",
        }
    }


def test_globals_and_names_are_resolved(load: Load) -> None:
    text = """\
        Transform: AWS::Serverless-2016-10-31
        Parameters:
          Stage: {Type: String, Default: test}
        Globals:
          Function:
            Runtime: nodejs22.x
            CodeUri: !Sub "./code-${Stage}/"
            Environment: {Variables: {STACK: !Ref "AWS::StackName", OTHER: !Ref Other}}
        Resources:
          Orders:
            Type: AWS::Serverless::Function
            Properties: {Handler: index.handler, FunctionName: !Sub "${Stage}-orders"}
          Other:
            Type: AWS::Serverless::Function
            Properties: {Handler: index.other, CodeUri: ../other.zip}
        """
    functions = load(text).functions
    assert functions["test-orders"]["code"] == "./code-test/"
    assert functions["test-orders"]["environment"] == {"STACK": "shop", "OTHER": "Other"}
    assert functions["Other"]["code"] == "../other.zip"


def test_code_is_beside_the_template_when_nothing_says_where(load: Load) -> None:
    text = sam(
        "A: {Type: AWS::Serverless::Function, Properties: {Handler: a.b, Runtime: python3.12}}\n"
    )
    assert load(text).functions["A"]["code"] == "."


def test_functions_without_sam(load: Load, monkeypatch: pytest.MonkeyPatch) -> None:
    # Such a template needs no transform.
    monkeypatch.setitem(sys.modules, "samtranslator.translator.translator", None)
    text = """\
        Resources:
          Role: {Type: AWS::IAM::Role, Properties: {RoleName: runs}}
          Orders:
            Type: AWS::Lambda::Function
            Properties: {Code: src, Handler: a.b, Runtime: ruby3.4, Role: !GetAtt Role.Arn}
        """
    stack = load(text)
    assert stack.functions == {"Orders": {"code": "src", "runtime": "ruby3.4", "handler": "a.b"}}
    assert stack.settings == {"Orders": {"Role": "arn:aws:iam::111122223333:role/runs"}}


def test_the_extra_is_named_where_the_transform_is_missing(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "samtranslator.translator.translator", None)
    with pytest.raises(ConfigError, match=r"microfaas\[sam\]"):
        load(sam(function()))


def test_inline_code_and_buckets_become_files(load: Load, tmp_path: Path) -> None:
    text = sam(
        """\
        Photos: {Type: AWS::S3::Bucket}
        Hello:
          Type: AWS::Serverless::Function
          Properties:
            Runtime: python3.12
            Handler: index.handler
            InlineCode: |
              def handler(event, context):
                  return 1
        """
    )
    stack = load(text)
    code = tmp_path / "shop" / stack.functions["Hello"]["code"] / "index.py"
    assert not code.exists()
    stack.write_code()
    stack.make_buckets()
    assert code.read_text() == "def handler(event, context):\n    return 1\n"
    assert (tmp_path / "shop/buckets/photos").is_dir()
    before = code.stat().st_mtime_ns
    stack.write_code()
    assert code.stat().st_mtime_ns == before


QUEUE = "Queue: {Type: AWS::SQS::Queue, Properties: {VisibilityTimeout: 60}}\n"
STREAM = "Stream: {Type: AWS::Kinesis::Stream, Properties: {ShardCount: 2}}\n"


@pytest.mark.parametrize(
    ("kind", "properties", "more", "trigger"),
    [
        (
            "SQS",
            "{Queue: !GetAtt Queue.Arn, BatchSize: 5, MaximumBatchingWindowInSeconds: 2, "
            "ScalingConfig: {MaximumConcurrency: 3}, "
            "FunctionResponseTypes: [ReportBatchItemFailures], "
            'FilterCriteria: {Filters: [{Pattern: \'{"body": {"a": [1]}}\'}]}}',
            QUEUE,
            {
                "type": "queue",
                "queue": "Queue",
                "concurrency": 3,
                "batch_size": 5,
                "window_s": 2,
                "filters": [{"body": {"a": [1]}}],
                "report_batch_item_failures": True,
            },
        ),
        (
            "Kinesis",
            "{Stream: !GetAtt Stream.Arn, StartingPosition: AT_TIMESTAMP, "
            "StartingPositionTimestamp: 1700000000, BisectBatchOnFunctionError: true, "
            "MaximumRetryAttempts: 2, DestinationConfig: {OnFailure: {Destination: "
            "!GetAtt Queue.Arn}}}",
            STREAM + QUEUE,
            {
                "type": "stream",
                "stream": "Stream",
                "starting_position": "AT_TIMESTAMP",
                "starting_at": "2023-11-14T22:13:20+00:00",
                "bisect_on_error": True,
                "retries_max": 2,
                "on_failure": "queue:Queue",
            },
        ),
        (
            "SNS",
            "{Topic: !Ref Topic, FilterPolicy: {state: [paid]}, FilterPolicyScope: MessageBody}",
            "Topic: {Type: AWS::SNS::Topic}\n",
            {
                "type": "topic",
                "topic": "Topic",
                "filter": {"state": ["paid"]},
                "filter_scope": "MessageBody",
            },
        ),
        (
            "Schedule",
            "{Schedule: rate(5 minutes), Name: often, Enabled: false, Input: '{\"a\": 1}'}",
            "",
            {
                "type": "schedule",
                "expression": "rate(5 minutes)",
                "name": "often",
                "input": {"a": 1},
                "enabled": False,
            },
        ),
        (
            "ScheduleV2",
            "{ScheduleExpression: 'cron(0 9 * * ? *)', ScheduleExpressionTimezone: Europe/Berlin, "
            "FlexibleTimeWindow: {Mode: FLEXIBLE, MaximumWindowInMinutes: 5}, "
            "StartDate: '2026-12-24T00:00:00Z', State: DISABLED}",
            "",
            {
                "type": "schedule",
                "expression": "cron(0 9 * * ? *)",
                "name": "OrdersEvent",
                "timezone": "Europe/Berlin",
                "start": "2026-12-24T00:00:00Z",
                "jitter_s": 300,
                "enabled": False,
            },
        ),
        (
            "EventBridgeRule",
            "{Pattern: {source: [shop.orders]}}",
            "",
            {"type": "event", "pattern": {"source": ["shop.orders"]}, "name": "OrdersEvent"},
        ),
        (
            "S3",
            "{Bucket: !Ref Photos, Events: ['s3:ObjectCreated:*', 's3:ObjectRemoved:*'], "
            "Filter: {S3Key: {Rules: [{Name: prefix, Value: in/}, {Name: suffix, Value: .jpg}]}}}",
            "Photos: {Type: AWS::S3::Bucket}\n",
            {
                "type": "bucket",
                "path": "./buckets/photos",
                "bucket": "photos",
                "prefix": "in/",
                "suffix": ".jpg",
                "events": ["created", "removed"],
            },
        ),
        (
            "HttpApi",
            "{Path: '/orders/{id}', Method: get}",
            "",
            {"type": "http", "route": "GET /orders/{id}", "payload": "2.0", "public": True},
        ),
        (
            "HttpApi",
            "{}",
            "",
            {"type": "http", "route": "$default", "payload": "2.0", "public": True},
        ),
        (
            "HttpApi",
            "{Path: /a, Method: any, PayloadFormatVersion: '1.0'}",
            "",
            {"type": "http", "route": "ANY /a", "payload": "1.0", "public": True},
        ),
        (
            "Api",
            "{Path: '/orders/{proxy+}', Method: post}",
            "",
            {"type": "http", "route": "POST /orders/{proxy+}", "payload": "1.0", "public": True},
        ),
    ],
)
def test_an_event_is_a_trigger(
    load: Load, kind: str, properties: str, more: str, trigger: dict[str, object]
) -> None:
    stack = load(with_event(kind, properties, more))
    assert stack.functions["Orders"]["triggers"] == [trigger]


def test_a_mapping_that_is_off_fires_nothing(load: Load) -> None:
    text = with_event("SQS", "{Queue: !GetAtt Queue.Arn, Enabled: false}", QUEUE)
    assert "triggers" not in load(text).functions["Orders"]


def test_routes_that_ask_for_a_signature_ask_for_a_key(load: Load) -> None:
    api = (
        "Api: {Type: AWS::Serverless::HttpApi, Properties: {Auth: {EnableIamAuthorizer: true, "
        "DefaultAuthorizer: AWS_IAM}}}\n"
    )
    stack = load(with_event("HttpApi", "{Path: /a, Method: get, ApiId: !Ref Api}", api))
    [route] = stack.functions["Orders"]["triggers"]
    assert route == {"type": "http", "route": "GET /a", "payload": "2.0"}


TABLE = "arn:aws:dynamodb:eu-central-1:111122223333:table/T/stream/2026-01-01T00:00:00.000"


@pytest.mark.parametrize(
    ("kind", "key", "arn"),
    [
        ("DynamoDB", "Stream", TABLE),
        ("Kinesis", "Stream", "arn:aws:kinesis:us-east-1:111122223333:stream/s"),
        ("SQS", "Queue", "arn:aws:sqs:eu-central-1:999999999999:q"),
    ],
)
def test_what_is_elsewhere_is_read_by_a_mapping(load: Load, kind: str, key: str, arn: str) -> None:
    start = "" if kind == "SQS" else ", StartingPosition: LATEST"
    stack = load(with_event(kind, f"{{{key}: '{arn}'{start}, BatchSize: 5}}"))
    assert "triggers" not in stack.functions["Orders"]
    [mapping] = stack.mappings
    assert mapping.function == "Orders"
    wanted = {"BatchSize": 5, "EventSourceArn": arn, "FunctionName": "Orders"}
    assert {key: mapping.settings[key] for key in wanted} == wanted


def test_queues_topics_and_streams(load: Load) -> None:
    text = """\
        Resources:
          Failed: {Type: AWS::SQS::Queue, Properties: {FifoQueue: true}}
          Steps:
            Type: AWS::SQS::Queue
            Properties:
              FifoQueue: true
              ContentBasedDeduplication: true
              VisibilityTimeout: 60
              DelaySeconds: 1
              MessageRetentionPeriod: 3600
              ReceiveMessageWaitTimeSeconds: 20
              MaximumMessageSize: 2048
              RedrivePolicy: {deadLetterTargetArn: !GetAtt Failed.Arn, maxReceiveCount: 3}
          Sub:
            Type: AWS::SNS::Subscription
            Properties:
              TopicArn: !Ref News
              Protocol: sqs
              Endpoint: !GetAtt Mail.Arn
              RawMessageDelivery: true
              RedrivePolicy: {deadLetterTargetArn: !GetAtt Mail.Arn}
          Mail: {Type: AWS::SQS::Queue}
          News:
            Type: AWS::SNS::Topic
            Properties:
              TopicName: news
              Subscription: [{Protocol: https, Endpoint: "https://x.example/"}]
          Clicks: {Type: AWS::Kinesis::Stream, Properties: {RetentionPeriodHours: 48}}
        """
    stack = load(text)
    assert stack.queues["Steps.fifo"] == {
        "visibility_timeout_s": 60,
        "delay_s": 1,
        "retention_s": 3600,
        "receive_wait_s": 20,
        "message_bytes_max": 2048,
        "content_based_deduplication": True,
        "dead_letter_queue": "Failed.fifo",
        "receives_max": 3,
    }
    assert stack.topics == {
        "news": {
            "subscriptions": [
                {"url": "https://x.example/"},
                {"queue": "Mail", "raw": True, "dead_letter": "Mail"},
            ]
        }
    }
    assert stack.streams == {"Clicks": {"retention_s": 172800}}


ALIASED = function(
    more="""\
AutoPublishAlias: live
FunctionUrlConfig: {AuthType: NONE, InvokeMode: RESPONSE_STREAM}
Environment: {Variables: {ME: !Ref Orders.Alias}}
"""
)


def test_aliases_and_urls_where_they_exist(load: Load) -> None:
    stack = load(sam(ALIASED), aliases=True)
    settings = {"AuthType": "NONE", "InvokeMode": "RESPONSE_STREAM"}
    assert stack.aliases == [Alias("Orders", "live")]
    assert stack.urls == [FunctionUrl(function="Orders", qualifier="live", settings=settings)]
    arn = "arn:aws:lambda:eu-central-1:111122223333:function:Orders:live"
    assert stack.functions["Orders"]["environment"] == {"ME": arn}
    [public, *_] = stack.permissions
    assert (public.function, public.qualifier) == ("Orders", "live")
    assert public.settings["FunctionUrlAuthType"] == "NONE"


FIRED = """\
Queue: {Type: AWS::SQS::Queue}
Stream: {Type: AWS::Kinesis::Stream, Properties: {ShardCount: 2}}
Topic: {Type: AWS::SNS::Topic}
Photos: {Type: AWS::S3::Bucket}
""" + function(
    more="""\
AutoPublishAlias: live
EventInvokeConfig:
  DestinationConfig: {OnFailure: {Type: Lambda, Destination: !Ref Orders.Alias}}
Events:
  A: {Type: Api, Properties: {Path: /a, Method: get}}
  B: {Type: HttpApi, Properties: {Path: /b, Method: get}}
  C: {Type: S3, Properties: {Bucket: !Ref Photos, Events: "s3:ObjectCreated:*"}}
  D: {Type: Schedule, Properties: {Schedule: rate(1 day)}}
  E: {Type: ScheduleV2, Properties: {ScheduleExpression: rate(1 day)}}
  F: {Type: SQS, Properties: {Queue: !GetAtt Queue.Arn}}
  G: {Type: SNS, Properties: {Topic: !Ref Topic}}
  H: {Type: Kinesis, Properties: {Stream: !GetAtt Stream.Arn, StartingPosition: LATEST}}
  I: {Type: EventBridgeRule, Properties: {Pattern: {source: [shop]}}}
"""
)


@pytest.mark.parametrize(("aliases", "called"), [(True, {"live"}), (False, {None})])
def test_events_call_the_alias_where_it_exists(
    load: Load, aliases: bool, called: set[str | None]
) -> None:
    function = load(sam(FIRED), aliases=aliases).functions["Orders"]
    assert {row["type"] for row in function["triggers"]} == set(table.KINDS)
    assert len(function["triggers"]) == 9
    assert {row.get("qualifier") for row in function["triggers"]} == called
    assert function["on_failure"] == ("function:Orders:live" if aliases else "function:Orders")


def test_what_is_no_alias_is_told_with_its_line(load: Load) -> None:
    uri = "arn:aws:apigateway:eu-central-1:lambda:path/2015-03-31/functions/"
    uri += "arn:aws:lambda:eu-central-1:111122223333:function:Orders:${stageVariables.alias}/x"
    text = sam(
        function()
        + "Api:\n  Type: AWS::ApiGatewayV2::Api\n  Properties: {Body: {paths: {/a: {get: "
        + f"{{x-amazon-apigateway-integration: {{uri: '{uri}'}}}}}}}}}}}}\n"
    )
    route = {"type": "http", "route": "GET /a", "payload": "2.0", "public": True}
    assert load(text).functions["Orders"]["triggers"] == [route]
    with pytest.raises(ConfigError) as caught:
        load(text, aliases=True)
    told = "Api: uri: what is behind the function's name must be an alias or a version's number"
    assert f"template.yaml:9: {told}" in str(caught.value)


def test_aliases_stand_for_their_functions_where_they_do_not(load: Load) -> None:
    arn = "arn:aws:lambda:eu-central-1:111122223333:function:Orders"
    assert load(sam(ALIASED)).functions["Orders"]["environment"] == {"ME": arn}


def test_rights_logs_and_groups_ask_for_nothing(load: Load) -> None:
    more = """\
Jobs: {Type: AWS::SQS::Queue}
Log: {Type: AWS::Logs::LogGroup, Properties: {RetentionInDays: 7}}
Group: {Type: AWS::ResourceGroups::Group, Properties: {Name: !Sub "shop-${AWS::StackName}"}}
Sends:
  Type: AWS::Serverless::Connector
  Properties: {Source: {Id: Orders}, Destination: {Id: Jobs}, Permissions: [Write]}
"""
    stack = load(sam(more + function(more="Policies: [AWSLambdaBasicExecutionRole]")))
    assert list(stack.functions) == ["Orders"]
    assert list(stack.queues) == ["Jobs"]
    assert stack.permissions == []


def test_conditions_leave_resources_out(load: Load) -> None:
    text = """\
        Parameters: {Stage: {Type: String, Default: test}}
        Conditions: {IsProd: !Equals [!Ref Stage, prod]}
        Resources:
          Table: {Type: AWS::DynamoDB::Table, Condition: IsProd}
          Queue: {Type: AWS::SQS::Queue}
        """
    assert list(load(text).queues) == ["Queue"]
    with pytest.raises(ConfigError, match="DynamoDB"):
        load(text, Stage="prod")


def test_all_that_is_not_supported_is_told_at_once_with_its_line(load: Load) -> None:
    text = sam(
        """\
        Orders:
          Type: AWS::DynamoDB::Table
        Users:
          Type: AWS::Cognito::UserPool
        Reads:
          Type: AWS::Serverless::Function
          Properties:
            Handler: a.b
            Runtime: python3.12
            CodeUri: src
            Events:
              Changes:
                Type: DynamoDB
                Properties: {Stream: !GetAtt Orders.StreamArn}
        """
    )
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert [problem.where for problem in caught.value.problems] == [
        "template.yaml:3",
        "template.yaml:5",
        "template.yaml:14",
    ]
    told = [problem.what for problem in caught.value.problems]
    assert told[0].startswith("AWS::DynamoDB::Table (Orders): microfaas has no tables; ")
    assert told[2].startswith("event DynamoDB (Reads.Changes): microfaas has no tables")


def plain(kind: str, properties: str) -> str:
    return f"Resources:\n  It:\n    Type: {kind}\n    Properties: {properties}\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            sam("A: {Type: AWS::Serverless::Function, Properties: "
                "{PackageType: Image, ImageUri: x}}\n"),
            "template.yaml:3: A: is a container image",
        ),
        (plain("AWS::Lambda::Function", "{PackageType: Image}"), "container image"),
        (
            sam("A: {Type: AWS::Serverless::Function, Properties: "
                "{CodeUri: s3://b/k, Handler: a.b, Runtime: python3.12}}\n"),
            "template.yaml:3: A: its code is in S3; name a folder",
        ),
        (
            plain("AWS::Lambda::Function", "{Code: {ZipFile: x}, Runtime: ruby3.4}"),
            "only Python and Node.js may stand in a template, not ruby3.4",
        ),
        (
            sam(function(more="Layers: ['arn:aws:lambda:eu-west-1:1:layer:Powertools:3']")),
            "the layer arn:aws:lambda:eu-west-1:1:layer:Powertools:3 is not of this template",
        ),
        (sam(function(more="FileSystemConfigs: [{Arn: x}]")), "FileSystemConfigs"),
        (sam(function(more="Environment: {Variables: {T: !Ref Table}}")), "no Table to refer to"),
        (
            sam(function(more="FunctionUrlConfig: {AuthType: NONE}\n"
                              "Environment: {Variables: {U: !GetAtt OrdersUrl.FunctionUrl}}")),
            "no FunctionUrl that is known before it exists",
        ),
        (plain("AWS::Events::Rule", "{Targets: [{Arn: 'arn:aws:sqs:a:1:q'}]}"), "no function"),
        (
            plain("AWS::Lambda::EventSourceMapping", "{EventSourceArn: 'arn:aws:mq:a:1:b:c'}"),
            "here functions read queues",
        ),
        (
            plain("AWS::S3::Bucket", "{NotificationConfiguration: {QueueConfigurations: [{}]}}"),
            "QueueConfigurations is not had here",
        ),
        (plain("AWS::ApiGatewayV2::Api", "{ProtocolType: WEBSOCKET}"), "no WebSockets"),
        (plain("AWS::ApiGatewayV2::Api", "{}"), "must stand in its Body"),
        (plain("AWS::ApiGateway::Method", "{}"), "AWS::ApiGateway::Method (It): routes come from"),
        (plain("AWS::SNS::Topic", "{FifoTopic: true}"), "topics keep no order"),
        (plain("AWS::SNS::Topic", "{Subscription: [{Protocol: sms}]}"), "the protocol sms"),
        (plain("AWS::Lambda::Alias", "{FunctionName: other}"), "no function of this template"),
        (
            with_event(
                "HttpApi",
                "{Path: /a, Method: get, ApiId: !Ref Api}",
                "Api: {Type: AWS::Serverless::HttpApi, Properties: {Auth: {DefaultAuthorizer: "
                "J, Authorizers: {J: {IdentitySource: $request.header.A, JwtConfiguration: "
                "{issuer: x, audience: [y]}}}}}}\n",
            ),
            "GET /a asks for an authorizer or API key",
        ),
        (
            with_event(
                "Api",
                "{Path: /a, Method: get, RestApiId: !Ref Api}",
                "Api: {Type: AWS::Serverless::Api, Properties: {StageName: x, Auth: "
                "{ResourcePolicy: {IpRangeWhitelist: [10.0.0.0]}}}}\n",
            ),
            "has a resource policy",
        ),
        (
            sam("A: {Type: AWS::Serverless::Function, Properties: {CodeUri: a}}\n"),
            "template.yaml:3: Resource with id [A]",
        ),
        (plain("AWS::SQS::Queue", "{QueueName: !Sub 'a-${It.Arn}'}"), "It is not here, or has no"),
        (
            sam(function(more="EventInvokeConfig: {DestinationConfig: {OnFailure: {Type: "
                "EventBridge, Destination: 'arn:aws:events:us-east-1:1:event-bus/own'}}}\n")),
            "event-bus/own is another event bus than the default one",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_had_is_told(load: Load, text: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert told in str(caught.value)
