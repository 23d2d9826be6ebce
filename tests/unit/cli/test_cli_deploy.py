"""`microfaas deploy`: what is wanted of a gateway, and the requests that make it so."""

from __future__ import annotations

import base64
import io
import json
import os
import textwrap
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import pytest
from click.testing import CliRunner, Result

from microfaas.cli import main, project, source
from microfaas.cli.deployment import packing, wanted
from microfaas.client import Client, ClientError
from microfaas.errors import ConfigError

PROJECT = """\
[queues.jobs]

[functions.work]
runtime = "python3.12"
handler = "app.handler"
timeout_s = 5
environment = { STAGE = "test" }

[[functions.work.triggers]]
type = "queue"
queue = "jobs"
"""
Asked = tuple[str, str, Any]


class Gateway(Client):
    """Answers what `answers` has for a method and path, or an operation; the rest is not there."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[str, Any] = {}
        self.asked: list[Asked] = []
        self.checked: dict[str, Any] = {}

    def rest(self, method: str, path: str, told: object = None) -> dict[str, Any]:
        return self._answer(method, path, told)  # type: ignore[no-any-return]

    def call(self, target: str, **params: object) -> dict[str, Any]:
        return self._answer("CALL", target.partition(".")[2], params)  # type: ignore[no-any-return]

    def form(self, action: str, version: str, **params: str) -> Element:
        made = self._answer("FORM", action, params)
        return ElementTree.fromstring(made or "<Done/>")

    def triggers(self, function: str) -> list[dict[str, Any]]:
        return self._answer("GET", f"triggers of {function}", None)  # type: ignore[no-any-return]

    def put_triggers(self, triggers: Any) -> None:
        for function, tables in triggers.items():
            self._answer("PUT", f"triggers of {function}", tables)

    def check_triggers(self, triggers: Any, **to_come: Any) -> None:
        self.checked = {"triggers": triggers, **to_come}

    def changes(self) -> list[Asked]:
        """What changed something."""
        reads = ("Get", "List", "Describe")
        return [each for each in self.asked if each[0] != "GET" and not each[1].startswith(reads)]

    def _answer(self, method: str, path: str, told: object) -> Any:
        self.asked.append((method, path, told))
        if (found := self.answers.get(f"{method} {path}")) is not None:
            return found
        if method == "GET" or path.startswith(("Get", "Describe", "ListSub")):
            raise ClientError("ResourceNotFoundException", "no", 404, None)
        return {}


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Gateway:
    made = Gateway()
    monkeypatch.setattr(project, "reach", lambda *_: made)
    return made


@pytest.fixture
def deploy() -> Callable[..., Result]:
    Path("microfaas.toml").write_text(PROJECT)
    Path("app.py").write_text("def handler(event, context): ...\n")

    def deploy(*arguments: str) -> Result:
        done = CliRunner().invoke(main, ["deploy", *arguments])
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    return deploy


def there(gateway: Gateway) -> None:
    """Have the gateway hold what PROJECT makes of it."""
    created = next(told for _, path, told in gateway.asked if path.endswith("/functions"))
    package = packing.pack(".", [os.path.abspath("microfaas.toml")])
    shown = {
        **{key: value for key, value in created.items() if key not in ("Code", "Layers")},
        "CodeSha256": package.sha256,
        "LastUpdateStatus": "Successful",
    }
    [attributes] = [told["Attributes"] for _, path, told in gateway.asked if path == "CreateQueue"]
    gateway.answers = {
        "GET /2015-03-31/functions/work/configuration": shown,
        "GET triggers of work": [{"type": "queue", "queue": "jobs"}],
        "CALL GetQueueUrl": {"QueueUrl": "http://x/1/jobs"},
        "CALL GetQueueAttributes": {"Attributes": attributes},
        "POST /2015-03-31/functions/work/versions": {"Version": "3"},
    }
    gateway.asked.clear()


def test_what_is_not_there_is_created(gateway: Gateway, deploy: Callable[..., Result]) -> None:
    done = deploy()
    assert done.exit_code == 0
    queue, function, triggers = gateway.changes()
    assert queue[:2] == ("CALL", "CreateQueue")
    assert queue[2]["QueueName"] == "jobs"
    assert triggers == ("PUT", "triggers of work", [{"type": "queue", "queue": "jobs"}])
    told = dict(function[2])
    data = told.pop("Code")["ZipFile"]
    assert told == {
        "FunctionName": "work",
        "Role": "arn:aws:iam::123456789012:role/microfaas",
        "Runtime": "python3.12",
        "Handler": "app.handler",
        "Description": "",
        "Timeout": 5,
        "MemorySize": 128,
        "EphemeralStorage": {"Size": 512},
        "Environment": {"Variables": {"STAGE": "test"}},
        "DeadLetterConfig": {"TargetArn": ""},
        "LoggingConfig": {"LogFormat": "Text", "LogGroup": "/aws/lambda/work"},
        "Layers": [],
    }
    archive = zipfile.ZipFile(io.BytesIO(base64.b64decode(data)))
    # The file has other functions' variables in it.
    assert archive.namelist() == ["app.py"]
    assert [line.split() for line in done.stdout.splitlines()[1:]] == [
        ["created", "queue", "jobs"],
        ["created", "function", "work"],
        ["created", "triggers", "work", "queue"],
    ]


def test_what_is_there_and_the_same_is_left_alone(
    gateway: Gateway, deploy: Callable[..., Result]
) -> None:
    deploy()
    there(gateway)
    done = deploy("--json")
    assert json.loads(done.stdout) == {"dry_run": False, "changes": []}
    assert gateway.changes() == []


def test_only_what_differs_is_changed(gateway: Gateway, deploy: Callable[..., Result]) -> None:
    deploy()
    there(gateway)
    Path("app.py").write_text("def handler(event, context): return 2\n")
    text = PROJECT.replace("timeout_s = 5", "timeout_s = 6").replace(
        "[queues.jobs]", "[queues.jobs]\ndelay_s = 1"
    )
    Path("microfaas.toml").write_text(text)
    done = deploy("--json")
    assert [(row["kind"], row["what"]) for row in json.loads(done.stdout)["changes"]] == [
        ("queue", "DelaySeconds"),
        ("function", "code"),
        ("function", "Timeout"),
    ]
    queue, code, settings = gateway.changes()
    assert queue[2]["Attributes"] == {"DelaySeconds": "1"}
    assert list(code[2]) == ["ZipFile"]
    assert settings == ("PUT", "/2015-03-31/functions/work/configuration", {"Timeout": 6})


@pytest.mark.parametrize("option", ["--gateway", "--endpoint-url"])
def test_the_gateway_may_be_named_both_ways(
    gateway: Gateway,
    deploy: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    option: str,
) -> None:
    reached: list[str | None] = []

    def reach(url: str | None, *_: object) -> Gateway:
        reached.append(url)
        return gateway

    monkeypatch.setattr(project, "reach", reach)
    deploy(option, "http://there:9000")
    assert reached == ["http://there:9000"]


def test_a_dry_run_changes_nothing(gateway: Gateway, deploy: Callable[..., Result]) -> None:
    done = deploy("--dry-run", "--alias", "live", "--json")
    rows = json.loads(done.stdout)["changes"]
    assert [row["kind"] for row in rows] == ["queue", "function", "alias", "triggers"]
    assert gateway.changes() == []


def test_an_alias_is_there_before_what_calls_it(
    gateway: Gateway, deploy: Callable[..., Result]
) -> None:
    Path("microfaas.toml").write_text(f'{PROJECT}qualifier = "live"\n')
    gateway.answers = {"POST /2015-03-31/functions/work/versions": {"Version": "1"}}
    deploy("--alias", "live")
    *_, alias, triggers = gateway.changes()
    assert alias[1] == "/2015-03-31/functions/work/aliases"
    table = {"type": "queue", "queue": "jobs", "qualifier": "live"}
    assert triggers == ("PUT", "triggers of work", [table])


def test_another_qualifier_is_deployed(gateway: Gateway, deploy: Callable[..., Result]) -> None:
    deploy()
    there(gateway)
    Path("microfaas.toml").write_text(f'{PROJECT}qualifier = "live"\n')
    deploy()
    [triggers] = gateway.changes()
    assert triggers[2] == [{"type": "queue", "queue": "jobs", "qualifier": "live"}]


def test_an_alias_that_is_missing_is_told(gateway: Gateway, deploy: Callable[..., Result]) -> None:
    Path("microfaas.toml").write_text(f'{PROJECT}qualifier = "live"\n')
    told = "what fires work waits for work:live, which is not there: --alias live makes it\n"
    assert deploy().stderr == told
    gateway.answers = {"POST /2015-03-31/functions/work/versions": {"Version": "1"}}
    assert deploy("--alias", "live").stderr == ""
    path = "/2015-03-31/functions/work/configuration?Qualifier=live"
    gateway.answers = {f"GET {path}": {"Version": "1"}}
    assert deploy().stderr == ""


def test_an_alias_follows_what_is_published(
    gateway: Gateway, deploy: Callable[..., Result]
) -> None:
    deploy()
    there(gateway)
    deploy("--alias", "live")
    publish, alias = gateway.changes()
    assert publish == ("POST", "/2015-03-31/functions/work/versions", {})
    told = {"Name": "live", "FunctionVersion": "3"}
    assert alias == ("POST", "/2015-03-31/functions/work/aliases", told)
    gateway.asked.clear()
    path = "/2015-03-31/functions/work/aliases/live"
    gateway.answers[f"GET {path}"] = {"FunctionVersion": "2"}
    deploy("--alias", "live")
    assert gateway.changes()[1:] == [("PUT", path, {"FunctionVersion": "3"})]
    gateway.asked.clear()
    gateway.answers[f"GET {path}"] = {"FunctionVersion": "3"}
    assert "nothing is changed" in deploy("--alias", "live").stderr


def test_events_are_seen_through_whichever_name_is_called(
    gateway: Gateway, deploy: Callable[..., Result]
) -> None:
    text = PROJECT.replace("[functions.work]", "[functions.work]\nretries_max = 1")
    Path("microfaas.toml").write_text(text)
    gateway.answers["POST /2015-03-31/functions/work/versions"] = {"Version": "1"}
    deploy("--alias", "live")
    path = "/2019-09-25/functions/work/event-invoke-config"
    puts = [each for each in gateway.changes() if "event-invoke" in each[1]]
    told = {"MaximumRetryAttempts": 1}
    assert puts == [("PUT", path, told), ("PUT", f"{path}?Qualifier=live", told)]
    for place in (path, f"{path}?Qualifier=live"):
        gateway.answers[f"GET {place}"] = {**told, "DestinationConfig": {"OnFailure": {}}}
    gateway.asked.clear()
    deploy("--alias", "live")
    assert not [each for each in gateway.changes() if "event-invoke" in each[1]]


def test_how_many_may_run_at_once(gateway: Gateway, deploy: Callable[..., Result]) -> None:
    text = PROJECT.replace("[functions.work]", "[functions.work]\nconcurrency_max = 2")
    Path("microfaas.toml").write_text(text)
    deploy()
    told = {"ReservedConcurrentExecutions": 2}
    put = ("PUT", "/2017-10-31/functions/work/concurrency", told)
    assert put in gateway.changes()
    gateway.answers["GET /2019-09-30/functions/work/concurrency"] = told
    gateway.asked.clear()
    deploy()
    assert put not in gateway.changes()


def test_whether_it_may_loop(gateway: Gateway, deploy: Callable[..., Result]) -> None:
    text = PROJECT.replace("[functions.work]", '[functions.work]\nrecursive_loop = "allow"')
    Path("microfaas.toml").write_text(text)
    deploy()
    path, told = "/2024-08-31/functions/work/recursion-config", {"RecursiveLoop": "Allow"}
    assert ("PUT", path, told) in gateway.changes()
    gateway.answers[f"GET {path}"] = told
    gateway.asked.clear()
    deploy()
    assert ("PUT", path, told) not in gateway.changes()


def test_one_function_alone(gateway: Gateway, deploy: Callable[..., Result]) -> None:
    Path("microfaas.toml").write_text(PROJECT + "[functions.other]\n")
    deploy("--function", "other")
    assert [told["FunctionName"] for _, _, told in gateway.changes()] == ["other"]
    done = deploy("--function", "othr")
    assert done.exit_code == 2
    assert "--function: there is no othr; there is other, work" in done.stderr


def test_what_was_done_before_a_refusal_is_told(
    gateway: Gateway, deploy: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise ClientError("ServiceException", "full", 503, None)

    monkeypatch.setattr(gateway, "put_triggers", refuse)
    done = deploy()
    assert done.exit_code == 111
    assert "function" in done.stdout
    assert "triggers" not in done.stdout


@pytest.mark.parametrize("option", ["", "--dry-run"])
def test_triggers_are_checked_before_anything_is_changed(
    gateway: Gateway,
    deploy: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
    option: str,
) -> None:
    arguments = [option] if option else []
    deploy(*arguments)
    assert gateway.checked == {
        "triggers": {"work": [{"type": "queue", "queue": "jobs"}]},
        "functions": {"work": 5},
        "queues": {"jobs": 30},
        "streams": [],
        "topics": [],
    }
    gateway.asked.clear()

    def refuse(*_: object, **__: object) -> None:
        raise ClientError("InvalidParameterValueException", "taken", 400, None)

    monkeypatch.setattr(gateway, "check_triggers", refuse)
    done = deploy(*arguments)
    assert (done.exit_code, done.stdout) == (100, "")
    assert gateway.changes() == []


ROLLOUTS = "/_microfaas/v1/functions/work/rollouts"
LIVE = "/2015-03-31/functions/work/aliases/live"
CANARY = ("--alias", "live", "--canary", "10%")


def test_a_canary_begins_when_all_else_is_done(
    gateway: Gateway, deploy: Callable[..., Result]
) -> None:
    ended = {"state": "completed", "why": "", "version": "2", "calls": 9, "errors": 0}
    gateway.answers = {
        f"GET {LIVE}": {"FunctionVersion": "1"},
        "POST /2015-03-31/functions/work/versions": {"Version": "2"},
        f"GET {ROLLOUTS}?alias=live": ended,
    }
    assert deploy(*CANARY).exit_code == 0
    *_, triggers, begun = gateway.changes()
    assert triggers[1] == "triggers of work"
    assert begun[:2] == ("POST", ROLLOUTS)


def test_where_a_canary_is_running_nothing_is_changed(
    gateway: Gateway, deploy: Callable[..., Result]
) -> None:
    gateway.answers[f"GET {ROLLOUTS}?alias=live"] = {"state": "running", "version": "2"}
    done = deploy(*CANARY)
    assert done.exit_code == 100
    assert "work:live still tries version 2" in done.stderr
    assert gateway.changes() == []


TOPIC = """\
[queues.jobs]
[topics.news]
display_name = "News"
[[topics.news.subscriptions]]
queue = "jobs"
raw = true
filter = { state = ["paid"] }
[streams.clicks]
shards = 2
retention_s = 172800
"""


def test_topics_and_streams(gateway: Gateway, deploy: Callable[..., Result]) -> None:
    Path("microfaas.toml").write_text(TOPIC)
    deploy()
    _, stream, retention, topic, subscription = gateway.changes()
    assert stream == ("CALL", "CreateStream", {"StreamName": "clicks", "ShardCount": 2})
    assert retention[1:] == (
        "IncreaseStreamRetentionPeriod",
        {"StreamName": "clicks", "RetentionPeriodHours": 48},
    )
    assert topic[2]["Name"] == "news"
    assert topic[2]["Attributes.entry.1.value"] == "News"
    told = subscription[2]
    assert (told["Protocol"], told["Endpoint"]) == (
        "sqs",
        "arn:aws:sqs:us-east-1:123456789012:jobs",
    )
    attributes = {
        told[f"Attributes.entry.{number}.key"]: told[f"Attributes.entry.{number}.value"]
        for number in (1, 2, 3)
    }
    assert attributes == {
        "RawMessageDelivery": "true",
        "FilterPolicy": '{"state":["paid"]}',
        "FilterPolicyScope": "MessageAttributes",
    }


FED = """\
[functions.app]
[topics.news]
[[topics.news.subscriptions]]
function = "app"
"""


def test_a_function_that_is_subscribed_permits_its_topic(
    gateway: Gateway, deploy: Callable[..., Result]
) -> None:
    Path("microfaas.toml").write_text(FED)
    deploy()
    *_, permission, subscription = gateway.changes()
    told = {
        "StatementId": "topic-news",
        "Action": "lambda:InvokeFunction",
        "Principal": "sns.amazonaws.com",
        "SourceArn": "arn:aws:sns:us-east-1:123456789012:news",
    }
    path = "/2015-03-31/functions/app/policy"
    assert permission == ("POST", path, told)
    assert subscription[1] == "Subscribe"
    gateway.answers[f"GET {path}"] = {"Policy": '{"Statement":[{"Sid":"topic-news"}]}'}
    gateway.asked.clear()
    deploy()
    assert path not in [asked[1] for asked in gateway.changes()]


def test_shards_cannot_be_changed(gateway: Gateway, deploy: Callable[..., Result]) -> None:
    Path("microfaas.toml").write_text(TOPIC)
    gateway.answers["CALL DescribeStreamSummary"] = {
        "StreamDescriptionSummary": {"RetentionPeriodHours": 48, "OpenShardCount": 1}
    }
    done = deploy()
    assert done.exit_code == 100
    assert "it has 1 shards and is to have 2" in done.stderr


TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Work:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: index.handler
      InlineCode: "def handler(event, context): return 1"
      AutoPublishAlias: live
      FunctionUrlConfig: {AuthType: NONE}
      Architectures: [x86_64]
      Tracing: Active
"""


