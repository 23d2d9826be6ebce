"""SNS's operations over the topics of this machine."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from microfaas.config.events import destination
from microfaas.config.topics import is_email
from microfaas.errors import MicrofaasError, ServiceError
from microfaas.gateway.aws import sns_attributes as attributes_of
from microfaas.gateway.aws import tagging
from microfaas.gateway.aws.service import Caller, Params, Service
from microfaas.messaging import subscriptions as book
from microfaas.messaging import topics
from microfaas.messaging.subscriptions import Subscription
from microfaas.messaging.topics import Topic, Topics
from microfaas.model import Address
from microfaas.store.messages import Batch

PAGE = 100
BATCH_MAX = 10
Attributes = dict[str, tuple[str, str]]


class SnsApi:
    """One coroutine per operation."""

    def __init__(
        self,
        owned: Topics,
        address: Address,
        exists: Callable[[str, str], bool],
        commit: Callable[[Batch], Any],
    ) -> None:
        """`exists` tells whether there is a function ("lambda") or queue ("sqs") of a name."""
        self._topics = owned
        self._address = address
        self._exists = exists
        self._commit = commit

    def service(self) -> Service:
        return Service(
            "sns",
            {
                "CreateTopic": self._create_topic,
                "DeleteTopic": self._delete_topic,
                "ListTopics": self._list_topics,
                "GetTopicAttributes": self._topic_attributes,
                "SetTopicAttributes": self._set_topic_attributes,
                "Publish": self._publish,
                "PublishBatch": self._publish_batch,
                "Subscribe": self._subscribe,
                "ConfirmSubscription": self._confirm,
                "Unsubscribe": self._unsubscribe,
                "ListSubscriptions": self._list_subscriptions,
                "ListSubscriptionsByTopic": self._list_by_topic,
                "GetSubscriptionAttributes": self._subscription_attributes,
                "SetSubscriptionAttributes": self._set_subscription_attributes,
                "TagResource": self._tag,
                "UntagResource": self._untag,
                "ListTagsForResource": self._tags,
            },
        )

    async def _create_topic(self, _: Caller, params: Params) -> Params:
        topic = Topic(name=params["Name"], tags=tagging.read(params.get("Tags", ())))
        for name, value in params.get("Attributes", {}).items():
            topic = attributes_of.changed(topic, name, value)
        return {"TopicArn": self._topics.arn((await self._topics.create(topic)).name)}

    async def _delete_topic(self, _: Caller, params: Params) -> Params:
        await self._topics.delete(params["TopicArn"])
        return {}

    async def _list_topics(self, _: Caller, params: Params) -> Params:
        arns = [self._topics.arn(topic.name) for topic in self._topics.all()]
        page, more = _page(arns, params)
        return {"Topics": [{"TopicArn": arn} for arn in page], "NextToken": more}

    async def _topic_attributes(self, _: Caller, params: Params) -> Params:
        topic = self._topics.get(params["TopicArn"])
        mine = self._topics.subscriptions.of(topic.name)
        pending = sum(each.pending for each in mine)
        attributes = {
            **attributes_of.told(topic, self._topics.arn(topic.name), self._address.account_id),
            "SubscriptionsConfirmed": str(len(mine) - pending),
            "SubscriptionsPending": str(pending),
            "SubscriptionsDeleted": "0",
        }
        return {"Attributes": attributes}

    async def _set_topic_attributes(self, _: Caller, params: Params) -> Params:
        topic = self._topics.get(params["TopicArn"])
        value = params.get("AttributeValue", "")
        await self._topics.change(attributes_of.changed(topic, params["AttributeName"], value))
        return {}

    async def _publish(self, caller: Caller, params: Params) -> Params:
        topic = self._topics.get(_target(params))
        attributes = _attributes(params.get("MessageAttributes", {}))
        subject = params.get("Subject")
        topics.check(params["Message"], subject, attributes)
        message, messages = _texts(params)
        sent = await self._topics.publish(
            topic, message, subject, attributes, messages, caller.trace_id
        )
        return {"MessageId": sent}

    async def _publish_batch(self, caller: Caller, params: Params) -> Params:
        topic = self._topics.get(params["TopicArn"])
        entries = params["PublishBatchRequestEntries"]
        _check_entries(entries)
        batch, successful, failed = Batch(), [], []
        for entry in entries:
            try:
                attributes = _attributes(entry.get("MessageAttributes", {}))
                topics.check(entry["Message"], entry.get("Subject"), attributes)
                message, messages = _texts(entry)
            except ServiceError as error:
                failed.append(_failure(entry["Id"], error))
                continue
            subject = entry.get("Subject")
            sent = self._topics.add(
                batch, topic, message, subject, attributes, messages, caller.trace_id
            )
            successful.append({"Id": entry["Id"], "MessageId": sent})
        await self._commit(batch)
        return {"Successful": successful, "Failed": failed}

    async def _subscribe(self, _: Caller, params: Params) -> Params:
        topic = self._topics.get(params["TopicArn"])
        protocol, endpoint = params["Protocol"], params.get("Endpoint", "")
        if protocol not in book.PROTOCOLS:
            _invalid(
                f"Invalid parameter: Amazon SNS does not support this protocol string: {protocol}"
            )
        if protocol in ("lambda", "sqs"):
            endpoint = self._local(protocol, endpoint)
        elif not _is_remote(protocol, endpoint):
            _invalid("Invalid parameter: Endpoint must match the specified protocol")
        made = Subscription(
            arn=book.new_arn(self._topics.arn(topic.name)),
            topic=topic.name,
            protocol=protocol,
            endpoint=endpoint,
            token=book.new_token() if protocol in book.REMOTE else "",
            pending=protocol in book.REMOTE,
        )
        for name, value in params.get("Attributes", {}).items():
            made = self._changed(made, name, value)
        kept = await self._topics.subscribe(made)
        shown = params.get("ReturnSubscriptionArn") or not kept.pending
        return {"SubscriptionArn": kept.arn if shown else "pending confirmation"}

    async def _confirm(self, _: Caller, params: Params) -> Params:
        confirmed = await self._topics.confirm(params["TopicArn"], params["Token"])
        return {"SubscriptionArn": confirmed.arn}

    async def _unsubscribe(self, _: Caller, params: Params) -> Params:
        found = self._topics.subscriptions.find(params["SubscriptionArn"])
        if found is not None:
            await self._topics.subscriptions.remove(found)
        return {}

    async def _list_subscriptions(self, _: Caller, params: Params) -> Params:
        return self._listed(self._topics.subscriptions.all(), params)

    async def _list_by_topic(self, _: Caller, params: Params) -> Params:
        topic = self._topics.get(params["TopicArn"])
        return self._listed(self._topics.subscriptions.of(topic.name), params)

    async def _subscription_attributes(self, _: Caller, params: Params) -> Params:
        found = self._subscription(params["SubscriptionArn"])
        attributes = {
            "SubscriptionArn": found.arn,
            "TopicArn": self._topics.arn(found.topic),
            "Owner": self._address.account_id,
            "Protocol": found.protocol,
            "Endpoint": self._endpoint(found),
            "RawMessageDelivery": str(found.raw).lower(),
            "PendingConfirmation": str(found.pending).lower(),
            "ConfirmationWasAuthenticated": str(not found.pending).lower(),
            "SubscriptionPrincipal": f"arn:aws:iam::{self._address.account_id}:root",
        }
        if found.policy:
            attributes |= {"FilterPolicy": found.policy, "FilterPolicyScope": found.scope}
        if found.dead_letter:
            arn = self._queue_arn(found.dead_letter)
            attributes["RedrivePolicy"] = json.dumps({"deadLetterTargetArn": arn})
        return {"Attributes": attributes}

    async def _set_subscription_attributes(self, _: Caller, params: Params) -> Params:
        found = self._subscription(params["SubscriptionArn"])
        value = params.get("AttributeValue", "")
        changed = self._changed(found, params["AttributeName"], value)
        await self._topics.subscriptions.change(changed)
        return {}

    async def _tag(self, _: Caller, params: Params) -> Params:
        topic = self._topics.get(params["ResourceArn"])
        tags = {**topic.tags, **tagging.read(params["Tags"])}
        await self._topics.change(msgspec.structs.replace(topic, tags=tags))
        return {}

    async def _untag(self, _: Caller, params: Params) -> Params:
        topic = self._topics.get(params["ResourceArn"])
        tags = tagging.without(topic.tags, params["TagKeys"])
        await self._topics.change(msgspec.structs.replace(topic, tags=tags))
        return {}

    async def _tags(self, _: Caller, params: Params) -> Params:
        return {"Tags": tagging.rows(self._topics.get(params["ResourceArn"]).tags)}

    def _changed(self, made: Subscription, name: str, value: str) -> Subscription:
        """A subscription with one attribute set as SNS's API has it."""
        match name:
            case "RawMessageDelivery":
                return msgspec.structs.replace(made, raw=value in attributes_of.TRUE)
            case "FilterPolicy":
                # An empty one is how a policy is taken away.
                policy = "" if "".join(value.split()) == "{}" else value
                return msgspec.structs.replace(made, policy=policy)
            case "FilterPolicyScope" if value in ("MessageAttributes", "MessageBody"):
                return msgspec.structs.replace(made, scope=value)
            case "RedrivePolicy":
                return msgspec.structs.replace(made, dead_letter=self._redrive(value))
        raise ServiceError("InvalidParameterException", f"Invalid parameter: AttributeName: {name}")

    def _redrive(self, value: str) -> str:
        try:
            arn = str(json.loads(value)["deadLetterTargetArn"]) if value else ""
        except (ValueError, TypeError, KeyError, RecursionError):
            _invalid("Invalid parameter: RedrivePolicy: must be JSON with deadLetterTargetArn")
        return self._local("sqs", arn) if arn else ""

    def _local(self, protocol: str, endpoint: str) -> str:
        """The name of a function or queue of this machine, from its ARN; with a function's its
        qualifier. Raises ServiceError."""
        arn = endpoint.startswith("arn:")
        parts = endpoint.split(":")
        name = ":".join(parts[6:]) if arn and protocol == "lambda" else parts[-1]
        if (arn and parts[2] != protocol) or not self._exists(protocol, name.partition(":")[0]):
            what = "function" if protocol == "lambda" else "queue"
            _invalid(f"Invalid parameter: Endpoint: there is no {what} {endpoint}")
        return name

    def _subscription(self, arn: str) -> Subscription:
        found = self._topics.subscriptions.find(arn)
        if found is None:
            raise ServiceError("NotFoundException", "Subscription does not exist")
        return found

    def _listed(self, all_: Iterable[Subscription], params: Params) -> Params:
        page, more = _page(sorted(all_, key=lambda each: each.arn), params)
        rows = [
            {
                "SubscriptionArn": "PendingConfirmation" if each.pending else each.arn,
                "Owner": self._address.account_id,
                "Protocol": each.protocol,
                "Endpoint": self._endpoint(each),
                "TopicArn": self._topics.arn(each.topic),
            }
            for each in page
        ]
        return {"Subscriptions": rows, "NextToken": more}

    def _endpoint(self, subscription: Subscription) -> str:
        if subscription.protocol == "lambda":
            return self._address.arn(subscription.endpoint)
        if subscription.protocol == "sqs":
            return self._queue_arn(subscription.endpoint)
        return subscription.endpoint

    def _queue_arn(self, name: str) -> str:
        return f"arn:aws:sqs:{self._address.region}:{self._address.account_id}:{name}"


