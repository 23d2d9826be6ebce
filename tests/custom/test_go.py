"""aws-lambda-go, with the conformance suite's functions, as a custom runtime."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from conversation import Conversation
from provided_world import World, fields_of, give

SOURCES = Path(__file__).parents[2] / "runtimes" / "go" / "conformance" / "function"


@pytest.fixture(scope="session")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The functions, built as the manifest says."""
    output = tmp_path_factory.mktemp("go") / "bootstrap"
    environment = {**os.environ, "CGO_ENABLED": "0"}
    argv = ["go", "build", "-buildvcs=false", "-trimpath", "-ldflags=-s -w", "-o", output, "."]
    subprocess.run(argv, cwd=SOURCES, env=environment, check=True)
    return output


def loaded(world: World, binary: Path, handler: str = "cases") -> Conversation:
    os.link(binary, world.code / "bootstrap")
    instance = world.begin(_HANDLER=handler)
    assert instance.receive()["kind"] == "loaded"
    return instance


def call(instance: Conversation, case: str, **fields: Any) -> Any:
    return json.loads(instance.result(json.dumps({"case": case, **fields}).encode()))


def test_it_answers_and_keeps_its_state(world: World, binary: Path) -> None:
    instance = loaded(world, binary)
    assert call(instance, "echo", value={"a": [1, "ä"]}) == {"a": [1, "ä"]}
    assert call(instance, "null") is None
    assert [call(instance, "count") for _ in range(3)] == [1, 2, 3]


def test_it_tells_errors_and_serves_on(world: World, binary: Path) -> None:
    instance = loaded(world, binary)
    event = b'{"case": "fail", "message": "no good"}'
    assert fields_of(instance.invoke(event)) == ("errorString", "no good")
    assert call(instance, "count") == 1


def test_it_finds_the_context(world: World, binary: Path) -> None:
    instance = loaded(world, binary)
    event = b'{"case": "context"}'
    fields = {"deadline_ms": 1 << 42, "client_context": b'{"custom": {"k": "v"}}'}
    seen = json.loads(instance.result(event, **fields))
    assert (seen["request_id"], seen["invoked_function_arn"]) == ("id", "arn:f")
    assert (seen["client_context"], seen["remaining_is_positive"]) == ({"k": "v"}, True)


def test_its_programs_inherit_nothing_of_the_protocol(world: World, binary: Path) -> None:
    assert call(loaded(world, binary), "pid")["inherited"] == 0


def test_it_streams_as_it_goes(world: World, binary: Path) -> None:
    instance = loaded(world, binary, "stream")
    give(instance, b'{"pieces": ["one", "two"]}')
    pieces = []
    while (message := instance.receive())["kind"] == "chunk":
        pieces.append(message["payload"])
    assert b"".join(pieces) == b"onetwo"
    assert message == {"kind": "result", "id": "id", "payload": b""}


def test_a_stream_of_its_may_fail(world: World, binary: Path) -> None:
    instance = loaded(world, binary, "stream")
    give(instance, b'{"pieces": ["one"], "fail": true}')
    while (message := instance.receive())["kind"] == "chunk":
        assert message["payload"] == b"one"
    assert fields_of(message) == ("errorString", "broken while streaming")


def test_it_ends_with_the_functions_status(world: World, binary: Path) -> None:
    instance = loaded(world, binary)
    give(instance, b'{"case": "exit", "status": 5}')
    assert instance.ended()
    assert world.status() == 5