def test_a_template_brings_its_aliases_and_urls(
    gateway: Gateway, deploy: Callable[..., Result]
) -> None:
    Path("template.yaml").write_text(TEMPLATE)
    gateway.answers = {
        "POST /2015-03-31/functions/Work/versions": {"Version": "1"},
        "POST /2021-10-31/functions/Work/url?Qualifier=live": {"FunctionUrl": "http://abc/"},
    }
    done = deploy("template.yaml", "--json")
    function, _, alias, url, *permissions = gateway.changes()
    assert function[2]["Role"] == "arn:aws:iam::123456789012:role/WorkRole"
    assert function[2]["TracingConfig"] == {"Mode": "Active"}
    assert function[2]["Architectures"] == ["x86_64"]
    assert alias[2] == {"Name": "live", "FunctionVersion": "1"}
    assert url[2] == {"AuthType": "NONE"}
    assert {each[1] for each in permissions} == {"/2015-03-31/functions/Work/policy?Qualifier=live"}
    shown = [row for row in json.loads(done.stdout)["changes"] if row["kind"] == "url"]
    assert shown[0]["what"] == "http://abc/"


SOURCE = "arn:aws:sqs:eu-west-1:999999999999:jobs"
READING = f"""\
Resources:
  Work:
    Type: AWS::Lambda::Function
    Properties: {{Runtime: python3.12, Handler: app.handler, Code: .}}
  Reads:
    Type: AWS::Lambda::EventSourceMapping
    Properties: {{FunctionName: !Ref Work, EventSourceArn: "{SOURCE}", BatchSize: 5}}
"""


