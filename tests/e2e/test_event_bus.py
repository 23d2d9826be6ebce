"""EventBridge's bus, rules and Scheduler by the real server, through boto3 and the aws CLI."""

from __future__ import annotations

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.e2e.control import create
from tests.e2e.noted import ARN, ROLE, Noted, error_of
from tests.e2e.project import Project, until


def test_the_bus_tells_whoever_listens(project: Project) -> None:
    noted = Noted(
        project,
        '[[functions.app.triggers]]\ntype = "event"\nsource = "shop.orders"\n'
        "pattern = { detail = { total = [{ numeric = ['>', 100] }] } }\n",
    )
    entries = [
        {"Source": "shop.orders", "DetailType": "placed", "Detail": json.dumps({"total": total})}
        for total in (50, 150)
    ]
    broken = [
        {"Source": "shop.orders", "DetailType": "placed", "Detail": "[1"},
        {"Source": "aws.s3", "DetailType": "x", "Detail": "{}"},
        {"Source": "shop.orders", "Detail": "{}"},
    ]
    reply = noted.client("events").put_events(Entries=entries + broken)
    assert reply["FailedEntryCount"] == 3
    assert [entry.get("ErrorCode") for entry in reply["Entries"]] == [
        None,
        None,
        "MalformedDetail",
        "NotAuthorizedForSourceException",
        "InvalidArgument",
    ]
    event = noted.one()
    assert event["id"] == reply["Entries"][1]["EventId"]
    assert event["detail"] == {"total": 150}
    assert event["detail-type"] == "placed"


def test_the_bus_is_a_destination_of_files_and_apis_functions(project: Project) -> None:
    project.write("work.py", "def handler(event, context):\n    return event['n'] / event['by']\n")
    noted = Noted(
        project,
        '[[functions.app.triggers]]\ntype = "event"\nsource = "lambda"\n'
        '[functions.work]\nhandler = "work.handler"\nretries_max = 0\n'
        'on_success = "bus:default"\non_failure = "bus:default"\n',
    )
    lambdas = noted.client("lambda")
    create(lambdas, "made", 'def handler(event, context):\n    return "made"\n')
    bus = "arn:aws:events:us-east-1:123456789012:event-bus/default"
    lambdas.put_function_event_invoke_config(
        FunctionName="made", DestinationConfig={"OnSuccess": {"Destination": bus}}
    )
    for name, by in (("work", 2), ("work", 0), ("made", 1)):
        event = json.dumps({"n": 1, "by": by})
        lambdas.invoke(FunctionName=name, InvocationType="Event", Payload=event)
    until(lambda: len(noted.events()) == 3, "three ends")
    ends = sorted(noted.events(), key=lambda each: json.dumps(each["detail"]["responsePayload"]))
    assert [(each["detail-type"], each["resources"]) for each in ends] == [
        ("Lambda Function Invocation Result - Success", [bus, ARN.replace("app", "made:$LATEST")]),
        ("Lambda Function Invocation Result - Success", [bus, ARN.replace("app", "work:$LATEST")]),
        ("Lambda Function Invocation Result - Failure", [bus, ARN.replace("app", "work:$LATEST")]),
    ]
    assert ends[1]["detail"]["responsePayload"] == 0.5
    assert ends[2]["detail"]["requestContext"]["condition"] == "RetriesExhausted"
    assert ends[2]["detail"]["requestPayload"] == {"n": 1, "by": 0}


