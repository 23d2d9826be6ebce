"""How functions fail, how that is told, and that the next invocation works."""

from __future__ import annotations

import pytest

from runtimes.conformance.suite import Language, Served, event

HUNGER_MB = 400


@pytest.mark.parametrize("message", ["no good", "\u00e4 \U0001f600\n\"quoted\" \\ {'a': 1}", ""])
def test_an_error_has_lambdas_shape(served: Served, language: Language, message: str) -> None:
    error = served.invoke("cases", event("fail", message=message)).error
    assert error["errorType"] == language.errors["fail"]
    assert error["errorMessage"] == message
    always, sometimes = language.error_fields
    fields = set(error) - {"errorType", "errorMessage"}
    assert always <= fields <= always | sometimes
    for name in fields & {"stackTrace", "trace"}:
        assert error[name]
        assert all(isinstance(line, str) for line in error[name])
    assert served.call("echo", value=1) == 1


def test_an_error_is_in_the_log_with_its_request(served: Served) -> None:
    reply = served.invoke("cases", event("fail", message="said aloud"), LogType="Tail")
    assert "said aloud" in reply.tail
    assert f"END RequestId: {reply.request_id}" in reply.tail


def test_code_that_cannot_be_loaded_says_why(
    served: Served, language: Language, fault: str
) -> None:
    for _ in range(2):
        error = served.invoke(fault, b"{}").error
        assert error["errorType"] == language.errors[fault]
        if fault == "raises":
            assert "broken while loading" in error["errorMessage"]


@pytest.mark.needs("exits")
def test_a_process_that_ends_while_it_loads_is_told_by_its_status(served: Served) -> None:
    error = served.invoke("exits", b"{}").error
    assert error["errorType"] == "Runtime.ExitError"
    assert error["errorMessage"].endswith("exit status 7")


@pytest.mark.parametrize(
    ("status", "words"),
    [(5, "exited with error: exit status 5"), (0, "without providing a reason")],
)
def test_a_process_that_ends_is_told_by_its_status(served: Served, status: int, words: str) -> None:
    assert served.call("count", "exiting") == 1
    error = served.invoke("exiting", event("exit", status=status)).error
    assert error["errorType"] == "Runtime.ExitError"
    assert error["errorMessage"].endswith(words)
    assert served.call("count", "exiting") == 1
    served.invoke("exiting", event("exit", status=0))


@pytest.mark.parametrize("fields", [{"case": "spin"}, {"case": "sleep", "seconds": 60}])
def test_an_invocation_that_takes_too_long_is_ended(
    served: Served, fields: dict[str, object]
) -> None:
    error = served.invoke("brief", event(**fields)).error  # type: ignore[arg-type]
    assert error["errorType"] == "Sandbox.Timedout"
    assert error["errorMessage"].endswith("Error: Task timed out after 2.00 seconds")
    assert served.call("echo", "brief", value=1) == 1


def test_too_much_memory_is_an_error_and_the_next_invocation_works(served: Served) -> None:
    assert served.call("allocate", "hungry", mb=8) == 8
    error = served.invoke("hungry", event("allocate", mb=HUNGER_MB)).error
    # A managed heap has its own limit, and its own error, below the sandbox's.
    assert "OutOfMemory" in error["errorType"]
    assert served.call("allocate", "hungry", mb=8) == 8
