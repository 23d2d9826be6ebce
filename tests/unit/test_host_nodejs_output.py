"""The Node.js host, run directly: streamed results, and what reaches the log."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from spare_world import REQUEST, Spare, Spares

Loaded = Callable[..., Spare]
HTTP = "application/vnd.awslambda.http-integration-response"
STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[Loaded]:
    """Starts a host that has loaded this index.js."""
    with Spares(tmp_path, "nodejs") as spares:
        yield partial(spares.start_loaded, "index.js", handler="index.handler")


def streamed(spare: Spare, event: bytes = b"{}") -> list[dict[str, Any]]:
    """Everything that one invocation sends."""
    messages = [spare.invoke(event)]
    while messages[-1]["kind"] == "chunk":
        messages.append(spare.talk.receive())
    return messages


def test_a_stream_is_sent_in_pieces(loaded: Loaded) -> None:
    spare = loaded(
        "exports.handler = awslambda.streamifyResponse(async (event, stream, context) => {"
        "  stream.setContentType('text/plain'); stream.write('a'); stream.write(Buffer.from('b'));"
        "  stream.write({ c: 1 }); stream.end(); })"
    )
    for _ in range(2):
        assert [(m["kind"], m["payload"], m.get("content_type")) for m in streamed(spare)] == [
            ("chunk", b"a", "text/plain"),
            ("chunk", b"b", None),
            ("chunk", b'{"c":1}', None),
            ("result", b"", None),
        ]


@pytest.mark.parametrize("write", ["stream.write('body');", "stream.write('');", ""])
def test_http_metadata_goes_ahead_of_a_stream(loaded: Loaded, write: str) -> None:
    spare = loaded(
        "exports.handler = awslambda.streamifyResponse(async (event, stream) => {"
        "  stream = awslambda.HttpResponseStream.from(stream, { statusCode: 418 });"
        f"  {write} stream.end(); }})"
    )
    first, *rest = streamed(spare)
    assert first["content_type"] == HTTP
    assert first["payload"] == b'{"statusCode":418}' + bytes(8)
    assert b"".join(m["payload"] for m in rest) == (b"body" if "body" in write else b"")


def test_large_streams_pass_in_frames_that_fit(loaded: Loaded) -> None:
    spare = loaded(
        "const { Readable } = require('stream'); const { pipeline } = require('stream/promises');"
        "exports.handler = awslambda.streamifyResponse(async (event, stream) => {"
        "  await pipeline(Readable.from(Array(3).fill(Buffer.alloc(9e6, 'x'))), stream); })"
    )
    messages = streamed(spare)
    assert messages[-1]["kind"] == "result"
    assert sum(len(m["payload"]) for m in messages) == 27_000_000
    assert max(len(m["payload"]) for m in messages) <= 1 << 20


STREAM_FAULTS = [
    ("async (e, s) => { s.write('a'); throw new TypeError('no good'); }", "TypeError", "no good"),
    (
        "async (e, s) => { s.write('a'); s.destroy(new TypeError('no good')); }",
        "TypeError",
        "no good",
    ),
    ("async (e, s) => { s.write('a'); }", "Error", "Response stream is not finished."),
    (
        "async (e, s) => { s.write('a'); s.setContentType('b'); }",
        "Runtime.InvalidStreamingOperation",
        "Cannot set content-type, too late.",
    ),
    ("(e, s) => { s.write('a'); }", "Error", "Streaming does not support non-async handlers."),
]


@pytest.mark.parametrize(("handler", "kind", "words"), STREAM_FAULTS)
def test_a_stream_that_fails_is_told_after_its_pieces(
    loaded: Loaded, handler: str, kind: str, words: str
) -> None:
    spare = loaded(f"exports.handler = awslambda.streamifyResponse({handler})")
    for _ in range(2):
        first, *_, last = streamed(spare)
        assert first["payload"] == b"a"
        assert last["kind"] == "error"
        fields = json.loads(last["payload"])
        assert (last["type"], fields["errorMessage"]) == (kind, words)


def test_console_lines_are_lambdas(loaded: Loaded) -> None:
    spare = loaded(
        "console.log('loading'); exports.handler = async () => {"
        "  console.log('%s has\\n%d', 'a', 1, { b: 2 }); console.debug('d'); console.warn('w');"
        "  console.error(new Error('no good').message); console.trace('t'); console.info();"
        "  process.stdout.write('as it is\\n'); process.stderr.write('this too\\n'); }"
    )
    spare.result()
    # Read as bytes: universal newlines would hide the carriage returns.
    lines = spare.talk.log.read_bytes().decode().split("\n")
    assert re.fullmatch(rf"{STAMP}\tundefined\tINFO\tloading", lines[0])
    said = [re.sub(rf"^{STAMP}\t{REQUEST}\t", "", line) for line in lines[1:]]
    assert said == [
        "INFO\ta has\r1 { b: 2 }",
        "DEBUG\td",
        "WARN\tw",
        "ERROR\tno good",
        "TRACE\tt",
        "INFO\t",
        "as it is",
        "this too",
        "",
    ]


def test_console_lines_are_json_when_asked_for(loaded: Loaded) -> None:
    spare = loaded(
        "exports.handler = async () => { console.info('hidden'); console.warn({ a: 1 });"
        "  console.error('it:', new TypeError('no good')); console.fatal(new Error('bad'));"
        "  const self = {}; self.self = self; console.error(self); }",
        AWS_LAMBDA_LOG_FORMAT="JSON",
        AWS_LAMBDA_LOG_LEVEL="WARN",
    )
    spare.result()
    one, two, three, four = map(json.loads, spare.talk.printed().splitlines())
    assert one.pop("timestamp") <= two["timestamp"]
    assert one == {"level": "WARN", "requestId": REQUEST, "message": {"a": 1}}
    assert (two["level"], two["errorType"], two["errorMessage"]) == (
        "ERROR",
        "TypeError",
        "no good",
    )
    assert three["level"] == "FATAL"
    assert three["message"]["errorMessage"] == "bad"
    assert "[Circular *1]" in four["message"]


def test_all_that_was_printed_is_in_the_log_before_the_reply(loaded: Loaded) -> None:
    spare = loaded(
        "exports.handler = async () => { process.stdout.write('x'.repeat(2e6));"
        " process.stderr.write('end'); }"
    )
    spare.result()
    assert spare.talk.printed().startswith("x" * 2_000_000)
    assert spare.talk.printed().endswith("end")


def test_children_inherit_the_log_and_nothing_of_the_protocol(loaded: Loaded) -> None:
    spare = loaded(
        "const { execFileSync, spawnSync } = require('child_process');"
        "exports.handler = async () => {"
        "  spawnSync('/bin/echo', ['from a child'], { stdio: 'inherit' });"
        "  const open = 'for fd in 0 1 2 3 4 5; do [ ! -e /proc/$$/fd/$fd ] || echo $fd; done';"
        "  return execFileSync('/bin/sh', ['-c', open]).toString(); }"
    )
    assert json.loads(spare.result()) == "0\n1\n2\n"
    assert "from a child\n" in spare.talk.printed()


def test_standard_input_is_empty(loaded: Loaded) -> None:
    spare = loaded(
        "exports.handler = async () => { let n = 0; for await (const _ of process.stdin) n += 1;"
        " return n; }"
    )
    assert spare.result() == b"0"
