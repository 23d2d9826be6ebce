"""The Ruby host, run directly: errors, endings, the log, the context, libraries, and as a spare."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from conversation import LEAK_BYTES_MAX, trace_ids_leak_bytes
from ruby_world import ECHO, HANDLER, World, error_of, returning


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path) as world:
        yield world


RAISES = """
    class OwnError < StandardError
    end

    def inner = raise(OwnError, "no \\u00e9 good")

    def lambda_handler(event:, context:)
      inner if event == {}
      event
    end
"""


def test_an_exception_is_an_error_with_its_type_words_and_stack(world: World) -> None:
    instance = world.instance(RAISES)
    fields = error_of(instance.invoke())
    assert (fields["errorMessage"], fields["errorType"]) == ("no é good", "Function<OwnError>")
    assert [re.findall(r"_function.rb:(\d+):in .*?(\w+)'$", at) for at in fields["stackTrace"]] == [
        [("5", "inner")],
        [("8", "lambda_handler")],
    ]
    assert instance.result(b"1") == b"1"


def test_an_exception_is_printed(world: World) -> None:
    instance = world.instance(RAISES)
    instance.invoke()
    title, _, text = instance.printed().partition("\n")
    assert title == "Error raised from handler method"
    assert json.loads(text)["errorType"] == "Function<OwnError>"


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("raise 'a \\xff b'", "Function<RuntimeError>"),
        ("raise Class.new(StandardError) { def message = raise }", "Function<#<Class:"),
        ("raise Class.new(StandardError) { def message = nil }", "Function<#<Class:"),
        ("require 'timeout'; Timeout.timeout(0.01) { sleep }", "Function<Timeout::Error>"),
        ("throw :nowhere", "Function<UncaughtThrowError>"),
    ],
)
def test_after_an_error_an_instance_serves_on(world: World, code: str, kind: str) -> None:
    instance = world.instance(returning(f"event == 1 ? 1 : ({code})"))
    assert error_of(instance.invoke())["errorType"].startswith(kind)
    assert instance.result(b"1") == b"1"


ENDING: dict[str, tuple[str, str, int]] = {
    "exit": ("exit 5", "Function<SystemExit>", 5),
    "exit without a status": ("exit", "Function<SystemExit>", 0),
    "abort": ("abort 'enough'", "Function<SystemExit>", 1),
    "a method that is not there": ("nil.nothing", "Function<NoMethodError>", 1),
    "a name that is not there": ("nothing", "Function<NameError>", 1),
    "a stack that overflows": ("f = -> { f.call }; f.call", "Function<SystemStackError>", 1),
    "no memory": ("raise NoMemoryError", "Function<NoMemoryError>", 1),
    "an exception of no ordinary kind": ("raise Exception, 'a'", "Function<Exception>", 1),
}


@pytest.mark.parametrize(("code", "kind", "status"), ENDING.values(), ids=ENDING.keys())
def test_after_what_lambda_ends_for_an_instance_says_so_and_ends(
    world: World, code: str, kind: str, status: int
) -> None:
    host = world.loaded("at_exit { puts 'at exit' }\n" + returning(code))
    instance = host.instance()
    answer = instance.invoke()
    assert error_of(answer)["errorType"] == kind
    assert answer["ends"] is True
    assert instance.ended()
    assert host.hear()[0]["status"] == status
    assert "at exit" in instance.printed()
    assert host.talk.printed() == ""


def test_a_process_that_ends_at_once_has_its_status(world: World) -> None:
    host = world.loaded(returning("exit! 6"))
    instance = host.instance()
    instance.send("invoke", id="id", event=b"{}", deadline_ms=0, arn="a")
    assert instance.ended()
    assert host.hear()[0]["status"] == 6


def test_what_is_printed_is_there_before_the_answer(world: World) -> None:
    code = """
        def lambda_handler(event:, context:)
          $stdout.sync = false
          puts "out #{event}"
          warn "err"
          system("echo child")
          print "raw"
          1
        end
    """
    instance = world.instance(code)
    assert instance.result(b"7") == b"1"
    assert sorted(instance.printed().splitlines()) == ["child", "err", "out 7", "raw"]


@pytest.mark.parametrize("code", ["$stdout = StringIO.new", "STDOUT.close", "$stdout.close"])
def test_a_function_may_replace_or_close_its_output(world: World, code: str) -> None:
    instance = world.instance(returning(f"({code}; raise 'a' if event == 1; 2)"))
    assert instance.result() == b"2"
    assert instance.invoke(b"1")["kind"] == "error"


LINE = r"W, \[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6} #\d+\]  WARN one -- (\w*): careful\n"


@pytest.mark.parametrize(
    ("logger", "name"),
    [
        ("Logger.new($stdout)", ""),
        ("Logger.new(STDERR, progname: 'orders')", "orders"),
        ("Logger.new(nil)", ""),
    ],
)
def test_lines_of_a_logger_carry_the_request_id(world: World, logger: str, name: str) -> None:
    instance = world.instance(f"LOG = {logger}\n" + returning("LOG.warn('careful')"))
    instance.result(request_id="one")
    found = re.fullmatch(LINE, instance.printed())
    assert found
    assert found[1] == name


def test_loggers_to_files_and_with_own_formats_stay_as_they_are(world: World) -> None:
    code = """
        require "tempfile"

        def lambda_handler(event:, context:)
          file = Tempfile.new
          Logger.new(file.path).warn("careful")
          own = Logger.new($stdout, formatter: ->(*parts) { parts.last })
          own.info("mine")
          file.read
        end
    """
    instance = world.instance(code)
    assert b"WARN -- : careful" in instance.result(request_id="one")
    assert instance.printed() == "mine"


def test_lines_are_json_where_the_function_wants_them_so(world: World) -> None:
    code = """
        LOG = Logger.new($stdout)

        def lambda_handler(event:, context:)
          LOG.info("quiet")
          LOG.warn("careful")
          LOG.error(ArgumentError.new("bad"))
          raise "no good"
        end
    """
    instance = world.instance(code, AWS_LAMBDA_LOG_FORMAT="JSON", AWS_LAMBDA_LOG_LEVEL="WARN")
    instance.invoke(request_id="one")
    first, second, third = map(json.loads, instance.printed().splitlines())
    assert re.fullmatch(r"[\d-]+T[\d:]+\.\d{3}Z", first.pop("timestamp"))
    assert first == {"level": "WARN", "requestId": "one", "message": "careful"}
    assert (second["errorType"], second["message"]) == ("ArgumentError", "bad")
    assert (third["errorType"], third["requestId"]) == ("Function<RuntimeError>", "one")


CONTEXT = """
    def lambda_handler(event:, context:)
      [
        context.aws_request_id, context.invoked_function_arn, context.deadline_ms,
        context.get_remaining_time_in_millis, context.log_group_name, context.log_stream_name,
        context.function_name, context.function_version, context.memory_limit_in_mb,
        context.client_context, context.identity, context.clock_diff.class, context.class,
      ]
    end