def _invalid(text: str) -> None:
    raise ServiceError("InvalidParameterException", text)


def _is_remote(protocol: str, endpoint: str) -> bool:
    """Whether it is a URL or an address, as the protocol has it."""
    if protocol in ("http", "https"):
        return endpoint.startswith(f"{protocol}://") and destination(endpoint, "/") is not None
    return is_email(endpoint)


def _target(params: Params) -> str:
    if "PhoneNumber" in params:
        _invalid("Invalid parameter: PhoneNumber: microfaas sends no SMS")
    arn: str = params.get("TopicArn") or params.get("TargetArn") or ""
    if not arn:
        _invalid("Invalid parameter: TopicArn or TargetArn Reason: no value for required parameter")
    return arn


def _texts(params: Params) -> tuple[str, Mapping[str, str]]:
    """The message, and other texts for some protocols."""
    message = params["Message"]
    if params.get("MessageStructure") != "json":
        return message, {}
    try:
        messages = json.loads(message)
        default = messages["default"]
        texts = {key: text for key, text in messages.items() if isinstance(text, str)}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise ServiceError(
            "InvalidParameterException",
            "Invalid parameter: Message Structure - No default entry in JSON message body",
        ) from None
    return str(default), texts


def _attributes(table: Mapping[str, Mapping[str, Any]]) -> Attributes:
    made: Attributes = {}
    for name, value in table.items():
        kind = value["DataType"]
        if not kind.startswith(("String", "Number", "Binary")):
            raise ServiceError(
                "InvalidParameterValueException",
                f"The message attribute '{name}' has an invalid message attribute type, the set "
                "of supported type prefixes is Binary, Number, and String.",
            )
        if "BinaryValue" in value:
            made[name] = (kind, base64.b64encode(value["BinaryValue"]).decode())
        elif value.get("StringValue"):
            made[name] = (kind, value["StringValue"])
        else:
            raise ServiceError(
                "InvalidParameterValueException",
                f"The message attribute '{name}' must contain non-empty message attribute value "
                f"for message attribute type '{kind}'.",
            )
    return made


