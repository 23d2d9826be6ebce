"""Whatever fires a function calls the alias that it names, and a canary counts it."""

from __future__ import annotations

import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.control import client, create, package
from tests.e2e.project import Project, until

PATIENCE_S = 120.0
NAMES = "arn:aws:lambda:us-east-1:123456789012:function:"
# Says by what name and in which version it was called, and what by.
CODE = """
SAYS = "SAID"

def handler(event, context):
    where = event.get("requestContext", {}).get("routeKey") or event.get("source") or "?"
    for record in event.get("Records", []):
        where = record.get("eventSource") or record["EventSource"]
    print("called", SAYS, context.function_version, context.invoked_function_arn, where)
    if SAYS == "bad":
        raise ValueError("bad")
    return {"version": context.function_version, "arn": context.invoked_function_arn}
"""
SETTINGS = """
[queues.jobs]
[queues.ends]
[topics.news]
[streams.clicks]
"""
TRIGGERS = [
    {"type": "bucket", "path": "inbox"},
    {"type": "event", "source": "shop"},
    {"type": "http", "route": "GET /items"},
    {"type": "queue", "queue": "jobs"},
    {"type": "schedule", "expression": "rate(1 second)"},
    {"type": "stream", "stream": "clicks", "starting_position": "TRIM_HORIZON"},
    {"type": "topic", "topic": "news"},
]
SOURCES = ("aws:s3", "shop", "GET", "aws:sqs", "aws.events", "aws:kinesis", "aws:sns")


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A server that all tests share; each makes a function of its own."""
    project = Project(Path(tmp_path_factory.mktemp("called") / "project"))
    project.write("microfaas.toml", SETTINGS)
    (project.root / "inbox").mkdir()
    project.start()
    yield project
    project.stop()


def publish(gateway: Project, name: str, says: str) -> str:
    """What is deployed from now on, and published; its number."""
    lambdas = client(gateway)
    code = package(CODE.replace("SAID", says))
    made = lambdas.update_function_code(FunctionName=name, ZipFile=code, Publish=True)
    lambdas.get_waiter("function_updated_v2").wait(FunctionName=name)
    return str(made["Version"])


def made(gateway: Project, name: str) -> Any:
    """A function whose alias `live` means version 1, and which is deployed otherwise by now."""
    lambdas = client(gateway)
    create(lambdas, name, CODE.replace("SAID", "old"), Publish=True)
    lambdas.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    publish(gateway, name, "new")
    return lambdas


def put(gateway: Project, name: str, triggers: list[dict[str, Any]]) -> None:
    url = f"{gateway.url}/_microfaas/v1/functions/{name}/triggers"
    request = urllib.request.Request(url, json.dumps(triggers).encode(), method="PUT")
    with urllib.request.urlopen(request) as reply:
        assert json.load(reply)["triggers"] == triggers


def fire(gateway: Project) -> None:
    """Something for each kind of trigger."""
    (gateway.root / "inbox" / "dropped").write_text("x")
    entry = {"Source": "shop", "DetailType": "sold", "Detail": "{}"}
    assert client(gateway, "events").put_events(Entries=[entry])["FailedEntryCount"] == 0
    queue = f"{gateway.url}/123456789012/jobs"
    client(gateway, "sqs").send_message(QueueUrl=queue, MessageBody="a job")
    client(gateway, "kinesis").put_record(StreamName="clicks", Data=b"x", PartitionKey="k")
    topic = "arn:aws:sns:us-east-1:123456789012:news"
    client(gateway, "sns").publish(TopicArn=topic, Message="hello")


def get(gateway: Project, path: str) -> Any:
    with urllib.request.urlopen(f"{gateway.url}/http{path}") as reply:
        return json.load(reply)


def calls(gateway: Project, name: str) -> list[list[str]]:
    """The calls so far: what each said, its version, the ARN, and what fired it."""
    lines = [line.partition("called ")[2] for line in gateway.log(name).splitlines()]
    return [line.split() for line in lines if line]


def test_every_kind_of_trigger_calls_the_alias(gateway: Project) -> None:
    made(gateway, "all")
    put(gateway, "all", [{**row, "qualifier": "live"} for row in TRIGGERS])
    fire(gateway)
    assert get(gateway, "/items") == {"version": "1", "arn": f"{NAMES}all:live"}
    until(
        lambda: all(any(source in row[3] for row in calls(gateway, "all")) for source in SOURCES),
        "a call by each",
        PATIENCE_S,
    )
    assert {tuple(row[:3]) for row in calls(gateway, "all")} == {("old", "1", f"{NAMES}all:live")}
    put(gateway, "all", [])


def test_an_alias_that_is_not_there_yet_is_waited_for(gateway: Project) -> None:
    lambdas = made(gateway, "late")
    put(gateway, "late", [{**row, "qualifier": "soon"} for row in TRIGGERS])
    fire(gateway)
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(gateway, "/items")
    assert caught.value.code == 500
    said = "cannot find function late:soon"
    for line in (
        f"late: cannot take messages of the queue jobs: {said}",
        f"late: a batch must wait: {said}",
        f"late: events must wait: {said}",
        f"the route GET /items cannot be served: {said}",
    ):
        until(lambda line=line: line in gateway.output.read_text(), line, PATIENCE_S)
    assert calls(gateway, "late") == []
    lambdas.create_alias(FunctionName="late", Name="soon", FunctionVersion="1")
    waited = [source for source in SOURCES if source != "GET"]
    until(
        lambda: all(any(source in row[3] for row in calls(gateway, "late")) for source in waited),
        "what waited",
        PATIENCE_S,
    )
    assert get(gateway, "/items")["arn"] == f"{NAMES}late:soon"
    dead = gateway.cli("dead", "list", "--json").stdout
    assert json.loads(dead) == {"dead_letters": []}
    put(gateway, "late", [])


def test_services_call_aliases_by_their_arns(gateway: Project) -> None:
    lambdas = made(gateway, "by-arn")
    arn = f"{NAMES}by-arn:live"
    for number, service in enumerate(("sns", "events")):
        lambdas.add_permission(
            FunctionName="by-arn",
            Qualifier="live",
            StatementId=str(number),
            Action="lambda:InvokeFunction",
            Principal=f"{service}.amazonaws.com",
        )
    topic = "arn:aws:sns:us-east-1:123456789012:news"
    topics = client(gateway, "sns")
    made_ = topics.subscribe(
        TopicArn=topic, Protocol="lambda", Endpoint=arn, ReturnSubscriptionArn=True
    )["SubscriptionArn"]
    listed = topics.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"]
    assert [row["Endpoint"] for row in listed if row["SubscriptionArn"] == made_] == [arn]
    buses = client(gateway, "events")
    buses.put_rule(Name="sold", EventPattern='{"source": ["shop"]}')
    buses.put_targets(Rule="sold", Targets=[{"Id": "1", "Arn": arn}])
    client(gateway, "scheduler").create_schedule(
        Name="often",
        ScheduleExpression="rate(1 minute)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={
            "Arn": arn,
            "RoleArn": "arn:aws:iam::123456789012:role/r",
            "Input": '{"source": "timed"}',
        },
    )
    fire(gateway)
    until(
        lambda: {row[3] for row in calls(gateway, "by-arn")} >= {"aws:sns", "shop", "timed"},
        "a call by each",
        PATIENCE_S,
    )
    assert {tuple(row[:3]) for row in calls(gateway, "by-arn")} == {("old", "1", arn)}
    topics.unsubscribe(SubscriptionArn=made_)
    buses.remove_targets(Rule="sold", Ids=["1"])
    client(gateway, "scheduler").delete_schedule(Name="often")


def test_a_canary_sees_what_triggers_call(gateway: Project) -> None:
    made(gateway, "tried")
    bad = publish(gateway, "tried", "bad")
    # What is sent while a call runs would be one more call: of few, all may be of the old version.
    kinds = {"http": {}, "queue": {"batch_size": 1}, "topic": {}}
    rows = [{**row, **kinds[row["type"]]} for row in TRIGGERS if row["type"] in kinds]
    put(gateway, "tried", [{**row, "qualifier": "live"} for row in rows])
    rollout = {"alias": "live", "version": bad, "share": 0.5, "for_s": 3600}
    rollout["rollback_on"] = ["errors>10%"]
    url = f"{gateway.url}/_microfaas/v1/functions/tried/rollouts"
    with urllib.request.urlopen(url, json.dumps(rollout).encode()) as reply:
        assert json.load(reply)["state"] == "running"
    topics, queues = client(gateway, "sns"), client(gateway, "sqs")

    def ended() -> Any:
        # Nobody calls it but its triggers.
        topics.publish(TopicArn="arn:aws:sns:us-east-1:123456789012:news", Message="hello")
        queues.send_message(QueueUrl=f"{gateway.url}/123456789012/jobs", MessageBody="a job")
        with contextlib.suppress(urllib.error.HTTPError):
            get(gateway, "/items")
        with urllib.request.urlopen(f"{url}?alias=live") as reply:
            found = json.load(reply)
        return found if found["state"] != "running" else None

    found = until(ended, "the end of the rollout", PATIENCE_S)
    assert (found["state"], found["version"]) == ("rolled back", bad)
    assert found["errors"] == found["calls"] >= 20
    by = {row[3] for row in calls(gateway, "tried") if row[0] == "bad"}
    assert by == {"GET", "aws:sqs", "aws:sns"}
    alias = client(gateway).get_alias(FunctionName="tried", Name="live")
    assert (alias["FunctionVersion"], alias.get("RoutingConfig")) == ("1", None)
    put(gateway, "tried", [])