def test_rules_and_targets_through_boto3(project: Project) -> None:
    noted = Noted(project)
    events = noted.client("events")
    pattern = json.dumps({"source": ["shop"]})
    arn = events.put_rule(Name="orders", EventPattern=pattern, Description="d")["RuleArn"]
    assert arn == "arn:aws:events:us-east-1:123456789012:rule/orders"
    transformer = {
        "InputPathsMap": {"what": "$.detail.what", "n": "$.detail.n"},
        "InputTemplate": '{"text": "got <what>", "n": <n>, "rule": "<aws.events.rule-name>"}',
    }
    events.put_targets(
        Rule="orders", Targets=[{"Id": "1", "Arn": ARN, "InputTransformer": transformer}]
    )
    project.kill()
    project.start()
    events = noted.client("events")
    described = events.describe_rule(Name="orders")
    assert (described["State"], described["EventPattern"]) == ("ENABLED", pattern)
    [target] = events.list_targets_by_rule(Rule="orders")["Targets"]
    assert target == {"Id": "1", "Arn": ARN, "InputTransformer": transformer}
    assert [rule["Name"] for rule in events.list_rules(NamePrefix="or")["Rules"]] == ["orders"]
    detail = json.dumps({"what": 'a "b"', "n": [1, 2]})
    entry = {"Source": "shop", "DetailType": "x", "Detail": detail}
    events.put_events(Entries=[entry])
    assert noted.one() == {"text": 'got a "b"', "n": [1, 2], "rule": "orders"}
    events.disable_rule(Name="orders")
    events.put_events(Entries=[entry])
    code, text = error_of(events.delete_rule, Name="orders")
    assert (code, text) == ("ValidationException", "Rule can't be deleted since it has targets.")
    events.remove_targets(Rule="orders", Ids=["1"])
    events.delete_rule(Name="orders")
    assert events.list_rules()["Rules"] == []
    assert len(noted.events()) == 1


def test_rules_have_tags(project: Project) -> None:
    events = Noted(project).client("events")
    pattern = json.dumps({"source": ["shop"]})
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    arn = events.put_rule(Name="orders", EventPattern=pattern, Tags=tags)["RuleArn"]
    events.tag_resource(ResourceARN=arn, Tags=[{"Key": "b", "Value": "3"}])
    events.untag_resource(ResourceARN=arn, TagKeys=["a"])
    # Those of a call that changes a rule are passed over, as by AWS.
    events.put_rule(Name="orders", EventPattern=pattern, State="DISABLED", Tags=tags)
    told = events.list_tags_for_resource(ResourceARN=arn)
    assert told["Tags"] == [{"Key": "b", "Value": "3"}]
    for wrong in (f"{arn}2", arn.replace("orders", "other/orders")):
        code, _ = error_of(events.list_tags_for_resource, ResourceARN=wrong)
        assert code == "ResourceNotFoundException"


def test_a_rule_with_a_schedule_fires(project: Project) -> None:
    noted = Noted(project)
    events = noted.client("events")
    events.put_rule(Name="often", ScheduleExpression="rate(1 second)")
    events.put_targets(Rule="often", Targets=[{"Id": "1", "Arn": "app"}])
    until(lambda: len(noted.events()) >= 2, "two ticks")
    events.disable_rule(Name="often")
    assert noted.events()[0]["resources"] == [events.describe_rule(Name="often")["Arn"]]


def test_what_no_target_takes_is_a_dead_letter(project: Project) -> None:
    noted = Noted(project)
    events = noted.client("events")
    events.put_rule(Name="lost", EventPattern=json.dumps({"source": ["shop"]}))
    events.put_targets(Rule="lost", Targets=[{"Id": "1", "Arn": ARN.replace("app", "nobody")}])
    entry = {"Source": "shop", "DetailType": "x", "Detail": "{}"}
    assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0
    with sqlite3.connect(project.data / "microfaas.db") as connection:
        [(function, kind)] = connection.execute("SELECT function, kind FROM dead_letters")
    assert (function, kind) == ("nobody", "Undeliverable")