def test_a_mapping_reads_what_is_elsewhere(gateway: Gateway, deploy: Callable[..., Result]) -> None:
    Path("template.yaml").write_text(READING)
    deploy("template.yaml")
    *_, mapping = gateway.changes()
    told = {"FunctionName": "Work", "EventSourceArn": SOURCE, "BatchSize": 5}
    assert mapping == ("POST", "/2015-03-31/event-source-mappings", told)
    [(_, path, _)] = [each for each in gateway.asked if "mappings?" in each[1]]
    row = {"UUID": "u", "EventSourceArn": SOURCE, "BatchSize": 5, "State": "Enabled"}
    gateway.answers[f"GET {path}"] = {"EventSourceMappings": [row]}
    gateway.asked.clear()
    deploy("template.yaml")
    assert not any("mappings" in path for _, path, _ in gateway.changes())
    row["BatchSize"] = 6
    deploy("template.yaml")
    changed = ("PUT", "/2015-03-31/event-source-mappings/u", {"BatchSize": 5})
    assert gateway.changes()[-1] == changed


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("cpu = 1", "functions.f.cpu: cannot be deployed"),
        ("timeout_s = 0.5", "functions.f.timeout_s: must be whole seconds"),
        ("retries_max = 3", "functions.f.retries_max: must be at most 2"),
        ('on_failure = "directory:x"', "functions.f.on_failure: must be a function, queue"),
        ('runtime = "go"', "functions.f.runtime: must be a runtime that Lambda has"),
    ],
)
def test_what_the_api_has_no_place_for_is_refused(row: str, told: str) -> None:
    Path("microfaas.toml").write_text(f"[functions.f]\n{row}\n")
    with pytest.raises(ConfigError, match=told):
        wanted.functions(source.deploying(".", {}, ""), ())


