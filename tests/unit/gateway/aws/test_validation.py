"""What is refused before a service sees it, and in which words."""

from __future__ import annotations

from typing import Any

import pytest

from docs.aws_models import SERVED
from microfaas import scopes
from microfaas.errors import ServiceError
from microfaas.gateway.aws import (
    json_form,
    model,
    permissions,
    query_form,
    rest_form,
    xml_form,
)
from microfaas.gateway.aws.requests import Request
from microfaas.gateway.aws.service import Service
from microfaas.gateway.aws.validation import validate

LAMBDA = "arn:aws:lambda:us-east-1:123456789012"
FAILED = "failed to satisfy constraint: Member must"


def refusal(service: str, operation: str, params: dict[str, Any]) -> tuple[str, str]:
    known = model.load(service)
    with pytest.raises(ServiceError) as caught:
        validate(known, known.protocols[0], known.operations[operation].input, params)
    return caught.value.kind, str(caught.value)


@pytest.mark.parametrize(
    ("service", "operation", "params", "kind", "text"),
    [
        (
            *("kinesis", "PutRecords", {"StreamName": "s", "Records": []}, "ValidationException"),
            f"1 validation error detected: Value '[]' at 'records' {FAILED} have length greater "
            "than or equal to 1",
        ),
        (
            *("kinesis", "PutRecords"),
            {"StreamName": "s", "Records": [{"Data": b"", "PartitionKey": ""}]},
            "ValidationException",
            f"1 validation error detected: Value '' at 'records.1.member.partitionKey' {FAILED} "
            "have length greater than or equal to 1",
        ),
        (
            *("kinesis", "CreateStream", {"StreamName": "a b"}, "ValidationException"),
            f"1 validation error detected: Value 'a b' at 'streamName' {FAILED} satisfy regular "
            "expression pattern: [a-zA-Z0-9_.-]+",
        ),
        (
            *("scheduler", "ListSchedules", {"MaxResults": 0, "State": "ON"}),
            "ValidationException",
            f"2 validation errors detected: Value 'ON' at 'state' {FAILED} satisfy enum value set: "
            f"[ENABLED, DISABLED]; Value '0' at 'maxResults' {FAILED} have value greater than or "
            "equal to 1",
        ),
        (
            *("sns", "Publish", {}, "ValidationError"),
            f"1 validation error detected: Value null at 'message' {FAILED} not be null",
        ),
        (
            *("sqs", "SendMessageBatch", {"QueueUrl": "q", "Entries": [{"Id": "a"}]}),
            "MissingParameter",
            "The request must contain the parameter SendMessageBatchRequestEntry.1.MessageBody.",
        ),
    ],
)
def test_aws_says_what_is_wrong(
    service: str, operation: str, params: dict[str, Any], kind: str, text: str
) -> None:
    assert refusal(service, operation, params) == (kind, text)


def test_of_what_is_shown_of_a_list_secrets_are_left_out() -> None:
    redshift = {"Database": "d", "Sql": "select secret"}
    targets = [{"Id": "i", "Arn": "a", "RedshiftDataParameters": redshift}] * 101
    _, text = refusal("events", "PutTargets", {"Rule": "r", "Targets": targets})
    assert "Value '[{Id=i, Arn=a, RedshiftDataParameters={Database=d, Sql=***" in text
    assert "secret" not in text


def test_logs_have_a_name_of_their_own_for_it() -> None:
    kind, text = refusal("logs", "CreateLogGroup", {"logGroupName": "a b"})
    assert kind == "InvalidParameterException"
    assert text == (
        f"1 validation error detected: Value 'a b' at 'logGroupName' {FAILED} satisfy regular "
        r"expression pattern: [\.\-_/#A-Za-z0-9]+"
    )


@pytest.mark.parametrize("number", ["9" * 19, "1e300", "-" + "9" * 400, "9" * 5000])
def test_numbers_have_no_more_than_64_bits(number: str) -> None:
    known = model.load("lambda")
    head = Request("GET", "/", "", {})
    listing = known.operations["ListFunctions"]
    for read in (
        lambda: query_form.read(model.load("iam"), "ListRolesRequest", {"MaxItems": number}),
        lambda: json_form.read(known, "CreateFunctionRequest", b'{"Timeout":%b}' % number.encode()),
        lambda: rest_form.read(known, listing, {}, f"MaxItems={number}", head),
    ):
        with pytest.raises(ServiceError) as caught:
            read()
        assert caught.value.kind in ("MalformedInput", "SerializationException")