def test_aws_refusals(project: Project) -> None:
    noted = Noted(project)
    events, scheduler = noted.client("events"), noted.client("scheduler")
    assert error_of(events.describe_rule, Name="no") == (
        "ResourceNotFoundException",
        "Rule no does not exist on EventBus default.",
    )
    code, text = error_of(events.put_rule, Name="r", EventPattern='{"source": "x"}')
    assert code == "InvalidEventPatternException"
    assert text.startswith("Event pattern is not valid. Reason: ")
    code, text = error_of(events.put_rule, Name="r", ScheduleExpression="rate(1 hours)")
    assert text.startswith("Parameter ScheduleExpression is not valid.")
    assert error_of(events.put_rule, Name="r", State="DISABLED")[1] == (
        "Parameter(s) EventPattern or ScheduleExpression must be specified."
    )
    assert error_of(events.list_rules, EventBusName="other") == (
        "ResourceNotFoundException",
        "Event bus other does not exist.",
    )
    events.put_rule(Name="r", ScheduleExpression="rate(1 hour)")
    targets = [{"Id": "1", "Arn": "arn:aws:ecs:us-east-1:123456789012:cluster/c"}]
    assert error_of(events.put_targets, Rule="r", Targets=targets)[0] == "ValidationException"
    whole = {
        "Name": "s",
        "ScheduleExpression": "rate(1 hour)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {"Arn": ARN, "RoleArn": ROLE},
    }
    wrong = whole | {"ScheduleExpression": "rate(5 minute)"}
    assert error_of(scheduler.create_schedule, **wrong)[1].startswith(
        "Invalid Schedule Expression rate(5 minute)."
    )
    scheduler.create_schedule(**whole)
    assert error_of(scheduler.create_schedule, **whole) == (
        "ConflictException",
        "Schedule s already exists.",
    )
    assert error_of(scheduler.get_schedule, Name="t") == (
        "ResourceNotFoundException",
        "Schedule t does not exist.",
    )
    zone = whole | {"Name": "z", "ScheduleExpressionTimezone": "Europe/Berlln"}
    assert "Europe/Berlin" in error_of(scheduler.create_schedule, **zone)[1]


