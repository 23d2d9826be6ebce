"""The host for functions in bash, run directly: the protocol's worked example."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from spare_world import REQUEST, Spare

Start = Callable[..., Spare]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a host that is ready, with this code in app.sh."""
    made: list[Spare] = []

    def start(code: str = "handler() { cat; }") -> Spare:
        made.append(Spare(tmp_path, "bash"))
        made[-1].ready()
        (made[-1].code / "app.sh").write_text(code)
        return made[-1]

    yield start
    for spare in made:
        spare.close()


@pytest.fixture
def loaded(start: Start) -> Start:
    def loaded(code: str = "handler() { cat; }", **environment: str) -> Spare:
        spare = start(code)
        assert spare.load("app.handler", **environment)["kind"] == "loaded"
        return spare

    return loaded


def fields_of(message: dict[str, Any]) -> tuple[str, str]:
    assert message["kind"] == "error", message
    fields = json.loads(message["payload"])
    assert fields["errorType"] == message["type"]
    return fields["errorType"], fields["errorMessage"]


def test_it_is_ready_then_loaded(tmp_path: Path) -> None:
    spare = Spare(tmp_path, "bash")
    assert spare.ready() == {"kind": "ready", "protocol": 1, "pid": spare.process.pid}
    (spare.code / "app.sh").write_text("handler() { :; }")
    wanted = {"kind": "loaded", "forkable": False, "why": "it is a spare"}
    assert spare.load("app.handler") == wanted
    spare.close()


@pytest.mark.parametrize(
    "event", [b"{}", b"", b"\0\xff\n\r\x00", b"x" * 255, b"x" * 70_000, "ä😀".encode()]
)
def test_bytes_come_back_as_they_are(loaded: Start, event: bytes) -> None:
    spare = loaded()
    for _ in range(2):
        wanted = {"kind": "result", "id": REQUEST, "payload": event}
        assert spare.invoke(event) == wanted


def test_large_events_and_results_go_through(loaded: Start) -> None:
    spare = loaded()
    event = b'"' + b"x" * (6 << 20) + b'"'
    pid = os.fork()
    if pid == 0:
        spare.talk.send("invoke", id="id", event=event, deadline_ms=0, arn="a")
        os._exit(0)
    assert spare.talk.receive()["payload"] == event
    os.waitpid(pid, 0)


def test_variables_last_between_invocations(loaded: Start) -> None:
    spare = loaded("declare -i COUNT=0\nhandler() { COUNT+=1; echo $COUNT; }")
    assert [spare.result() for _ in range(3)] == [b"1\n", b"2\n", b"3\n"]


def test_the_environment_is_set_before_the_code_is_loaded(loaded: Start) -> None:
    value = 'ä "quoted"\n' + "long " * 100
    spare = loaded(
        'SEEN=$WORD\nhandler() { printf "%s|%s" "$SEEN" "$EMPTY"; }', WORD=value, EMPTY=""
    )
    assert spare.result().decode() == value + "|"


def test_the_context_is_in_variables(loaded: Start) -> None:
    code = """handler() { printf '%s|' "$LAMBDA_REQUEST_ID" "$LAMBDA_DEADLINE_MS" \
        "$LAMBDA_FUNCTION_ARN" "$LAMBDA_CLIENT_CONTEXT" "$_X_AMZN_TRACE_ID"; }"""
    spare = loaded(code)
    context = b'{"custom": 1}'
    fields = {"arn": "arn:f", "deadline_ms": 1 << 40, "client_context": context, "trace_id": "R=1"}
    result = spare.result(**fields).decode()
    assert result == f"{REQUEST}|{1 << 40}|arn:f|{context.decode()}|R=1|"


def test_keys_that_it_does_not_know_are_passed_over(loaded: Start) -> None:
    more = [
        None,
        True,
        -1,
        -200,
        300,
        70_000,
        -70_000,
        1 << 33,
        {"a": [1, "b", b"c"]},
        list(range(20)),
    ]
    spare = loaded()
    assert spare.result(b"[1]", more=more, map={str(n): n for n in range(20)}) == b"[1]"


