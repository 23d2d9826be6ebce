"""Queues elsewhere: what is asked of SQS, and in which batches the function gets it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from microfaas.config import Trigger
from microfaas.config.endpoints import EndpointTable
from microfaas.config.queue_triggers import QueueSettings
from microfaas.errors import MachineError, ServiceError, TooManyRequests
from microfaas.model import Address, Invocation, Outcome, Status
from microfaas.remote.calls import Service
from microfaas.remote.endpoints import Endpoint, Endpoints
from microfaas.testing import FakeInvoker
from microfaas.triggers import queue, remote_inbox

sys.path.append(str(Path(__file__).parent))
from around import surroundings
from stream_world import until

ARN = "arn:aws:sqs:eu-west-1:000000000000:q"
OK = Outcome(status=Status.OK, payload=b"null")


class Sqs:
    """The service: messages that wait, and those that somebody has."""

    def __init__(self, *bodies: str) -> None:
        self.waiting = list(bodies)
        self.held: dict[str, str] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.faults: list[Exception] = []
        self._number = 0

    async def __call__(
        self,
        endpoint: Endpoint,
        service: Service,
        operation: str,
        params: dict[str, Any],
        wait_s: float = 0.0,
    ) -> dict[str, Any]:
        await asyncio.sleep(0)
        self.asked.append((operation, params))
        if self.faults and operation == "ReceiveMessage":
            raise self.faults.pop(0)
        match operation:
            case "GetQueueUrl":
                return {"QueueUrl": f"http://x/{params['QueueName']}"}
            case "GetQueueAttributes":
                return {"Attributes": {"VisibilityTimeout": "7"}}
            case "ReceiveMessage":
                return await self._receive(params)
        for entry in params["Entries"]:
            body = self.held.pop(entry["ReceiptHandle"])
            if operation == "ChangeMessageVisibilityBatch":
                self.waiting.append(body)
        return {"Successful": []}

    async def _receive(self, params: dict[str, Any]) -> dict[str, Any]:
        if not self.waiting:
            await asyncio.sleep(0.005)
        some = self.waiting[: params["MaxNumberOfMessages"]]
        del self.waiting[: len(some)]
        found = []
        for body in some:
            self._number += 1
            handle = f"handle-{self._number}"
            self.held[handle] = body
            attributes = {"k": {"DataType": "Binary", "BinaryValue": "AA=="}}
            found.append(
                {
                    "MessageId": f"id-{self._number}",
                    "ReceiptHandle": handle,
                    "Body": body,
                    "Attributes": {"ApproximateReceiveCount": "1"},
                    "MessageAttributes": attributes,
                }
            )
        return {"Messages": found} if found else {}

    def params(self, operation: str) -> list[dict[str, Any]]:
        return [params for called, params in self.asked if called == operation]


@contextlib.asynccontextmanager
async def fed(
    sqs: Sqs, function: Callable[[list[Any]], Outcome], arn: str = ARN, **settings: Any
) -> AsyncIterator[None]:
    """The trigger at work; leaving stops it as the server would."""

    async def answer(invocation: Invocation) -> Outcome:
        return function(json.loads(invocation.event)["Records"])

    stopping = asyncio.Event()
    url = EndpointTable(url="http://x", access_key_id="i", secret_access_key="s")
    around = surroundings(
        address=Address(),
        invoker=FakeInvoker({"f": answer}),
        endpoints=Endpoints({"sqs": url}, lambda _: b"x", {}),
        calls=sqs,
        stopping=stopping,
    )
    trigger = Trigger("f", "queue", QueueSettings(queue="q", **settings), "", "", arn)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(queue.run(trigger, around))
        try:
            yield
        finally:
            stopping.set()


async def test_what_is_asked_for_and_what_the_function_gets() -> None:
    sqs, got = Sqs("a", "b"), list[Any]()

    def function(records: list[Any]) -> Outcome:
        got.extend(records)
        return OK

    async with fed(sqs, function, batch_size=3):
        await until(lambda: len(sqs.params("DeleteMessageBatch")) == 1)
    assert sqs.params("GetQueueUrl")[0] == {
        "QueueName": "q",
        "QueueOwnerAWSAccountId": "000000000000",
    }
    received = sqs.params("ReceiveMessage")[0]
    assert received["MaxNumberOfMessages"] == 3
    assert received["VisibilityTimeout"] == 7
    assert received["WaitTimeSeconds"] in (19, 20)
    assert [record["body"] for record in got] == ["a", "b"]
    assert got[0]["eventSourceARN"] == ARN
    assert got[0]["awsRegion"] == "eu-west-1"
    assert got[0]["attributes"] == {"ApproximateReceiveCount": "1"}
    assert got[0]["messageAttributes"]["k"]["binaryValue"] == "AA=="
    assert not sqs.held


async def test_what_failed_is_left_alone_and_what_was_refused_is_given_back() -> None:
    sqs, calls = Sqs("bad"), list[str]()

    def function(records: list[Any]) -> Outcome:
        calls.append(records[0]["body"])
        if len(calls) == 1:
            raise TooManyRequests("ConcurrentInvocationLimitExceeded")
        return Outcome(status=Status.ERROR, payload=b"{}")

    async with fed(sqs, function):
        await until(lambda: len(calls) == 2)
    assert calls == ["bad", "bad"]
    assert len(sqs.params("ChangeMessageVisibilityBatch")) == 1
    assert list(sqs.held.values()) == ["bad"]
    assert not sqs.params("DeleteMessageBatch")


@pytest.mark.parametrize("fifo", [False, True])
async def test_what_has_no_room_comes_with_the_next_batch(fifo: bool) -> None:
    large = [str(n) * 1024 * 1024 for n in range(8)]
    sqs, batches = Sqs(*large), list[list[str]]()

    def function(records: list[Any]) -> Outcome:
        batches.append([record["body"][0] for record in records])
        return OK

    async with fed(sqs, function, f"{ARN}.fifo" if fifo else ARN):
        await until(lambda: sum(map(len, batches)) == 8 and not sqs.held)
    assert sorted(text for batch in batches for text in batch) == [str(n) for n in range(8)]
    assert batches[0] == ["0", "1", "2", "3", "4"]
    assert len(sqs.params("ChangeMessageVisibilityBatch")) == fifo


async def test_a_batch_is_waited_for_as_long_as_its_window(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(remote_inbox, "POLLERS", 1)
    monkeypatch.setattr(remote_inbox.RemoteInbox, "pollers", 1)
    sqs, batches = Sqs(*(str(n) for n in range(12))), list[int]()

    def function(records: list[Any]) -> Outcome:
        batches.append(len(records))
        return OK

    async with fed(sqs, function, batch_size=12, window_s=1):
        await until(lambda: batches == [12])
    # No call of SQS takes more than ten.
    assert [len(each["Entries"]) for each in sqs.params("DeleteMessageBatch")] == [10, 2]


async def test_an_outage_is_told_of_once_and_waited_out(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "RETRY_S", 0.005)
    monkeypatch.setattr(remote_inbox.RemoteInbox, "pollers", 1)
    sqs, got = Sqs("a"), list[str]()
    gone = ServiceError("QueueDoesNotExist", "no such queue")
    sqs.faults = [MachineError("no answer"), MachineError("no answer"), gone]

    def function(records: list[Any]) -> Outcome:
        got.extend(record["body"] for record in records)
        return OK

    async with fed(sqs, function):
        await until(lambda: not sqs.held and got == ["a"])
    told = [record.getMessage().rpartition(": ")[2] for record in caplog.records]
    assert told == ["no answer", "no such queue"]