def test_what_is_shown_of_a_value_is_bounded() -> None:
    _, text = refusal("kinesis", "CreateStream", {"StreamName": "a" * 1_000_000})
    assert len(text) < 1000


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"[" * 100_000, b'{"StreamName": 1}', b"\xff", b'"x"']
)
def test_what_is_no_such_json_is_refused(body: bytes) -> None:
    with pytest.raises(ServiceError) as caught:
        json_form.read(model.load("kinesis"), "CreateStreamInput", body)
    assert caught.value.kind == "SerializationException"


def test_no_more_fields_are_read_than_are_bounded() -> None:
    with pytest.raises(ServiceError, match="the form cannot be read"):
        query_form.fields("a=b&" * (query_form.FIELDS_MAX + 1))


@pytest.mark.parametrize(
    ("text", "good"), [("a\t\n\r é😀", True), ("\0", False), ("\ufffe", False)]
)
def test_xml_has_not_all_characters(text: str, good: bool) -> None:
    assert xml_form.allowed(text) is good


@pytest.mark.parametrize(
    ("service", "operation", "params", "names"),
    [
        ("sqs", "SendMessage", {"QueueUrl": "http://h/123456789012/q.fifo"}, ["q.fifo"]),
        ("sqs", "GetQueueUrl", {"QueueName": "q"}, ["q"]),
        ("sns", "Publish", {"TopicArn": "arn:aws:sns:r:1:t"}, ["t"]),
        ("kinesis", "PutRecord", {"StreamARN": "arn:aws:kinesis:r:1:stream/s"}, ["s"]),
        ("kinesis", "PutRecord", {"StreamName": "s"}, ["s"]),
        ("kinesis", "PutRecord", {"StreamARN": "a:stream/s", "StreamName": "t"}, ["s", "t"]),
        ("kinesis", "GetRecords", {"ShardIterator": "i"}, []),
        ("lambda", "GetFunction", {"FunctionName": "f"}, ["f"]),
        ("lambda", "GetFunction", {"FunctionName": "my-1:live"}, ["my-1"]),
        ("lambda", "GetFunction", {"FunctionName": "a:b:c"}, ["a:b:c"]),
        ("lambda", "GetFunction", {"FunctionName": "123456789012:function:f"}, ["f"]),
        ("lambda", "GetFunction", {"FunctionName": f"{LAMBDA}:function:f:1"}, ["f"]),
        ("lambda", "ListTags", {"Resource": f"{LAMBDA}:layer:l"}, [f"{LAMBDA}:layer:l"]),
        ("lambda", "ListLayerVersions", {"LayerName": "l"}, []),
        ("lambda", "ListFunctions", {}, []),
        ("logs", "PutLogEvents", {"logGroupName": "/aws/lambda/f"}, ["/aws/lambda/f"]),
        (
            *("events", "PutEvents"),
            {"Entries": [{}, {"EventBusName": "arn:aws:events:r:1:event-bus/b"}]},
            ["b", "default"],
        ),
    ],
)
def test_whom_an_operation_is_done_to(
    service: str, operation: str, params: dict[str, Any], names: list[str]
) -> None:
    assert list(permissions.of(service, operation).names(params)) == names


@pytest.mark.parametrize("service", SERVED)
def test_functions_change_no_resources(service: str) -> None:
    own = scopes.parse("invoke,send,receive,read")
    for operation in SERVED[service].split():
        actions = permissions.of(service, operation).actions
        if service in ("lambda", "iam", "logs"):
            changes = not operation.startswith(
                (
                    *("List", "Get", "Describe", "Filter", "StartLiveTail"),
                    *("PutLogEvents", "CreateLogStream"),
                )
            )
        else:
            changes = operation.startswith(
                ("Create", "Set", "Tag", "Update", "DeleteQueue", "Purge")
            )
        assert not changes or not any(own.allow(action) for action in actions)


def test_a_service_has_no_operation_that_aws_has_not() -> None:
    async def nothing(*_: Any) -> dict[str, Any]:
        return {}

    with pytest.raises(ValueError, match="Sent: not in the model sqs"):
        Service("sqs", {"Sent": nothing})
