"""The Node.js host, run directly: handlers, their context, their results and their errors."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import conversation
import pytest
from conversation import LEAK_BYTES_MAX, trace_ids_leak_bytes
from spare_world import REQUEST, Spare, Spares

from microfaas.model import MIB

Start = Callable[..., Spare]
Loaded = Callable[..., Spare]

ECHO = "exports.handler = async (event) => event"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a host, and lays these files as its code once it is ready."""
    with Spares(tmp_path, "nodejs") as spares:
        yield spares.start


@pytest.fixture
def loaded(start: Start) -> Loaded:
    """Starts a host that has loaded this code."""

    def loaded(
        code: str, handler: str = "index.handler", file: str = "index.js", **env: str
    ) -> Spare:
        spare = start({file: code})
        answer = spare.load(handler, **env)
        assert answer["kind"] == "loaded", (answer, spare.talk.printed())
        return spare

    return loaded


def error_of(message: dict[str, Any]) -> dict[str, Any]:
    fields = conversation.error_of(message)
    assert set(fields) == {"errorType", "errorMessage", "trace"}
    return fields


def test_the_first_word_is_ready(tmp_path: Path) -> None:
    spare = Spare(tmp_path, "nodejs")
    assert spare.talk.receive() == {"kind": "ready", "protocol": 1, "pid": spare.process.pid}
    spare.close()


def test_a_spare_cannot_be_forked(start: Start) -> None:
    answer = start({"index.js": ECHO}).load("index.handler")
    assert answer == {"kind": "loaded", "forkable": False, "why": "Node.js cannot fork"}


@pytest.mark.parametrize("how", ["stop", "hang up"])
@pytest.mark.parametrize("when", ["ready", "loaded", "warm"])
def test_it_ends_when_told_or_left_alone(start: Start, how: str, when: str) -> None:
    spare = start({"index.js": ECHO})
    if when != "ready":
        spare.load("index.handler")
    if when == "warm":
        spare.invoke()
    if how == "stop":
        spare.talk.send("stop")
    else:
        spare.talk.hang_up()
    assert spare.status() == 0


@pytest.mark.parametrize(
    ("returned", "payload"),
    [
        ("event", b'{"a":[1,"b"]}'),
        ("undefined", b"null"),
        ("null", b"null"),
        ("() => 1", b"null"),
        ("'\u00e4\\u0000\U0001f600'", '"\u00e4\\u0000\U0001f600"'.encode()),
        ("'\\ud800'", b'"\\ud800"'),
        ("NaN", b"null"),
        ("new Date(0)", b'"1970-01-01T00:00:00.000Z"'),
        ("1e21", b"1e+21"),
    ],
)
def test_results_are_json_as_javascript_makes_it(
    loaded: Loaded, returned: str, payload: bytes
) -> None:
    spare = loaded(f"exports.handler = async (event) => ({returned})")
    assert spare.result(b'{"a": [1, "b"]}') == payload


@pytest.mark.parametrize("returned", ["10n", "(() => { const a = {}; a.a = a; return a; })()"])
def test_what_is_no_json_is_an_error(loaded: Loaded, returned: str) -> None:
    spare = loaded(f"exports.handler = async () => {returned}")
    fields = error_of(spare.invoke())
    assert fields["errorType"] == "Runtime.JSONStringifyError"
    assert fields["errorMessage"] == "Unable to stringify response body"


