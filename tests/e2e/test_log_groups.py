"""CloudWatch Logs of real functions: streams, both formats, and how AWS's tools read them."""

from __future__ import annotations

import json
import os
import subprocess
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from tests.e2e.control import call, client, create
from tests.e2e.project import BIN, Project, until

APP = """
import logging

def handler(event, context):
    print("printed", event["n"])
    logging.getLogger("shop").warning("logged %s", event["n"])
    if event.get("fail"):
        raise ValueError("no")
    return [context.log_group_name, context.log_stream_name, context.aws_request_id]
"""
INDEX = """
exports.handler = async (event, context) => {
  console.info("too low");
  console.warn("logged %s", event.n);
  return [context.logGroupName, context.logStreamName, context.awsRequestId];
};
"""
CONFIG = """
[functions.text]
[functions.json]
log_format = "JSON"
[functions.node]
runtime = "nodejs"
log_format = "JSON"
log_level = "WARN"
system_log_level = "WARN"
"""


def started(project: Project) -> Any:
    """A client of the logs of a server."""
    project.write("app.py", APP)
    project.write("index.js", INDEX)
    project.write("microfaas.toml", CONFIG)
    project.start()
    return client(project, "logs")


def records(logs: Any, group: str, stream: str, count: int) -> list[Any]:
    """The events of a stream as objects, once there are so many."""

    def found() -> list[str]:
        answer = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)
        return [event["message"] for event in answer["events"]]

    def enough() -> bool:
        try:
            return len(found()) >= count
        except logs.exceptions.ResourceNotFoundException:
            return False

    until(enough, f"{count} events of {stream}")
    return [json.loads(text) if text.startswith("{") else text for text in found()]


def test_an_instances_stream_is_the_one_that_it_is_told(project: Project) -> None:
    logs = started(project)
    group, stream, request_id = project.invoke("text", {"n": 1})
    assert group == "/aws/lambda/text"
    start, printed, logged, end, report = records(logs, group, stream, 5)
    assert start == f"START RequestId: {request_id} Version: $LATEST\n"
    assert printed == "printed 1\n"
    assert logged.startswith("[WARNING]\t")
    assert end == f"END RequestId: {request_id}\n"
    assert report.startswith(f"REPORT RequestId: {request_id}\tDuration: ")
    assert project.stop() == 0
    project.start()
    again = client(project, "logs")
    assert records(again, group, stream, 5) == [start, printed, logged, end, report]


def test_a_log_may_be_of_objects(project: Project) -> None:
    logs = started(project)
    group, stream, request_id = project.invoke("json", {"n": 1})
    start, printed, logged, report = records(logs, group, stream, 4)
    assert (start["type"], start["record"]["requestId"]) == ("platform.start", request_id)
    assert printed == "printed 1\n"
    assert (logged["message"], logged["requestId"]) == ("logged 1", request_id)
    assert report["record"]["status"] == "success"
    assert report["record"]["metrics"]["memorySizeMB"] == 128
    project.fail("json", {"n": 2, "fail": True})
    pattern = '{ $.errorType = ValueError || $.record.status = "error" }'
    wanted = {"logGroupName": group, "filterPattern": pattern}
    until(lambda: len(logs.filter_log_events(**wanted)["events"]) == 3, "the failure's records")
    failed = [json.loads(e["message"]) for e in logs.filter_log_events(**wanted)["events"]]
    assert failed[0]["errorMessage"] == "no"
    assert [each["type"] for each in failed[1:]] == ["platform.runtimeDone", "platform.report"]
    shown = project.cli("logs", "json", "--request-id", request_id)
    assert len(shown.stdout.splitlines()) == 4


def test_levels_hold_for_both_sides(project: Project) -> None:
    logs = started(project)
    group, _, request_id = project.invoke("node", {"n": 1})
    project.invoke("node", {"n": 2})

    def found() -> list[Any]:
        events = logs.filter_log_events(logGroupName=group)["events"]
        return [json.loads(event["message"]) for event in events]

    until(lambda: os.path.exists(project.data / "logs" / "node.log"), "the log")
    until(lambda: len(found()) >= 2, "both records")
    first, second = found()
    assert (first["level"], first["message"], first["requestId"]) == (
        *("WARN", "logged 1"),
        request_id,
    )
    assert second["message"] == "logged 2"