def test_a_followed_file_cannot_be_deployed() -> None:
    text = """\
        [streams.log.source]
        type = "tail"
        path = "x.log"
        """
    Path("microfaas.toml").write_text(textwrap.dedent(text))
    with pytest.raises(ConfigError, match=r"streams.log.source: cannot be deployed"):
        wanted.check_resources(source.deploying(".", {}, "").config)


def test_a_language_is_its_newest_version() -> None:
    Path("microfaas.toml").write_text('[functions.f]\n[functions.g]\nruntime = "nodejs"\n')
    made = {each.name: each for each in wanted.functions(source.deploying(".", {}, ""), ())}
    assert int(made["f"].settings["Runtime"].removeprefix("python3.")) >= 14
    assert made["f"].settings["Handler"] == "app.handler"
    assert int(made["g"].settings["Runtime"].removeprefix("nodejs").removesuffix(".x")) >= 24
    assert made["g"].settings["Handler"] == "index.handler"


def test_events_are_seen_through_as_the_file_says() -> None:
    Path("microfaas.toml").write_text(
        '[functions.f]\nretries_max = 1\nevent_age_s_max = 120\non_failure = "queue:dead"\n'
        'on_success = "bus:default"\ndead_letter = "topic:alarms"\nconcurrency_max = 3\n'
    )
    [made] = wanted.functions(source.deploying(".", {}, ""), ())
    assert made.events == {
        "MaximumRetryAttempts": 1,
        "MaximumEventAgeInSeconds": 120,
        "DestinationConfig": {
            "OnSuccess": {"Destination": "arn:aws:events:us-east-1:123456789012:event-bus/default"},
            "OnFailure": {"Destination": "arn:aws:sqs:us-east-1:123456789012:dead"},
        },
    }
    assert made.concurrency == 3
    target = {"TargetArn": "arn:aws:sns:us-east-1:123456789012:alarms"}
    assert made.settings["DeadLetterConfig"] == target