@pytest.mark.parametrize("size", [10, 40_000, 65_400, 65_536, 200_000, 6 * MIB - 2])
def test_events_and_results_of_every_size_pass(loaded: Loaded, size: int) -> None:
    spare = loaded(ECHO)
    for letter in (b"x", b"\xc3\xa4", b"x"):
        event = b'"' + letter * (size // len(letter)) + b'"'
        assert spare.result(event) == event


def test_frames_that_come_together_are_told_apart(loaded: Loaded) -> None:
    spare = loaded(ECHO)
    event = b'"' + b"x" * 50_000 + b'"'
    for _ in range(3):
        spare.talk.send("invoke", id="a", event=event, deadline_ms=0, arn="arn:f", later={"k": []})
    assert [spare.talk.receive()["payload"] for _ in range(3)] == [event] * 3


HANDLERS: dict[str, tuple[dict[str, str], str]] = {
    "CommonJS": ({"index.js": "exports.handler = async () => 1"}, "index.handler"),
    "CommonJS by its extension": (
        {"index.cjs": "exports.handler = async () => 1"},
        "index.handler",
    ),
    "an ES module": ({"index.mjs": "export const handler = async () => 1"}, "index.handler"),
    "an ES module by package.json": (
        {"a/index.js": "export const handler = async () => 1", "package.json": '{"type":"module"}'},
        "a/index.handler",
    ),
    "CommonJS that a nearer package.json says": (
        {
            "a/index.js": "exports.handler = async () => 1",
            "a/package.json": "{}",
            "package.json": '{"type": "module"}',
        },
        "a/index.handler",
    ),
    "a default export": (
        {"index.mjs": "export default { handler: async () => 1 }"},
        "index.handler",
    ),
    "the default export itself": ({"index.mjs": "export default async () => 1"}, "index.default"),
    "top-level await": (
        {
            "index.mjs": "const one = await new Promise((r) => setTimeout(r, 5, 1));"
            "export const handler = async () => one"
        },
        "index.handler",
    ),
    "a nested name": ({"index.js": "exports.a = { b: { c: async () => 1 } }"}, "index.a.b.c"),
    "a folder": ({"a/b/c.js": "exports.handler = async () => 1"}, "a/b/c.handler"),
    "a folder with an index": ({"a/index.js": "exports.handler = async () => 1"}, "a.handler"),
    "a package": (
        {"node_modules/p/index.js": "exports.handler = async () => 1"},
        "p.handler",
    ),
    "a file rather than the folder of its name": (
        {"a/index.js": "throw 1", "a.js": "exports.handler = async () => 1"},
        "a.handler",
    ),
    "a file without an extension": ({"run": "exports.handler = async () => 1"}, "run.handler"),
    "a module of one's own and one of an ES module": (
        {
            "index.mjs": "import { one } from './lib/one.js';"
            "export const handler = async () => one",
            "lib/one.js": "exports.one = 1",
        },
        "index.handler",
    ),
    "import of an ES module": (
        {
            "index.js": "exports.handler = async () => (await import('./one.mjs')).one",
            "one.mjs": "export const one = 1",
        },
        "index.handler",
    ),
}


@pytest.mark.parametrize(("files", "handler"), HANDLERS.values(), ids=HANDLERS.keys())
def test_handlers_are_found(start: Start, files: dict[str, str], handler: str) -> None:
    spare = start(files)
    answer = spare.load(handler)
    assert answer["kind"] == "loaded", answer
    assert spare.result() == b"1"


def test_a_layer_and_the_function_lend_modules(start: Start, tmp_path: Path) -> None:
    layer = tmp_path / "layer" / "lent"
    layer.mkdir(parents=True)
    (layer / "index.js").write_text("exports.one = 1")
    spare = Spare(tmp_path, "nodejs", environment={"NODE_PATH": str(layer.parent)})
    spare.ready()
    (spare.code / "index.js").write_text("exports.handler = async () => require('lent').one")
    spare.load("index.handler")
    assert spare.result() == b"1"
    spare.close()


FAULTS: dict[str, tuple[dict[str, str], str, str, str]] = {
    "a module that is not there": (
        {},
        "missing.handler",
        "Runtime.ImportModuleError",
        "Error: Cannot find module 'missing'",
    ),
    "a module that requires one that is not there": (
        {"index.js": "require('nowhere')"},
        "index.handler",
        "Runtime.ImportModuleError",
        "Error: Cannot find module 'nowhere'",
    ),
    "a function that is not there": (
        {"index.js": ""},
        "index.handler",
        "Runtime.HandlerNotFound",
        "index.handler is undefined or not exported",
    ),
    "something that is no function": (
        {"index.mjs": "export const handler = 1"},
        "index.handler",
        "Runtime.HandlerNotFound",
        "index.handler is not a function",
    ),
    "a syntax error": (
        {"index.js": "exports.handler = ("},
        "index.handler",
        "Runtime.UserCodeSyntaxError",
        "SyntaxError: Unexpected end of input",
    ),
    "a syntax error in an ES module": (
        {"index.mjs": "export const handler = ("},
        "index.handler",
        "Runtime.UserCodeSyntaxError",
        "SyntaxError: Unexpected end of input",
    ),
    "a handler without a dot": ({}, "nodot", "Runtime.MalformedHandlerName", "Bad handler"),
    "a way out": (
        {},
        "../index.handler",
        "Runtime.MalformedHandlerName",
        "'../index.handler' is not a valid handler name. ",
    ),
    "an exception": (
        {"index.js": "throw new TypeError('no good')"},
        "index.handler",
        "TypeError",
        "no good",
    ),
    "an exception in an ES module": (
        {"index.mjs": "await 1; throw new RangeError('no good')"},
        "index.handler",
        "RangeError",
        "no good",
    ),
    "a text that is thrown": (
        {"index.js": "throw 'no good'"},
        "index.handler",
        "string",
        "no good",
    ),
    "a stream of an unknown kind": (
        {
            "index.js": "exports.handler = async () => 1;"
            "exports.handler[Symbol.for('aws.lambda.runtime.handler.streaming')] = 'request'"
        },
        "index.handler",
        "Runtime.MalformedStreamingHandler",
        "Only response streaming is supported.",
    ),
}


@pytest.mark.parametrize(("files", "handler", "kind", "words"), FAULTS.values(), ids=FAULTS.keys())
def test_code_that_cannot_be_loaded_is_told_by_type(
    start: Start, files: dict[str, str], handler: str, kind: str, words: str
) -> None:
    spare = start(files)
    answer = spare.load(handler)
    fields = error_of(answer)
    assert fields["errorType"] == kind
    assert fields["errorMessage"].startswith(words)
    assert answer["id"] == ""
    assert spare.status() == 1
    assert "\tundefined\tERROR\tInit Error \t{" in spare.talk.printed()


def test_a_rejection_while_loading_ends_the_host(start: Start) -> None:
    spare = start({"index.mjs": "Promise.reject(new Error('lost')); await new Promise(() => {})"})
    fields = error_of(spare.load("index.handler"))
    assert fields["errorType"] == "Runtime.UnhandledPromiseRejection"
    assert fields["errorMessage"] == "Error: lost"
    assert spare.status() == 128


@pytest.mark.parametrize(
    ("code", "status"), [("process.exit(7)", 7), ("await new Promise(() => {})", 13)]
)
def test_code_that_ends_the_process_while_loading(start: Start, code: str, status: int) -> None:
    spare = start({"index.mjs": code})
    spare.talk.send("init", handler="index.handler", snapshot="off", env={})
    assert spare.status() == status
    assert spare.talk.ended()


def test_the_context_has_every_field(loaded: Loaded) -> None:
    spare = loaded("exports.handler = async (e, c) => [c, c.getRemainingTimeInMillis()]")
    context, left = json.loads(
        spare.result(arn="arn:aws:f:1", client_context=b'{"custom": {"k": "v"}}')
    )
    context.pop("callbackWaitsForEmptyEventLoop", None)
    assert context == {
        "awsRequestId": REQUEST,
        "clientContext": {"custom": {"k": "v"}},
        "functionName": "f",
        "functionVersion": "$LATEST",
        "invokedFunctionArn": "arn:aws:f:1",
        "logGroupName": "/aws/lambda/f",
        "logStreamName": "2026/01/02/[$LATEST]a",
        "memoryLimitInMB": "128",
    }
    assert left == 0


def test_the_remaining_time_counts_down_to_the_deadline(loaded: Loaded) -> None:
    spare = loaded("exports.handler = async (e, c) => c.getRemainingTimeInMillis() + Date.now()")
    deadline_ms = 4_102_444_800_000
    assert abs(json.loads(spare.result(deadline_ms=deadline_ms)) - deadline_ms) < 1000


def test_the_trace_is_a_variable_while_there_is_one(loaded: Loaded) -> None:
    spare = loaded("exports.handler = async () => process.env._X_AMZN_TRACE_ID")
    assert spare.result(trace_id="Root=1") == b'"Root=1"'
    assert spare.result() == b"null"


def test_each_invocation_has_its_own_trace_id_for_children_too(loaded: Loaded) -> None:
    spare = loaded(
        """
        const { execSync } = require("child_process");
        exports.handler = async (event) => {
          if (event) process.env._X_AMZN_TRACE_ID = event;
          const listed = Object.keys(process.env).includes("_X_AMZN_TRACE_ID");
          const said = execSync("printf $_X_AMZN_TRACE_ID").toString();
          return [{ ...process.env }._X_AMZN_TRACE_ID, said, listed];
        };
        """
    )
    for event, given in ((b'""', "a"), (b'""', "bcd"), (b'"own"', "e"), (b'""', "f")):
        wanted = json.loads(event) or given
        assert json.loads(spare.result(event, trace_id=given)) == [wanted, wanted, True]


def test_trace_ids_are_not_kept(loaded: Loaded) -> None:
    spare = loaded(
        """
        const { readFileSync } = require("fs");
        exports.handler = async (last) => {
          if (last !== true) return null;
          gc();
          return Number(readFileSync("/proc/self/statm", "utf8").split(" ")[1]);
        };
        """
    )
    assert trace_ids_leak_bytes(spare.talk) < LEAK_BYTES_MAX


def test_variables_are_there_when_the_code_is_loaded(loaded: Loaded) -> None:
    spare = loaded(
        "const { COLOUR } = process.env; exports.handler = async () => COLOUR", COLOUR="b"
    )
    assert spare.result() == b'"b"'
