"""The records of destinations and the attributes of dead letters, to the letter."""

from __future__ import annotations

import json
from typing import Any

import pytest

from microfaas.model import Outcome, Status
from microfaas.payloads import results

ARN = "arn:aws:lambda:us-east-1:123456789012:function:f:$LATEST"
ERROR = b'{"errorMessage": "no", "errorType": "ValueError", "stackTrace": []}'
# JSON, but deeper than anything here follows it.
DEEP = b"[" * 10_000 + b"]" * 10_000


def record(outcome: Outcome | None, condition: str = "Success", event: bytes = b'{"a": 1}') -> Any:
    made = results.record(
        at_ms=1573754896568,
        request_id="e4b46cbf-b738-11e8-ac3d-000000000001",
        function_arn=ARN,
        condition=condition,
        attempts=3,
        event=event,
        outcome=outcome,
    )
    return json.loads(made)


def test_of_a_success() -> None:
    assert record(Outcome(status=Status.OK, payload=b'{"b": 2}')) == {
        "version": "1.0",
        "timestamp": "2019-11-14T18:08:16.568Z",
        "requestContext": {
            "requestId": "e4b46cbf-b738-11e8-ac3d-000000000001",
            "functionArn": ARN,
            "condition": "Success",
            "approximateInvokeCount": 3,
        },
        "requestPayload": {"a": 1},
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
        "responsePayload": {"b": 2},
    }


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.OK])
def test_of_a_failure(status: Status) -> None:
    made = record(Outcome(status=status, payload=ERROR), "RetriesExhausted")
    assert made["requestContext"]["condition"] == "RetriesExhausted"
    assert made["responseContext"] == {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": "Unhandled",
    }
    assert made["responsePayload"] == json.loads(ERROR)


def test_of_what_never_ran() -> None:
    made = record(None, "EventAgeExceeded")
    assert made.keys().isdisjoint({"responseContext", "responsePayload"})


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        *((b"", None), (b"<p>", "<p>"), (b"\xff", "\ufffd"), (b'"\xff"', '"\ufffd"')),
        *((b"1 2", "1 2"), (DEEP, DEEP.decode())),
    ],
)
def test_it_is_json_whatever_a_runtime_answered(payload: bytes, told: object) -> None:
    assert record(Outcome(status=Status.OK, payload=payload))["responsePayload"] == told


def test_no_event_is_an_empty_one() -> None:
    assert record(None, event=b"")["requestPayload"] == {}


def test_a_dead_letters_attributes() -> None:
    outcome = Outcome(status=Status.ERROR, payload=ERROR)
    assert results.dead_letter_attributes("id", outcome, "RetriesExhausted") == {
        "RequestID": ("String", "id"),
        "ErrorCode": ("Number", "200"),
        "ErrorMessage": ("String", "no"),
    }


@pytest.mark.parametrize(
    ("payload", "told"),
    [
        (json.dumps({"errorMessage": "x" * 2000}).encode(), "x" * 1024),
        (b"{}", "unknown"),
        (b"no JSON", "no JSON"),
        (b'{"errorMessage": "\xff"}', '{"errorMessage": "\ufffd"}'),
        (b'{"cause": ' + DEEP + b"}", '{"cause": ' + "[" * 1014),
    ],
)
def test_their_error_is_bounded_and_never_empty(payload: bytes, told: str) -> None:
    outcome = Outcome(status=Status.EXIT, payload=payload)
    made = results.dead_letter_attributes("id", outcome, "RetriesExhausted")
    assert made["ErrorMessage"] == ("String", told)


def test_their_error_when_it_never_ran() -> None:
    assert results.dead_letter_attributes("id", None, "EventAgeExceeded")["ErrorMessage"] == (
        "String",
        "not run: EventAgeExceeded",
    )
