"""The fakes that users get: a context like the real one, and a call like a real one."""

from __future__ import annotations

import decimal
import importlib.util
import os
from typing import Any

import pytest

from microfaas.errors import FunctionNotFound
from microfaas.model import Invocation
from microfaas.runtime import runtimes_dir
from microfaas.testing import FakeInvoker, LambdaContext, context, echo, invoke


def real_context(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The host's own, made as the host makes it."""
    for name in ("FUNCTION_NAME", "FUNCTION_VERSION", "FUNCTION_MEMORY_SIZE"):
        monkeypatch.setenv(f"AWS_LAMBDA_{name}", "1")
    for name in ("LOG_GROUP_NAME", "LOG_STREAM_NAME"):
        monkeypatch.setenv(f"AWS_LAMBDA_{name}", "1")
    path = os.path.join(runtimes_dir(), "python", "microfaas_host", "context.py")
    spec = importlib.util.spec_from_file_location("host_context", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Context({"id": "1", "arn": "a", "deadline_ms": 0})


def public(thing: object) -> set[str]:
    return {name for name in dir(thing) if not name.startswith("_")}


def test_a_context_has_all_that_the_real_one_has(monkeypatch: pytest.MonkeyPatch) -> None:
    assert public(context()) - {"deadline_s"} == public(real_context(monkeypatch))


def test_a_context_names_its_function() -> None:
    made = context("f", memory_mb=512)
    assert made.invoked_function_arn.endswith(":function:f")
    assert made.log_group_name == "/aws/lambda/f"
    assert made.memory_limit_in_mb == "512"


def test_each_context_is_another_request() -> None:
    assert context().aws_request_id != context().aws_request_id


def test_any_field_can_be_chosen() -> None:
    assert context(aws_request_id="mine").aws_request_id == "mine"


def test_the_remaining_time_is_never_negative() -> None:
    assert context(timeout_s=-1).get_remaining_time_in_millis() == 0


def test_the_remaining_time_is_at_most_the_timeout() -> None:
    assert 0 < context(timeout_s=100).get_remaining_time_in_millis() <= 100_000


def test_a_log_is_printed_without_a_newline(capsys: pytest.CaptureFixture[str]) -> None:
    context().log("hello")
    assert capsys.readouterr().out == "hello"


def test_a_handler_gets_event_and_context() -> None:
    def handler(event: Any, made: LambdaContext) -> Any:
        return {"event": event, "name": made.function_name}

    assert invoke(handler, {"a": 1}, context("f")) == {"event": {"a": 1}, "name": "f"}


def test_an_event_goes_through_json() -> None:
    assert invoke(lambda event, _: event, {1: (2, 3)}) == {"1": [2, 3]}


def test_the_caller_keeps_the_event_as_it_was() -> None:
    event: dict[str, Any] = {"items": []}
    invoke(lambda given, _: given["items"].append(1), event)
    assert event == {"items": []}


@pytest.mark.parametrize(
    ("result", "value"),
    [
        (None, None),
        ((1, 2), [1, 2]),
        (decimal.Decimal("2"), 2),
        (decimal.Decimal("2.5"), 2.5),
        (b'{"a": 1}', {"a": 1}),
    ],
)
def test_a_result_comes_back_as_the_caller_would_see_it(result: object, value: object) -> None:
    assert invoke(lambda *_: result) == value


def test_what_cannot_be_written_as_json_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="Object of type set is not JSON serializable"):
        invoke(lambda *_: {1})


def test_what_a_handler_raises_comes_through() -> None:
    with pytest.raises(KeyError):
        invoke(lambda event, _: event["missing"], {})


async def test_a_fake_invoker_notes_and_answers() -> None:
    invoker = FakeInvoker({"f": echo})
    invocation = Invocation(request_id="id", function="f", event=b"1")
    assert (await invoker.invoke(invocation)).payload == b"1"
    assert invoker.invocations == [invocation]


async def test_a_fake_invoker_knows_only_its_functions() -> None:
    with pytest.raises(FunctionNotFound):
        await FakeInvoker({}).invoke(Invocation(request_id="id", function="f", event=b""))