"""


def test_the_context_has_what_the_request_says(world: World) -> None:
    instance = world.loaded(CONTEXT).instance(AWS_LAMBDA_LOG_STREAM_NAME="stream")
    client = b'{"custom": {"a": "\xc3\xa9"}}'
    seen = json.loads(instance.result(request_id="one", client_context=client))
    named = ["one", "arn:f", 0, 0, "/aws/lambda/f", "stream", "f", "$LATEST", "128"]
    assert seen == [*named, {"custom": {"a": "é"}}, None, "Integer", "LambdaContext"]


def test_without_a_client_context_there_is_none(world: World) -> None:
    assert world.instance(returning("context.client_context")).result() == b"null"


def test_the_trace_id_is_a_variable(world: World) -> None:
    instance = world.instance(returning("ENV['_X_AMZN_TRACE_ID']"))
    assert instance.result() == b"null"
    assert instance.result(trace_id="Root=1") == b'"Root=1"'


def test_each_invocation_has_its_own_trace_id_for_children_too(world: World) -> None:
    own = "ENV['_X_AMZN_TRACE_ID'] = event unless event.empty?"
    code = returning(f"({own}; [ENV['_X_AMZN_TRACE_ID'], `printf $_X_AMZN_TRACE_ID`])")
    instance = world.instance(code)
    for event, given in (
        (b'""', "a"),
        (b'""', "bcd"),
        (b'"own"', "e"),
        (b'""', "f" * 600),
        (b'""', "g"),
    ):
        wanted = json.loads(event) or given
        assert json.loads(instance.result(event, trace_id=given)) == [wanted, wanted]


def test_trace_ids_are_not_kept(world: World) -> None:
    instance = world.instance(returning("File.read('/proc/self/statm').split[1].to_i"))
    assert trace_ids_leak_bytes(instance) < LEAK_BYTES_MAX


def test_children_inherit_nothing_of_the_protocol(world: World) -> None:
    code = returning("`for n in 3 4 5; do [ -e /proc/$$/fd/$n ] && echo $n; done; true`")
    assert world.instance(code).result() == b'""'


GEM = """
    Gem::Specification.new do |gem|
      gem.name = "sums"
      gem.version = "1.2.3"
      gem.summary = "Sums."
      gem.authors = ["Nobody"]
      gem.files = ["lib/sums.rb"]
    end
