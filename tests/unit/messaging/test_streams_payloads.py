"""What a function says of a stream's batch, and what is told of one that was given up."""

from __future__ import annotations

import json

import pytest

from microfaas.model import Address, Outcome, Status
from microfaas.payloads import batches, kinesis
from microfaas.payloads.batches import Given, Lost, Source

SENT = ["11", "12", "13"]
DEEP = b"[" * 10_000 + b"]" * 10_000
SOURCE = Source(
    Address(), kinesis.arn("us-east-1", "123456789012", "simple-stream"), "shardId-000000000000"
)


def named(*numbers: object) -> bytes:
    return json.dumps({"batchItemFailures": [{"itemIdentifier": n} for n in numbers]}).encode()


@pytest.mark.parametrize(
    ("payload", "place"),
    [
        (b"", None),
        (b"null", None),
        (b"{}", None),
        (b'""', None),
        (b'{"batchItemFailures": null}', None),
        (named(), None),
        (b'{"state": {}}', None),
        (named("12"), 1),
        (named("13", "12"), 1),
        (named("99"), 0),
        (named(""), 0),
        (named(None), 0),
        (named("13", "99"), 0),
        (b'{"batchItemFailures": [{"id": "12"}]}', 0),
        (b'{"batchItemFailures": ["12"]}', 0),
        (b'{"batchItemFailures": 1}', 0),
        (b'{"failures": []}', 0),
        (b'"all well"', 0),
        (b"not JSON", 0),
        (b'{"batchItemFailures": [{"itemIdentifier": "\xff"}]}', 0),
        (DEEP, 0),
    ],
)
def test_the_lowest_failure(payload: bytes, place: int | None) -> None:
    assert batches.first_failed(payload, SENT) == place


@pytest.mark.parametrize(
    ("payload", "state"),
    [
        (b'{"state": {"n": 1}}', b'{"n": 1}'),
        (b"{}", b"{}"),
        (b"null", b"{}"),
        (b"[1]", b"{}"),
        (b'{"state": null}', b"{}"),
        (b'{"state": [1]}', b"{}"),
        (b"no", b"{}"),
        (b'{"\xff": 1}', b"{}"),
        (b'{"state": ' + DEEP + b"}", b"{}"),
    ],
)
def test_the_state_that_is_passed_on(payload: bytes, state: bytes) -> None:
    assert batches.state_in(payload) == state


def test_an_event_is_as_in_lambda() -> None:
    given = Given(
        "49568167373333333333333333333333333333333333333333333333",
        1480641523477,
        "s1",
        b"Hello World",
    )
    assert json.loads(batches.event(kinesis.FORM, SOURCE, [given])) == {
        "Records": [
            {
                "kinesis": {
                    "kinesisSchemaVersion": "1.0",
                    "partitionKey": "s1",
                    "sequenceNumber": given.number,
                    "data": "SGVsbG8gV29ybGQ=",
                    "approximateArrivalTimestamp": 1480641523.477,
                },
                "eventSource": "aws:kinesis",
                "eventVersion": "1.0",
                "eventID": f"shardId-000000000000:{given.number}",
                "eventName": "aws:kinesis:record",
                "invokeIdentityArn": "arn:aws:iam::123456789012:role/lambda-role",
                "awsRegion": "us-east-1",
                "eventSourceARN": "arn:aws:kinesis:us-east-1:123456789012:stream/simple-stream",
            }
        ]
    }


@pytest.mark.parametrize("key", ["k", "é" * 256, "\x1f" * 256, '"\\' * 128])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 10_000])
def test_a_records_size_is_not_underrated(key: str, size: int) -> None:
    given = Given("4" * 56, 1480641523477, key, bytes(size))
    one, two = (len(batches.event(kinesis.FORM, SOURCE, [given] * count)) for count in (1, 2))
    assert two - one <= kinesis.FORM.size(given)


@pytest.mark.parametrize(("status", "error"), [(Status.OK, None), (Status.ERROR, "Unhandled")])
def test_what_a_destination_is_told(status: Status, error: str | None) -> None:
    told = batches.failure(
        form=kinesis.FORM,
        at_ms=0,
        request_id="r",
        function_arn="arn",
        condition="RetryAttemptsExhausted",
        attempts=3,
        outcome=Outcome(status=status, payload=b"null"),
        source=SOURCE,
        lost=Lost("1", "2", 0, 1000, 2),
    )
    assert json.loads(told) == {
        "requestContext": {
            "requestId": "r",
            "functionArn": "arn",
            "condition": "RetryAttemptsExhausted",
            "approximateInvokeCount": 3,
        },
        "responseContext": {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": error,
        },
        "version": "1.0",
        "timestamp": "1970-01-01T00:00:00.000Z",
        "KinesisBatchInfo": {
            "shardId": "shardId-000000000000",
            "startSequenceNumber": "1",
            "endSequenceNumber": "2",
            "approximateArrivalOfFirstRecord": "1970-01-01T00:00:00.000Z",
            "approximateArrivalOfLastRecord": "1970-01-01T00:00:01.000Z",
            "batchSize": 2,
            "streamArn": "arn:aws:kinesis:us-east-1:123456789012:stream/simple-stream",
        },
    }
