"""The .NET host, run directly: what a function finds round itself, and what it leaves."""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dotnet_world import PROGRAM, DotnetSpares, functions
from spare_world import REQUEST, Spare

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"

UNIX = "runtimes/unix/lib/net8.0/Amazon.Lambda.Core.dll"
# As `dotnet publish` writes it.
DEPENDENCIES = {
    "runtimeTarget": {"name": ".NETCoreApp,Version=v8.0"},
    "targets": {
        ".NETCoreApp,Version=v8.0": {
            "App/1.0.0": {"dependencies": {"Core": "1.0.0"}, "runtime": {"App.dll": {}}},
            "Core/1.0.0": {"runtimeTargets": {UNIX: {"rid": "unix", "assetType": "runtime"}}},
        }
    },
    "libraries": {
        "App/1.0.0": {"type": "project", "serviceable": False, "sha512": ""},
        "Core/1.0.0": {"type": "package", "serviceable": False, "sha512": ""},
    },
}


@pytest.fixture
def spares(tmp_path: Path) -> Iterator[DotnetSpares]:
    with DotnetSpares(tmp_path) as spares:
        yield spares


def ask(spare: Spare, what: str, **fields: Any) -> Any:
    return json.loads(spare.result(json.dumps({"what": what, **fields}).encode()))


def lines(spare: Spare) -> list[str]:
    """What is in the log, without the times."""
    return [re.sub(f"^{STAMP}", "TIME", line) for line in spare.talk.printed().splitlines()]


def test_the_context_is_lambdas(spares: DotnetSpares) -> None:
    spare = spares.loaded("Surroundings::Handle")
    client = '{"client": {"app_title": "t"}, "custom": {"k": "ä", "n": 1}}'.encode()
    fields = {
        "deadline_ms": int(time.time() * 1000) + 60_000,
        "arn": "arn:x",
        "client_context": client,
        "trace_id": "Root=1",
    }
    seen = json.loads(spare.result(b'{"what": "context"}', **fields))
    assert 0 < seen.pop("remaining") <= 60_000
    assert seen == {
        "id": REQUEST,
        "function": "f:$LATEST",
        "arn": "arn:x",
        "memory": 128,
        "log": "/aws/lambda/f 2026/01/02/[$LATEST]a",
        "client": "t",
        "custom": {"k": "ä", "n": "1"},
        "identity": None,
        "trace": "Root=1",
        "same logger": True,
    }
    again = ask(spare, "context")
    assert (again["client"], again["custom"], again["trace"]) == (None, None, None)
    assert again["remaining"] < 0


@pytest.mark.parametrize("client", [b"", b"[]", b"{", b'{"client": 1, "custom": []}'])
def test_a_client_context_of_no_use_is_none(spares: DotnetSpares, client: bytes) -> None:
    spare = spares.loaded("Surroundings::Handle")
    seen = json.loads(spare.result(b'{"what": "context"}', client_context=client))
    assert (seen["client"], seen["custom"]) == (None, None)


def test_variables_are_found_and_passed_on(spares: DotnetSpares) -> None:
    spare = spares.loaded("Surroundings::Handle", COLOUR="blue ü", EMPTY="")
    assert ask(spare, "variable", name="COLOUR") == "blue ü"
    assert ask(spare, "variable", name="AWS_EXECUTION_ENV") == "AWS_Lambda_dotnet8"
    assert ask(spare, "child", script="echo $COLOUR${EMPTY-missing}") == "blue ü\n"


def test_children_inherit_nothing_of_the_protocol(spares: DotnetSpares) -> None:
    spare = spares.loaded("Surroundings::Handle")
    found = ask(spare, "child", script="ls -l /proc/$$/fd")
    pipes = [line for line in found.splitlines() if re.search(r" [345] -> ", line)]
    assert pipes == []


def test_lines_are_as_lambdas_and_the_rest_is_as_it_is(spares: DotnetSpares) -> None:
    spare = spares.loaded("Surroundings::Handle")
    ask(spare, "print")
    assert lines(spare) == [
        "half a line, formatted 1",
        "errors ü",
        f"TIME\t{REQUEST}\tinfo\ta line",
        f"TIME\t{REQUEST}\tinfo\t1 and True",
        f"TIME\t{REQUEST}\tinfo\t1.5",
        f"TIME\t{REQUEST}\tfail\tSystem.Object",
    ]
    ask(spare, "buffer")
    assert spare.talk.printed().endswith("held back")


LOGGED = [
    ("info", "a line"),
    ("info", "for you"),
    ("fail", "grave"),
    ("info", "2 of    tea, {not} [1]"),
    ("fail", "3 times"),
    ("", "static"),
    ("crit", "static 4"),
]


