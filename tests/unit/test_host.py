"""The Python host, run directly: what it says to what it is told."""

from __future__ import annotations

import json
import os
import signal
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from conversation import LEAK_BYTES_MAX, error_of, trace_ids_leak_bytes
from host_world import Host

from microfaas.model import MIB

Start = Callable[..., Host]
Loaded = Callable[..., Host]

ECHO = "def handler(event, context): return event"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a host with this code in app.py."""
    hosts: list[Host] = []

    def start(code: str = ECHO, handler: str = "app.handler", **files: str) -> Host:
        folder = tmp_path / "code"
        folder.mkdir(exist_ok=True)
        for name, text in {"app": code, **files}.items():
            (folder / f"{name}.py").write_text(textwrap.dedent(text))
        hosts.append(Host(tmp_path, handler))
        return hosts[-1]

    yield start
    for host in hosts:
        host.close()


@pytest.fixture
def loaded(start: Start) -> Loaded:
    """Starts a host and has it load its code."""

    def loaded(code: str = ECHO, snapshot: str = "auto", **files: str) -> Host:
        host = start(code, **files)
        assert host.load(snapshot)["kind"] == "loaded"
        return host

    return loaded


def returning(expression: str) -> str:
    return f"import decimal, math\ndef handler(event, context): return {expression}"


def test_the_first_word_is_ready(start: Start) -> None:
    host = start()
    assert host.talk.receive() == {"kind": "ready", "protocol": 1, "pid": host.process.pid}


def test_code_that_can_be_forked_is_loaded(start: Start) -> None:
    assert start().load() == {"kind": "loaded", "forkable": True, "why": ""}


def test_with_the_snapshot_off_nothing_is_loaded(start: Start) -> None:
    host = start("raise ValueError")
    assert host.load("off") == {"kind": "loaded", "forkable": False, "why": "snapshot is off"}


FAULTS: dict[str, tuple[str, str, str, str]] = {
    "a module that is not there": (
        ECHO,
        "missing.handler",
        "Runtime.ImportModuleError",
        "Unable to import module 'missing': No module named 'missing'",
    ),
    "a module that imports one that is not there": (
        "import nowhere",
        "app.handler",
        "Runtime.ImportModuleError",
        "Unable to import module 'app': No module named 'nowhere'",
    ),
    "a function that is not there": (
        "",
        "app.handler",
        "Runtime.HandlerNotFound",
        "Handler 'handler' missing on module 'app'",
    ),
    "a syntax error": (
        "def handler(:",
        "app.handler",
        "Runtime.UserCodeSyntaxError",
        "Syntax error in module 'app': invalid syntax (app.py, line 1)",
    ),
    "a handler without a dot": (
        ECHO,
        "handler",
        "Runtime.MalformedHandlerName",
        "Bad handler 'handler': not enough values to unpack (expected 2, got 1)",
    ),
    "a builtin module": (
        ECHO,
        "sys.exit",
        "Runtime.BuiltInModuleConflict",
        "Cannot use built-in module sys as a handler module",
    ),
    "an exception": ("raise ValueError('no good')", "app.handler", "ValueError", "no good"),
    "an exception without words": ("raise KeyError", "app.handler", "KeyError", ""),
}


@pytest.mark.parametrize("snapshot", ["auto", "off"])
@pytest.mark.parametrize(("code", "name", "kind", "words"), FAULTS.values(), ids=FAULTS.keys())
def test_code_that_cannot_be_loaded_is_told_by_type(
    start: Start, code: str, name: str, kind: str, words: str, snapshot: str
) -> None:
    host = start(code, name)
    answer, talk = host.load(snapshot), host.talk
    if snapshot == "off":
        talk = host.instance()
        talk.send("init", handler=name, snapshot="on")
        answer = talk.receive()
    fields = error_of(answer)
    assert (fields["errorType"], fields["errorMessage"]) == (kind, words)
    assert answer["id"] == fields["requestId"] == ""
    assert talk.ended()
    assert f"[ERROR] {kind}: {words}" in talk.printed()


def test_after_a_fault_the_host_ends(start: Start) -> None:
    host = start("raise ValueError")
    host.load()
    assert host.process.wait() == 1


def test_the_traceback_of_a_fault_shows_only_the_functions_own_lines(start: Start) -> None:
    (line,) = error_of(start("\nraise ValueError").load())["stackTrace"]
    assert "app.py" in line
    assert "line 2" in line


def test_a_module_that_exits_ends_the_host_with_its_status(start: Start) -> None:
    host = start("import sys; sys.exit(3)")
    host.talk.receive()
    host.talk.send("init", handler="app.handler", snapshot="auto")
    assert host.talk.ended()
    assert host.process.wait() == 3


def test_a_handler_may_be_in_a_folder(start: Start, tmp_path: Path) -> None:
    host = start(handler="sub/app.handler")
    (tmp_path / "code/sub").mkdir()
    (tmp_path / "code/sub/app.py").write_text(ECHO)
    assert host.load()["kind"] == "loaded"


def test_an_instance_is_ready_and_answers(loaded: Loaded) -> None:
    instance = loaded().instance()
    answer = instance.invoke(b'{"a": 1}', "one")
    assert answer == {"kind": "result", "id": "one", "payload": b'{"a": 1}'}


def test_an_instance_of_a_bare_host_loads_the_code_itself(loaded: Loaded) -> None:
    instance = loaded(snapshot="off").instance()
    instance.send("init", handler="app.handler", snapshot="on")
    loaded_late = {"kind": "loaded", "forkable": False, "why": "loaded by the instance"}
    assert instance.receive() == loaded_late
    assert instance.result(b"1") == b"1"


E_ACUTE = b'"\\u00e9"' if sys.version_info < (3, 12) else '"é"'.encode()
RESULTS: dict[str, bytes] = {
    "None": b"null",
    "{1: (2, 3)}": b'{"1": [2, 3]}',
    "'é'": E_ACUTE,
    "b'not json \\xff'": b"not json \xff",
    "decimal.Decimal('2.00')": b"2",
    "decimal.Decimal('2.5')": b"2.5",
    "[decimal.Decimal(-10**20)]": b"[-100000000000000000000]",
    "math.nan": b"NaN",
    "decimal.Decimal('NaN')": b"NaN",
    "[math.inf, -math.inf]": b"[Infinity, -Infinity]",
}


@pytest.mark.parametrize(("expression", "payload"), RESULTS.items())
def test_a_result_is_written_as_lambda_writes_it(
    loaded: Loaded, expression: str, payload: bytes
) -> None:
    assert loaded(returning(expression)).instance().result() == payload


@pytest.mark.parametrize("expression", ["{1}", "object()", "b'x', b'y'", "{(1, 2): 3}"])
def test_a_result_that_cannot_be_written_is_a_marshal_error(
    loaded: Loaded, expression: str
) -> None:
    instance = loaded(returning(expression)).instance()
    fields = error_of(instance.invoke())
    assert fields["errorType"] == "Runtime.MarshalError"
    assert fields["errorMessage"].startswith("Unable to marshal response: ")


def test_an_event_that_is_not_json_is_an_unmarshal_error(loaded: Loaded) -> None:
    fields = error_of(loaded().instance().invoke(b"{"))
    assert fields["errorType"] == "Runtime.UnmarshalError"
    assert fields["errorMessage"].startswith("Unable to unmarshal input: ")


RAISES = """
    class OwnError(Exception):
        pass

    def inner():
        raise OwnError("no é good")

    def handler(event, context):
        inner()
