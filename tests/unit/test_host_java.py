"""The Java host, run directly: handlers, events, results and errors."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import java_world
import pytest
from conversation import error_of
from java_world import JavaSpares
from spare_world import REQUEST, Spare


@pytest.fixture
def spares(tmp_path: Path) -> Iterator[JavaSpares]:
    with JavaSpares(tmp_path) as spares:
        yield spares


def fail(spare: Spare, how: str) -> dict[str, Any]:
    return error_of(spare.invoke(json.dumps({"how": how}).encode()))


def test_the_first_word_is_ready_and_nothing_is_printed(tmp_path: Path) -> None:
    spare = Spare(tmp_path, "java", libraries=java_world.host())
    assert spare.talk.receive() == {"kind": "ready", "protocol": 1, "pid": spare.process.pid}
    assert spare.talk.printed() == ""
    spare.close()


def test_a_spare_cannot_be_forked(spares: JavaSpares) -> None:
    assert spares.start().load("app.Forms::text") == {
        "kind": "loaded",
        "forkable": False,
        "why": "a Java virtual machine has threads and cannot be forked",
    }


@pytest.mark.parametrize("how", ["stop", "hang up"])
@pytest.mark.parametrize("when", ["ready", "warm"])
def test_it_ends_when_told_or_left_alone(spares: JavaSpares, how: str, when: str) -> None:
    spare = spares.start()
    if when == "warm":
        spare.load("app.Forms::nothing")
        spare.result()
    if how == "stop":
        spare.talk.send("stop")
    else:
        spare.talk.hang_up()
    assert spare.status() == 0


FORMS = [
    ("text", b'"a\\u00e4\xc3\xa4"', b'"a\xc3\xa4\xc3\xa4!"'),
    ("number", b"41", b"42"),
    ("number", b'"41"', b"42"),
    ("number", b"null", b"1"),
    ("sum", b"[1, 2, 4000000000]", b"4000000003"),
    ("sum", b"7", b"7"),
    ("halves", b"[1, 2]", b"[0.5,1.0]"),
    ("sets", b'{"a": [1, 1], "b": null}', b'{"a":[1]}'),
    ("nothing", b"not json", b'"no event"'),
    ("context", b"not json", f'"{REQUEST}"'.encode()),
    ("silent", b"{}", b"null"),
    ("overloaded", b"{}", b'"event and context"'),
    ("streams", b"\x00\xff", b"<\x00\xff>"),
    ("output", b"", b'{"only": "output"}'),
]


def test_methods_of_every_form_are_handlers(spares: JavaSpares) -> None:
    for method in dict.fromkeys(method for method, _, _ in FORMS):
        spare = spares.start()
        assert spare.load(f"app.Forms::{method}")["kind"] == "loaded"
        for _, event, result in (form for form in FORMS if form[0] == method):
            assert spare.result(event) == result
        spare.close()


def test_beans_and_records_are_read_and_written(spares: JavaSpares) -> None:
    order = {
        "open": "x",
        "id": "a1",
        "paid": True,
        "at": "2024-02-03T04:05:06.5Z",
        "blob": "aGVsbG8=",
        "note": "n",
        "items": [{"name": "tea", "count": "2", "sizes": ["LARGE", "HUGE"], "more": {"x": []}}],
        "secret": "told",
        "unknown": [1, {"a": None}],
    }
    answer = json.loads(spares.loaded("app.Orders").result(json.dumps({"body": order}).encode()))
    assert answer["class"] == "Order"
    assert answer["seen"] == {
        "open": "x",
        "id": "a1",
        "paid": True,
        "at": 1706933106.5,
        "blob": "aGVsbG8=",
        "note": "n",
        "items": [{"name": "tea", "count": 2, "sizes": ["LARGE", None]}],
        "URL": "/orders/a1",
    }


def test_what_an_event_leaves_out_is_what_the_bean_has(spares: JavaSpares) -> None:
    answer = json.loads(spares.loaded("app.Orders").result(b'{"body": {"items": {"name": "tea"}}}'))
    assert answer["seen"] == {
        "paid": False,
        "note": None,
        "items": [{"name": "tea", "count": 0}],
        "URL": "/orders/null",
    }


@pytest.mark.parametrize(
    ("event", "cause"),
    [
        (b'{"body": {"paid": "perhaps"}}', 'cannot read "perhaps" as boolean'),
        (b'{"body": 1}', "an object expected, but there is '1' at byte 9"),
        (b'{"body": ', "an object expected, but there is the end at byte 9"),
        (b'{"body": {}} {', "the end expected, but there is '{' at byte 13"),
        (b"[" * 100_000, "more than 1000 levels of arrays and objects"),
    ],
)
def test_an_event_that_does_not_fit_is_an_error(
    spares: JavaSpares, event: bytes, cause: str
) -> None:
    spare = spares.loaded("app.Orders")
    error = error_of(spare.invoke(event))
    assert error["errorType"] == "java.lang.RuntimeException"
    assert error["errorMessage"] == "An error occurred during JSON parsing"
    assert error["cause"]["errorMessage"] == cause
    assert spare.invoke(b'{"body": {}}')["kind"] == "result"


FAULTS: dict[str, tuple[str, str, str]] = {
    "a class that is not there": (
        "app.Nowhere",
        "java.lang.ClassNotFoundException",
        "Class not found: app.Nowhere",
    ),
    "a method that is not there": (
        "app.Forms::missing",
        "Runtime.BadFunctionCode",
        "No public method named missing with appropriate method signature found on class app.Forms",
    ),
    "a method that is not public": (
        "app.Forms::hidden",
        "Runtime.BadFunctionCode",
        "No public method named hidden with appropriate method signature found on class app.Forms",
    ),
    "a method with other parameters": (
        "app.Forms::wrong",
        "Runtime.BadFunctionCode",
        "No public method named wrong with appropriate method signature found on class app.Forms",
    ),
    "a class that is no handler": (
        "app.Forms",
        "Runtime.BadFunctionCode",
        "Class does not implement an appropriate handler interface: app.Forms",
    ),
    "no method behind the colons": (
        "app.Forms::",
        "Runtime.BadFunctionCode",
        "Invalid handler: `app.Forms::'",
    ),
    "a constructor that fails": (
        "app.Faults$Constructor",
        "java.lang.IllegalArgumentException",
        "not today",
    ),
    "a class that fails": (
        "app.Faults$Static::number",
        "java.lang.ExceptionInInitializerError",
        "Error loading class app.Faults$Static",
    ),
    "an inner class": (
        "app.Faults$Inner::handle",
        "Runtime.BadFunctionCode",
        "Class app.Faults$Inner cannot be instantiated because it is a non-static inner class",
    ),
    "a private constructor": (
        "app.Faults$Closed::handle",
        "Runtime.BadFunctionCode",
        "Class app.Faults$Closed has no public zero-argument constructor",
    ),
    "a handler without types": (
        "app.Faults$Raw",
        "Runtime.BadFunctionCode",
        "Class app.Faults$Raw does not implement RequestHandler with concrete type parameters",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_loaded_says_why_and_ends(spares: JavaSpares, fault: str) -> None:
    handler, error_type, words = FAULTS[fault]
    spare = spares.start()
    answer = spare.load(handler)
    assert answer["id"] == ""
    assert error_of(answer) == {"errorMessage": words, "errorType": error_type}
    assert spare.status() == 1
    assert words in spare.talk.printed()


def test_a_class_that_misses_another_says_which(spares: JavaSpares) -> None:
    spare = spares.start()
    (spare.code / "app" / "EnvelopeHandler.class").unlink()
    error = error_of(spare.load("app.Orders"))
    assert error["errorType"] == "java.lang.NoClassDefFoundError"
    assert error["errorMessage"] == "Error loading class app.Orders: app/EnvelopeHandler"


def test_an_exception_has_a_trace_without_the_host_and_a_cause(spares: JavaSpares) -> None:
    spare = spares.loaded("app.Faults")
    error = fail(spare, "caused")
    assert (error["errorType"], error["errorMessage"]) == (
        "java.lang.IllegalStateException",
        "outer",
    )
    assert error["stackTrace"][0].startswith("app.Faults.handleRequest(Faults.java:")
    assert all(line.startswith("app.Faults.") for line in error["stackTrace"])
    assert error["cause"]["errorType"] == "java.io.IOException"
    printed = spare.talk.printed()
    assert "outer: java.lang.IllegalStateException\n" in printed
    assert "Caused by: java.io.IOException: inner" in printed
    assert "microfaas" not in printed


def test_reflection_is_not_in_the_trace_of_a_method(spares: JavaSpares) -> None:
    error = error_of(spares.loaded("app.Faults::checked").invoke())
    assert error["errorType"] == "java.io.IOException"
    assert len(error["stackTrace"]) == 1


ERRORS = {
    "wordless": ("java.lang.NullPointerException", "java.lang.NullPointerException"),
    "deep": ("java.lang.StackOverflowError", "java.lang.StackOverflowError"),
    "memory": ("java.lang.OutOfMemoryError", "Java heap space"),
    "getter": (
        "java.lang.RuntimeException",
        "An error occurred during JSON serialization of response",
    ),
    "endless": (
        "java.lang.RuntimeException",
        "An error occurred during JSON serialization of response",
    ),
}


@pytest.mark.parametrize("how", ERRORS)
def test_after_an_error_the_next_invocation_runs(spares: JavaSpares, how: str) -> None:
    spare = spares.loaded("app.Faults")
    error = fail(spare, how)
    assert (error["errorType"], error["errorMessage"]) == ERRORS[how]
    assert json.loads(spare.result(b'{"how": ""}')) == {"calls": 2, "interrupted": False}


def test_an_interruption_is_not_the_next_ones(spares: JavaSpares) -> None:
    spare = spares.loaded("app.Faults")
    spare.result(b'{"how": "interrupted"}')
    assert not json.loads(spare.result(b'{"how": ""}'))["interrupted"]


def test_a_thread_that_fails_is_in_the_log_and_ends_alone(spares: JavaSpares) -> None:
    spare = spares.loaded("app.Faults")
    assert spare.result(b'{"how": "thread"}') == b'"ended"'
    assert "java.lang.IllegalStateException: in a thread" in spare.talk.printed()
