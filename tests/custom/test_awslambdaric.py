"""Lambda's own client for Python, with its part in C that speaks HTTP, as a custom runtime.

`make test` installs it beside this file.
"""

from __future__ import annotations

import json
from pathlib import Path

from conversation import Conversation
from provided_world import World, fields_of

PYTHON = Path(__file__).parent / ".venv" / "bin" / "python"
CODE = """
import os

def handler(event, context):
    if "raise" in event:
        raise ValueError(event["raise"])
    if "exit" in event:
        os._exit(event["exit"])
    client = context.client_context
    return [event, context.aws_request_id, context.invoked_function_arn, client and client.custom]
"""
BOOTSTRAP = f'#!/bin/sh\nexec {PYTHON} -m awslambdaric "$_HANDLER"\n'


# Its part in C ends the process over a deadline of 0.
DEADLINE_MS = 1 << 42


def place(world: World, code: str = CODE) -> None:
    (world.code / "the.py").write_text(code)
    world.place(world.code / "bootstrap", BOOTSTRAP)


def loaded(world: World, code: str = CODE) -> Conversation:
    place(world, code)
    instance = world.begin()
    assert instance.receive()["kind"] == "loaded"
    return instance


def test_it_answers(world: World) -> None:
    instance = loaded(world)
    fields = {"deadline_ms": DEADLINE_MS, "client_context": b'{"custom": {"k": "v"}}'}
    for number in range(3):
        result = instance.result(b'{"n": %d}' % number, **fields)
        assert json.loads(result) == [{"n": number}, "id", "arn:f", {"k": "v"}]
    assert json.loads(instance.result(deadline_ms=DEADLINE_MS))[3] is None


def test_it_tells_errors_and_serves_on(world: World) -> None:
    instance = loaded(world)
    failed = instance.invoke(b'{"raise": "no \\u00e4 good"}', deadline_ms=DEADLINE_MS)
    assert fields_of(failed) == ("ValueError", "no ä good")
    assert instance.result(b'{"n": 1}', deadline_ms=DEADLINE_MS)


def test_it_tells_why_it_cannot_load(world: World) -> None:
    place(world, "import nowhere")
    instance = world.begin()
    message = instance.receive()
    assert message["id"] == ""
    assert fields_of(message)[0] == "Runtime.ImportModuleError"
    assert instance.ended()


def test_large_events_and_results_pass(world: World) -> None:
    instance = loaded(world)
    event = json.dumps({"text": "x" * 5_000_000}).encode()
    assert json.loads(instance.result(event, deadline_ms=DEADLINE_MS))[0] == json.loads(event)


def test_a_response_that_is_too_large_is_told(world: World) -> None:
    instance = loaded(world, "def handler(event, context): return 'x' * 7_000_000")
    assert fields_of(instance.invoke(deadline_ms=DEADLINE_MS))[0] == "Function.ResponseSizeTooLarge"
