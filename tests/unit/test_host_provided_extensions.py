"""The Extensions API: who may register, when an invocation is over, and how all end."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from conversation import Conversation
from provided_world import EXTENSION, Puppet, World, give

BOTH = b'{"events": ["INVOKE", "SHUTDOWN"]}'
INVOKE = b'{"events": ["INVOKE"]}'
SHUTDOWN = b'{"events": ["SHUTDOWN"]}'


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path, _MICROFAAS_ACCOUNT_ID="123456789012")
    yield made
    made.close()


def begun(world: World, name: str = "watcher") -> tuple[Conversation, Puppet]:
    """An instance with an external extension that has not registered."""
    world.place(world.code / "bootstrap")
    world.extension(name)
    return world.begin(), world.puppet()


def ready(world: World, events: bytes) -> tuple[Conversation, Puppet, Puppet, str]:
    """An instance that is loaded, its runtime, its extension and that one's identifier."""
    instance, extension = begun(world)
    identifier = extension.register("watcher", events).headers["lambda-extension-identifier"]
    runtime = world.puppet()
    extension.ask_event(identifier)
    runtime.ask()
    assert instance.receive()["kind"] == "loaded"
    return instance, runtime, extension, identifier


def test_an_extension_learns_which_function_it_is_with(world: World) -> None:
    _, extension = begun(world)
    answer = extension.register("watcher", BOTH)
    assert answer.status == 200
    assert len(answer.headers["lambda-extension-identifier"]) == 36
    assert answer.json() == {
        "functionName": "f",
        "functionVersion": "$LATEST",
        "handler": "the.handler",
    }


def test_an_extension_learns_the_account_when_it_wants_to(world: World) -> None:
    _, extension = begun(world)
    answer = extension.register("watcher", BOTH, Lambda_Extension_Accept_Feature="x, accountId")
    assert answer.json()["accountId"] == "123456789012"


def test_the_runtime_starts_when_all_extensions_have_registered(world: World) -> None:
    world.place(world.code / "bootstrap")
    world.extension("one")
    world.extension("two")
    world.place(world.layers / "extensions" / "notes.txt", "not a program", 0o644)
    (world.layers / "extensions" / "folder").mkdir()
    world.begin()
    extensions = [world.puppet(), world.puppet()]
    for extension in extensions:
        assert extension.name in ("one", "two")
        extension.register(extension.name)
    assert world.puppet().name == "bootstrap"


def test_an_instance_is_loaded_when_its_extensions_are_ready_too(world: World) -> None:
    instance, extension = begun(world)
    identifier = extension.register("watcher").headers["lambda-extension-identifier"]
    runtime = world.puppet()
    runtime.ask()
    assert runtime.exchange("GET", "/ping", connection="b").status == 200
    assert not instance.arrived
    extension.ask_event(identifier)
    assert instance.receive()["kind"] == "loaded"


def test_an_extension_is_told_of_invocations(world: World) -> None:
    instance, _, extension, _ = ready(world, INVOKE)
    give(instance, b'"secret"', trace_id="Root=1")
    event = extension.receive()
    assert event is not None
    assert event.headers["lambda-extension-event-identifier"]
    assert event.json() == {
        "eventType": "INVOKE",
        "deadlineMs": 1234,
        "requestId": "id",
        "invokedFunctionArn": "arn:f",
        "tracing": {"type": "X-Amzn-Trace-Id", "value": "Root=1"},
    }


@pytest.mark.parametrize("last", ["runtime", "extension"])
def test_an_invocation_is_over_when_all_have_asked_for_the_next(world: World, last: str) -> None:
    instance, runtime, extension, identifier = ready(world, INVOKE)
    for number in range(2):
        give(instance)
        assert runtime.receive()
        assert extension.receive()
        runtime.respond(b"%d" % number)
        asks = [runtime.ask, lambda: extension.ask_event(identifier)]
        first, second = asks if last == "extension" else reversed(asks)
        first()
        assert runtime.exchange("GET", "/ping", connection="b").status == 200
        assert not instance.arrived
        second()
        assert instance.receive()["payload"] == b"%d" % number


def test_nobody_waits_for_an_extension_that_wants_no_invocations(world: World) -> None:
    instance, runtime, _, _ = ready(world, SHUTDOWN)
    give(instance)
    runtime.receive()
    runtime.respond()
    runtime.ask()
    assert instance.receive()["kind"] == "result"