def test_how_a_function_logs() -> None:
    Path("microfaas.toml").write_text(
        '[functions.f]\nlog_format = "JSON"\nlog_level = "WARN"\nlog_group = "shop"\n'
        "[functions.g]\n"
    )
    made = {each.name: each for each in wanted.functions(source.deploying(".", {}, ""), ())}
    assert made["f"].settings["LoggingConfig"] == {
        "LogFormat": "JSON",
        "ApplicationLogLevel": "WARN",
        "SystemLogLevel": "INFO",
        "LogGroup": "shop",
    }
    usual = {"LogFormat": "Text", "LogGroup": "/aws/lambda/g"}
    assert made["g"].settings["LoggingConfig"] == usual


def test_a_package_is_the_same_for_the_same_code() -> None:
    for name in ("a", "b"):
        Path(name).mkdir()
        Path(name, "app.py").write_text("x = 1\n")
        Path(name, "__pycache__").mkdir()
        Path(name, "__pycache__", name).write_text(name)
    os.utime("b/app.py", (1, 1))
    assert packing.pack("a", ()) == packing.pack("b", ())
    Path("b/app.py").write_text("x = 2\n")
    assert packing.pack("a", ()).sha256 != packing.pack("b", ()).sha256


def test_a_zip_is_uploaded_as_it_is() -> None:
    Path("code.zip").write_bytes(b"PK...")
    assert packing.pack("code.zip", ()).data == "UEsuLi4="
