"""SQS's operations over the queues of this machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from microfaas.errors import ServiceError
from microfaas.gateway.aws import sqs_attributes as attributes_of
from microfaas.gateway.aws import sqs_messages as forms
from microfaas.gateway.aws import tagging
from microfaas.gateway.aws.service import Call, Caller, Params, Service, in_turn
from microfaas.messaging.directory import Queue
from microfaas.messaging.moves import RATE_MAX, Move, Moves
from microfaas.messaging.queues import (
    RECEIVE_WAIT_S_MAX,
    VISIBILITY_S_MAX,
    Change,
    Queues,
)
from microfaas.messaging.sending import size_of
from microfaas.model import MIB
from microfaas.payloads import sqs

PAGE = 1000
TAGS_MAX = 50
Results = list[tuple[str, ServiceError | dict[str, Any]]]


class SqsApi:
    """One coroutine per operation."""

    def __init__(self, queues: Queues, moves: Moves) -> None:
        self._queues = queues
        self._moves = moves

    def service(self) -> Service:
        changing: Mapping[str, Call] = {
            "CreateQueue": self._create,
            "SetQueueAttributes": self._set_attributes,
            "TagQueue": self._tag,
            "UntagQueue": self._untag,
        }
        calls: Mapping[str, Call] = {
            "DeleteQueue": self._delete,
            "ListQueues": self._list,
            "GetQueueUrl": self._url,
            "GetQueueAttributes": self._attributes,
            "SendMessage": self._send,
            "SendMessageBatch": self._send_batch,
            "ReceiveMessage": self._receive,
            "DeleteMessage": self._delete_message,
            "DeleteMessageBatch": self._delete_batch,
            "ChangeMessageVisibility": self._change,
            "ChangeMessageVisibilityBatch": self._change_batch,
            "PurgeQueue": self._purge,
            "ListDeadLetterSourceQueues": self._sources,
            "StartMessageMoveTask": self._start_move,
            "ListMessageMoveTasks": self._list_moves,
            "CancelMessageMoveTask": self._cancel_move,
            "ListQueueTags": self._tags,
        }
        return Service("sqs", {**in_turn(changing), **calls})

    def _queue(self, params: Params) -> Queue:
        return self._queues.directory.get(_name(params["QueueUrl"]))

    def _url_of(self, caller: Caller, name: str) -> str:
        return f"{caller.base_url}/{self._queues.address.account_id}/{name}"

    async def _create(self, caller: Caller, params: Params) -> Params:
        name, given = params["QueueName"], params.get("Attributes", {})
        definition = attributes_of.new(name, given, params.get("tags", {}))
        if name in self._queues.directory:
            old = self._queues.directory.get(name).settings
            if other := attributes_of.differs(old, definition.settings, given):
                text = (
                    "A queue already exists with the same name and a different value for "
                    f"attribute {other}"
                )
                raise ServiceError("QueueNameExists", text)
        else:
            await self._queues.create(name, definition)
        return {"QueueUrl": self._url_of(caller, name)}

    async def _delete(self, _: Caller, params: Params) -> Params:
        await self._queues.delete(_name(params["QueueUrl"]))
        return {}

    async def _list(self, caller: Caller, params: Params) -> Params:
        prefix = params.get("QueueNamePrefix", "")
        names = [q.name for q in self._queues.directory.all() if q.name.startswith(prefix)]
        page, token = _paged(names, params)
        return {"QueueUrls": [self._url_of(caller, n) for n in page] or None, "NextToken": token}

    async def _url(self, caller: Caller, params: Params) -> Params:
        queue = self._queues.directory.get(params["QueueName"])
        return {"QueueUrl": self._url_of(caller, queue.name)}

    async def _attributes(self, _: Caller, params: Params) -> Params:
        queue = self._queue(params)
        wanted = params.get("AttributeNames", [])
        known = attributes_of.told(self._queues, queue, self._queues.address)
        for name in wanted:
            if name != "All" and name not in known and name not in attributes_of.OPTIONAL:
                raise attributes_of.unknown(name)
        found = {k: v for k, v in known.items() if "All" in wanted or k in wanted}
        return {"Attributes": found or None}

    async def _set_attributes(self, _: Caller, params: Params) -> Params:
        queue = self._queue(params)
        definition = attributes_of.changed(queue.name, queue.definition, params["Attributes"])
        await self._queues.directory.change(queue, definition)
        return {}

    async def _send(self, caller: Caller, params: Params) -> Params:
        outgoing = forms.outgoing(caller, params)
        (sent,) = await self._queues.send(self._queue(params).name, [outgoing])
        if isinstance(sent, ServiceError):
            raise sent
        return forms.sent(self._queue(params), outgoing, sent, params)

    async def _send_batch(self, caller: Caller, params: Params) -> Params:
        queue, entries = self._queue(params), forms.entries(params)
        outgoing = [forms.outgoing(caller, entry) for entry in entries]
        size = sum(map(size_of, outgoing))
        if size > MIB:
            text = f"Batch requests cannot be longer than {MIB} bytes. You have sent {size} bytes."
            raise ServiceError("BatchRequestTooLong", text)
        results = await self._queues.send(queue.name, outgoing)
        rows = zip(entries, outgoing, results, strict=True)
        return forms.batched(
            (
                entry["Id"],
                one if isinstance(one, ServiceError) else forms.sent(queue, message, one, entry),
            )
            for entry, message, one in rows
        )

    async def _receive(self, _: Caller, params: Params) -> Params:
        queue = self._queue(params)
        count = _ranged(params, "MaxNumberOfMessages", 1, forms.BATCH_MAX)
        visibility_s = _ranged(params, "VisibilityTimeout", 0, VISIBILITY_S_MAX)
        wait_s = _ranged(params, "WaitTimeSeconds", 0, RECEIVE_WAIT_S_MAX)
        received = await self._queues.receive(
            queue.name, count or 1, visibility_s=visibility_s, wait_s=wait_s
        )
        system = [
            *params.get("AttributeNames", []),
            *params.get("MessageSystemAttributeNames", []),
        ]
        names = params.get("MessageAttributeNames", [])
        return {"Messages": [forms.message(one, system, names) for one in received] or None}

    async def _delete_message(self, _: Caller, params: Params) -> Params:
        return await self._settle_one(params, "remove")

    async def _change(self, _: Caller, params: Params) -> Params:
        return await self._settle_one(params, _visibility(params))

    async def _settle_one(self, params: Params, change: Change) -> Params:
        name = self._queue(params).name
        (error,) = await self._queues.settle(name, [(params["ReceiptHandle"], change)])
        if error is not None:
            raise error
        return {}

    async def _delete_batch(self, _: Caller, params: Params) -> Params:
        entries = forms.entries(params)
        return await self._settle_batch(params, [(entry, "remove") for entry in entries], {})

    async def _change_batch(self, _: Caller, params: Params) -> Params:
        entries = forms.entries(params)
        good: list[tuple[Params, Change]] = []
        wrong: dict[str, ServiceError] = {}
        for entry in entries:
            try:
                good.append((entry, _visibility(entry)))
            except ServiceError as error:
                wrong[entry["Id"]] = error
        return await self._settle_batch(params, good, wrong)

    async def _settle_batch(
        self,
        params: Params,
        changes: Sequence[tuple[Params, Change]],
        wrong: Mapping[str, ServiceError],
    ) -> Params:
        name = self._queue(params).name
        asked = [(entry["ReceiptHandle"], change) for entry, change in changes]
        errors = await self._queues.settle(name, asked)
        rows: Results = list(wrong.items())
        for (entry, _), error in zip(changes, errors, strict=True):
            rows.append((entry["Id"], {} if error is None else error))
        return forms.batched(rows)

    async def _purge(self, _: Caller, params: Params) -> Params:
        await self._queues.purge(self._queue(params).name)
        return {}

    async def _sources(self, caller: Caller, params: Params) -> Params:
        target = self._queue(params).name
        names = [
            queue.name
            for queue in self._queues.directory.all()
            if queue.settings.dead_letter_queue == target
        ]
        page, token = _paged(names, params)
        return {"queueUrls": [self._url_of(caller, name) for name in page], "NextToken": token}

    async def _start_move(self, _: Caller, params: Params) -> Params:
        rate = _ranged(params, "MaxNumberOfMessagesPerSecond", 1, RATE_MAX)
        source = attributes_of.name_of(params["SourceArn"])
        if source not in self._queues.directory:
            text = "The resource that you specified for the SourceArn parameter doesn't exist."
            raise ServiceError("ResourceNotFoundException", text)
        target = attributes_of.name_of(params.get("DestinationArn", ""))
        return {"TaskHandle": (await self._moves.start(source, target, rate)).id}

    async def _list_moves(self, _: Caller, params: Params) -> Params:
        count = _ranged(params, "MaxResults", 1, forms.BATCH_MAX) or 1
        source = attributes_of.name_of(params["SourceArn"])
        self._queues.directory.get(source)
        return {"Results": [self._told(move) for move in self._moves.of(source)[:count]]}

    async def _cancel_move(self, _: Caller, params: Params) -> Params:
        move = await self._moves.cancel(params["TaskHandle"])
        return {"ApproximateNumberOfMessagesMoved": move.moved}

    def _told(self, move: Move) -> Params:
        address = self._queues.address
        return {
            "TaskHandle": move.id if move.status == "RUNNING" else None,
            "Status": move.status,
            "SourceArn": sqs.arn(address, move.source),
            "DestinationArn": sqs.arn(address, move.target) if move.target else None,
            "MaxNumberOfMessagesPerSecond": move.rate,
            "ApproximateNumberOfMessagesMoved": move.moved,
            "ApproximateNumberOfMessagesToMove": move.total,
            "FailureReason": move.failure or None,
            "StartedTimestamp": move.started_ms,
        }

    async def _tag(self, _: Caller, params: Params) -> Params:
        queue = self._queue(params)
        tags = {**queue.definition.tags, **params["Tags"]}
        if len(tags) > TAGS_MAX:
            raise ServiceError("InvalidParameterValue", f"Too many tags: at most {TAGS_MAX}.")
        return await self._set_tags(queue, tags)

    async def _untag(self, _: Caller, params: Params) -> Params:
        queue = self._queue(params)
        return await self._set_tags(
            queue, tagging.without(queue.definition.tags, params["TagKeys"])
        )

    async def _set_tags(self, queue: Queue, tags: dict[str, str]) -> Params:
        definition = msgspec.structs.replace(queue.definition, tags=tags)
        await self._queues.directory.change(queue, definition)
        return {}

    async def _tags(self, _: Caller, params: Params) -> Params:
        return {"Tags": self._queue(params).definition.tags or None}


def _name(url: str) -> str:
    """Clients give the URL; its last part is the name."""
    return url.rstrip("/").rpartition("/")[2]


def _ranged(params: Params, name: str, least: int, most: int) -> int | None:
    value: int | None = params.get(name)
    if value is not None and not least <= value <= most:
        raise ServiceError(
            "InvalidParameterValue",
            f"Value {value} for parameter {name} is invalid. Reason: Must be between {least} and "
            f"{most}, if provided.",
        )
    return value


def _visibility(params: Params) -> int:
    value = _ranged(params, "VisibilityTimeout", 0, VISIBILITY_S_MAX)
    if value is None:
        text = "The request must contain the parameter VisibilityTimeout."
        raise ServiceError("MissingParameter", text)
    return value


def _paged(names: Sequence[str], params: Params) -> tuple[Sequence[str], str | None]:
    """A page of sorted names; the token is the last name of the one before."""
    count = _ranged(params, "MaxResults", 1, PAGE)
    after = params.get("NextToken", "")
    left = [name for name in names if name > after]
    if len(left) <= (count or PAGE):
        return left, None
    page = left[: count or PAGE]
    return page, page[-1] if count else None
