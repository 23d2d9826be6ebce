"""The Java host, run directly: what a function finds round itself, and what it leaves."""

from __future__ import annotations

import json
import shutil
import time
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


def ask(spare: Spare, what: str, **fields: Any) -> Any:
    return json.loads(spare.result(json.dumps({"what": what, **fields}).encode()))


def test_the_context_is_lambdas(spares: JavaSpares) -> None:
    spare = spares.loaded("app.Surroundings")
    client = '{"client": {"app_title": "t"}, "custom": {"k": "ä"}}'.encode()
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
        "custom": {"k": "ä"},
        "trace": "Root=1",
        "same logger": True,
    }
    again = ask(spare, "context")
    assert (again["client"], again["trace"]) == ("none", "null")
    assert again["remaining"] < 0


def test_variables_are_found_by_java_and_by_its_children(spares: JavaSpares) -> None:
    spare = spares.loaded("app.Surroundings", COLOUR="blue ü", EMPTY="")
    seen = ask(spare, "environment")
    assert (seen["COLOUR"], seen["EMPTY"]) == ("blue ü", "")
    assert seen["AWS_EXECUTION_ENV"].startswith("AWS_Lambda_java")
    assert ask(spare, "child", script="echo $COLOUR") == "blue ü\n"
    assert ask(spare, "inherit") == 0
    assert "blue ü\n" in spare.talk.printed()


def test_children_inherit_only_their_own_descriptors(spares: JavaSpares) -> None:
    spare = spares.loaded("app.Surroundings")
    assert ask(spare, "child", script="ls /proc/$$/fd").split() == ["0", "1", "2"]


def test_everything_printed_is_in_the_log_before_the_reply(spares: JavaSpares) -> None:
    spare = spares.loaded("app.Surroundings")
    ask(spare, "print")
    assert spare.talk.printed() == "half a line, formatted 1\nerrors ü"
    ask(spare, "buffer")
    assert spare.talk.printed().endswith("held back")


def test_the_logger_writes_lines(spares: JavaSpares) -> None:
    spare = spares.loaded("app.Surroundings")
    ask(spare, "log")
    assert spare.talk.printed() == (
        "without an end\nwith an end\nas bytes ä\n[ERROR] grave\n[DEBUG] fine\n"
    )


def test_the_logger_writes_json_and_leaves_out_what_is_less_grave(spares: JavaSpares) -> None:
    settings = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "WARN"}
    spare = spares.loaded("app.Surroundings", **settings)
    ask(spare, "log")
    lines = [json.loads(line) for line in spare.talk.printed().splitlines()]
    assert [line["message"] for line in lines][-1] == "grave"
    assert lines[-1].pop("timestamp").endswith("Z")
    assert lines[-1] == {"level": "ERROR", "message": "grave", "AWSRequestId": REQUEST}


def test_it_exits_with_the_functions_status_and_its_last_words(spares: JavaSpares) -> None:
    spare = spares.loaded("app.Surroundings")
    spare.talk.send("invoke", id="i", event=b'{"what": "exit", "status": 7}', deadline_ms=0, arn="")
    assert spare.status() == 7
    assert spare.talk.printed() == "the last words and a hook's"


def test_the_host_is_not_among_the_functions_classes(spares: JavaSpares) -> None:
    error = error_of(spares.loaded("app.Surroundings").invoke(b'{"what": "host"}'))
    assert error["cause"]["errorType"] == "java.lang.ClassNotFoundException"


def test_resources_and_relative_paths_are_the_codes(spares: JavaSpares) -> None:
    spare = spares.loaded("app.Surroundings", {"data/words.txt": "words"})
    assert ask(spare, "resource") == "words"
    assert ask(spare, "user.dir") == str(spare.code)


@pytest.mark.parametrize("place", ["lib/function.jar", "function.jar"])
def test_code_may_be_a_jar(spares: JavaSpares, place: str) -> None:
    spare = spares.start()
    shutil.rmtree(spare.code / "app")
    java_world.pack(java_world.functions("app"), spare.code / place)
    assert spare.load("app.Forms::text")["kind"] == "loaded"
    assert spare.result(b'"a"') == b'"a!"'


def test_a_function_may_bring_its_own_serializer(spares: JavaSpares) -> None:
    service = "META-INF/services/com.amazonaws.services.lambda.runtime.CustomPojoSerializer"
    spare = spares.start({service: "own.Upper"})
    shutil.copytree(java_world.functions("own"), spare.code, dirs_exist_ok=True)
    assert spare.load("app.Forms::text")["kind"] == "loaded"
    assert spare.result(b"abc") == b"own: ABC!"


@pytest.mark.parametrize("size", [8000, 8192, 70_000, 6 << 20])
def test_events_of_every_size_come_back(spares: JavaSpares, size: int) -> None:
    spare = spares.loaded("app.Forms::streams")
    event = bytes(range(256)) * (size // 256)
    assert spare.result(event) == b"<" + event + b">"
    assert spare.result(b"x") == b"<x>"
