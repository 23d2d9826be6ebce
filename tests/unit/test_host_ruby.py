"""The Ruby host, run directly: what it says to what it is told."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from ruby_world import ECHO, HANDLER, World, error_of, returning

from microfaas.model import MIB


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        yield world


def test_the_first_word_is_ready(world: World) -> None:
    host = world.start()
    assert host.talk.receive() == {"kind": "ready", "protocol": 1, "pid": host.process.pid}


def test_code_that_can_be_forked_is_loaded(world: World) -> None:
    assert world.start().load() == {"kind": "loaded", "forkable": True, "why": ""}


def test_with_the_snapshot_off_nothing_is_loaded(world: World) -> None:
    host = world.start("raise 'no good'")
    assert host.load("off") == {"kind": "loaded", "forkable": False, "why": "snapshot is off"}


FAULTS: dict[str, tuple[str, str, str, str]] = {
    "a file that is not there": (
        ECHO,
        "missing.handler",
        "Init<LoadError>",
        "cannot load such file -- missing",
    ),
    "a file that requires one that is not there": (
        "require 'nowhere'",
        HANDLER,
        "Init<LoadError>",
        "cannot load such file -- nowhere",
    ),
    "a syntax error": ("def handler(", HANDLER, "Init<SyntaxError>", "lambda_function.rb:1"),
    "a handler without a dot": (
        ECHO,
        "handler",
        "Init<ArgumentError>",
        'Invalid handler ["handler"], must be of form FILENAME.METHOD or FILENAME.CLASS.METHOD',
    ),
    "a handler of four parts": (
        ECHO,
        "a.b.c.d",
        "Init<ArgumentError>",
        'Invalid handler ["a", "b", "c", "d"], must be',
    ),
    "an exception": ("raise 'no good'", HANDLER, "Init<RuntimeError>", "no good"),
    "a name that is not there": (
        "nothing",
        HANDLER,
        "Init<NameError>",
        "undefined local variable or method",
    ),
    "a method of nil": (
        "nil.nothing",
        HANDLER,
        "Init<NoMethodError>",
        "undefined method",
    ),
    "an exception of no ordinary kind": (
        "raise NoMemoryError, 'none left'",
        HANDLER,
        "Init<NoMemoryError>",
        "none left",
    ),
}


@pytest.mark.parametrize("snapshot", ["auto", "off"])
@pytest.mark.parametrize(("code", "name", "kind", "words"), FAULTS.values(), ids=FAULTS.keys())
def test_code_that_cannot_be_loaded_is_told_by_type(
    world: World, code: str, name: str, kind: str, words: str, snapshot: str
) -> None:
    host = world.start(code, name)
    answer, talk = host.load(snapshot), host.talk
    if snapshot == "off":
        talk = host.instance()
        talk.send("init", handler=name, snapshot="on")
        answer = talk.receive()
    fields = error_of(answer)
    assert fields["errorType"] == kind
    assert words in fields["errorMessage"]
    assert answer["id"] == ""
    assert talk.ended()
    assert f"Init error when loading handler {name}\n" in talk.printed()


def test_after_a_fault_the_host_ends(world: World) -> None:
    host = world.start("raise 'no good'")
    host.load()
    assert host.process.wait() == 1


def test_the_stack_of_a_fault_has_none_of_the_hosts_lines(world: World) -> None:
    stack = error_of(world.start("\nraise 'no good'").load())["stackTrace"]
    assert "lambda_function.rb:2:in" in stack[0]
    assert not any("microfaas_host" in line or "bootstrap.rb" in line for line in stack)


def test_a_file_that_exits_is_told_and_ends_the_host_with_its_status(world: World) -> None:
    host = world.start("at_exit { puts 'at exit' }\nexit 3")
    assert error_of(host.load())["errorType"] == "Init<SystemExit>"
    assert host.talk.ended()
    assert host.process.wait() == 3
    assert "at exit" in host.talk.printed()


def test_a_file_that_ends_the_process_at_once_ends_the_host(world: World) -> None:
    host = world.start("exit! 4")
    host.talk.receive()
    host.talk.send("init", handler=HANDLER, snapshot="auto")
    assert host.talk.ended()
    assert host.process.wait() == 4


@pytest.mark.parametrize(
    ("handler", "code"),
    [
        ("sub/app.call", "def call(event:, context:) = event"),
        ("app.Orders.call", "class Orders\n  def self.call(event:, context:) = event\nend"),
        (
            "app.A::B.call",
            "module A\n  module B\n    def self.call(event:, context:) = event\n  end\nend",
        ),
        ("logger.call", "def call(event:, context:) = event"),
    ],
)
def test_a_handler_may_be_in_a_folder_or_in_a_class(world: World, handler: str, code: str) -> None:
    host = world.start(handler=handler, files={handler.split(".")[0] + ".rb": code})
    assert host.load()["kind"] == "loaded"
    assert host.instance().result(b"1") == b"1"


@pytest.mark.parametrize(
    ("handler", "kind"),
    [
        ("lambda_function.nothing", "Function<NoMethodError>"),
        ("lambda_function.Nobody.call", "Function<NameError>"),
    ],
)
def test_a_method_that_is_not_there_fails_the_invocation(
    world: World, handler: str, kind: str
) -> None:
    assert error_of(world.instance(handler=handler).invoke())["errorType"] == kind


def test_an_instance_is_ready_and_answers(world: World) -> None:
    answer = world.instance().invoke(b'{"a": 1}', "one")
    assert answer == {"kind": "result", "id": "one", "payload": b'{"a":1}'}


def test_an_instance_of_a_bare_host_loads_the_code_itself(world: World) -> None:
    instance = world.loaded(snapshot="off").instance()
    instance.send("init", handler=HANDLER, snapshot="on")
    loaded_late = {"kind": "loaded", "forkable": False, "why": "loaded by the instance"}
    assert instance.receive() == loaded_late
    assert instance.result(b"1") == b"1"


RESULTS: dict[str, bytes] = {
    "nil": b"null",
    "{1 => :a, 'b' => nil}": b'{"1":"a","b":null}',
    '"\\u00e9"': '"é"'.encode(),
    "10**30": b"1" + b"0" * 30,
    "Object": b'"Object"',
    "Time.at(0).utc": b'"1970-01-01 00:00:00 UTC"',
    'StringIO.new("not json \\xff")': b"not json \xff",
    "Class.new { def to_json = '[1]' }.new": b"[1]",
}


@pytest.mark.parametrize(("expression", "payload"), RESULTS.items())
def test_a_result_is_written_as_lambda_writes_it(
    world: World, expression: str, payload: bytes
) -> None:
    assert world.instance(returning(expression)).result() == payload


@pytest.mark.parametrize("expression", ["Float::NAN", "[Float::INFINITY]", '"\\xff"'])
def test_a_result_that_cannot_be_written_is_an_error(world: World, expression: str) -> None:
    instance = world.instance(returning(f"event == 1 ? 1 : {expression}"))
    assert error_of(instance.invoke())["errorType"] == "Function<JSON::GeneratorError>"
    assert instance.result(b"1") == b"1"


def test_an_event_that_is_not_json_is_an_error(world: World) -> None:
    assert error_of(world.instance().invoke(b"{"))["errorType"] == "Init<JSON::ParserError>"


def test_a_function_may_convert_events_and_results_itself(world: World) -> None:
    code = """
        module AwsLambda
          class Marshaller
            def self.marshall_request(request) = [request["Content-Type"], request.body]
            def self.marshall_response(result) = result.join("|")
          end
        end
    """
    assert world.instance(code + ECHO).result(b"not json") == b"application/json|not json"


def test_large_events_and_results_go_through(world: World) -> None:
    event = b'"' + b"x" * (6 * MIB) + b'"'
    instance = world.instance()
    pid = os.fork()
    if pid == 0:
        instance.send("invoke", id="id", event=event, deadline_ms=0, arn="a")
        os._exit(0)
    assert instance.receive()["payload"] == event
    os.waitpid(pid, 0)


def test_keys_that_it_does_not_know_are_skipped(world: World) -> None:
    numbers = [0, 127, 128, 2**8, 2**16, 2**40, 2**64 - 1, -1, -33, -(2**8), -(2**16), -(2**40)]
    texts = [kind * size for kind in ("x", b"x") for size in (0, 31, 32, 2**8, 2**16)]
    lists = [[None, True, False], [1] * 20, [1] * 2**16, {str(n): n for n in range(20)}]
    instance = world.instance()
    assert instance.result(b"1", new=[numbers, texts, lists], other={"a": numbers}) == b"1"


COUNTING = "$count = 0\n" + returning("$count += 1")


def test_an_instance_keeps_its_state_and_shares_none(world: World) -> None:
    host = world.loaded(COUNTING)
    for _ in range(2):
        instance = host.instance()
        assert [instance.result() for _ in range(3)] == [b"1", b"2", b"3"]


def test_code_is_loaded_once_for_all_instances(world: World) -> None:
    host = world.loaded("puts 'loading'\n" + ECHO)
    assert [host.instance().result() for _ in range(3)] == [b"{}"] * 3
    assert host.talk.printed() == "loading\n"


@pytest.mark.parametrize("expression", ["rand", "Random.rand", "[1, 2, 3, 4, 5, 6, 7, 8].shuffle"])
def test_instances_draw_different_numbers(world: World, expression: str) -> None:
    host = world.loaded(returning(expression))
    assert len({host.instance().result() for _ in range(4)}) > 1


UNSAFE: dict[str, tuple[str, str]] = {
    "a thread": ("Thread.new { sleep }\n", "2 threads run after loading"),
    "a socket": ("require 'socket'\nS = UDPSocket.new\n", "socket is open after loading"),
    "a pipe": ("P = IO.pipe\n", "pipe is open after loading"),
}


@pytest.mark.parametrize(("code", "why"), UNSAFE.values(), ids=UNSAFE.keys())
def test_code_that_cannot_be_forked_is_told_with_the_reason(
    world: World, code: str, why: str
) -> None:
    assert world.start(code + ECHO).load() == {"kind": "loaded", "forkable": False, "why": why}


@pytest.mark.parametrize(("code", "why"), UNSAFE.values(), ids=UNSAFE.keys())
def test_with_the_snapshot_on_nobody_asks_whether_it_is_safe(
    world: World, code: str, why: str
) -> None:
    assert world.start(code + ECHO).load("on") == {"kind": "loaded", "forkable": True, "why": ""}


def test_a_file_that_is_open_may_be_forked(world: World) -> None:
    assert world.start("F = File.open(__FILE__)\n" + ECHO).load()["forkable"]


def test_the_zygote_tells_how_an_instance_ended(world: World) -> None:
    host = world.loaded(returning("Process.pid"))
    pids = [int(host.instance().result()) for _ in range(2)]
    os.kill(pids[0], signal.SIGKILL)
    assert host.hear()[0] == {"kind": "exited", "pid": pids[0], "status": -9}
    host.instances[1].send("stop")
    assert host.hear()[0] == {"kind": "exited", "pid": pids[1], "status": 0}


def test_an_instance_that_is_left_alone_ends(world: World) -> None:
    host = world.loaded()
    instance = host.instance()
    os.close(instance.requests)
    instance.requests = -1
    assert instance.ended()
    assert host.hear()[0]["status"] == 0


@pytest.mark.parametrize("how", ["stop", "requests", "control"])
def test_a_zygote_that_is_told_to_stop_or_left_alone_ends(world: World, how: str) -> None:
    host = world.loaded("at_exit { puts 'at exit' }\n" + ECHO)
    instance = host.instance()
    if how == "stop":
        host.talk.send("stop")
    elif how == "requests":
        os.close(host.talk.requests)
        host.talk.requests = -1
    else:
        host.control.close()
    assert host.process.wait() == 0
    assert instance.ended()
    assert host.talk.printed() == ""


def test_instances_have_nothing_of_the_zygotes_descriptors(world: World) -> None:
    code = """
        def lambda_handler(event:, context:)
          Dir.children("/proc/self/fd").filter_map do |number|
            File.readlink("/proc/self/fd/#{number}")[/\\A(pipe|socket|anon_inode):/]
          rescue Errno::ENOENT
            nil
          end
        end
    """
    host = world.loaded(code)
    first, *more = [json.loads(host.instance().result()) for _ in range(3)]
    assert more == [first] * 2
    assert "socket:" not in first
    assert first.count("pipe:") == 2