def _check_entries(entries: list[dict[str, Any]]) -> None:
    ids = [entry["Id"] for entry in entries]
    if not ids:
        raise ServiceError("EmptyBatchRequestException", "The batch request has no entries.")
    if len(ids) > BATCH_MAX:
        text = f"The batch request contains more entries than permissible: {BATCH_MAX}"
        raise ServiceError("TooManyEntriesInBatchRequestException", text)
    if len(set(ids)) < len(ids):
        text = "Two or more batch entries in the request have the same Id"
        raise ServiceError("BatchEntryIdsNotDistinctException", text)
    if sum(len(entry["Message"].encode()) for entry in entries) > topics.MESSAGE_BYTES_MAX:
        text = f"The length of all the messages put together is over {topics.MESSAGE_BYTES_MAX}."
        raise ServiceError("BatchRequestTooLongException", text)


def _failure(entry_id: str, error: MicrofaasError) -> dict[str, Any]:
    kind = error.kind if isinstance(error, ServiceError) else "InternalError"
    code = kind.removesuffix("Exception")
    return {"Id": entry_id, "Code": code, "Message": str(error), "SenderFault": True}


def _page(rows: list[Any], params: Params) -> tuple[list[Any], str | None]:
    token = params.get("NextToken") or "0"
    if not token.isdecimal():
        _invalid("Invalid parameter: NextToken")
    start = int(token[:18])
    end = start + PAGE
    return rows[start:end], str(end) if end < len(rows) else None