"""


def test_gems_that_the_function_ships_are_found(world: World, tmp_path: Path) -> None:
    place = tmp_path / "zygote-0/code/vendor/bundle/ruby"
    host = world.start(
        "require 'sums'\n" + returning("[Sums.of(1, 2), Gem.loaded_specs['sums'].version.to_s]"),
        files={
            "vendor/bundle/ruby/gems/sums-1.2.3/lib/sums.rb": "module Sums\n"
            "  def self.of(*numbers) = numbers.sum\nend",
            "vendor/bundle/ruby/specifications/sums-1.2.3.gemspec": GEM,
        },
        GEM_PATH=f"{place}:",
        GEM_HOME="/var/runtime",
    )
    assert host.load()["forkable"]
    assert host.instance().result() == b'[3,"1.2.3"]'


def test_files_of_the_function_do_not_get_into_the_host(world: World, tmp_path: Path) -> None:
    hostile = dict.fromkeys(("json.rb", "time.rb", "rubygems.rb"), "raise 'mine'")
    host = world.start(files=hostile, RUBYLIB=str(tmp_path / "zygote-0/code"))
    assert host.load()["kind"] == "loaded"
    assert host.instance().result(b"1") == b"1"


# A Ruby that has a thread of its own, and another in each fork.
TIMED = """
    Thread.new { sleep }
    Process.singleton_class.prepend(Module.new {
      def _fork
        super.tap { |pid| Thread.new { sleep } if pid.zero? }
      end
    })
"""


@pytest.mark.parametrize("snapshot", ["auto", "on", "off"])
def test_where_forks_have_threads_an_instance_starts_anew(
    world: World, tmp_path: Path, snapshot: str
) -> None:
    (tmp_path / "timed.rb").write_text(textwrap.dedent(TIMED))
    code = returning("[event, Process.pid, ENV['WORD'], `ls /proc/$$/fd`.split]")
    host = world.start(code, RUBYOPT=f"-r{tmp_path}/timed")
    why = "snapshot is off" if snapshot == "off" else "a fork of this Ruby has 2 threads"
    assert host.load(snapshot) == {"kind": "loaded", "forkable": False, "why": why}
    instance = host.instance(WORD="said")
    instance.send("init", handler=HANDLER, snapshot="off")
    assert instance.receive()["kind"] == "loaded"
    event, pid, word, descriptors = json.loads(instance.result(b"1"))
    assert (event, word) == (1, "said")
    assert set(descriptors) <= {"0", "1", "2", "3"}
    instance.send("stop")
    assert host.hear()[0] == {"kind": "exited", "pid": pid, "status": 0}


def test_without_a_control_socket_it_is_a_spare(world: World) -> None:
    spare = world.spare(returning("[event, ENV['WORD'], require('sums')]"), {"sums.rb": ""})
    loaded = {"kind": "loaded", "forkable": False, "why": "it is a spare"}
    assert spare.load(HANDLER, WORD="said") == loaded
    assert spare.result(b"1") == b'[1,"said",true]'
    spare.talk.send("stop")
    assert spare.status() == 0


def test_a_spare_tells_why_it_cannot_load_and_ends(world: World) -> None:
    spare = world.spare()
    assert spare.load("nowhere.handler")["type"] == "Init<LoadError>"
    assert spare.status() == 1


def test_a_spare_that_is_left_alone_ends(world: World) -> None:
    spare = world.spare(ECHO)
    spare.talk.hang_up()
    assert spare.status() == 0
