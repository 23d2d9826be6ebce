"""Topics at a gateway, and who is subscribed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from xml.etree.ElementTree import Element

from microfaas.cli.deployment.aliases import permit
from microfaas.cli.deployment.changes import Change, Changes, differing
from microfaas.cli.deployment.wanted import arn
from microfaas.config.topic_tables import TopicTable
from microfaas.config.topics import Declared
from microfaas.model import Address, Destination

_VERSION = "2010-03-31"


def topics(changes: Changes, tables: Mapping[str, TopicTable], address: Address) -> None:
    """Create the topics, or set what differs. Raises ClientError."""
    for name, table in tables.items():
        topic = arn(address, Destination("topic", name))
        wanted = {"DisplayName": table.display_name, "SignatureVersion": table.signature_version}
        there = _attributes(changes, "GetTopicAttributes", TopicArn=topic)
        if there is None:
            _create(changes, "CreateTopic", Change("topic", name, "created"), wanted, Name=name)
        elif changed := differing(wanted, {"DisplayName": "", "SignatureVersion": "1", **there}):
            change = Change("topic", name, "changed", ", ".join(changed))
            _set(changes, "SetTopicAttributes", change, changed, TopicArn=topic)


def subscriptions(changes: Changes, declared: Iterable[Declared], address: Address) -> None:
    """Subscribe whoever is not subscribed, or set what differs. Raises ClientError."""
    for each in declared:
        topic = arn(address, Destination("topic", each.topic))
        if each.protocol == "lambda":
            permit(changes, each.endpoint, _permission(each.topic, topic))
        _subscribe(changes, each, topic, address)


def _subscribe(changes: Changes, declared: Declared, topic: str, address: Address) -> None:
    endpoint, wanted = _endpoint(declared, address), _wanted(declared, address)
    rows = changes.found(
        lambda: _rows(_ask(changes, "ListSubscriptionsByTopic", TopicArn=topic), "member")
    )
    ids = [row["SubscriptionArn"] for row in rows or () if row.get("Endpoint") == endpoint]
    if not ids:
        change = Change("subscription", declared.topic, "created", endpoint)
        fields = {"TopicArn": topic, "Protocol": declared.protocol, "Endpoint": endpoint}
        _create(changes, "Subscribe", change, wanted, **fields)
        return
    there = _attributes(changes, "GetSubscriptionAttributes", SubscriptionArn=ids[0])
    if there is not None and (changed := differing(_parsed(wanted), _parsed(there))):
        change = Change("subscription", declared.topic, "changed", ", ".join(changed))
        told = {key: wanted[key] for key in changed}
        _set(changes, "SetSubscriptionAttributes", change, told, SubscriptionArn=ids[0])


def _permission(name: str, topic: str) -> dict[str, str]:
    return {
        "StatementId": f"topic-{name}",
        "Action": "lambda:InvokeFunction",
        "Principal": "sns.amazonaws.com",
        "SourceArn": topic,
    }


def _endpoint(declared: Declared, address: Address) -> str:
    if declared.protocol == "sqs":
        return arn(address, Destination("queue", declared.endpoint))
    return address.arn(declared.endpoint) if declared.protocol == "lambda" else declared.endpoint


def _wanted(declared: Declared, address: Address) -> dict[str, str]:
    made = {"RawMessageDelivery": "true"} if declared.raw else {}
    if declared.policy:
        made |= {"FilterPolicy": declared.policy, "FilterPolicyScope": declared.scope}
    if declared.dead_letter:
        target = arn(address, Destination("queue", declared.dead_letter))
        made["RedrivePolicy"] = json.dumps({"deadLetterTargetArn": target})
    return made


def _parsed(attributes: Mapping[str, str]) -> dict[str, object]:
    """Attributes to compare: what is JSON, by what it says."""
    return {
        key: json.loads(value) if key in ("FilterPolicy", "RedrivePolicy") else value
        for key, value in attributes.items()
    }


def _create(
    changes: Changes, action: str, change: Change, attributes: Mapping[str, str], **fields: str
) -> None:
    for number, (key, value) in enumerate(attributes.items(), 1):
        fields[f"Attributes.entry.{number}.key"] = key
        fields[f"Attributes.entry.{number}.value"] = value
    changes.make(change, lambda: _ask(changes, action, **fields))


def _set(
    changes: Changes, action: str, change: Change, attributes: Mapping[str, str], **fields: str
) -> None:
    """Set attributes, which goes one by one."""

    def change_all() -> None:
        for key, value in attributes.items():
            _ask(changes, action, AttributeName=key, AttributeValue=value, **fields)

    changes.make(change, change_all)


def _attributes(changes: Changes, action: str, **fields: str) -> dict[str, str] | None:
    document = changes.found(lambda: _ask(changes, action, **fields))
    if document is None:
        return None
    return {row["key"]: row.get("value", "") for row in _rows(document, "entry")}


def _ask(changes: Changes, action: str, **fields: str) -> Element:
    return changes.client.form(action, _VERSION, **fields)


def _rows(document: Element, tag: str) -> list[dict[str, str]]:
    """The elements of that name, each as its children's texts by their names."""
    return [
        {_bare(child): child.text or "" for child in element}
        for element in document.iter()
        if _bare(element) == tag
    ]


def _bare(element: Element) -> str:
    return element.tag.rpartition("}")[2]
