"""What the platform finds wrong, in Lambda's words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microfaas.pool import failures
from microfaas.pool.failures import Failure

TABLE: list[tuple[Failure, str, str]] = [
    (
        failures.timed_out("r", 3),
        "Sandbox.Timedout",
        "RequestId: r Error: Task timed out after 3.00 seconds",
    ),
    (
        failures.timed_out("r", 0.1),
        "Sandbox.Timedout",
        "RequestId: r Error: Task timed out after 0.10 seconds",
    ),
    (
        failures.init_timed_out("r", 10),
        "Sandbox.Timedout",
        "RequestId: r Error: Init timed out after 10.00 seconds",
    ),
    (
        failures.exited("r", 0),
        "Runtime.ExitError",
        "RequestId: r Error: Runtime exited without providing a reason",
    ),
    (
        failures.exited("r", 3),
        "Runtime.ExitError",
        "RequestId: r Error: Runtime exited with error: exit status 3",
    ),
    (
        failures.exited("r", -9),
        "Runtime.ExitError",
        "RequestId: r Error: Runtime exited with error: signal: killed",
    ),
    (
        failures.exited("r", -11),
        "Runtime.ExitError",
        "RequestId: r Error: Runtime exited with error: signal: segmentation fault",
    ),
    (
        failures.out_of_memory("r"),
        "Runtime.OutOfMemory",
        "RequestId: r Error: Runtime exited with error: signal: killed",
    ),
    (
        failures.broke_protocol("r", "it spoke out of turn"),
        "Runtime.ExitError",
        "RequestId: r Error: Runtime was stopped: it spoke out of turn",
    ),
    (
        failures.too_large(6291556),
        "Function.ResponseSizeTooLarge",
        "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
    ),
]


@pytest.mark.parametrize(("failure", "kind", "message"), TABLE)
def test_a_failure_has_the_words_of_lambda(failure: Failure, kind: str, message: str) -> None:
    assert (failure.kind, failure.message) == (kind, message)


@pytest.mark.parametrize(("failure", "kind", "message"), TABLE)
def test_the_payload_has_type_and_message_in_order(
    failure: Failure, kind: str, message: str
) -> None:
    wanted = f'{{"errorType": "{kind}", "errorMessage": "{message}"}}'
    assert failure.payload() == wanted.encode()


@given(st.integers(-200, 255))
def test_every_status_has_words(status: int) -> None:
    assert failures.exited("r", status).message.startswith("RequestId: r Error: Runtime exited")


@given(st.text(), st.text())
def test_the_payload_is_json_whatever_the_words(kind: str, message: str) -> None:
    wanted = {"errorType": kind, "errorMessage": message}
    assert json.loads(Failure(kind, message).payload()) == wanted
