"""A topic's settings as SNS's attributes, and back."""

from __future__ import annotations

import json

import msgspec

from microfaas.errors import ServiceError
from microfaas.messaging.topics import Topic

TRUE = ("true", "True", "1")
_ACTIONS = (
    *("GetTopicAttributes", "SetTopicAttributes", "AddPermission", "RemovePermission"),
    *("DeleteTopic", "Subscribe", "ListSubscriptionsByTopic", "Publish"),
)


def changed(topic: Topic, name: str, value: str) -> Topic:
    """A topic with one attribute set. Raises ServiceError."""
    match name:
        case "DisplayName":
            return msgspec.structs.replace(topic, display_name=value)
        case "SignatureVersion" if value in ("1", "2"):
            return msgspec.structs.replace(topic, signature_version=value)
        case "FifoTopic" if value not in TRUE:
            return topic
        # Who may do what is a matter of keys here; a policy is told again and means nothing.
        case "Policy" | "DeliveryPolicy" | "TracingConfig":
            told = {key: text for key, text in {**topic.told, name: value}.items() if text}
            return msgspec.structs.replace(topic, told=told)
    raise ServiceError("InvalidParameterException", f"Invalid parameter: Attributes: {name}")


def told(topic: Topic, arn: str, account_id: str) -> dict[str, str]:
    """What is told of a topic, without its subscriptions."""
    return {
        "TopicArn": arn,
        "Owner": account_id,
        "DisplayName": topic.display_name,
        "SignatureVersion": topic.signature_version,
        "Policy": _usual_policy(arn, account_id),
        **topic.told,
    }


def _usual_policy(arn: str, account_id: str) -> str:
    """The one of a topic that was given none, which every topic of SNS has and tools read."""
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [f"SNS:{action}" for action in _ACTIONS],
        "Resource": arn,
        "Condition": {"StringEquals": {"AWS:SourceOwner": account_id}},
    }
    policy = {"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]}
    return json.dumps(policy, separators=(",", ":"))
