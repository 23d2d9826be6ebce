"""Concurrency, events' configs and policies of real functions, and what callers notice of them."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.e2e.control import call, client, create, package
from tests.e2e.project import BIN, Project, until

READY_S_MAX = 60.0
SLOW = "import time\n\ndef handler(event, context):\n    time.sleep(event)\n"


@pytest.fixture
def lambdas(project: Project) -> Any:
    project.write("microfaas.toml", "")
    project.start()
    return client(project)


KIND = """
import os
import time

def handler(event, context):
    time.sleep(event or 0)
    return {"kind": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"]}
"""


def events(project: Project, status: str) -> list[dict[str, Any]]:
    """The function's events of that status."""
    url = f"{project.url}/_microfaas/v1/invocations?function=f&status={status}"
    with urllib.request.urlopen(url) as reply:
        found: list[dict[str, Any]] = json.load(reply)["invocations"]
    return found


def settled(lambdas: Any, qualifier: str) -> dict[str, Any]:
    """What is told of provisioned instances once they are started, or cannot be."""
    deadline = time.monotonic() + READY_S_MAX
    while True:
        told: dict[str, Any] = lambdas.get_provisioned_concurrency_config(
            FunctionName="f", Qualifier=qualifier
        )
        if told["Status"] != "IN_PROGRESS":
            return told
        assert time.monotonic() < deadline, told
        time.sleep(0.05)


def test_with_few_open_files_versions_that_nobody_calls_make_room(project: Project) -> None:
    project.write("microfaas.toml", "")
    few = f'ulimit -n 400; exec {BIN / "microfaas"} "$@"'
    project.start(command=["bash", "-c", few, "microfaas"])
    lambdas = client(project)
    create(lambdas)
    for number in range(1, 21):
        code = package(f"def handler(event, context):\n    return {number}\n")
        lambdas.update_function_code(FunctionName="f", ZipFile=code, Publish=True)
        assert call(lambdas, qualifier=str(number)) == number
        assert call(lambdas, qualifier="1") == 1


def test_nobody_calls_a_function_that_has_reserved_nothing(project: Project, lambdas: Any) -> None:
    create(lambdas, Timeout=90)
    lambdas.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    for _ in range(2):
        with pytest.raises(ClientError) as caught:
            call(lambdas)
        assert caught.value.response["Error"]["Code"] == "TooManyRequestsException"
        reason = caught.value.response["Reason"]
        assert reason == "ReservedFunctionConcurrentInvocationLimitExceeded"
        project.kill()
        project.start()
        lambdas = client(project)
    found = lambdas.get_function(FunctionName="f")
    assert found["Concurrency"] == {"ReservedConcurrentExecutions": 0}
    limits = lambdas.get_account_settings()["AccountLimit"]
    assert limits["UnreservedConcurrentExecutions"] == limits["ConcurrentExecutions"] == 1000
    lambdas.delete_function_concurrency(FunctionName="f")
    assert call(lambdas)["version"] == "$LATEST"
    # Also of events as many run now as may.
    lambdas.update_function_code(FunctionName="f", ZipFile=package(SLOW))
    for _ in range(3):
        lambdas.invoke(FunctionName="f", InvocationType="Event", Payload=b"60")
    until(lambda: len(events(project, "running")) == 3, "three events that run at once")
    for each in events(project, "running"):
        assert project.cli("cancel", each["request_id"]).returncode == 0


def test_what_cannot_be_run_any_more_has_failed_and_its_events_wait(
    project: Project, lambdas: Any
) -> None:
    queues = client(project, "sqs")
    queue = queues.create_queue(QueueName="in")["QueueUrl"]
    create(lambdas, Publish=True, Timeout=3)
    lambdas.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    lambdas.create_event_source_mapping(
        FunctionName="f", EventSourceArn="arn:aws:sqs:us-east-1:123456789012:in"
    )
    lambdas.put_provisioned_concurrency_config(
        FunctionName="f", Qualifier="live", ProvisionedConcurrentExecutions=1
    )
    lambdas.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    lambdas.update_function_code(FunctionName="f", ZipFile=package(SLOW))
    lambdas.invoke(FunctionName="f", InvocationType="Event", Payload=b"2.9")
    lambdas.invoke(FunctionName="f", InvocationType="Event", Payload=b"0")
    project.kill()
    for each in (project.data / "packages").glob("*.zip"):
        each.rename(each.with_suffix(".gone"))
    project.start()
    lambdas, queues = client(project), client(project, "sqs")
    queue = queues.get_queue_url(QueueName="in")["QueueUrl"]
    queues.send_message(QueueUrl=queue, MessageBody="one")
    shown = lambdas.get_function_configuration(FunctionName="f")
    assert (shown["State"], shown["StateReasonCode"]) == ("Failed", "InternalError")
    assert ".zip" in shown["StateReason"]
    told = settled(lambdas, "live")
    assert (told["Status"], told["AllocatedProvisionedConcurrentExecutions"]) == ("FAILED", 0)
    assert ".zip" in told["StatusReason"]
    (row,) = project.functions().values()
    assert (row["state"], row["reason"]) == ("failed", shown["StateReason"])
    assert row["failed_versions"].keys() == {"1"}
    listed = project.cli("list")
    assert " failed " in listed.stdout.decode()
    assert f"f cannot be served: {row['reason']}" in listed.stderr.decode()
    for qualifier in ("$LATEST", "1", "live"):
        with pytest.raises(ClientError) as caught:
            call(lambdas, qualifier=qualifier)
        error = caught.value.response
        assert (error["Error"]["Code"], error["ResponseMetadata"]["HTTPStatusCode"]) == (
            "ResourceConflictException",
            409,
        )
        assert error["Error"]["Message"].endswith("in the following state: Failed")
    until(lambda: len(events(project, "waiting")) == 2, "both events to wait")
    lambdas.update_function_code(FunctionName="f", ZipFile=package())
    until(lambda: len(events(project, "ok")) == 2, "the events", timeout_s=90)

    def emptied() -> bool:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
        return all(found[name] == "0" for name in names)

    until(emptied, "the message of the queue", timeout_s=60)
    # Not before: one may run at once, and who comes beside it is refused.
    assert call(lambdas)["version"] == "$LATEST"
    project.stop()
    for each in (project.data / "packages").glob("*.gone"):
        each.rename(each.with_suffix(".zip"))
    project.start()
    assert settled(client(project), "live")["Status"] == "READY"
    assert call(client(project), qualifier="live")["version"] == "1"


def test_provisioned_instances_are_there_before_they_are_called(
    project: Project, lambdas: Any
) -> None:
    create(lambdas, code=KIND, Publish=True, Timeout=60)
    lambdas.create_alias(FunctionName="f", Name="live", FunctionVersion="1")
    made = lambdas.put_provisioned_concurrency_config(
        FunctionName="f", Qualifier="live", ProvisionedConcurrentExecutions=2
    )
    assert made["Status"] == "IN_PROGRESS"
    for _ in range(2):
        told = settled(lambdas, "live")
        assert told["Status"] == "READY"
        assert told["AllocatedProvisionedConcurrentExecutions"] == 2
        assert told["AvailableProvisionedConcurrentExecutions"] == 2
        assert call(lambdas, qualifier="live")["kind"] == "provisioned-concurrency"
        assert call(lambdas)["kind"] == "on-demand"
        with pytest.raises(ClientError, match="Invalid alias configuration for Provisioned"):
            lambdas.update_alias(FunctionName="f", Name="live", FunctionVersion="$LATEST")
        project.kill()
        project.start()
        lambdas = client(project)
    settled(lambdas, "live")
    with ThreadPoolExecutor(3) as callers:
        told = list(callers.map(lambda _: call(lambdas, qualifier="live", event=4), range(3)))
    kinds = sorted(each["kind"] for each in told)
    assert kinds == ["on-demand", "provisioned-concurrency", "provisioned-concurrency"]
    lambdas.delete_provisioned_concurrency_config(FunctionName="f", Qualifier="live")
    with pytest.raises(ClientError, match="No Provisioned Concurrency Config found"):
        settled(lambdas, "live")
    assert call(lambdas, qualifier="live")["kind"] == "on-demand"


def test_a_function_that_cannot_be_loaded_cannot_be_provisioned(lambdas: Any) -> None:
    create(lambdas, code="raise RuntimeError('no')\n", Publish=True)
    lambdas.put_provisioned_concurrency_config(
        FunctionName="f", Qualifier="1", ProvisionedConcurrentExecutions=1
    )
    told = settled(lambdas, "1")
    assert (told["Status"], told["StatusReason"]) == ("FAILED", "FUNCTION_ERROR_INIT_FAILURE")


def test_what_fails_goes_where_its_config_says(project: Project, lambdas: Any) -> None:
    queues = client(project, "sqs")
    queue = queues.create_queue(QueueName="failures")["QueueUrl"]
    arn = "arn:aws:sqs:us-east-1:123456789012:failures"
    create(lambdas, code="def handler(event, context):\n    raise ValueError(event)\n")
    lambdas.put_function_event_invoke_config(
        FunctionName="f",
        MaximumRetryAttempts=0,
        DestinationConfig={"OnFailure": {"Destination": arn}},
    )
    lambdas.invoke(FunctionName="f", InvocationType="Event", Payload=b'"x"')
    found = queues.receive_message(QueueUrl=queue, WaitTimeSeconds=20)["Messages"]
    record = json.loads(found[0]["Body"])
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["approximateInvokeCount"] == 1
    assert record["requestPayload"] == "x"


def test_whom_a_policy_permits_may_call_a_url(project: Project, lambdas: Any) -> None:
    create(lambdas)
    made = lambdas.create_function_url_config(FunctionName="f", AuthType="NONE")
    # Its own name is for who can look it up.
    host = urllib.parse.urlsplit(made["FunctionUrl"]).netloc
    asked = urllib.request.Request(f"{project.url}/", headers={"Host": host})
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(asked)
    lambdas.add_permission(
        FunctionName="f",
        StatementId="url",
        Action="lambda:InvokeFunctionUrl",
        Principal="*",
        FunctionUrlAuthType="NONE",
    )
    with urllib.request.urlopen(asked) as reply:
        assert json.loads(reply.read())["version"] == "$LATEST"
    lambdas.remove_permission(FunctionName="f", StatementId="url")
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(asked)


def test_it_is_what_the_settings_count(lambdas: Any) -> None:
    create(lambdas, Publish=True)
    usage = lambdas.get_account_settings()["AccountUsage"]
    assert usage == {"FunctionCount": 1, "TotalCodeSize": 2 * len(package())}


def test_a_new_function_may_not_have_what_is_not_there(lambdas: Any) -> None:
    config = "arn:aws:lambda:us-east-1:123456789012:code-signing-config:csc-0123456789abcdef0"
    for more, text in (
        ({"CodeSigningConfigArn": config}, "The code signing configuration cannot be found."),
        ({"Tags": {str(i): "" for i in range(51)}}, "Number of tags exceeds resource tag limit."),
    ):
        with pytest.raises(ClientError, match=text):
            create(lambdas, **more)
    assert lambdas.list_functions()["Functions"] == []