def test_an_extension_may_be_in_the_runtime_itself(world: World) -> None:
    instance, runtime = world.runtime()
    answer = runtime.register("inside", INVOKE)
    identifier = answer.headers["lambda-extension-identifier"]
    runtime.ask_event(identifier, "b")
    runtime.ask()
    assert instance.receive()["kind"] == "loaded"
    give(instance)
    event = runtime.receive("b")
    assert event is not None
    assert event.json()["eventType"] == "INVOKE"
    runtime.receive()
    runtime.respond()
    runtime.ask()
    assert not instance.arrived
    runtime.ask_event(identifier, "b")
    assert instance.receive()["kind"] == "result"


REFUSED: dict[str, tuple[str, bytes, str]] = {
    "no name": ("", BOTH, "Extension.InvalidExtensionName"),
    "no json": ("watcher", b"{", "InvalidRequestFormat"),
    "no object": ("watcher", b"[]", "InvalidRequestFormat"),
    "no list": ("watcher", b'{"events": "INVOKE"}', "InvalidRequestFormat"),
    "no strings": ("watcher", b'{"events": [1]}', "InvalidRequestFormat"),
    "keys": ("watcher", b'{"events": [], "configurationKeys": ["A"]}', "InvalidRequestFormat"),
    "another event": ("watcher", b'{"events": ["TIMER"]}', "Extension.InvalidEventType"),
    "shutdown inside": ("inside", SHUTDOWN, "Extension.InvalidEventType"),
}


@pytest.mark.parametrize(("name", "body", "kind"), REFUSED.values(), ids=REFUSED.keys())
def test_a_registration_that_is_wrong_is_refused(
    world: World, name: str, body: bytes, kind: str
) -> None:
    _, extension = begun(world)
    assert extension.register(name, body).fault == (403, kind)
    assert extension.register("watcher", b'{"events": []}').status == 200


def test_nobody_registers_twice(world: World) -> None:
    _, extension = begun(world)
    for name in ("watcher", "inside"):
        assert extension.register(name, b"{}").status == 200
        assert extension.register(name, b"{}").fault == (403, "Extension.InvalidExtensionState")


def test_nobody_registers_once_the_instance_is_loaded(world: World) -> None:
    _, runtime = world.ready()
    late = runtime.exchange(
        "POST", EXTENSION + "register", {"Lambda-Extension-Name": "x"}, b"{}", connection="b"
    )
    assert late.fault == (403, "Extension.RegistrationClosed")


def test_there_are_ten_extensions_at_most(world: World) -> None:
    _, runtime = world.runtime()
    for number in range(10):
        assert runtime.register(str(number), b"{}").status == 200
    refused = runtime.register("more", b"{}")
    assert refused.fault == (403, "Extension.TooManyExtensions")
    assert refused.json()["errorMessage"] == "Extension limit (10) reached"


def test_with_more_than_ten_programs_nothing_starts(world: World) -> None:
    for number in range(11):
        world.extension(str(number))
    message = world.begin().receive()
    assert (message["kind"], message["type"]) == ("error", "Extension.TooManyExtensions")


IDENTIFIERS = {
    "": "Extension.MissingExtensionIdentifier",
    "nonsense": "Extension.InvalidExtensionIdentifier",
    "6f1d2c3b-0a4e-4b5f-8c6d-7e8f9a0b1c2d": "Extension.UnknownExtensionIdentifier",
}


@pytest.mark.parametrize("identifier", IDENTIFIERS)
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "event/next"), ("POST", "init/error"), ("POST", "exit/error")],
)
def test_who_is_not_registered_is_refused(
    world: World, identifier: str, method: str, path: str
) -> None:
    _, extension = begun(world)
    refused = extension.extension(method, path, identifier)
    assert refused.fault == (403, IDENTIFIERS[identifier])


def test_who_waits_already_cannot_ask_again(world: World) -> None:
    _, _, extension, identifier = ready(world, INVOKE)
    extension.ask_event(identifier, "b")
    refused = extension.receive("b")
    assert refused is not None
    assert refused.fault == (403, "Extension.InvalidExtensionState")


def test_who_hung_up_gets_the_event_when_it_asks_again(world: World) -> None:
    instance, _, extension, identifier = ready(world, INVOKE)
    extension.do("close", "a")
    give(instance)
    event = extension.extension("GET", "event/next", identifier)
    assert event.json()["requestId"] == "id"


