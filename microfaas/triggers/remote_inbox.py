"""A queue of SQS elsewhere, or of what speaks as SQS does.

A receive is given up when the trigger stops: what it may have been given comes back when its time
is over. What was given back, as the function was busy, has been received once more; SQS counts.
"""

from __future__ import annotations

import asyncio
import base64
import math
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from microfaas.errors import MachineError, ServiceError
from microfaas.payloads import sqs
from microfaas.payloads.sqs import MessageAttributes
from microfaas.remote.calls import SQS
from microfaas.remote.endpoints import Endpoint
from microfaas.triggers.inbox import Hidden, Room
from microfaas.triggers.kind import Surroundings

# SQS's, of one call.
MESSAGES_MAX = 10
WAIT_S_MAX = 20
# As many as Lambda begins with.
POLLERS = 5


class Incoming(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """A message as SQS gives it."""

    message_id: str
    receipt_handle: str
    body: str = ""
    attributes: dict[str, str] = {}
    message_attributes: dict[str, dict[str, Any]] = {}

    @property
    def id(self) -> str:
        return self.message_id


class RemoteInbox:
    """One queue. What has no room in a batch waits here for the next one."""

    pollers = POLLERS

    def __init__(self, arn: str, around: Surroundings) -> None:
        self._arn = arn
        self._around = around
        self._fifo = arn.endswith(".fifo")
        self._left: list[Incoming] = []
        self._url = ""
        self._queue_s = 0

    async def open(self) -> Endpoint:
        """Find it. Raises ServiceError when it is not there, and MachineError."""
        endpoint = self._endpoint()
        _, _, _, _, account, name = self._arn.split(":")
        asked = {"QueueName": name, "QueueOwnerAWSAccountId": account}
        url = await self._call(endpoint, "GetQueueUrl", asked)
        told = await self._call(
            endpoint,
            "GetQueueAttributes",
            {"QueueUrl": url["QueueUrl"], "AttributeNames": ["VisibilityTimeout"]},
        )
        self._queue_s = int(told.get("Attributes", {}).get("VisibilityTimeout", 0))
        self._url = url["QueueUrl"]
        return endpoint

    @property
    def visibility_s(self) -> int:
        """The queue's own visibility timeout, once it was found."""
        return self._queue_s

    async def receive(
        self, room: Room, count: int, wait_s: float, hidden: Hidden
    ) -> list[Incoming]:
        end_s = time.monotonic() + wait_s
        while not self._left:
            left_s = max(0.0, end_s - time.monotonic())
            # Others may have taken or put meanwhile what was there before.
            more = await self._poll(count, min(left_s, WAIT_S_MAX), hidden)
            self._left.extend(more)
            if left_s < WAIT_S_MAX or self._around.stopping.is_set():
                break
        taken: list[Incoming] = []
        while self._left and len(taken) < count:
            attributes_bytes = len(msgspec.json.encode(self._left[0].message_attributes))
            if not room.take(self._left[0].body.encode(), attributes_bytes):
                break
            taken.append(self._left.pop(0))
        if self._left and self._fifo:
            # They must not run beside those before them: SQS holds them back, as they are a group.
            left, self._left = self._left, []
            await self.give_back(left, 0)
        return taken

    def record(self, message: Incoming) -> dict[str, object]:
        return sqs.record(
            message_id=message.message_id,
            receipt_handle=message.receipt_handle,
            body=message.body.encode(),
            system=message.attributes,
            attributes=_attributes(message),
            queue_arn=self._arn,
            region=self._arn.split(":")[3],
        )

    async def remove(self, batch: Sequence[Incoming]) -> None:
        await self._change("DeleteMessageBatch", batch, {})

    async def give_back(self, batch: Sequence[Incoming], delay_s: float) -> None:
        hidden = {"VisibilityTimeout": math.ceil(delay_s)}
        await self._change("ChangeMessageVisibilityBatch", batch, hidden)

    def wake(self) -> None:
        """Polls watch for themselves whether they should stop."""

    async def _poll(self, count: int, wait_s: float, hidden: Hidden) -> list[Incoming]:
        endpoint = self._endpoint() if self._url else await self.open()
        seconds = math.floor(wait_s)
        params = {
            "QueueUrl": self._url,
            "MaxNumberOfMessages": min(count, MESSAGES_MAX),
            "VisibilityTimeout": hidden.of(self._queue_s),
            "WaitTimeSeconds": seconds,
            "AttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        }
        polling = asyncio.ensure_future(self._call(endpoint, "ReceiveMessage", params, seconds))
        stopping = asyncio.ensure_future(self._around.stopping.wait())
        try:
            await asyncio.wait([polling, stopping], return_when=asyncio.FIRST_COMPLETED)
            answer = await polling if polling.done() else {}
        finally:
            polling.cancel()
            stopping.cancel()
        return msgspec.convert(answer.get("Messages") or [], list[Incoming])

    async def _change(
        self, operation: str, batch: Sequence[Incoming], more: dict[str, Any]
    ) -> None:
        """The same with all of them. Raises MachineError for those it was not done with."""
        endpoint = self._endpoint()
        failed: list[dict[str, Any]] = []
        for first in range(0, len(batch), MESSAGES_MAX):
            some = batch[first : first + MESSAGES_MAX]
            entries = [
                {"Id": str(place), "ReceiptHandle": each.receipt_handle, **more}
                for place, each in enumerate(some)
            ]
            asked = {"QueueUrl": self._url, "Entries": entries}
            answer = await self._call(endpoint, operation, asked)
            failed += [each for each in answer.get("Failed") or [] if not each.get("SenderFault")]
        if failed:
            text = f"cannot {operation} {len(failed)} messages of {self._arn}"
            raise MachineError(f"{text}: {failed[0].get('Message', failed[0].get('Code'))}")

    async def _call(
        self, endpoint: Endpoint, operation: str, params: dict[str, Any], wait_s: float = 0.0
    ) -> dict[str, Any]:
        return await self._around.calls(endpoint, SQS, operation, params, wait_s)

    def _endpoint(self) -> Endpoint:
        endpoint = self._around.endpoints.find(self._arn)
        if endpoint is None:
            text = f"no endpoint is said for {self._arn} in [endpoints]"
            raise ServiceError("QueueDoesNotExist", text)
        return endpoint


def _attributes(message: Incoming) -> MessageAttributes:
    made: dict[str, tuple[str, str | bytes]] = {}
    for name, each in message.message_attributes.items():
        binary = each.get("BinaryValue")
        value = base64.b64decode(binary) if binary is not None else each.get("StringValue", "")
        made[name] = each["DataType"], value
    return made
