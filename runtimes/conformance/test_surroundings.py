"""What a function finds: context, environment, log, files, processes, and its own state."""

from __future__ import annotations

import base64
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from runtimes.conformance.suite import CONCURRENCY_MAX, MEMORY_MB, Language, Served, event
from tests.e2e.project import until

ARN = "arn:aws:lambda:us-east-1:123456789012:function:cases"
# Instances that have been idle for a second are frozen; what ticks does so every 10 ms.
FREEZE_S = 1.0
UNFROZEN_S = 4.0
TICKS_PER_S = 100


def test_the_context_has_every_field(served: Served) -> None:
    client_context = base64.b64encode(b'{"custom": {"k": "\xc3\xa4"}, "env": {}}').decode()
    reply = served.invoke(
        "cases", event("context"), ClientContext=client_context, Qualifier="$LATEST"
    )
    seen = reply.value
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\]\w+", seen.pop("log_stream_name"))
    assert seen == {
        "request_id": reply.request_id,
        "function_name": "cases",
        "function_version": "$LATEST",
        "invoked_function_arn": f"{ARN}:$LATEST",
        "memory_limit_in_mb": MEMORY_MB,
        "log_group_name": "/aws/lambda/cases",
        "client_context": {"k": "\u00e4"},
        "remaining_is_positive": True,
    }


def test_without_a_client_context_and_a_qualifier_there_are_none(served: Served) -> None:
    seen = served.call("context")
    assert seen["client_context"] is None
    assert seen["invoked_function_arn"] == ARN


def test_the_remaining_time_is_below_the_limit(served: Served) -> None:
    assert 0 < served.call("remaining") <= 30_000
    assert 0 < served.call("remaining", "brief") <= 2_000


def test_the_environment_is_lambdas_and_the_functions(served: Served, language: Language) -> None:
    seen = served.call("environment")
    wanted = {
        "COLOUR": "blue",
        "TEXT": '\u00e4 "quoted"',
        "_HANDLER": language.handlers["cases"],
        "AWS_LAMBDA_FUNCTION_NAME": "cases",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(MEMORY_MB),
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/cases",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL_LAMBDA": served.project.url,
        "LAMBDA_TASK_ROOT": "/var/task",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
    }
    assert {name: seen.get(name) for name in wanted} == wanted
    assert served.call("context")["log_stream_name"] == seen["AWS_LAMBDA_LOG_STREAM_NAME"]


def test_what_is_printed_and_logged_is_in_the_tail(served: Served, language: Language) -> None:
    for _ in range(2):
        reply = served.invoke("cases", event("print"), LogType="Tail")
        assert reply.payload == b"null"
        first, *lines = reply.tail.splitlines()
        assert first == f"START RequestId: {reply.request_id} Version: $LATEST"
        assert {"to stdout", "to stderr"} <= set(lines)
        logged = [found for line in lines if (found := re.search(language.traits["logger"], line))]
        assert [found["id"] for found in logged] == [reply.request_id]
        assert f"END RequestId: {reply.request_id}" in lines


def test_code_is_in_the_working_directory(served: Served) -> None:
    assert served.call("cwd") == {"cwd": "/var/task", "listed": True}


def test_tmp_is_the_instances_own(served: Served) -> None:
    assert served.call("tmp", "writing", value=["\u00e4"]) == {"read": ["\u00e4"], "before": False}
    assert served.call("tmp", "writing", value="b") == {"read": "b", "before": True}
    assert served.call("tmp", "exiting", value="c") == {"read": "c", "before": False}


def test_a_warm_instance_keeps_its_state(served: Served) -> None:
    assert [served.call("count", "counting") for _ in range(3)] == [1, 2, 3]


def test_a_child_prints_to_the_log(served: Served) -> None:
    reply = served.invoke("cases", event("child"), LogType="Tail")
    assert reply.value == 0
    assert "from a child" in reply.tail.splitlines()


def test_children_inherit_nothing_of_the_protocol(served: Served) -> None:
    seen = served.call("pid")
    assert seen["pid"] > 0
    assert seen["inherited"] == 0


def test_nothing_runs_between_invocations(served: Served, language: Language) -> None:
    served.call("ticks", "ticking")
    time.sleep(FREEZE_S)
    before = served.call("ticks", "ticking")
    time.sleep(UNFROZEN_S)
    gone = served.call("ticks", "ticking") - before
    if language.traits["ticks"] == "none":
        # What was due when the event loop stood still happens once when it goes on.
        assert gone <= 3
    else:
        assert gone < UNFROZEN_S * TICKS_PER_S / 2


def test_invocations_at_once_run_in_instances_of_their_own(served: Served) -> None:
    def pids_after(seconds: float) -> set[int]:
        with ThreadPoolExecutor(CONCURRENCY_MAX) as threads:
            calls = [
                threads.submit(served.call, "sleep", "several", seconds=seconds)
                for _ in range(CONCURRENCY_MAX)
            ]
        assert [call.result() for call in calls] == [seconds] * CONCURRENCY_MAX
        instances = served.project.functions()["several"]["instances"]
        return {instance["pid"] for instance in instances}

    # On a slow machine only what takes long is met by the next one.
    assert any(len(pids_after(seconds)) == CONCURRENCY_MAX for seconds in (0.5, 2.5, 12.5))


def test_a_server_that_is_stopped_leaves_no_process(own_server: Served) -> None:
    project = own_server.project
    own_server.call("count", "cases")
    running = project.pids()
    assert len(running) > 1
    assert project.stop() == 0
    until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in running), "all to end")