def test_what_goes_to_standard_error_is_the_log(loaded: Start) -> None:
    spare = loaded("echo loading\nhandler() { echo said >&2; /bin/echo a child >&2; printf 1; }")
    assert spare.result() == b"1"
    assert spare.talk.printed() == "loading\nsaid\na child\n"


def test_what_it_starts_has_none_of_the_protocols_descriptors(loaded: Start) -> None:
    code = """
        seen() {
            /bin/sh -c 'for fd in 3 4 5; do [ -e /proc/$$/fd/$fd ] && echo $fd; done; true'
        }
        LOADING=$(seen)
        handler() { echo "$LOADING"; seen; }
    """
    assert loaded(code).result() == b"\n"


FAULTS = {
    "no file": (
        "",
        "nowhere.handler",
        "Runtime.ImportModuleError",
        "There is no file 'nowhere.sh'",
    ),
    "no function": (
        "",
        "app.handler",
        "Runtime.HandlerNotFound",
        "Function 'handler' missing in 'app.sh'",
    ),
    "no dot": ("", "handler", "Runtime.MalformedHandlerName", "Bad handler 'handler'"),
    "a failure": ('fail "no ä \\"good\\"\n"', "app.handler", "HandlerFailed", 'no ä "good"\n'),
    "a type": ("fail no Own", "app.handler", "Own", "no"),
    "a status": ("(exit 3)", "app.handler", "LoadFailed", "app.sh gives the status 3"),
}


@pytest.mark.parametrize(("code", "name", "kind", "words"), FAULTS.values(), ids=FAULTS.keys())
def test_code_that_cannot_be_loaded_is_told_by_type(
    start: Start, code: str, name: str, kind: str, words: str
) -> None:
    spare = start(code)
    message = spare.load(name)
    assert message["id"] == ""
    assert fields_of(message) == (kind, words)
    assert spare.status() == 1


def test_a_syntax_error_is_told_by_its_line(start: Start) -> None:
    spare = start("handler() {\n")
    kind, words = fields_of(spare.load("app.handler"))
    assert kind == "Runtime.UserCodeSyntaxError"
    assert words.startswith("app.sh: line ")


def test_a_handler_that_fails_is_an_error_and_serves_on(loaded: Start) -> None:
    spare = loaded('handler() { fail "no \\\\ good" Own || return; }')
    for _ in range(2):
        assert fields_of(spare.invoke()) == ("Own", "no \\ good")
    assert "[ERROR] Own: no \\ good\n" in spare.talk.printed()


def test_a_status_is_an_error_of_its_own(loaded: Start) -> None:
    spare = loaded("handler() { return 3; }")
    assert fields_of(spare.invoke()) == ("HandlerFailed", "the handler gives the status 3")


def test_an_error_may_have_no_words(loaded: Start) -> None:
    assert fields_of(loaded('handler() { fail ""; }').invoke()) == ("HandlerFailed", "")


@pytest.mark.parametrize(("code", "status"), [("exit 7", 7), ("kill -9 $$", -9), ("exit", 0)])
def test_how_it_ended_is_the_functions_will(loaded: Start, code: str, status: int) -> None:
    spare = loaded(f"handler() {{ {code}; }}")
    spare.talk.send("invoke", id="id", event=b"", deadline_ms=0, arn="a")
    assert spare.talk.ended()
    assert spare.status() == status


def test_code_that_exits_ends_it_with_its_status(start: Start) -> None:
    spare = start("exit 7")
    spare.talk.send("init", handler="app.handler", snapshot="off", env={})
    assert spare.talk.ended()
    assert spare.status() == 7


@pytest.mark.parametrize("way", ["stop", "end of file"])
@pytest.mark.parametrize("loads", [True, False])
def test_it_ends_in_good_order_and_leaves_nothing(start: Start, way: str, loads: bool) -> None:
    spare = start('handler() { printf %s "$_SCRATCH"; }')
    scratch = ""
    if loads:
        spare.load("app.handler")
        scratch = spare.result().decode()
    if way == "stop":
        spare.talk.send("stop")
    else:
        spare.talk.hang_up()
    assert spare.status() == 0
    assert not scratch or not Path(scratch).exists()