def test_the_loggers_write_lines_with_levels(spares: DotnetSpares) -> None:
    spare = spares.loaded("Surroundings::Handle")
    ask(spare, "log")
    first, *rest = lines(spare)
    assert first == "as it is"
    exception = rest.pop(5)
    assert exception == "System.IO.IOException: broken"
    assert rest == [
        "\t".join(filter(None, ["TIME", REQUEST, label, message])) for label, message in LOGGED
    ]


def test_the_loggers_write_json_and_leave_out_what_is_less_grave(spares: DotnetSpares) -> None:
    settings = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "WARN"}
    spare = spares.loaded("Surroundings::Handle", **settings)
    ask(spare, "log")
    found = [json.loads(line) for line in spare.talk.printed().splitlines()[1:]]
    assert [line["message"] for line in found] == ["grave", "3 times", "static", "static 4"]
    assert re.fullmatch(STAMP, found[1].pop("timestamp"))
    assert found[1] == {
        "level": "Error",
        "requestId": REQUEST,
        "message": "3 times",
        "errorType": "System.IO.IOException",
        "errorMessage": "broken",
        "stackTrace": ["System.IO.IOException: broken"],
    }


def test_failures_are_json_too(spares: DotnetSpares) -> None:
    spare = spares.loaded("Surroundings::Handle", AWS_LAMBDA_LOG_FORMAT="JSON")
    spare.invoke(b'{"what": "nothing known"}')
    (line,) = spare.talk.printed().splitlines()
    found = json.loads(line)
    assert (found["level"], found["requestId"]) == ("Error", REQUEST)
    assert found["errorMessage"] == "nothing known"
    assert found["stackTrace"][1].startswith("at App.Surroundings.Handle")
    assert "Microfaas" not in line


def test_lines_may_be_without_a_format(spares: DotnetSpares) -> None:
    spare = spares.loaded("Surroundings::Handle", AWS_LAMBDA_HANDLER_LOG_FORMAT="Unformatted")
    ask(spare, "print")
    assert lines(spare)[2:4] == ["a line", "1 and True"]


def test_it_exits_with_the_functions_status_and_its_last_words(spares: DotnetSpares) -> None:
    spare = spares.loaded("Surroundings::Handle")
    event = b'{"what": "exit", "status": "7"}'
    spare.talk.send("invoke", id="i", event=event, deadline_ms=0, arn="")
    assert spare.status() == 7
    assert spare.talk.printed() == "the last words"


@pytest.mark.parametrize(
    ("environment", "words"),
    [({}, "-1 1,5"), ({"DOTNET_SYSTEM_GLOBALIZATION_INVARIANT": "1"}, "31 1.5")],
    ids=["with", "without"],
)
def test_it_runs_with_and_without_cultures(
    spares: DotnetSpares, environment: dict[str, str], words: str
) -> None:
    spare = spares.start(environment=environment)
    spare.load("App::App.Surroundings::Handle")
    assert ask(spare, "culture") == words
    assert spare.talk.printed() == ""


def test_the_library_is_the_functions_and_files_are_found(spares: DotnetSpares) -> None:
    spare = spares.loaded("Surroundings::Handle")
    assert ask(spare, "core") == str(spare.code / "Amazon.Lambda.Core.dll")
    (spare.code / "words.txt").write_text("words")
    assert ask(spare, "file", name="words.txt") == "words"


def test_a_function_may_be_called_as_the_host_is(spares: DotnetSpares) -> None:
    spare = spares.start()
    shutil.copy(functions() / "App.dll", spare.code / "Host.dll")
    assert spare.load("Host::App.Forms::Text")["kind"] == "loaded"
    assert spare.result(b'"a"') == b'"a!"'


@pytest.mark.parametrize("name", ["System.Runtime.dll", "System.Text.Json.dll"])
def test_what_dotnet_itself_brings_is_taken_where_the_functions_is_not_newer(
    spares: DotnetSpares, name: str
) -> None:
    spare = spares.start()
    shutil.copy(next(PROGRAM.parent.glob(f"shared/*/*/{name}")), spare.code)
    assert spare.load("App::App.Orders::Handle")["kind"] == "loaded"
    assert json.loads(spare.result(b'{"id": "a"}')) == {"id": "a", "urlOfIt": "/orders/a"}


def test_of_several_files_the_one_for_this_system_is_taken(spares: DotnetSpares) -> None:
    spare = spares.start({"App.deps.json": json.dumps(DEPENDENCIES)})
    place = spare.code / UNIX
    place.parent.mkdir(parents=True)
    shutil.move(spare.code / "Amazon.Lambda.Core.dll", place)
    assert spare.load("App::App.Surroundings::Handle")["kind"] == "loaded"
    assert ask(spare, "core") == str(place)


@pytest.mark.parametrize("size", [8000, 65_536, 70_000, 6 << 20])
def test_events_of_every_size_come_back(spares: DotnetSpares, size: int) -> None:
    spare = spares.loaded("Forms::Streams")
    event = bytes(range(256)) * (size // 256)
    assert spare.result(event) == b"<" + event + b">"
    assert spare.result(b"x") == b"<x>"
