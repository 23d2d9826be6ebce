"""Lambda's control API with the `aws` command, as people type it and scripts do.

It is the command's second version, which differs from the first in what it sends and understands;
the other end-to-end tests use the first.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.control import ECHO, ROLE, package
from tests.e2e.project import Project, until
from tests.e2e.test_access import create as create_key

AWS = "/usr/bin/aws"
PATIENCE_S = 120.0
# As scripts have it that were written for the first version.
AWS_CONFIG = """
[default]
cli_binary_format = raw-in-base64-out
cli_pager =
"""
WHERE = "us-east-1:123456789012"
ARN = f"arn:aws:lambda:{WHERE}:function:f"
CREATE = (
    *("create-function", "--function-name", "f", "--runtime", "python3.12", "--role", ROLE),
    *("--handler", "app.handler", "--zip-file", "fileb://first.zip"),
    *("--environment", "Variables={SAID=one}", "--tags", "team=one"),
)
F = ("--function-name", "f")
CONFIG = """
auth = true
[queues.q]
"""
Aws = Callable[..., Any]


@pytest.fixture
def served(project: Project) -> Project:
    project.write("microfaas.toml", CONFIG)
    project.write(".aws/config", AWS_CONFIG)
    (project.root / "first.zip").write_bytes(package())
    (project.root / "second.zip").write_bytes(package(ECHO.replace('"said"', '"told"')))
    project.start()
    project.key = create_key(project, "admin")
    return project


def start(project: Project, *arguments: str) -> subprocess.Popen[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(project.root),
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": project.key[0],
        "AWS_SECRET_ACCESS_KEY": project.key[1],
        "AWS_MAX_ATTEMPTS": "1",
        "PYTHONUNBUFFERED": "1",  # what is followed is read as it comes
    }
    argv = [AWS, "--endpoint-url", project.url, *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        argv, stdout=pipe, stderr=pipe, text=True, env=environment, cwd=project.root
    )


def run(project: Project, *arguments: str) -> subprocess.CompletedProcess[str]:
    with start(project, *arguments) as process:
        stdout, stderr = process.communicate()
    return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)


def aws(project: Project, service: str, *arguments: str) -> Any:
    """What the command prints; null for nothing."""
    done = run(project, service, *arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout or "null")


def refused(project: Project, *arguments: str) -> str:
    """What the command says of its failure."""
    done = run(project, *arguments)
    assert done.returncode == 254, (done.stdout, done.stderr)
    return done.stderr.strip()


@pytest.fixture
def lambdas(served: Project) -> Aws:
    def call(*arguments: str) -> Any:
        return aws(served, "lambda", *arguments)

    return call


@pytest.fixture
def made(lambdas: Aws) -> Any:
    answer = lambdas(*CREATE)
    lambdas("wait", "function-active-v2", *F)
    return answer


def invoke(served: Project, lambdas: Aws, *arguments: str) -> Any:
    told = lambdas("invoke", *F, *arguments, "out.json")
    return told, json.loads((served.root / "out.json").read_text() or "null")


def test_a_function_comes_into_being_and_changes(served: Project, lambdas: Aws, made: Any) -> None:
    assert (made["FunctionArn"], made["State"]) == (ARN, "Pending")
    told, answer = invoke(served, lambdas, "--payload", '{"a": 1}', "--log-type", "Tail")
    assert (told["StatusCode"], told["ExecutedVersion"]) == (200, "$LATEST")
    assert "LogResult" in told
    assert (answer["event"], answer["said"]) == ({"a": 1}, "one")
    lambdas("update-function-code", *F, "--zip-file", "fileb://second.zip")
    lambdas("wait", "function-updated-v2", *F)
    lambdas("update-function-configuration", *F, "--environment", "Variables={SAID=two}")
    lambdas("wait", "function-updated", *F)
    assert invoke(served, lambdas)[1]["told"] == "two"
    assert invoke(served, lambdas, "--invocation-type", "Event")[0] == {"StatusCode": 202}
    assert lambdas("get-function", *F)["Tags"] == {"team": "one"}
    assert lambdas("delete-function", *F) in (None, {"StatusCode": 204})
    assert lambdas("list-functions") == {"Functions": []}


def test_versions_and_an_alias(served: Project, lambdas: Aws, made: Any) -> None:
    assert lambdas("publish-version", *F, "--description", "the first")["Version"] == "1"
    lambdas("wait", "published-version-active", *F, "--qualifier", "1")
    lambdas("update-function-configuration", *F, "--timeout", "9")
    assert lambdas("publish-version", *F)["Version"] == "2"
    weights = "AdditionalVersionWeights={2=0.5}"
    live = (*F, "--name", "live")
    alias = lambdas("create-alias", *live, "--function-version", "1", "--routing-config", weights)
    assert alias["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.5}}
    lambdas("update-alias", *live, "--routing-config", "{}")
    told, answer = invoke(served, lambdas, "--qualifier", "live")
    assert told["ExecutedVersion"] == "1"
    assert answer["arn"] == f"{ARN}:live"
    numbers = lambdas("list-versions-by-function", *F, "--query", "Versions[].Version")
    assert numbers == ["$LATEST", "1", "2"]
    assert lambdas("list-aliases", *F, "--query", "Aliases[].Name") == ["live"]
    assert lambdas("delete-alias", *live) is None


def test_lists_go_on_where_they_stopped(lambdas: Aws, made: Any) -> None:
    lambdas(*CREATE[:2], "g", *CREATE[3:])
    names = ("list-functions", "--query", "Functions[].FunctionName")
    assert lambdas(*names, "--page-size", "1") == ["f", "g"]
    first = lambdas("list-functions", "--max-items", "1")
    assert [each["FunctionName"] for each in first["Functions"]] == ["f"]
    rest = lambdas("list-functions", "--starting-token", first["NextToken"])
    assert [each["FunctionName"] for each in rest["Functions"]] == ["g"]
    assert "NextToken" not in rest


def test_where_its_events_come_from(lambdas: Aws, made: Any) -> None:
    url = lambdas("create-function-url-config", *F, "--auth-type", "AWS_IAM")["FunctionUrl"]
    assert lambdas("get-function-url-config", *F)["FunctionUrl"] == url
    source = ("--event-source-arn", f"arn:aws:sqs:{WHERE}:q")
    mapping = lambdas("create-event-source-mapping", *F, *source, "--batch-size", "5")
    listed = lambdas("list-event-source-mappings", *source)["EventSourceMappings"]
    assert [each["UUID"] for each in listed] == [mapping["UUID"]]
    deleted = lambdas("delete-event-source-mapping", "--uuid", mapping["UUID"])
    assert deleted["State"] == "Deleting"


def test_who_may_call_it(lambdas: Aws, made: Any) -> None:
    told = lambdas(
        *("add-permission", *F, "--statement-id", "s3", "--action", "lambda:InvokeFunction"),
        *("--principal", "s3.amazonaws.com", "--source-arn", "arn:aws:s3:::b"),
    )
    statement = json.loads(told["Statement"])
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
    assert json.loads(lambdas("get-policy", *F)["Policy"])["Statement"] == [statement]
    assert lambdas("remove-permission", *F, "--statement-id", "s3") is None


def test_what_else_is_set_of_it(served: Project, lambdas: Aws, made: Any) -> None:
    lambdas("put-function-concurrency", *F, "--reserved-concurrent-executions", "0")
    assert "(TooManyRequestsException)" in refused(served, "lambda", "invoke", *F, "out.json")
    assert lambdas("get-function", *F)["Concurrency"] == {"ReservedConcurrentExecutions": 0}
    assert lambdas("delete-function-concurrency", *F) is None
    destination = {"OnFailure": {"Destination": f"arn:aws:sqs:{WHERE}:q"}}
    lambdas(
        *("put-function-event-invoke-config", *F, "--maximum-retry-attempts", "0"),
        *("--destination-config", json.dumps(destination)),
    )
    listed = lambdas("list-function-event-invoke-configs", *F)["FunctionEventInvokeConfigs"]
    assert [each["DestinationConfig"] for each in listed] == [{"OnSuccess": {}, **destination}]
    assert lambdas("tag-resource", "--resource", ARN, "--tags", "a=1,b=2") is None
    assert lambdas("untag-resource", "--resource", ARN, "--tag-keys", "a", "team") is None
    assert lambdas("list-tags", "--resource", ARN) == {"Tags": {"b": "2"}}
    assert lambdas("get-account-settings")["AccountUsage"]["FunctionCount"] == 1


def test_a_layer_gives_it_more_code(served: Project, lambdas: Aws, made: Any) -> None:
    (served.root / "layer.zip").write_bytes(package("WORD = 'shared'\n", "python/shared.py"))
    layer = ("--layer-name", "l")
    published = lambdas("publish-layer-version", *layer, "--zip-file", "fileb://layer.zip")
    assert published["Version"] == 1
    user = package("import shared\ndef handler(event, context):\n    return shared.WORD\n")
    (served.root / "user.zip").write_bytes(user)
    lambdas("update-function-configuration", *F, "--layers", published["LayerVersionArn"])
    lambdas("update-function-code", *F, "--zip-file", "fileb://user.zip")
    lambdas("wait", "function-updated-v2", *F)
    assert invoke(served, lambdas)[1] == "shared"
    versions = ("list-layer-versions", *layer, "--query", "LayerVersions[].Version")
    assert lambdas(*versions) == [1]
    assert lambdas("delete-layer-version", *layer, "--version-number", "1") is None
    assert lambdas("list-layers") == {"Layers": []}


def test_its_log_can_be_read(served: Project, lambdas: Aws) -> None:
    said = "def handler(event, context):\n    print('said', event['word'])\n"
    (served.root / "first.zip").write_bytes(package(said))
    lambdas(*CREATE)
    lambdas("wait", "function-active-v2", *F)
    for word in ("one", "two"):
        invoke(served, lambdas, "--payload", json.dumps({"word": word}))
    group = ("--log-group-name", "/aws/lambda/f")
    wanted = ("filter-log-events", *group, "--query", "events[].message")
    until(lambda: len(aws(served, "logs", *wanted, "--filter-pattern", "said")) == 2, "the log")
    found = aws(served, "logs", *wanted, "--filter-pattern", "two")
    assert [each.strip() for each in found] == ["said two"]

    def kinds() -> list[str]:
        found = []
        for stream in aws(served, "logs", "describe-log-streams", *group)["logStreams"]:
            name = ("--log-stream-name", stream["logStreamName"])
            read = ("get-log-events", *group, *name, "--start-from-head")
            found += [each["message"].split()[0] for each in aws(served, "logs", *read)["events"]]
        return [each for each in found if each != "INIT_START"]

    until(lambda: kinds() == 2 * ["START", "said", "END", "REPORT"], "the records")
    groups = aws(served, "logs", "describe-log-groups")["logGroups"]
    assert [each["logGroupName"] for each in groups] == ["/aws/lambda/f"]


def test_its_log_can_be_followed(served: Project, lambdas: Aws, made: Any) -> None:
    invoke(served, lambdas)
    group = "/aws/lambda/f"
    until(lambda: aws(served, "logs", "describe-log-groups")["logGroups"], "the log")
    with start(served, "logs", "tail", group, "--follow", "--format", "short") as tail:
        assert tail.stdout is not None
        limit = threading.Timer(PATIENCE_S, tail.kill)  # for a tail that tells nothing
        limit.start()
        words = (line.split()[1] for line in tail.stdout if line.strip())
        try:
            assert "REPORT" in words
            invoke(served, lambdas)
            told = (word for word in words if word != "INIT_START")
            assert [next(told) for _ in range(3)] == ["START", "END", "REPORT"]
            tail.send_signal(signal.SIGINT)
            assert set(words) <= {"INIT_START"}
        finally:
            limit.cancel()
            tail.kill()
    assert tail.returncode in (0, 130)  # it was interrupted as it slept, or as it asked
    said = refused(served, "logs", "tail", "/aws/lambda/g")
    assert "(ResourceNotFoundException)" in said


def test_a_role_is_made_before_its_function(served: Project, lambdas: Aws) -> None:
    caller = aws(served, "sts", "get-caller-identity")
    assert caller["Account"] == "123456789012"
    trusted = {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    trust = json.dumps({"Version": "2012-10-17", "Statement": [trusted]})
    role = ("--role-name", "worker")
    made = aws(served, "iam", "create-role", *role, "--assume-role-policy-document", trust)["Role"]
    basic = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    assert aws(served, "iam", "attach-role-policy", *role, "--policy-arn", basic) is None
    attached = aws(served, "iam", "list-attached-role-policies", *role)["AttachedPolicies"]
    assert [each["PolicyArn"] for each in attached] == [basic]
    assert aws(served, "iam", "get-role", *role)["Role"]["Arn"] == made["Arn"]
    assert lambdas(*CREATE, "--role", made["Arn"])["Role"] == made["Arn"]
    said = refused(served, "iam", "delete-role", *role)
    assert "(DeleteConflict)" in said
    aws(served, "iam", "detach-role-policy", *role, "--policy-arn", basic)
    aws(served, "iam", "delete-role", *role)
    assert "(NoSuchEntity)" in refused(served, "iam", "get-role", *role)


def test_what_is_wrong_is_said_in_awss_words(served: Project, made: Any) -> None:
    said = refused(served, "lambda", "get-function", "--function-name", "g")
    told = "An error occurred (ResourceNotFoundException) when calling the GetFunction operation"
    assert said.startswith(told)
    assert said.endswith(f": Function not found: {ARN[:-1]}g")
    assert "(ResourceConflictException)" in refused(served, "lambda", *CREATE)
    said = refused(served, "lambda", "create-function", *CREATE[1:], "--role", "me")
    assert "(ValidationException)" in said
    assert "Value 'me' at 'role' failed to satisfy constraint" in said


def test_a_key_may_what_its_scopes_say(served: Project, made: Any) -> None:
    served.key = create_key(served, "read")
    assert aws(served, "lambda", "get-function-configuration", *F)["State"] == "Active"
    assert len(aws(served, "lambda", "list-functions")["Functions"]) == 1
    for refusal in (
        ("update-function-configuration", *F, "--timeout", "9"),
        ("delete-function", *F),
        ("invoke", *F, "out.json"),
        ("publish-version", *F),
        ("create-alias", *F, "--name", "live", "--function-version", "$LATEST"),
        ("create-function-url-config", *F, "--auth-type", "NONE"),
    ):
        said = refused(served, "lambda", *refusal)
        assert "(AccessDeniedException)" in said
        assert ARN in said
    assert "(AccessDeniedException)" in refused(served, "lambda", *CREATE[:2], "g", *CREATE[3:])
    served.key = (served.key[0], "wrong")
    assert "(InvalidSignatureException)" in refused(served, "lambda", "list-functions")
    served.key = ("AKIANOBODY", "wrong")
    assert "(UnrecognizedClientException)" in refused(served, "lambda", "list-functions")
