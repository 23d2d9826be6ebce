"""Which scopes let a key call which operation, and of which resources. Pure.

Sending and receiving are permitted by name (`send:orders`), where the name is a queue's, topic's,
stream's, event bus's or log group's; the rest is `read` or `admin`. A function's name or an ARN
says there which resource is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple, get_args

from microfaas.gateway import names
from microfaas.scopes import Action

Names = Callable[[dict[str, Any]], Iterable[str]]


def _none(_: dict[str, Any]) -> Iterable[str]:
    return ()


class Permission(NamedTuple):
    """Any of the actions suffices. Without a name, any scope of the action does, and the service
    asks for itself. `open`: nobody who shows no key is turned away."""

    actions: tuple[Action, ...]
    names: Names = _none
    open: bool = False


def _last(key: str, separator: str) -> Names:
    def last(params: dict[str, Any]) -> Iterable[str]:
        return (str(params[key]).rstrip("/").rpartition(separator)[2],) if key in params else ()

    return last


def _topic(params: dict[str, Any]) -> Iterable[str]:
    given = [params[key] for key in ("TopicArn", "TargetArn", "PhoneNumber") if key in params]
    return [arn.rpartition(":")[2] for arn in given]


def _stream(params: dict[str, Any]) -> Iterable[str]:
    """All that are named: whichever the service goes by, it is permitted."""
    given = [params[key] for key in ("StreamARN", "StreamName") if key in params]
    return [text.rpartition("/")[2] for text in given]


def _buses(params: dict[str, Any]) -> Iterable[str]:
    buses = {entry.get("EventBusName", "default") for entry in params.get("Entries", ())}
    return sorted(bus.rpartition("event-bus/")[2] for bus in buses)


def _group(params: dict[str, Any]) -> Iterable[str]:
    return (params["logGroupName"],) if "logGroupName" in params else ()


def _function(params: dict[str, Any]) -> Iterable[str]:
    """A function by its bare name, whatever its qualifier; what Lambda has else, by its ARN."""
    if "FunctionName" in params:
        return (names.bare(params["FunctionName"]),)
    given = (params.get(key, "") for key in ("Resource", "CodeSigningConfigArn", "LayerName"))
    return [arn for arn in given if arn.startswith("arn:")]


_OWN_NAMES: Mapping[str, Names] = MappingProxyType({"lambda": _function})

_READ = Permission(("read",))
_queue = _last("QueueUrl", "/")
_SEND_QUEUE = Permission(("send",), _queue)
_RECEIVE_QUEUE = Permission(("receive",), _queue)
_SEND_TOPIC = Permission(("send",), _topic)
_SEND_STREAM = Permission(("send",), _stream)
_RECEIVE_STREAM = Permission(("receive",), _stream)
# Who reads a stream must know what shards it has.
_LOOK_AT_STREAM = Permission(("read", "receive"), _stream)
ANYBODY = Permission(get_args(Action))  # whose key it is does not matter
_SEND_LOG = Permission(("send",), _group)
# A link in a message confirms; what it carries is the proof.
_LINK = Permission(("admin",), open=True)

_TABLE: Mapping[str, Mapping[str, Permission]] = {
    "sqs": {
        "SendMessage": _SEND_QUEUE,
        "SendMessageBatch": _SEND_QUEUE,
        "ReceiveMessage": _RECEIVE_QUEUE,
        "DeleteMessage": _RECEIVE_QUEUE,
        "DeleteMessageBatch": _RECEIVE_QUEUE,
        "ChangeMessageVisibility": _RECEIVE_QUEUE,
        "ChangeMessageVisibilityBatch": _RECEIVE_QUEUE,
        # Clients ask for the URL before they send or receive.
        "GetQueueUrl": Permission(("read", "send", "receive"), _last("QueueName", "/")),
        "GetQueueAttributes": Permission(("read", "receive"), _queue),
    },
    "sns": {
        "Publish": _SEND_TOPIC,
        "PublishBatch": _SEND_TOPIC,
        "ConfirmSubscription": _LINK,
        "Unsubscribe": _LINK,
    },
    "kinesis": {
        "PutRecord": _SEND_STREAM,
        "PutRecords": _SEND_STREAM,
        "GetShardIterator": _RECEIVE_STREAM,
        "GetRecords": _RECEIVE_STREAM,
        "ListShards": _LOOK_AT_STREAM,
        "DescribeStream": _LOOK_AT_STREAM,
        "DescribeStreamSummary": _LOOK_AT_STREAM,
    },
    "events": {"PutEvents": Permission(("send",), _buses), "TestEventPattern": _READ},
    "logs": {
        # Whoever puts events into a group has a stream of his own in it.
        "CreateLogStream": _SEND_LOG,
        "PutLogEvents": _SEND_LOG,
        "FilterLogEvents": _READ,
        "StartLiveTail": _READ,
    },
    "sts": {"GetCallerIdentity": ANYBODY},
}


def of(service: str, operation: str) -> Permission:
    """What an operation asks for: `read` where its name says that it only looks, else `admin`."""
    found = _TABLE.get(service, {}).get(operation)
    if found is not None:
        return found
    looks = operation.startswith(("List", "Get", "Describe"))
    return Permission(("read" if looks else "admin",), _OWN_NAMES.get(service, _none))