def test_a_function_of_the_api_says_where_and_how_it_logs(project: Project) -> None:
    logs = started(project)
    lambdas = client(project)
    settings = {"LogFormat": "JSON", "SystemLogLevel": "WARN", "LogGroup": "shop"}
    create(lambdas, code=APP, LoggingConfig=settings)
    group, stream, _ = call(lambdas, event={"n": 1})
    assert group == "shop"
    printed, logged = records(logs, group, stream, 2)
    assert (printed, logged["message"]) == ("printed 1\n", "logged 1")
    lambdas.update_function_configuration(
        FunctionName="f", LoggingConfig={"LogFormat": "Text", "LogGroup": "shop"}
    )
    lambdas.get_waiter("function_updated_v2").wait(FunctionName="f")
    _, other, request_id = call(lambdas, event={"n": 2})
    assert other != stream
    assert records(logs, group, other, 5)[0].startswith(f"START RequestId: {request_id}")
    names = [each["logGroupName"] for each in logs.describe_log_groups()["logGroups"]]
    assert "shop" in names
    assert "/aws/lambda/f" not in names


def test_who_follows_a_log_misses_nothing_and_sees_nothing_twice(project: Project) -> None:
    logs = started(project)
    seen: list[str] = []
    follower = following(logs, "/aws/lambda/text")
    project.invoke("text", {"n": 0})
    until(lambda: logs.describe_log_groups()["logGroups"], "the group, which the first call makes")
    for number in range(1, 20):
        project.invoke("text", {"n": number})
        seen += next(follower)
    until(lambda: seen.extend(next(follower)) or "printed 19\n" in seen, "the last event")
    printed = [text for text in seen if text.startswith("printed")]
    assert printed == [f"printed {number}\n" for number in range(20)]


def test_a_live_tail_tells_what_is_printed_until_the_server_stops(project: Project) -> None:
    logs = started(project)
    project.invoke("text", {"n": 0})
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/text"
    until(lambda: logs.describe_log_groups()["logGroups"], "the group, which the first call makes")
    answer = logs.start_live_tail(logGroupIdentifiers=[arn])
    seen: list[str] = []
    for event in answer["responseStream"]:
        if "sessionStart" in event:
            for number in range(1, 20):
                project.invoke("text", {"n": number})
        found = event.get("sessionUpdate", {}).get("sessionResults", ())
        seen += [each["message"] for each in found]
        if "printed 19\n" in seen:
            break
    printed = [text for text in seen if text.startswith("printed")]
    # The first call's may have been written after the start.
    assert printed[-19:] == [f"printed {number}\n" for number in range(1, 20)]
    # Also with a session that nobody reads any more.
    assert project.stop() == 0


def following(logs: Any, group: str) -> Iterator[list[str]]:
    """What `aws logs tail --follow` of AWS's second command line asks, and how it goes on: from the
    time of the latest event, whose ids it remembers."""
    request = {"logGroupName": group, "interleaved": True, "startTime": 0}
    ids: dict[int, set[str]] = defaultdict(set)
    while True:
        answer = logs.filter_log_events(**request)
        fresh = [each for each in answer["events"] if each["eventId"] not in ids[each["timestamp"]]]
        for event in fresh:
            ids[event["timestamp"]].add(event["eventId"])
        yield [event["message"] for event in fresh]
        latest = max((at for at, found in ids.items() if found), default=0)
        ids = defaultdict(set, {latest: ids[latest]})
        request.pop("nextToken", None)
        if "nextToken" in answer:
            request["nextToken"] = answer["nextToken"]
        else:
            request["startTime"] = latest


def test_the_command_line_of_aws_reads_it(project: Project) -> None:
    started(project)
    project.invoke("text", {"n": 1})

    def aws(*arguments: str) -> Any:
        answer = subprocess.run(
            [BIN / "aws", *arguments],
            capture_output=True,
            check=True,
            env={
                **os.environ,
                "AWS_ACCESS_KEY_ID": "x",
                "AWS_SECRET_ACCESS_KEY": "x",
                "AWS_DEFAULT_REGION": "us-east-1",
                "AWS_DEFAULT_OUTPUT": "json",
                "AWS_ENDPOINT_URL": project.url,
            },
        )
        return json.loads(answer.stdout)

    wanted = ("logs", "filter-log-events", "--log-group-name", "/aws/lambda/text")
    events = until(
        lambda: aws(*wanted, "--filter-pattern", '"printed 1"')["events"], "what was printed"
    )
    assert [event["message"] for event in events] == ["printed 1\n"]
    assert aws("sts", "get-caller-identity") == {
        "UserId": "123456789012",
        "Account": "123456789012",
        "Arn": "arn:aws:iam::123456789012:root",
    }