"""


def test_an_exception_is_an_error_with_its_type_and_words(loaded: Loaded) -> None:
    fields = error_of(loaded(RAISES).instance().invoke(request_id="one"))
    assert list(fields) == ["errorMessage", "errorType", "requestId", "stackTrace"]
    assert fields["errorMessage"] == "no é good"
    assert fields["errorType"] == "OwnError"
    assert fields["requestId"] == "one"


def test_the_traceback_of_an_exception_shows_only_the_functions_own_lines(
    loaded: Loaded,
) -> None:
    stack = error_of(loaded(RAISES).instance().invoke())["stackTrace"]
    assert len(stack) == 2
    assert all("app.py" in line for line in stack)


def test_an_exception_is_printed(loaded: Loaded) -> None:
    instance = loaded(RAISES).instance()
    instance.invoke()
    assert "[ERROR] OwnError: no é good\nTraceback (most recent" in instance.printed()


def test_after_an_error_an_instance_serves_on(loaded: Loaded) -> None:
    instance = loaded("def handler(event, _): return 1 / event").instance()
    assert instance.invoke(b"0")["kind"] == "error"
    assert instance.result(b"2") == b"0.5"


def test_an_exception_that_cannot_say_what_it_is_is_still_an_error(loaded: Loaded) -> None:
    code = """
        class Silent(Exception):
            def __str__(self):
                raise RuntimeError

        def handler(event, context):
            raise Silent
    """
    assert error_of(loaded(code).instance().invoke())["errorType"] == "Silent"


def test_what_is_printed_does_not_mix_with_the_answers(loaded: Loaded) -> None:
    code = """
        import os, sys

        def handler(event, context):
            print("out", event)
            print("err", file=sys.stderr)
            os.write(1, b"raw")
            return 1
    """
    instance = loaded(code).instance()
    assert instance.result(b"7") == b"1"
    assert instance.printed() == "out 7\nerr\nraw"


def test_log_records_carry_the_request_id(loaded: Loaded) -> None:
    code = "import logging\ndef handler(event, _): logging.warning('careful')"
    instance = loaded(code).instance()
    instance.result(request_id="one")
    level, _, request_id, words = instance.printed().split("\t")
    assert (level, request_id, words) == ("[WARNING]", "one", "careful\n")


def test_the_context_has_what_the_request_says(loaded: Loaded) -> None:
    code = """
        def handler(event, context):
            client = context.client_context
            return [
                context.aws_request_id,
                context.invoked_function_arn,
                context.get_remaining_time_in_millis(),
                context.log_stream_name,
                context.function_name,
                client.custom,
                client.client.app_title,
            ]
    """
    instance = loaded(code).instance(AWS_LAMBDA_LOG_STREAM_NAME="stream")
    client = b'{"custom": {"a": 1}, "client": {"app_title": "t"}}'
    result = instance.result(request_id="one", arn="arn:f", client_context=client)
    assert json.loads(result) == ["one", "arn:f", 0, "stream", "f", {"a": 1}, "t"]


def test_the_trace_id_is_a_variable(loaded: Loaded) -> None:
    code = "import os\ndef handler(*_): return os.environ['_X_AMZN_TRACE_ID']"
    assert loaded(code).instance().result(trace_id="Root=1") == b'"Root=1"'


def test_each_invocation_has_its_own_trace_id_for_children_too(loaded: Loaded) -> None:
    code = """
    import os, subprocess
    def handler(event, _):
        if event:
            os.environ["_X_AMZN_TRACE_ID"] = event
        said = subprocess.run("printf $_X_AMZN_TRACE_ID", shell=True, capture_output=True).stdout
        return [os.environ["_X_AMZN_TRACE_ID"], said.decode()]
    """
    instance = loaded(code).instance()
    for event, given in (
        (b'""', "a"),
        (b'""', "bcd"),
        (b'"own"', "e"),
        (b'""', "f" * 600),
        (b'""', "g"),
    ):
        wanted = json.loads(event) or given
        assert json.loads(instance.result(event, trace_id=given)) == [wanted, wanted]


def test_trace_ids_are_not_kept(loaded: Loaded) -> None:
    code = "def handler(*_): return int(open('/proc/self/statm').read().split()[1])"
    assert trace_ids_leak_bytes(loaded(code).instance()) < LEAK_BYTES_MAX


def test_large_events_and_results_go_through(loaded: Loaded) -> None:
    event = b'"' + b"x" * (6 * MIB) + b'"'
    instance = loaded().instance()
    pid = os.fork()
    if pid == 0:
        instance.send("invoke", id="id", event=event, deadline_ms=0, arn="a")
        os._exit(0)
    assert instance.receive()["payload"] == event
    os.waitpid(pid, 0)


COUNTING = "count = 0\ndef handler(*_):\n    global count\n    count += 1\n    return count"


def test_an_instance_keeps_its_state_between_invocations(loaded: Loaded) -> None:
    instance = loaded(COUNTING).instance()
    assert [instance.result() for _ in range(3)] == [b"1", b"2", b"3"]


def test_instances_share_no_state(loaded: Loaded) -> None:
    host = loaded(COUNTING)
    assert [host.instance().result() for _ in range(3)] == [b"1", b"1", b"1"]


def test_code_is_loaded_once_for_all_instances(loaded: Loaded) -> None:
    host = loaded("print('loading')\n" + ECHO)
    assert [host.instance().result() for _ in range(3)] == [b"{}"] * 3
    assert host.talk.printed() == "loading\n"


def test_instances_draw_different_numbers(loaded: Loaded) -> None:
    host = loaded("import random\ndef handler(*_): return random.random()")
    assert len({host.instance().result() for _ in range(3)}) == 3


UNSAFE: dict[str, tuple[str, str]] = {
    "a thread": (
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()\n",
        "2 threads run after loading",
    ),
    "a socket": ("import socket\ns = socket.socket()\n", "socket is open after loading"),
    "a pipe": ("import os\np = os.pipe()\n", "pipe is open after loading"),
    "an epoll": ("import select\ne = select.epoll()\n", "anon_inode is open after loading"),
}


@pytest.mark.parametrize(("code", "why"), UNSAFE.values(), ids=UNSAFE.keys())
def test_code_that_cannot_be_forked_is_told_with_the_reason(
    start: Start, code: str, why: str
) -> None:
    assert start(code + ECHO).load() == {"kind": "loaded", "forkable": False, "why": why}


@pytest.mark.parametrize(("code", "why"), UNSAFE.values(), ids=UNSAFE.keys())
def test_with_the_snapshot_on_nobody_asks_whether_it_is_safe(
    start: Start, code: str, why: str
) -> None:
    assert start(code + ECHO).load("on") == {"kind": "loaded", "forkable": True, "why": ""}


def test_a_file_that_is_open_may_be_forked(start: Start) -> None:
    assert start("f = open(__file__)\n" + ECHO).load()["forkable"]


HOOKS = """
    import snapshot_restore_py as hooks

    said = []
    for word in ("one", "two"):
        hooks.register_before_snapshot(said.append, "before " + word)
        hooks.register_after_restore(said.append, "after " + word)

    @hooks.register_after_restore
    def restored():
        said.append("restored")

    def handler(event, context):
        return said
