"""A managed runtime behind a wrapper, or beside extensions: its own host in a bootstrap's place."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conversation import Conversation
from host_world import LIBRARIES, RUNTIMES
from provided_world import RUNTIME, World, give

ARGV = [sys.executable, "-S", str(RUNTIMES / "python" / "bootstrap.py"), str(LIBRARIES)]
CODE = """
import os, sys, json, urllib.request

def handler(event, context):
    if event == "exit":
        os._exit(3)
    if event == "raise":
        raise ValueError("no")
    if event == "endpoint":
        return os.environ["AWS_LAMBDA_RUNTIME_API"]
    return [event, os.environ.get("WRAPPED"), context.aws_request_id]
"""
WRAPPER = '#!/bin/bash\nexport WRAPPED="$(basename "$1")"\nexec "$@"\n'


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, _MICROFAAS_RUNTIME=json.dumps(ARGV))
    (made.code / "the.py").write_text(CODE)
    yield made
    made.close()


def loaded(world: World, **environment: str) -> Conversation:
    instance = world.begin(**environment)
    assert instance.receive()["kind"] == "loaded"
    return instance


def wrapped(world: World) -> Conversation:
    wrapper = world.code / "wrapper"
    world.place(wrapper, WRAPPER)
    return loaded(world, AWS_LAMBDA_EXEC_WRAPPER=str(wrapper))


def test_a_wrapper_starts_the_runtime_in_its_own_environment(world: World) -> None:
    instance = wrapped(world)
    python = Path(sys.executable).name
    for number in range(3):
        result = instance.result(b"%d" % number, request_id="id")
        assert json.loads(result) == [number, python, "id"]


def test_without_a_wrapper_it_is_started_as_it_is(world: World) -> None:
    assert json.loads(loaded(world).result(b"1")) == [1, None, "id"]


def test_an_error_of_the_handler_is_passed_on(world: World) -> None:
    instance = wrapped(world)
    message = instance.invoke(b'"raise"')
    assert (message["kind"], message["type"]) == ("error", "ValueError")
    assert instance.result(b"1")


def test_what_it_prints_is_in_the_log(world: World) -> None:
    instance = wrapped(world)
    instance.invoke(b'"raise"')
    assert "[ERROR] ValueError: no" in instance.printed()


def test_a_fault_of_the_start_is_passed_on(world: World) -> None:
    (world.code / "the.py").write_text("raise KeyError('x')")
    instance = world.begin()
    message = instance.receive()
    assert (message["kind"], message["id"], message["type"]) == ("error", "", "KeyError")
    assert instance.ended()
    assert world.status() == 1


def test_a_wrapper_that_is_not_there_is_an_exit_as_of_a_shell(world: World) -> None:
    instance = world.begin(AWS_LAMBDA_EXEC_WRAPPER="/no/such/wrapper")
    assert instance.ended()
    assert world.status() == 127
    assert "fork/exec /no/such/wrapper: no such file or directory" in instance.printed()


def test_a_process_that_ends_takes_the_instance_along(world: World) -> None:
    instance = wrapped(world)
    give(instance, b'"exit"')
    assert instance.ended()
    assert world.status() == 3


def test_large_events_and_results_go_through(world: World) -> None:
    instance = wrapped(world)
    event = b'"' + b"x" * 3_000_000 + b'"'
    assert len(instance.result(event)) > len(event)


def test_extensions_are_served_and_waited_for(world: World) -> None:
    world.extension("watcher")
    instance = world.begin()
    extension = world.puppet()
    answer = extension.register("watcher", b'{"events": ["INVOKE", "SHUTDOWN"]}')
    identifier = answer.headers["lambda-extension-identifier"]
    extension.ask_event(identifier)
    assert instance.receive()["kind"] == "loaded"
    give(instance, b'"endpoint"')
    assert extension.receive()
    assert not instance.arrived
    extension.ask_event(identifier)
    address = json.loads(instance.receive()["payload"])
    assert address == extension.environment["AWS_LAMBDA_RUNTIME_API"]
    instance.send("stop")
    event = extension.receive()
    assert event is not None
    assert event.json()["eventType"] == "SHUTDOWN"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "invocation/next"),
        ("POST", "invocation/id/response"),
        ("POST", "invocation/id/error"),
        ("POST", "init/error"),
    ],
)
def test_the_runtimes_own_part_of_http_is_refused(world: World, method: str, path: str) -> None:
    world.extension("watcher")
    world.begin()
    answer = world.puppet().exchange(method, RUNTIME + path)
    assert answer.fault == (403, "InvalidStateTransition")
