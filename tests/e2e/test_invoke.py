"""Invoking over HTTP with real clients, and what a function and its caller get to see."""

from __future__ import annotations

import base64
import json
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import botocore.exceptions
import pytest

from tests.e2e.project import BIN, Project, until

HANDLERS = Path(__file__).with_name("handlers.py")
# An emulated machine takes its time.
PATIENT = "init_timeout_s = 120"
UNHURRIED = "timeout_s = 60"
FUNCTIONS = {
    "echo": UNHURRIED,
    "count": UNHURRIED,
    "where": f'{UNHURRIED}\nenvironment = {{ COLOUR = "blue", OMP_NUM_THREADS = "3" }}',
    "fields": "timeout_s = 20\nmemory_mb = 256",
    "write": "timeout_s = 60\ntmp_mb = 8\n"
    "mounts = { IN = { path = 'in' }, OUT = { path = 'out', write = true } }",
    "boom": UNHURRIED,
    "leave": UNHURRIED,
    "crash": UNHURRIED,
    "unserialisable": UNHURRIED,
    "large": UNHURRIED,
    "hungry": "memory_mb = 64\ntimeout_s = 60",
    "sleep": "timeout_s = 2\nconcurrency_max = 2\nwaiting_max = 1",
    "spin": "timeout_s = 2",
    "daemon": "timeout_s = 6\nmounts = { OUT = { path = 'out', write = true } }",
    "forks": "processes_max = 20\ntimeout_s = 60",
    "files": "files_max = 64\ntimeout_s = 60",
    "talk": UNHURRIED,
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """One server for the module: all handlers, each a function."""
    project = Project(tmp_path_factory.mktemp("served"))
    shutil.copy(HANDLERS, project.root / "app.py")
    for name in ("in", "out"):
        (project.root / name).mkdir()
    tables = [
        f'[functions.{name}]\nhandler = "app.{name}"\n{PATIENT}\n{extra}'
        for name, extra in FUNCTIONS.items()
    ]
    project.write("microfaas.toml", "\n".join(tables))
    project.start()
    yield project
    assert project.stop() == 0, project.output.read_text()
    assert "Traceback" not in project.output.read_text()


@pytest.mark.parametrize(
    "event", [None, True, 1, 1.5, "text \u00e4\U0001f600", [1, [2]], {"a": {"b": None}}, {}, []]
)
def test_every_json_type_comes_back(served: Project, event: object) -> None:
    reply = served.lambda_client().invoke(FunctionName="echo", Payload=json.dumps(event))
    assert json.loads(reply["Payload"].read()) == event
    assert reply["ExecutedVersion"] == "$LATEST"


def test_no_payload_is_an_empty_object(served: Project) -> None:
    reply = served.lambda_client().invoke(FunctionName="echo")
    assert reply["Payload"].read() == b"{}"


def test_large_events_and_results_pass(served: Project) -> None:
    text = "x" * (6 * 1024 * 1024 - 2)
    assert served.invoke("echo", text) == text


def test_a_result_over_the_limit_is_an_error_of_the_function(served: Project) -> None:
    error = served.fail("large", {"bytes": 6 * 1024 * 1024 + 200})
    assert error["errorType"] == "Function.ResponseSizeTooLarge"


def test_an_event_over_the_limit_is_refused(served: Project) -> None:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        served.lambda_client().invoke(FunctionName="echo", Payload=b'"' + b"x" * 6291456 + b'"')
    assert caught.value.response["Error"]["Code"] == "RequestEntityTooLargeException"


def test_dry_run_and_event(served: Project) -> None:
    client = served.lambda_client()
    assert client.invoke(FunctionName="echo", InvocationType="DryRun")["StatusCode"] == 204
    reply = client.invoke(FunctionName="talk", InvocationType="Event", Payload=b'{"later": 1}')
    assert reply["StatusCode"] == 202
    request_id = reply["ResponseMetadata"]["RequestId"]
    until(lambda: f"REPORT RequestId: {request_id}" in served.log("talk"), "the event to run")


def test_an_unknown_function_is_not_found(served: Project) -> None:
    client = served.lambda_client()
    with pytest.raises(client.exceptions.ResourceNotFoundException) as caught:
        client.invoke(FunctionName="nobody")
    arn = "arn:aws:lambda:us-east-1:123456789012:function:nobody:$LATEST"
    assert caught.value.response["Error"]["Message"] == f"Function not found: {arn}"


def test_the_context_has_every_field(served: Project) -> None:
    context = base64.b64encode(b'{"custom": {"k": "v"}, "client": {"app_title": "t"}}').decode()
    reply = served.lambda_client().invoke(FunctionName="fields", ClientContext=context)
    seen = json.loads(reply["Payload"].read())
    assert seen["request_id"] == reply["ResponseMetadata"]["RequestId"]
    assert seen["arn"] == "arn:aws:lambda:us-east-1:123456789012:function:fields"
    assert (seen["name"], seen["version"], seen["memory"]) == ("fields", "$LATEST", "256")
    assert seen["group"] == "/aws/lambda/fields"
    assert "/[$LATEST]" in seen["stream"]
    assert 0 < seen["remaining"] <= 20_000
    assert seen["client"] == {"custom": {"k": "v"}, "title": "t"}


def test_a_function_finds_itself_where_lambda_puts_it(served: Project) -> None:
    seen = served.invoke("where")
    assert seen["cwd"] == "/var/task"
    assert seen["file"] == "/var/task/app.py"
    assert seen["tmp"] == []
    environment = seen["environment"]
    assert environment["LAMBDA_TASK_ROOT"] == "/var/task"
    assert environment["AWS_ENDPOINT_URL_LAMBDA"] == served.url
    assert environment["COLOUR"] == "blue"
    assert environment["OMP_NUM_THREADS"] == "3"
    assert environment["OPENBLAS_NUM_THREADS"] == "1"
    # Layers have a place of their own; the interpreter's packages are not the function's.
    rest = [entry for entry in seen["path"] if not entry.startswith("/opt/python")]
    assert not any("site-packages" in entry for entry in rest)


def test_code_is_read_only_and_tmp_is_private_and_limited(served: Project) -> None:
    assert served.invoke("write", {"path": "/var/task/x"}) == "OSError"
    assert served.invoke("write", {"path": "/usr/x"}) == "OSError"
    assert served.invoke("write", {"path": "/mnt/IN/x"}) == "OSError"
    assert served.invoke("write", {"path": "/mnt/OUT/x"}) == "written"
    assert (served.root / "out" / "x").exists()
    assert served.invoke("write", {"path": "/tmp/mine"}) == "written"
    assert served.invoke("where")["tmp"] == []


def test_a_warm_instance_keeps_its_globals(served: Project) -> None:
    first, second = served.invoke("count"), served.invoke("count")
    assert second["calls"] == first["calls"] + 1
    assert second["pid"] == first["pid"]


def test_failures_are_told_apart(served: Project) -> None:
    error = served.fail("boom")
    assert (error["errorType"], error["errorMessage"]) == (
        "ValueError",
        "it went wrong: \u00e4",
    )
    assert error["stackTrace"][0].startswith('  File "/var/task/app.py", line ')
    assert served.fail("leave")["errorMessage"].endswith("exited with error: exit status 3")
    assert served.fail("leave", {"status": 0})["errorMessage"].endswith(
        "without providing a reason"
    )
    assert served.fail("crash")["errorMessage"].endswith("signal: segmentation fault")
    assert served.fail("unserialisable")["errorType"] == "Runtime.MarshalError"
    error = served.fail("hungry", {"mb": 200})
    assert error["errorType"] == "Runtime.OutOfMemory"
    assert served.invoke("hungry", {"mb": 10}) == 10 * 1024 * 1024


@pytest.mark.parametrize(("name", "event"), [("sleep", {"s": 9}), ("spin", {})])
def test_a_timeout_ends_the_invocation_and_the_next_one_works(
    served: Project, name: str, event: object
) -> None:
    error = served.fail(name, event)
    assert error["errorType"] == "Sandbox.Timedout"
    assert error["errorMessage"].endswith("Error: Task timed out after 2.00 seconds")
    until(lambda: "Task timed out after 2.00 seconds" in served.log(name), "the log line")
    if name == "sleep":
        assert served.invoke("sleep", {"s": 0}) == "slept"


def test_a_timeout_also_ends_what_was_detached(served: Project) -> None:
    assert served.fail("daemon")["errorType"] == "Sandbox.Timedout"
    assert (served.root / "out" / "daemon").exists()
    marker = b"time.sleep(7.5)"
    until(lambda: not _processes_with(marker), "the daemon to be killed")


def test_processes_and_open_files_are_limited(served: Project) -> None:
    assert 0 < served.invoke("forks") < 20
    assert 0 < served.invoke("files") < 64


def test_too_many_calls_are_refused_with_a_time_to_come_back(served: Project) -> None:
    port = int(served.url.rpartition(":")[2])
    body = b'{"s": 1.5}'
    head = b"POST /2015-03-31/functions/sleep/invocations HTTP/1.1\r\nHost: x\r\n"
    request = head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    callers = [socket.create_connection(("127.0.0.1", port)) for _ in range(8)]
    for caller in callers:
        caller.sendall(request)
    replies = [caller.recv(65536) for caller in callers]
    for caller in callers:
        caller.close()
    refused = [reply for reply in replies if reply.startswith(b"HTTP/1.1 429 ")]
    # Two run, one waits.
    assert len(refused) == 5
    assert all(b"\r\nRetry-After: 1\r\n" in reply for reply in refused)
    assert b'"Reason":"ReservedFunctionConcurrentInvocationLimitExceeded"' in refused[0]
    assert served.invoke("sleep", {"s": 0}) == "slept"


def test_what_is_printed_and_logged_is_in_the_tail(served: Project) -> None:
    reply = served.lambda_client().invoke(FunctionName="talk", LogType="Tail", Payload=b"{}")
    request_id = reply["ResponseMetadata"]["RequestId"]
    lines = base64.b64decode(reply["LogResult"]).decode().splitlines()
    assert lines[0] == f"START RequestId: {request_id} Version: $LATEST"
    assert lines[1:3] == ["printed line", "to stderr"]
    level, moment, logged_id, text = lines[3].split("\t")
    assert (level, logged_id, text) == ("[WARNING]", request_id, "logged line")
    assert moment.endswith("Z")
    assert lines[4:6] == ["unfinished", f"END RequestId: {request_id}"]
    assert lines[6].startswith(f"REPORT RequestId: {request_id}\tDuration: ")
    assert "\tMemory Size: 128 MB\tMax Memory Used: " in lines[6]


def test_the_aws_command_line_works(served: Project, tmp_path: Path) -> None:
    result = tmp_path / "result.json"
    where = ["--endpoint-url", served.url, result]
    done = subprocess.run(
        [BIN / "aws", "lambda", "invoke", "--function-name", "echo", "--payload", "{}", *where],
        env={
            "PATH": "/usr/bin:/bin",
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_DEFAULT_REGION": "us-east-1",
            "HOME": str(tmp_path),
        },
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(result.read_text()) == {}


def _processes_with(marker: bytes) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if marker in path.read_bytes():
                found.append(path.parent.name)
        except OSError:
            continue
    return found