def test_targets_of_all_kinds(project: Project) -> None:
    noted = Noted(
        project,
        '[[functions.app.triggers]]\ntype = "topic"\ntopic = "t"\n'
        "[topics.t]\n[queues.q]\n[streams.s]\n",
    )
    events, sqs, kinesis = (noted.client(name) for name in ("events", "sqs", "kinesis"))
    where = "us-east-1:123456789012"
    events.put_rule(Name="all", EventPattern=json.dumps({"source": ["shop"]}))
    targets: list[dict[str, Any]] = [
        {"Id": "q", "Arn": f"arn:aws:sqs:{where}:q"},
        {"Id": "t", "Arn": f"arn:aws:sns:{where}:t", "InputPath": "$.detail"},
        {
            "Id": "s",
            "Arn": f"arn:aws:kinesis:{where}:stream/s",
            "KinesisParameters": {"PartitionKeyPath": "$.detail.key"},
        },
    ]
    events.put_targets(Rule="all", Targets=targets)
    told = events.list_targets_by_rule(Rule="all")["Targets"]
    assert sorted(told, key=lambda target: target["Id"]) == sorted(targets, key=lambda t: t["Id"])
    entry = {"Source": "shop", "DetailType": "x", "Detail": '{"key": "k"}'}
    event_id = events.put_events(Entries=[entry])["Entries"][0]["EventId"]
    url = sqs.get_queue_url(QueueName="q")["QueueUrl"]
    [message] = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)["Messages"]
    assert json.loads(message["Body"])["id"] == event_id
    assert json.loads(noted.one()["Records"][0]["Sns"]["Message"]) == {"key": "k"}
    shard = kinesis.list_shards(StreamName="s")["Shards"][0]["ShardId"]
    iterator = kinesis.get_shard_iterator(
        StreamName="s", ShardId=shard, ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    records = until(
        lambda: kinesis.get_records(ShardIterator=iterator)["Records"], "a record of the stream"
    )
    assert [record["PartitionKey"] for record in records] == ["k"]
    assert json.loads(records[0]["Data"])["id"] == event_id


def test_a_pattern_can_be_tried(project: Project) -> None:
    noted = Noted(project)
    event = {
        "id": "1", "account": "1", "source": "shop", "time": "2026-12-24T18:00:00Z",
        "region": "us-east-1", "resources": [], "detail-type": "x", "detail": {"n": 1},
    }  # fmt: skip
    for pattern, matches in (({"detail": {"n": [1]}}, True), ({"detail": {"n": [2]}}, False)):
        reply = noted.client("events").test_event_pattern(
            EventPattern=json.dumps(pattern), Event=json.dumps(event)
        )
        assert reply["Result"] is matches


def test_the_scheduler_through_boto3(project: Project) -> None:
    noted = Noted(project)
    scheduler = noted.client("scheduler")
    at = datetime.now(UTC) + timedelta(seconds=10)
    given = json.dumps(
        {"by": "<aws.scheduler.schedule-arn>", "try": "<aws.scheduler.attempt-number>"}
    )
    arn = scheduler.create_schedule(
        Name="once",
        ScheduleExpression=f"at({at:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        ActionAfterCompletion="DELETE",
        Target={
            "Arn": ARN,
            "RoleArn": ROLE,
            "Input": given,
            "RetryPolicy": {"MaximumRetryAttempts": 3},
        },
    )["ScheduleArn"]
    got = scheduler.get_schedule(Name="once")
    assert got["Target"]["RetryPolicy"] == {"MaximumRetryAttempts": 3}
    assert (got["ScheduleExpressionTimezone"], got["State"]) == ("UTC", "ENABLED")
    project.kill()
    project.start()
    scheduler = noted.client("scheduler")
    assert noted.one() == {"by": arn, "try": "1"}
    until(lambda: not scheduler.list_schedules()["Schedules"], "its deletion")


def test_a_rate_of_the_scheduler_begins_at_once_and_can_be_changed(project: Project) -> None:
    noted = Noted(project)
    scheduler = noted.client("scheduler")
    whole: dict[str, Any] = {
        "Name": "hourly",
        "ScheduleExpression": "rate(1 hour)",
        "FlexibleTimeWindow": {"Mode": "OFF"},
        "Target": {"Arn": ARN, "RoleArn": ROLE},
    }
    scheduler.create_schedule(**whole)
    event = noted.one()
    assert event["source"] == "aws.scheduler"
    assert event["detail"] == "{}"
    scheduler.update_schedule(**whole | {"State": "DISABLED", "Description": "later"})
    [summary] = scheduler.list_schedules(State="DISABLED")["Schedules"]
    assert (summary["Name"], summary["GroupName"]) == ("hourly", "default")
    assert scheduler.get_schedule(Name="hourly")["Description"] == "later"
    window = {"Mode": "FLEXIBLE", "MaximumWindowInMinutes": 15}
    scheduler.update_schedule(**whole | {"FlexibleTimeWindow": window})
    assert scheduler.get_schedule(Name="hourly")["FlexibleTimeWindow"] == window
    scheduler.delete_schedule(Name="hourly")
    assert scheduler.list_schedules()["Schedules"] == []


def test_the_aws_cli(project: Project) -> None:
    noted = Noted(project)
    noted.aws("events", "put-rule", "--name", "r", "--event-pattern", '{"source":["cli"]}')
    noted.aws("events", "put-targets", "--rule", "r", "--targets", f"Id=1,Arn={ARN}")
    entry = {"Source": "cli", "DetailType": "x", "Detail": '{"a": 1}'}
    told = noted.aws("events", "put-events", "--entries", json.dumps([entry]))
    assert told["FailedEntryCount"] == 0
    assert noted.one()["detail"] == {"a": 1}
    made = noted.aws(
        "scheduler", "create-schedule", "--name", "s", "--schedule-expression", "rate(1 day)",
        "--flexible-time-window", "Mode=OFF", "--start-date", "2099-01-01T00:00:00Z",
        "--target", json.dumps({"Arn": ARN, "RoleArn": ROLE}),
    )  # fmt: skip
    assert made["ScheduleArn"] == "arn:aws:scheduler:us-east-1:123456789012:schedule/default/s"
    got = noted.aws("scheduler", "get-schedule", "--name", "s")
    assert got["StartDate"] == datetime(2099, 1, 1, tzinfo=UTC).timestamp()
