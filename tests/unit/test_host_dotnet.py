"""The .NET host, run directly: handlers, events, results and errors."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dotnet_world
import pytest
from conversation import error_of
from dotnet_world import DotnetSpares
from spare_world import REQUEST, Spare


@pytest.fixture
def spares(tmp_path: Path) -> Iterator[DotnetSpares]:
    with DotnetSpares(tmp_path) as spares:
        yield spares


def fail(spare: Spare, how: str) -> dict[str, Any]:
    return error_of(spare.invoke(json.dumps({"how": how}).encode()))


def test_the_first_word_is_ready_and_nothing_is_printed(tmp_path: Path) -> None:
    program = str(dotnet_world.PROGRAM)
    spare = Spare(tmp_path, "dotnet", program=program, libraries=dotnet_world.host())
    assert spare.talk.receive() == {"kind": "ready", "protocol": 1, "pid": spare.process.pid}
    assert spare.talk.printed() == ""
    spare.close()


def test_a_spare_cannot_be_forked(spares: DotnetSpares) -> None:
    assert spares.start().load("App::App.Forms::Text") == {
        "kind": "loaded",
        "forkable": False,
        "why": "the .NET runtime has threads and cannot be forked",
    }


@pytest.mark.parametrize("how", ["stop", "hang up"])
@pytest.mark.parametrize("when", ["ready", "warm"])
def test_it_ends_when_told_or_left_alone(spares: DotnetSpares, how: str, when: str) -> None:
    spare = spares.start()
    if when == "warm":
        spare.load("App::App.Forms::Nothing")
        spare.result()
    if how == "stop":
        spare.talk.send("stop")
    else:
        spare.talk.hang_up()
    assert spare.status() == 0


def test_a_message_of_no_known_kind_ends_it(spares: DotnetSpares) -> None:
    spare = spares.start()
    spare.talk.send("dance")
    assert spare.status() == 1
    assert "a message of the kind dance" in spare.talk.printed()


FORMS = {
    "Forms::Text": (b'"a\\u00e4\xc3\xa4"', b'"a\xc3\xa4\xc3\xa4!"'),
    "Forms::Static": (b"41", b"42"),
    "Forms::Sum": (b"[1, 2, 4000000000]", b"4000000003"),
    "Forms::Inherited": (b"[1, 1]", b"2"),
    "Forms::Nothing": (b"not json", b'"no event"'),
    "Forms::Context": (b"not json", f'"{REQUEST}"'.encode()),
    "Forms::Silent": (b'"a"', b"null"),
    "Forms::Later": (b'"a"', b"null"),
    "Forms::Async": (b'"a"', b'"a later"'),
    "Forms::Done": (b"41", b"42"),
    "Forms::Value": (b'"a"', b"null"),
    "Forms::ValueOf": (b"6", b"42"),
    "Forms::Streams": (b"\x00\xff", b"<\x00\xff>"),
    "Forms::StreamLater": (b'"{raw}"', b"{raw}"),
    "Forms::NoStream": (b"", b"null"),
    "Forms::Hidden": (b'"a"', b'"a from within"'),
    "Forms::System.String Overloaded(Int32)": (b"1", b'"number"'),
    "Outer+Inner::Handle": (b'"a"', b'"a of a struct"'),
}


@pytest.mark.parametrize("handler", FORMS)
def test_methods_of_every_form_are_handlers(spares: DotnetSpares, handler: str) -> None:
    event, result = FORMS[handler]
    spare = spares.loaded(handler)
    assert [spare.result(event) for _ in range(3)] == [result] * 3


def test_types_of_the_functions_are_read_and_written(spares: DotnetSpares) -> None:
    order = {
        "ID": "a1",
        "items": [{"NAME": "tea", "size": 1, "unknown": [{}]}],
        "at": "2024-02-03T04:05:06.5Z",
        "blob": "aGVsbG8=",
        "x-amz-request-id": "x",
        "note": None,
    }
    spare = spares.loaded("Orders::Handle")
    assert json.loads(spare.result(json.dumps(order).encode())) == {
        "id": "a1",
        "items": [{"name": "tea", "count": 1, "size": 1}],
        "at": "2024-02-03T04:05:06.5Z",
        "blob": "aGVsbG8=",
        "x-amz-request-id": "x",
        "urlOfIt": "/orders/a1",
    }


@pytest.mark.parametrize(
    "event", [b'{"items": 1}', b'{"id": ', b"", b'{} {"a": 1}', b"[" * 100_000]
)
def test_an_event_that_does_not_fit_is_an_error(spares: DotnetSpares, event: bytes) -> None:
    spare = spares.loaded("Orders::Handle")
    error = error_of(spare.invoke(event))
    assert error["errorType"] == "JsonSerializerException"
    words = "Error converting the Lambda event JSON payload to type App.Order: "
    assert error["errorMessage"].startswith(words)
    assert error["cause"]["errorType"] == "JsonException"
    assert spare.invoke(b'{"id": "a"}')["kind"] == "result"


def test_a_result_that_cannot_be_written_is_an_error(spares: DotnetSpares) -> None:
    error = error_of(spares.loaded("Orders::Endless").invoke())
    assert error["errorType"] == "JsonSerializerException"
    assert "the response object of type App.Loop" in error["errorMessage"]


def test_a_function_may_bring_its_own_serializer(spares: DotnetSpares) -> None:
    spare = spares.loaded("Orders::Shout")
    assert [spare.result(b"abc") for _ in range(2)] == [b"STRING: ABC!"] * 2


FAULTS: dict[str, tuple[str, str, str]] = {
    "an assembly that is not there": (
        "Nowhere::App.Forms::Text",
        "LambdaValidationException",
        "Could not find the specified handler assembly with the file name 'Nowhere'. The assembly "
        "should be located in the root of your uploaded .zip file.",
    ),
    "a class that is not there": (
        "App::App.Nowhere::Text",
        "LambdaValidationException",
        "Unable to load type 'App.Nowhere' from assembly 'App'.",
    ),
    "a method that is not there": (
        "App::App.Forms::Missing",
        "LambdaValidationException",
        "Unable to find method 'Missing' in type 'App.Forms' from assembly 'App': "
        "Found no methods matching method name 'Missing'.",
    ),
    "no method": (
        "App::App.Forms",
        "LambdaValidationException",
        "Invalid lambda function handler: 'App::App.Forms'. "
        "The valid format is 'ASSEMBLY::TYPE::METHOD'.",
    ),
    "one of several methods": (
        "App::App.Forms::Overloaded",
        "LambdaValidationException",
        "The method 'Overloaded' in type 'App.Forms' appears to have a number of overloads. To "
        "call this method please specify a complete method signature. Possible candidates are:\n"
        "System.String Overloaded(System.String)\nSystem.String Overloaded(Int32).",
    ),
    "three parameters": (
        "App::App.Forms::Three",
        "LambdaValidationException",
        "Method 'Three' of type 'App.Forms' is not supported: the method has more than 2 "
        "parameters.",
    ),
    "a second parameter that is no context": (
        "App::App.Forms::Second",
        "LambdaValidationException",
        "Method 'Second' of type 'App.Forms' is not supported: the method has 2 parameters, but "
        "the second parameter is not of type 'Amazon.Lambda.Core.ILambdaContext'.",
    ),
    "a constructor that fails": ("App::App.Constructor::Handle", "ArgumentException", "not today"),
    "a class that fails": (
        "App::App.Initializer::Handle",
        "TypeInitializationException",
        "The type initializer for 'App.Initializer' threw an exception.",
    ),
    "a private constructor": (
        "App::App.Closed::Handle",
        "MissingMethodException",
        "No parameterless constructor defined for type 'App.Closed'.",
    ),
    "a serializer that is none": (
        "App::App.Orders::Unreadable",
        "LambdaValidationException",
        "The 'App.Silent' class is invalid: it does not implement the 'ILambdaSerializer' "
        "interface.",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_loaded_says_why_and_ends(spares: DotnetSpares, fault: str) -> None:
    handler, error_type, words = FAULTS[fault]
    spare = spares.start()
    answer = spare.load(handler)
    assert answer["id"] == ""
    error = error_of(answer)
    assert (error["errorType"], error["errorMessage"]) == (error_type, words)
    assert spare.status() == 1
    assert words in spare.talk.printed()


@pytest.mark.parametrize(
    ("handler", "words"),
    [
        ("Forms::Open", "because it is a generic method."),
        ("Forms::Void", "because it is an 'async void' method."),
        ("Forms::Many", "because it is a 'params' method."),
        ("Generic`2::Answer", "because it is an abstract method."),
        ("Unfinished::Handle", "because its type 'App.Unfinished' is abstract."),
        ("Open`1::Handle", "because it is generic."),
    ],
)
def test_methods_that_nobody_can_call_are_refused(
    spares: DotnetSpares, handler: str, words: str
) -> None:
    error = error_of(spares.start().load(f"App::App.{handler}"))
    assert error["errorType"] == "LambdaValidationException"
    assert words in error["errorMessage"]


def test_an_assembly_that_misses_another_says_which(spares: DotnetSpares) -> None:
    spare = spares.start()
    (spare.code / "Amazon.Lambda.Core.dll").unlink()
    error = error_of(spare.load("App::App.Forms::Text"))
    assert error["errorType"] == "FileNotFoundException"
    assert "Amazon.Lambda.Core" in error["errorMessage"]


def test_what_is_no_assembly_cannot_be_loaded(spares: DotnetSpares) -> None:
    spare = spares.start({"Broken.dll": "not an assembly"})
    error = error_of(spare.load("Broken::App.Forms::Text"))
    assert error == {
        "errorType": "LambdaValidationException",
        "errorMessage": "Unable to load assembly 'Broken'.",
    }


def test_an_exception_has_a_trace_without_the_host_and_a_cause(spares: DotnetSpares) -> None:
    spare = spares.loaded("Faults::Handle")
    error = fail(spare, "caused")
    assert (error["errorType"], error["errorMessage"]) == ("InvalidOperationException", "outer")
    assert len(error["stackTrace"]) == 1
    assert error["stackTrace"][0].startswith("at App.Faults.Handle(Dictionary`2 call) in ")
    assert error["cause"]["errorType"] == "IOException"
    printed = spare.talk.printed()
    assert "System.InvalidOperationException: outer\n ---> System.IO.IOException: inner" in printed
    assert "Microfaas" not in printed


def test_several_exceptions_are_causes(spares: DotnetSpares) -> None:
    spare = spares.loaded("Faults::Handle")
    error = fail(spare, "several")
    assert error["errorType"] == "AggregateException"
    assert [one["errorMessage"] for one in error["causes"]] == ["one", "two"]
    assert error["cause"]["errorType"] == "IOException"
    assert fail(spare, "waited")["cause"]["errorMessage"] == "in a task"


@pytest.mark.parametrize(
    ("how", "error_type"), [("later", "ArgumentException"), ("memory", "OutOfMemoryException")]
)
def test_after_an_error_the_next_invocation_runs(
    spares: DotnetSpares, how: str, error_type: str
) -> None:
    spare = spares.loaded("Faults::Handle")
    assert fail(spare, how)["errorType"] == error_type
    assert json.loads(spare.result(b'{"how": ""}')) == {"calls": 2}


def test_a_handler_without_a_task_is_an_error(spares: DotnetSpares) -> None:
    error = error_of(spares.loaded("Faults::None").invoke(b'"a"'))
    assert error["errorMessage"] == "the handler returned no task to wait for"


@pytest.mark.parametrize(
    ("how", "words"),
    [("thread", "System.InvalidOperationException: in a thread"), ("deep", "Stack overflow.")],
)
def test_what_nobody_catches_ends_it_with_a_trace(
    spares: DotnetSpares, how: str, words: str
) -> None:
    spare = spares.loaded("Faults::Handle")
    event = json.dumps({"how": how}).encode()
    spare.talk.send("invoke", id="i", event=event, deadline_ms=0, arn="")
    assert spare.status() == -signal.SIGABRT
    assert words in spare.talk.printed()
    assert "at App.Faults." in spare.talk.printed()


def test_a_task_that_nobody_waits_for_does_not_matter(spares: DotnetSpares) -> None:
    assert json.loads(spares.loaded("Faults::Handle").result(b'{"how": "lost"}')) == {"calls": 1}
