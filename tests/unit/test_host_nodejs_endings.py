"""The Node.js host, run directly: how invocations end."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from conversation import error_of
from spare_world import REQUEST, Spare, Spares

Loaded = Callable[..., Spare]
NODE_MODULES = Path(__file__).parents[1] / "node" / "node_modules"


@pytest.fixture
def loaded(tmp_path: Path) -> Iterator[Loaded]:
    """Starts a host that has loaded this index.js."""
    with Spares(tmp_path, "nodejs") as spares:
        yield partial(spares.start_loaded, "index.js", handler="index.handler")


@pytest.fixture
def callbacks(tmp_path: Path) -> Iterator[Loaded]:
    """Starts a host, on a Node.js that knows callbacks, with a handler of this body."""
    with Spares(tmp_path, "nodejs") as spares:

        def loaded(body: str) -> Spare:
            code = f"exports.handler = (event, context, callback) => {{ {body} }}"
            spare = spares.start({"index.js": code}, program=node(20))
            assert spare.load("index.handler")["kind"] == "loaded"
            return spare

        yield loaded


@pytest.fixture
def newer(tmp_path: Path) -> Iterator[Spares]:
    """Hosts on a Node.js without callbacks."""
    with Spares(tmp_path, "nodejs") as spares:
        yield spares


def node(version: int) -> str:
    """A Node.js of that version, which `npm install` in tests/node installs."""
    found = [str(path) for path in NODE_MODULES.glob(f"node-{version}-*/bin/node")]
    assert found, f"Node.js {version} is missing: run `npm install` in tests/node"
    return found[0]


def told(message: dict[str, Any]) -> tuple[str, str]:
    fields = error_of(message)
    return fields["errorType"], fields["errorMessage"]


THROWN = [
    ("new Error('no good')", "Error", "no good"),
    ("new (class Odd extends TypeError { name = 'Odd' })('no good')", "Odd", "no good"),
    ("Object.freeze(new RangeError('no good'))", "RangeError", "no good"),
    ("require('vm').runInNewContext('new Error(\"no good\")')", "Error", "no good"),
    ("'no good'", "string", "no good"),
    ("null", "object", "null"),
    ("undefined", "undefined", "undefined"),
    ("({ a: 1 })", "object", "[object Object]"),
    ("Object.create(null)", "handled", "cannot tell the error"),
    ("Symbol('no good')", "symbol", "Symbol(no good)"),
]


@pytest.mark.parametrize(("thrown", "kind", "words"), THROWN)
@pytest.mark.parametrize("how", ["async () => { throw THROWN; }", "() => { throw THROWN; }"])
def test_whatever_is_thrown_is_told(
    loaded: Loaded, how: str, thrown: str, kind: str, words: str
) -> None:
    spare = loaded(f"exports.handler = {how.replace('THROWN', thrown)}")
    for _ in range(2):
        found, said = told(spare.invoke())
        assert (found, said[: len(words)]) == (kind, words)
    assert f"\t{REQUEST}\tERROR\tInvoke Error \t" in spare.talk.printed()


def test_the_trace_shows_where_it_was_thrown(loaded: Loaded) -> None:
    spare = loaded("exports.handler = async () => {\n  throw new Error('a\\nb');\n}")
    trace = error_of(spare.invoke())["trace"]
    assert trace[:2] == ["Error: a", "b"]
    assert f"{spare.code}/index.js:2:9" in trace[2]


CALLED_BACK = [
    ('callback(null, "x")', b'"x"'),
    ("callback()", b"null"),
    (
        "context.callbackWaitsForEmptyEventLoop = false;"
        'callback(null, "x"); setInterval(() => {}, 9)',
        b'"x"',
    ),
    ('context.done(null, "x"); setInterval(() => {}, 9)', b'"x"'),
    ('context.succeed("x")', b'"x"'),
    ('setTimeout(() => callback(null, "x"), 5)', b'"x"'),
    ('callback(null, "x"); callback(null, "y")', b'"y"'),
    ("setTimeout(() => {}, 5)", b"null"),
    ('return "ignored"', b"null"),
    ('return { then: (resolve) => resolve("x") }', b'"x"'),
]


@pytest.mark.parametrize(("body", "payload"), CALLED_BACK)
def test_handlers_call_back(callbacks: Loaded, body: str, payload: bytes) -> None:
    spare = callbacks(body)
    for _ in range(2):
        assert spare.result() == payload


FAILED_BACK = [
    ("callback(new TypeError('no good'))", "TypeError", "no good"),
    ("callback('no good')", "string", "no good"),
    ("context.fail(new TypeError('no good')); setInterval(() => {}, 9)", "TypeError", "no good"),
    ("context.fail()", "string", "handled"),
    ("context.done('no good')", "string", "no good"),
]


@pytest.mark.parametrize(("body", "kind", "words"), FAILED_BACK)
def test_handlers_call_back_with_errors(
    callbacks: Loaded, body: str, kind: str, words: str
) -> None:
    spare = callbacks(body)
    for _ in range(2):
        assert told(spare.invoke()) == (kind, words)


NEWER = [
    ("exports.handler = () => 1", b"1"),
    ("exports.handler = (event, context) => ({ then: (resolve) => resolve(1) })", b"1"),
    ("exports.handler = async (event, context) => context.done === undefined && 1", b"1"),
    ("exports.handler = () => {}", b"null"),
]


@pytest.mark.parametrize(("code", "payload"), NEWER)
def test_without_callbacks_what_is_returned_counts(
    newer: Spares, code: str, payload: bytes
) -> None:
    spare = newer.start({"index.js": code}, program=node(24))
    assert spare.load("index.handler")["kind"] == "loaded"
    assert spare.result() == payload


def test_where_callbacks_have_ended_their_handlers_are_refused(newer: Spares) -> None:
    code = "exports.handler = (event, context, callback) => callback()"
    spare = newer.start({"index.js": code}, program=node(24))
    assert told(spare.load("index.handler"))[0] == "Runtime.CallbackHandlerDeprecated"
    assert spare.status() == 1


TYPESCRIPT = "export const handler = async (event: { a: number }): Promise<number> => event.a;"


@pytest.mark.parametrize("name", ["index.ts", "index.mts"])
def test_typescript_runs_where_node_runs_it(newer: Spares, name: str) -> None:
    spare = newer.start({name: TYPESCRIPT}, program=node(24))
    assert spare.load("index.handler")["kind"] == "loaded", spare.talk.printed()
    assert spare.result(b'{"a": 1}') == b"1"


def test_typescript_elsewhere_is_told(newer: Spares) -> None:
    spare = newer.start({"index.ts": TYPESCRIPT}, program=node(20))
    kind, words = told(spare.load("index.handler"))
    assert kind == "Runtime.ImportModuleError"
    assert "does not run TypeScript. Use Node.js 22.18 or newer" in words


def test_a_callback_waits_until_nothing_is_left_to_do(callbacks: Loaded) -> None:
    spare = callbacks(
        "const seen = []; callback(null, seen);"
        "setTimeout(() => { seen.push(1); setTimeout(() => seen.push(2), 5); }, 5)"
    )
    assert spare.result() == b"[1,2]"


def test_an_async_handler_does_not_wait_for_what_it_left(loaded: Loaded) -> None:
    spare = loaded("exports.handler = async () => { setInterval(() => {}, 9); return 1; }")
    assert spare.result() == b"1"


def test_a_promise_that_is_never_settled_is_an_error(loaded: Loaded) -> None:
    spare = loaded("exports.handler = (e) => e.n ? Promise.resolve(1) : new Promise(() => {})")
    assert told(spare.invoke())[0] == "Runtime.NodeJsExit"
    assert spare.result(b'{"n": 1}') == b"1"


def test_nothing_runs_between_invocations(loaded: Loaded) -> None:
    spare = loaded(
        "let ticks = 0; exports.handler = async (event) => {"
        "  if (event.start) setInterval(() => { ticks += 1; }, 1);"
        "  if (event.wait) await new Promise((resolve) => setTimeout(resolve, 50));"
        "  return ticks; }"
    )
    spare.result(b'{"start": 1}')
    before = json.loads(spare.result(b'{"wait": 1}'))
    assert before > 0
    time.sleep(0.2)
    assert json.loads(spare.result()) - before <= 2


REJECTION = "Runtime.UnhandledPromiseRejection"
CRASHES = [
    ("setTimeout(() => { throw new TypeError('lost'); }); await never", "TypeError", "lost", 129),
    ("setTimeout(() => { throw 'lost'; }); await never", "string", "lost", 129),
    ("Promise.reject(new TypeError('lost')); await never", REJECTION, "TypeError: lost", 128),
    ("Promise.reject(new TypeError('lost'))", REJECTION, "TypeError: lost", 128),
    ("Promise.reject()", REJECTION, "undefined", 128),
    ("process.nextTick(() => { throw new TypeError('lost'); })", "TypeError", "lost", 129),
]


@pytest.mark.parametrize(("code", "kind", "words", "status"), CRASHES)
def test_an_error_that_nobody_caught_is_the_running_invocations(
    loaded: Loaded, code: str, kind: str, words: str, status: int
) -> None:
    never = "const never = new Promise((resolve) => setTimeout(resolve, 1e5));"
    spare = loaded(f"exports.handler = async () => {{ {never} {code} }}")
    answer = spare.invoke()
    assert told(answer) == (kind, words)
    assert answer["ends"]
    assert spare.talk.ended()
    assert spare.status() == status
    title = "Uncaught Exception" if status == 129 else "Unhandled Promise Rejection"
    assert f"\t{REQUEST}\tERROR\t{title} \t" in spare.talk.printed()


@pytest.mark.parametrize(
    ("code", "status"),
    [("process.exit(7)", 7), ("process.exit()", 0), ("process.kill(process.pid, 'SIGTERM')", -15)],
)
def test_a_handler_may_end_the_process(loaded: Loaded, code: str, status: int) -> None:
    spare = loaded(f"exports.handler = async () => {{ {code}; await new Promise(() => {{}}) }}")
    spare.talk.send("invoke", id="a", event=b"{}", deadline_ms=0, arn="arn:f")
    assert spare.status() == status
    assert spare.talk.ended()