@pytest.mark.parametrize("path", ["init/error", "exit/error"])
def test_an_extension_that_gives_up_ends_the_start(world: World, path: str) -> None:
    instance, extension = begun(world)
    identifier = extension.register("watcher", SHUTDOWN).headers["lambda-extension-identifier"]
    missing = extension.extension("POST", path, identifier)
    assert missing.fault == (403, "Extension.MissingHeader")
    kind = {"Lambda_Extension_Function_Error_Type": "Extension.Own"}
    assert extension.extension("POST", path, identifier, **kind).status == 202
    extension.tell("run", "os._exit(1)")
    message = instance.receive()
    fields = json.loads(message["payload"])
    wanted = {"init/error": "Extension.InitError", "exit/error": "Extension.ExitError"}[path]
    assert (message["id"], message["type"]) == ("", wanted)
    assert fields["errorMessage"] == "RequestId:  Error: extension watcher: Extension.Own"
    assert world.status() == 1


@pytest.mark.parametrize("when", ["starting", "idle", "busy"])
def test_an_extension_that_ends_takes_the_instance_along(world: World, when: str) -> None:
    if when == "starting":
        instance, extension = begun(world)
    else:
        instance, _, extension, _ = ready(world, INVOKE)
    if when == "busy":
        give(instance)
        extension.receive()
    if when == "idle":
        os.kill(extension.pid, signal.SIGKILL)
    else:
        extension.tell("run", "os._exit(3)")
        message = instance.receive()
        assert (message["kind"], message["type"]) == ("error", "Extension.Crash")
        assert message["id"] == ("id" if when == "busy" else "")
        assert json.loads(message["payload"])["errorMessage"].endswith("watcher: exit status 3")
    assert instance.ended()
    assert world.status() == 1


def test_an_extension_that_cannot_be_executed_is_told(world: World) -> None:
    world.place(world.layers / "extensions" / "broken", "#!/no/such/shell\n")
    message = world.begin().receive()
    assert message["type"] == "Extension.LaunchError"
    words = json.loads(message["payload"])["errorMessage"]
    assert words.endswith("extensions/broken: no such file or directory")


def test_at_the_end_the_runtime_goes_first_and_extensions_are_told(world: World) -> None:
    instance, runtime, extension, _ = ready(world, BOTH)
    before_ms = time.time() * 1000
    instance.send("stop")
    event = extension.receive()
    assert event is not None
    assert runtime.is_gone()
    fields = event.json()
    assert (fields["eventType"], fields["shutdownReason"]) == ("SHUTDOWN", "spindown")
    assert before_ms - 100 < fields["deadlineMs"]
    extension.tell("run", "os._exit(0)")
    assert instance.ended()
    assert world.status() == 0


def test_a_runtime_that_ends_by_itself_is_told_to_extensions_as_a_failure(world: World) -> None:
    instance, runtime, extension, _ = ready(world, SHUTDOWN)
    give(instance)
    runtime.receive()
    runtime.tell("run", "os._exit(7)")
    event = extension.receive()
    assert event is not None
    assert event.json()["shutdownReason"] == "failure"
    extension.tell("run", "os._exit(0)")
    assert instance.ended()
    assert world.status() == 7


def test_an_extension_at_work_hears_of_the_end_when_it_asks(world: World) -> None:
    instance, runtime, extension, identifier = ready(world, BOTH)
    give(instance)
    extension.receive()
    runtime.receive()
    instance.send("stop")
    assert runtime.is_gone()
    event = extension.extension("GET", "event/next", identifier)
    assert event.json()["eventType"] == "SHUTDOWN"


@pytest.mark.parametrize("events", [INVOKE, SHUTDOWN])
def test_extensions_that_do_not_end_are_killed(world: World, events: bytes) -> None:
    instance, _, extension, _ = ready(world, events)
    instance.send("stop")
    if events == SHUTDOWN:
        assert extension.receive()
    assert extension.is_gone()
    assert instance.ended()
    assert world.status() == 0


def test_with_extensions_a_runtime_is_asked_to_end(world: World) -> None:
    instance, runtime, extension, _ = ready(world, SHUTDOWN)
    code = """
import signal
signal.signal(signal.SIGTERM, lambda *_: (os.write(1, b"terminated"), os._exit(0)))
"""
    runtime.do("run", code)
    instance.send("stop")
    extension.receive()
    extension.tell("run", "os._exit(0)")
    assert instance.ended()
    assert instance.printed() == "terminated"
