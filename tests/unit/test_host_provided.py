"""The Runtime API of custom runtimes: what it answers, and what the supervisor hears of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from host_world import Host
from provided_world import RUNTIME, World, fields_of, give


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize("snapshot", ["auto", "on"])
def test_a_zygote_loads_nothing_whatever_it_is_told(tmp_path: Path, snapshot: str) -> None:
    (tmp_path / "code").mkdir()
    host = Host(tmp_path, "the.handler", "provided")
    why = "each instance starts its own custom runtime"
    assert host.load(snapshot) == {"kind": "loaded", "forkable": False, "why": why}
    host.close()


def test_an_instance_is_loaded_when_its_runtime_asks_for_an_event(world: World) -> None:
    instance, runtime = world.runtime()
    runtime.ask()
    why = "loaded by the instance"
    assert instance.receive() == {"kind": "loaded", "forkable": False, "why": why}


def test_the_runtime_finds_its_variables_and_none_of_the_hosts(world: World) -> None:
    _, runtime = world.runtime(AWS_LAMBDA_LOG_STREAM_NAME="stream", WORD="é")
    found = runtime.environment
    assert found["AWS_LAMBDA_RUNTIME_API"].startswith("127.0.0.1:")
    assert (found["AWS_LAMBDA_LOG_STREAM_NAME"], found["WORD"]) == ("stream", "é")
    assert not [name for name in found if name.startswith("_MICROFAAS")]
    assert runtime.do("run", "result = os.getcwd()") == str(world.code)


def test_the_runtime_inherits_none_of_the_hosts_descriptors(world: World) -> None:
    _, runtime = world.runtime()
    listing = "result = sorted(int(name) for name in os.listdir('/proc/self/fd'))"
    # Its own: standard, the test's socket, and the listing.
    assert runtime.do("run", listing) == [0, 1, 2, 3, 4]
    assert "socket" in runtime.do("run", "result = os.readlink('/proc/self/fd/3')")


def test_an_event_comes_with_all_that_the_request_says(world: World) -> None:
    instance, runtime = world.ready()
    context = b'{"custom":\r\n{"a": "\xc3\xa9"}}'
    give(instance, b'{"a": 1}', trace_id="Root=1", client_context=context)
    event = runtime.receive()
    assert event is not None
    assert (event.status, event.body) == (200, b'{"a": 1}')
    wanted = {
        "content-type": "application/json",
        "lambda-runtime-aws-request-id": "id",
        "lambda-runtime-deadline-ms": "1234",
        "lambda-runtime-invoked-function-arn": "arn:f",
        "lambda-runtime-trace-id": "Root=1",
        "lambda-runtime-client-context": context.replace(b"\r\n", b"  ").decode("latin-1"),
    }
    assert {name: event.headers[name] for name in wanted} == wanted


def test_an_event_has_no_headers_for_what_the_request_does_not_say(world: World) -> None:
    instance, runtime = world.ready()
    give(instance)
    event = runtime.receive()
    assert event is not None
    assert sorted(event.headers) == [
        "content-length",
        "content-type",
        "lambda-runtime-aws-request-id",
        "lambda-runtime-deadline-ms",
        "lambda-runtime-invoked-function-arn",
    ]


def test_an_invocation_is_over_when_the_runtime_asks_for_the_next(world: World) -> None:
    instance, runtime = world.ready()
    give(instance)
    runtime.receive()
    answer = runtime.respond(b"[1]")
    assert (answer.status, answer.json()) == (202, {"status": "OK"})
    assert not instance.arrived
    runtime.ask()
    assert instance.receive() == {"kind": "result", "id": "id", "payload": b"[1]"}


def test_an_error_of_the_runtime_is_passed_on_as_it_is(world: World) -> None:
    instance, runtime = world.ready()
    give(instance)
    runtime.receive()
    payload = b'{"errorType": "Own", "errorMessage": "no", "more": 1}'
    assert runtime.error(payload).status == 202
    runtime.ask()
    assert instance.receive() == {"kind": "error", "id": "id", "type": "Own", "payload": payload}


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        ("Function.NoSuchThing", "Function.NoSuchThing"),
        ("Runtime.Bad", "Runtime.Bad"),
        ("Function.bad", "Function.Unknown"),
        ("anything", "Runtime.Unknown"),
        ("", "Runtime.Unknown"),
    ],
)
def test_an_error_whose_object_says_no_type_has_that_of_its_header(
    world: World, header: str, kind: str
) -> None:
    instance, runtime = world.ready()
    give(instance)
    runtime.receive()
    runtime.error(b"not json", Lambda_Runtime_Function_Error_Type=header)
    runtime.ask()
    assert instance.receive()["type"] == kind


def test_who_asks_twice_gets_the_event_again(world: World) -> None:
    instance, runtime = world.ready()
    give(instance, b"[7]")
    assert runtime.receive()
    assert runtime.next().body == b"[7]"


def test_who_hangs_up_while_it_waits_gets_the_event_when_it_asks_again(world: World) -> None:
    instance, runtime = world.ready()
    runtime.do("close", "a")
    give(instance, b"[7]")
    runtime.ask("b")
    event = runtime.receive("b")
    assert event is not None
    assert event.body == b"[7]"


def test_of_two_that_wait_the_later_is_served(world: World) -> None:
    instance, runtime = world.ready()
    runtime.ask("b")
    displaced = runtime.receive("a")
    assert displaced is not None
    assert displaced.fault == (403, "InvalidStateTransition")
    give(instance, b"[7]")
    event = runtime.receive("b")
    assert event is not None
    assert event.body == b"[7]"


def test_an_answer_before_an_event_is_for_no_request(world: World) -> None:
    _, runtime = world.runtime()
    assert runtime.respond().fault == (400, "InvalidRequestID")
    assert runtime.error().fault == (400, "InvalidRequestID")


def test_an_answer_to_another_request_is_refused(world: World) -> None:
    instance, runtime = world.ready()
    give(instance)
    runtime.receive()
    assert runtime.respond(request_id="other").fault == (400, "InvalidRequestID")
    assert runtime.respond().status == 202


def test_a_second_answer_is_refused(world: World) -> None:
    instance, runtime = world.ready()
    give(instance)
    runtime.receive()
    runtime.respond(b"[1]")
    assert runtime.respond(b"[2]").fault == (400, "InvalidRequestID")
    assert runtime.error().fault == (400, "InvalidRequestID")
    runtime.ask()
    assert instance.receive()["payload"] == b"[1]"


def test_while_one_answer_is_being_sent_there_is_no_other(world: World) -> None:
    instance, runtime = world.ready()
    give(instance)
    runtime.receive()
    runtime.exchange("GET", "/ping", connection="b")
    head = f"POST {RUNTIME}invocation/id/response HTTP/1.1\r\nContent-Length: 3\r\n\r\n"
    runtime.raw(head.encode() + b"[", "b")
    refused = runtime.error()
    assert refused.fault == (403, "InvalidStateTransition")
    assert "from InvocationResponse to InvocationErrorResponse failed" in refused.body.decode()
    assert runtime.next().fault == (403, "InvalidStateTransition")
    runtime.raw(b"1]", "b")
    answered = runtime.receive("b")
    assert answered is not None
    assert answered.status == 202


@pytest.mark.parametrize("ends", [True, False])
def test_a_fault_of_the_start_is_told_once_the_runtime_has_ended(world: World, ends: bool) -> None:
    instance, runtime = world.runtime()
    payload = b'{"errorType": "Own", "errorMessage": "no"}'
    answer = runtime.exchange("POST", RUNTIME + "init/error", {}, payload)
    assert (answer.status, answer.json()) == (202, {"status": "OK"})
    if ends:
        runtime.tell("run", "os.write(1, b'last words'), os._exit(3)")
    assert instance.receive() == {"kind": "error", "id": "", "type": "Own", "payload": payload}
    assert instance.ended()
    assert world.status() == 1
    assert ("last words" in instance.printed()) is ends
    assert "Traceback" not in instance.printed()


def test_a_fault_of_the_start_comes_too_late_after_it(world: World) -> None:
    instance, runtime = world.ready()
    give(instance)
    runtime.receive()
    late = runtime.exchange("POST", RUNTIME + "init/error", {}, b"{}")
    assert late.fault == (403, "InvalidStateTransition")


def test_an_answer_counts_although_the_runtime_ends_after_it(world: World) -> None:
    instance, runtime = world.ready()
    give(instance)
    runtime.receive()
    runtime.respond(b"[1]")
    runtime.tell("run", "os._exit(0)")
    assert instance.receive()["payload"] == b"[1]"
    assert world.status() == 0


ENDS = [("os._exit(7)", 7), ("os.kill(os.getpid(), 15)", -signal.SIGTERM), ("os._exit(0)", 0)]


@pytest.mark.parametrize(("code", "status"), ENDS)
@pytest.mark.parametrize("when", ["starting", "idle", "busy"])
def test_a_runtime_that_ends_takes_the_instance_along(
    world: World, code: str, status: int, when: str
) -> None:
    instance, runtime = world.runtime() if when == "starting" else world.ready()
    if when == "busy":
        give(instance)
    if when != "idle":
        runtime.tell("run", code)
    else:
        os.kill(runtime.pid, signal.SIGKILL)
        status = -signal.SIGKILL
    assert instance.ended()
    assert world.status() == status


def test_a_runtime_dies_of_a_broken_pipe(world: World) -> None:
    """The host itself ignores that signal, and its programs must not inherit that."""
    script = "#!/bin/bash\nyes | head -1\necho ${PIPESTATUS[0]}\n"
    world.place(world.code / "bootstrap", script)
    instance = world.begin()
    assert instance.ended()
    assert instance.printed() == "y\n141\n"


@pytest.mark.parametrize("kind", ["absent", "folder"])
def test_without_a_bootstrap_there_is_no_entrypoint(world: World, kind: str) -> None:
    if kind == "folder":
        (world.code / "bootstrap").mkdir()
    instance = world.begin()
    wanted = (
        "RequestId:  Error: Couldn't find valid bootstrap(s): "
        f"[{world.code}/bootstrap {world.layers}/bootstrap]"
    )
    assert fields_of(instance.receive()) == ("Runtime.InvalidEntrypoint", wanted)
    assert instance.ended()


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        ("#!/bin/sh\n", 0o644, "permission denied"),
        ("#!/no/such/shell\n", 0o755, "no such file or directory"),
        ("exit 0\n", 0o755, "exec format error"),
    ],
)
def test_a_bootstrap_that_cannot_be_executed_is_no_entrypoint(
    world: World, text: str, mode: int, why: str
) -> None:
    world.place(world.code / "bootstrap", text, mode)
    wanted = f"RequestId:  Error: fork/exec {world.code}/bootstrap: {why}"
    assert fields_of(world.begin().receive()) == ("Runtime.InvalidEntrypoint", wanted)


def test_a_bootstrap_may_come_from_a_layer(world: World) -> None:
    world.place(world.layers / "bootstrap")
    instance = world.begin()
    world.puppet().ask()
    assert instance.receive()["kind"] == "loaded"


def test_an_instance_that_is_told_to_stop_ends_its_runtime(world: World) -> None:
    instance, runtime = world.ready()
    instance.send("stop")
    assert instance.ended()
    assert runtime.is_gone()
    assert world.status() == 0


def test_an_instance_that_is_left_alone_ends_its_runtime(world: World) -> None:
    instance, runtime = world.ready()
    instance.hang_up()
    assert runtime.is_gone()
    assert world.status() == 0


def test_two_instances_have_endpoints_of_their_own(world: World) -> None:
    (one, first), (two, second) = world.ready(), world.ready()
    name = "AWS_LAMBDA_RUNTIME_API"
    assert first.environment[name] != second.environment[name]
    give(two, b"[2]")
    give(one, b"[1]")
    events = first.receive(), second.receive()
    assert [event.body for event in events if event] == [b"[1]", b"[2]"]


def test_orphans_of_the_runtime_are_collected(world: World) -> None:
    instance, runtime = world.ready()
    leave = """
import time
read, write = os.pipe()
child = os.fork()
if child == 0:
    parent = os.getpid()
    if os.fork() == 0:
        while os.getppid() == parent or not os.write(write, b"%d" % os.getpid()):
            time.sleep(0.01)
    os._exit(0)
os.waitpid(child, 0)
result = int(os.read(read, 20))
os.close(read)
os.close(write)
while open(f"/proc/{result}/stat").read().split()[2] != "Z":
    time.sleep(0.01)
"""
    orphans = []
    for _ in range(2):
        give(instance)
        runtime.receive()
        orphans.append(runtime.do("run", leave))
        runtime.respond()
        runtime.ask()
        instance.receive()
    assert not Path(f"/proc/{orphans[0]}").exists()