"""


def test_snapshot_hooks_run_once_before_in_reverse_and_in_each_instance_after(
    loaded: Loaded,
) -> None:
    host = loaded(HOOKS)
    said = ["before two", "before one", "after one", "after two", "restored"]
    for _ in range(2):
        assert json.loads(host.instance().result()) == said


def test_a_msgpack_of_the_functions_own_wins(loaded: Loaded) -> None:
    code = "import msgpack\ndef handler(*_): return msgpack.whose"
    assert loaded(code, msgpack="whose = 'mine'").instance().result() == b'"mine"'


@pytest.mark.parametrize("module", ["msgpack", "microfaas", "pytest"])
def test_what_microfaas_uses_is_not_visible(loaded: Loaded, module: str) -> None:
    code = f"""
        import importlib.util, sys

        def handler(event, context):
            return [importlib.util.find_spec("{module}") is None, "{module}" in sys.modules]
    """
    assert loaded(code).instance().result() == b"[true, false]"


def test_the_functions_modules_come_before_the_hosts(loaded: Loaded) -> None:
    code = "import bootstrap\ndef handler(*_): return bootstrap.whose"
    assert loaded(code, bootstrap="whose = 'mine'").instance().result() == b'"mine"'


def test_the_arguments_of_the_host_are_hidden(loaded: Loaded) -> None:
    assert loaded("import sys\ndef handler(*_): return len(sys.argv)").instance().result() == b"1"


def test_an_instance_that_is_told_to_stop_ends(loaded: Loaded) -> None:
    host = loaded()
    instance = host.instance()
    instance.send("stop")
    assert instance.ended()
    assert status_of(host) == 0


def test_an_instance_whose_supervisor_is_gone_ends(loaded: Loaded) -> None:
    host = loaded()
    host.instance().hang_up()
    assert status_of(host) == 0


def status_of(host: Host) -> int:
    """How the instance that ends next does so."""
    message, _ = host.hear()
    assert message["kind"] == "exited"
    status: int = message["status"]
    return status


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("os._exit(7)", 7),
        ("os.kill(os.getpid(), 9)", -signal.SIGKILL),
        ("sys.exit(3)", 3),
        ("sys.exit()", 0),
        ("sys.exit('sorry')", 1),
    ],
)
def test_how_an_instance_ended_is_told(loaded: Loaded, code: str, status: int) -> None:
    host = loaded(f"import os, sys\ndef handler(*_): {code}")
    instance = host.instance()
    instance.send("invoke", id="id", event=b"{}", deadline_ms=0, arn="a")
    assert instance.ended()
    assert status_of(host) == status


@pytest.mark.parametrize("way", ["stop", "requests", "control"])
def test_when_the_host_is_stopped_or_left_alone_all_ends(loaded: Loaded, way: str) -> None:
    host = loaded()
    instance = host.instance()
    if way == "stop":
        host.talk.send("stop")
    elif way == "requests":
        os.close(host.talk.requests)
        host.talk.requests = -1
    else:
        host.control.close()
    assert host.process.wait() == 0
    assert instance.ended()


def test_a_host_that_is_left_before_it_loads_ends(start: Start) -> None:
    host = start()
    host.talk.receive()
    host.talk.hang_up()
    assert host.process.wait() in (0, 1)
