"""AWS SAM and CloudFormation templates, as far as what they ask for can be had here.

`load` reads one, resolves it, has the SAM transform done, and maps what comes out to a `Stack`.
Whatever cannot be had is named with its line, all at once, before anything is made.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from microfaas.errors import ConfigError, Problem
from microfaas.model import Address
from microfaas.templates import (
    document,
    functions,
    happenings,
    messaging,
    parameters,
    routes,
    sam,
    support,
)
from microfaas.templates.document import Document, Path
from microfaas.templates.intrinsics import NOTHING, PENDING, Resolver
from microfaas.templates.mapping import Resource, Scene
from microfaas.templates.references import References
from microfaas.templates.stack import Stack

__all__ = ["Stack", "is_template", "load"]

_SUFFIXES = (".yaml", ".yml", ".json", ".template")
Mapper = Callable[[Scene, Resource], None]

# In this order: what others name comes before them.
_MAPPERS: Mapping[str, Mapper] = MappingProxyType(
    {
        "AWS::Lambda::LayerVersion": functions.layer,
        "AWS::Lambda::Function": functions.function,
        "AWS::Lambda::EventInvokeConfig": functions.event_settings,
        "AWS::Lambda::Alias": functions.alias,
        "AWS::Lambda::Url": functions.url,
        "AWS::Lambda::Permission": functions.permission,
        "AWS::SQS::Queue": messaging.queue,
        "AWS::SNS::Topic": messaging.topic,
        "AWS::SNS::Subscription": messaging.subscription,
        "AWS::Kinesis::Stream": messaging.stream,
        "AWS::Lambda::EventSourceMapping": messaging.source_mapping,
        "AWS::Events::Rule": happenings.rule,
        "AWS::Scheduler::Schedule": happenings.schedule,
        "AWS::S3::Bucket": happenings.bucket,
        "AWS::ApiGateway::RestApi": routes.api,
        "AWS::ApiGatewayV2::Api": routes.http_api,
    }
)


def is_template(path: str) -> bool:
    """Whether a path names a template, by its ending."""
    return path.endswith(_SUFFIXES)


def load(source: str, given: Mapping[str, str], address: Address, *, aliases: bool) -> Stack:
    """The stack of a template with the parameters `given`. Raises ConfigError with every problem.

    `address` is where it is to go; with `aliases` they will exist there.
    """
    read = document.read(source)
    problems: list[Problem] = []
    template = _resolved(read, given, address, problems)
    support.check(read, template["Resources"], problems)
    _settle(source, problems)
    translated = sam.translate(read, template, address)
    support.check(read, translated, problems)
    stack = Stack(root=os.path.dirname(os.path.abspath(source)))
    resources = _resources(read, translated, address, problems, aliases=aliases)
    scene = Scene(read, stack, address, problems, aliases=aliases)
    for kind, mapper in _MAPPERS.items():
        for resource in resources.get(kind, ()):
            mapper(scene, resource)
    _settle(source, problems)
    return stack


def _settle(source: str, problems: list[Problem]) -> None:
    if problems:
        # One fault may be met on several ways.
        raise ConfigError(source, [*dict.fromkeys(problems)])


def _resolved(
    read: Document, given: Mapping[str, str], address: Address, problems: list[Problem]
) -> dict[str, Any]:
    """Globals and the resources whose conditions hold; only references to resources are left."""
    known = {**parameters.values(read, given, problems), **_pseudo(read, address)}
    _settle(read.source, problems)
    resolver = Resolver(
        read.data,
        lambda name: known.get(name, PENDING),
        lambda name, attribute: PENDING,
        read.place,
        problems,
        final=False,
    )
    kept = {}
    for name, row in read.data["Resources"].items():
        path: Path = ("Resources", name)
        if not isinstance(row, dict):
            problems.append(Problem(read.place(path), f"{name} must be a table"))
        elif "Condition" not in row or resolver.condition(str(row["Condition"]), path):
            bare = {key: value for key, value in row.items() if key != "Condition"}
            kept[name] = resolver.resolve(bare, path)
    shared = resolver.resolve(read.data.get("Globals") or {}, ("Globals",))
    return {"Globals": shared, "Resources": kept}


def _resources(
    read: Document,
    translated: Mapping[str, Any],
    address: Address,
    problems: list[Problem],
    *,
    aliases: bool,
) -> dict[str, list[Resource]]:
    """The translated resources that are mapped, with nothing left to resolve, by type."""
    pseudo = _pseudo(read, address)
    references = References(translated, address, aliases=aliases)

    def ref(name: str) -> object:
        return pseudo[name] if name in pseudo else references.ref(name)

    def place(path: Path) -> str:
        return read.place_of(*map(str, path[1:2]), *path[2:])

    resolver = Resolver({}, ref, references.attribute, place, problems, final=True)
    references.resolve = lambda name, value: resolver.resolve(value, ("Resources", name))
    found: dict[str, list[Resource]] = {}
    for name, row in translated.items():
        if row["Type"] in support.MAPPED:
            path = ("Resources", name, "Properties")
            properties = resolver.resolve(row.get("Properties") or {}, path)
            resource = Resource(name, references.name(name), properties)
            found.setdefault(row["Type"], []).append(resource)
    return found


def _pseudo(read: Document, address: Address) -> dict[str, object]:
    """The pseudo parameters. The stack is named after the template's folder."""
    folder = os.path.basename(os.path.dirname(os.path.abspath(read.source)))
    stack = re.sub(r"[^A-Za-z0-9-]+", "-", folder).strip("-") or "stack"
    where = f"{address.region}:{address.account_id}"
    return {
        "AWS::AccountId": address.account_id,
        "AWS::NoValue": NOTHING,
        "AWS::NotificationARNs": [],
        "AWS::Partition": "aws",
        "AWS::Region": address.region,
        "AWS::StackId": f"arn:aws:cloudformation:{where}:stack/{stack}/{stack}",
        "AWS::StackName": stack,
        "AWS::URLSuffix": "amazonaws.com",
    }
