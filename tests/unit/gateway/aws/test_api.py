"""The whole way: boto3 against a gateway whose services are a few coroutines."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from service_world import call, listening, refusal

from microfaas.errors import MachineError, ServiceError
from microfaas.gateway.aws.service import Caller, Params, Service


async def queue_url(caller: Caller, params: Params) -> Params:
    return {"QueueUrl": f"{caller.base_url}/123456789012/{params['QueueName']}"}


async def no_queue(_: Caller, __: Params) -> Params:
    raise ServiceError("QueueDoesNotExist", "The specified queue does not exist.")


async def echo_body(_: Caller, params: Params) -> Params:
    return {"MessageId": params["QueueUrl"], "MD5OfMessageBody": params["MessageBody"]}


async def no_topic(_: Caller, __: Params) -> Params:
    raise ServiceError("NotFoundException", "Topic does not exist")


async def confirm(_: Caller, params: Params) -> Params:
    return {"SubscriptionArn": params["Token"]}


async def no_stream(_: Caller, __: Params) -> Params:
    raise ServiceError("ResourceNotFoundException", "Stream s not found")


async def broken(_: Caller, __: Params) -> Params:
    raise MachineError("cannot write: the disk is full")


async def schedule(_: Caller, params: Params) -> Params:
    return {"Name": params["Name"], "GroupName": params.get("GroupName")}


SERVICES = [
    Service(
        "sqs", {"CreateQueue": queue_url, "ReceiveMessage": no_queue, "SendMessage": echo_body}
    ),
    Service("sns", {"Publish": no_topic, "ConfirmSubscription": confirm}),
    Service("kinesis", {"PutRecord": no_stream, "ListStreams": broken}),
    Service("scheduler", {"GetSchedule": schedule}),
]


@pytest_asyncio.fixture
async def port() -> AsyncIterator[int]:
    async with listening(SERVICES) as port:
        yield port


@pytest.fixture
def url(port: int) -> str:
    return f"http://127.0.0.1:{port}"


async def test_an_url_that_is_given_out_is_what_the_client_called(port: int, url: str) -> None:
    made = await call(port, "sqs", "create_queue", QueueName="q")
    assert made["QueueUrl"] == f"{url}/123456789012/q"


async def test_what_stands_in_the_path_is_a_parameter(port: int) -> None:
    made = await call(port, "scheduler", "get_schedule", Name="a.b", GroupName="g")
    assert (made["Name"], made["GroupName"]) == ("a.b", "g")


@pytest.mark.parametrize(
    ("service", "operation", "params", "expected"),
    [
        (
            *("sqs", "receive_message", {"QueueUrl": "q"}),
            (
                *("AWS.SimpleQueueService.NonExistentQueue", 400),
                "The specified queue does not exist.",
            ),
        ),
        (
            *("sqs", "send_message", {"QueueUrl": "q"}),
            ("MissingParameter", 400, "The request must contain the parameter MessageBody."),
        ),
        (
            *("sns", "publish", {"TopicArn": "t", "Message": "m"}),
            ("NotFound", 404, "Topic does not exist"),
        ),
        (
            *("kinesis", "put_record", {"StreamName": "s", "Data": b"", "PartitionKey": "p"}),
            ("ResourceNotFoundException", 400, "Stream s not found"),
        ),
        (
            *("kinesis", "put_record", {"StreamName": "s", "Data": b"", "PartitionKey": ""}),
            (
                *("ValidationException", 400),
                "1 validation error detected: Value '' at 'partitionKey' failed to satisfy "
                "constraint: Member must have length greater than or equal to 1",
            ),
        ),
        (
            *("kinesis", "list_streams", {}),
            ("InternalFailure", 500, "cannot write: the disk is full"),
        ),
        (
            *("sqs", "add_permission", {"QueueUrl": "q"}),
            ("InvalidAction", 400, "microfaas does not serve AddPermission of Amazon SQS"),
        ),
        (
            *("sns", "list_platform_applications", {}),
            (
                "InvalidAction",
                400,
                "microfaas does not serve ListPlatformApplications of Amazon SNS",
            ),
        ),
        (
            *("scheduler", "list_schedule_groups", {}),
            (
                *("UnknownOperationException", 400),
                "microfaas does not serve ListScheduleGroups of Amazon EventBridge Scheduler",
            ),
        ),
    ],
)
async def test_clients_see_errors_as_aws_has_them(
    port: int, service: str, operation: str, params: dict[str, Any], expected: tuple[str, int, str]
) -> None:
    assert await refusal(port, service, operation, **params) == expected


async def get(url: str, data: bytes | None = None, **headers: str) -> tuple[int, str]:
    def fetch() -> tuple[int, str]:
        request = urllib.request.Request(url, data, headers)
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    return await asyncio.to_thread(fetch)


async def test_a_link_in_a_message_confirms_a_subscription(url: str) -> None:
    status, text = await get(f"{url}/?Action=ConfirmSubscription&TopicArn=a&Token=t-1")
    assert status == 200
    assert "<SubscriptionArn>t-1</SubscriptionArn>" in text


async def test_the_body_of_a_link_says_nothing(url: str) -> None:
    def fetch() -> str:
        link = f"{url}/?Action=ConfirmSubscription&TopicArn=a&Token=t-1"
        request = urllib.request.Request(link, b"Action=Publish&Token=t-2", method="GET")
        with urllib.request.urlopen(request) as answer:
            return str(answer.read().decode())

    assert "<SubscriptionArn>t-1</SubscriptionArn>" in await asyncio.to_thread(fetch)


async def test_older_clients_of_a_queue_call_its_url(url: str) -> None:
    body = b"Action=SendMessage&MessageBody=a%26b"
    status, text = await get(f"{url}/123456789012/q", body)
    assert status == 200
    assert "<MD5OfMessageBody>a&amp;b</MD5OfMessageBody>" in text
    assert "<MessageId>/123456789012/q</MessageId>" in text


async def test_cbor_is_refused_with_what_to_do(url: str) -> None:
    headers = {"X-Amz-Target": "Kinesis_20131202.PutRecord"}
    headers["Content-Type"] = "application/x-amz-cbor-1.1"
    status, text = await get(url, b"\xa0", **headers)
    assert status == 415
    assert "CBOR_ENABLED=false" in text
