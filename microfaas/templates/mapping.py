"""What the mappers of resources share: where they put things, and how they name faults."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from microfaas.config import qualifiers
from microfaas.errors import Problem
from microfaas.model import Address
from microfaas.payloads.eventbridge import BUS
from microfaas.templates.document import Document
from microfaas.templates.references import function_of
from microfaas.templates.stack import Stack

# An ARN's service, as destinations name what they send to.
_DESTINATIONS = {"lambda": "function", "sqs": "queue", "sns": "topic", "events": "bus"}


class Resource(NamedTuple):
    """One resource with its properties resolved, and the name it has."""

    id: str
    name: str
    properties: Mapping[str, Any]


class Scene:
    """A template on its way to a stack."""

    def __init__(
        self,
        document: Document,
        stack: Stack,
        address: Address,
        problems: list[Problem],
        *,
        aliases: bool,
    ) -> None:
        """With `aliases` there are some where the template goes."""
        self.document = document
        self.stack = stack
        self.address = address
        self.problems = problems
        self._aliases = aliases

    def fault(self, resource: Resource, what: str) -> None:
        """Something of a resource that cannot be had here."""
        place = self.document.place_of(resource.id)
        self.problems.append(Problem(place, f"{resource.id}: {what}"))

    def tell(self, resource: Resource, problems: Iterable[Problem]) -> None:
        """What is wrong with a table that a resource became."""
        for problem in problems:
            self.fault(resource, str(problem))

    def refuse(self, resource: Resource, names: Iterable[str], why: str) -> None:
        """Name those of the properties that are set and mean nothing here."""
        for name in names:
            if resource.properties.get(name):
                self.fault(resource, f"{name} {why}")

    def function(self, resource: Resource, key: str) -> dict[str, Any] | None:
        """The table of the function that a property names; None, and told, where there is none."""
        name, _ = function_of(str(resource.properties.get(key, "")))
        if name not in self.stack.functions:
            self.fault(resource, f"{key} is {name!r}, which is no function of this template")
            return None
        return self.stack.functions[name]

    def trigger(self, resource: Resource, key: str, table: Mapping[str, Any]) -> None:
        """Have the function that a property names be fired; None in the table means the default."""
        if (function := self.function(resource, key)) is not None:
            add_trigger(function, {**table, "qualifier": self.qualifier(resource, key)})

    def qualifier(self, resource: Resource, key: str) -> str | None:
        """The alias or version behind the function that a property names; None for the function
        itself, which is what stands for its aliases where there are none."""
        text = function_of(str(resource.properties.get(key, "")))[1]
        if not text or not self._aliases:
            return None
        if what := qualifiers.refused(text):
            self.fault(resource, f"{key}: what is behind the function's name {what}")
        return text

    def destination(self, resource: Resource, arn: str) -> str | None:
        """`queue:NAME` and the like for an ARN."""
        kind = _DESTINATIONS.get(service_of(arn))
        if kind is None:
            what = f"{arn} is no queue, topic, function or event bus: what can be sent to here"
            self.fault(resource, what)
            return None
        if kind == "bus" and last_name(arn) != BUS:
            self.fault(resource, f"{arn} is another event bus than the {BUS} one, which is there")
            return None
        if kind != "function":
            return f"{kind}:{last_name(arn)}"
        name, qualifier = function_of(arn)
        return f"function:{name}:{qualifier}" if qualifier and self._aliases else f"function:{name}"

    def is_elsewhere(self, arn: str) -> bool:
        """Whether an ARN is of another region or account than what is here."""
        return arn.split(":")[3:5] != [self.address.region, self.address.account_id]


def add_trigger(function: dict[str, Any], table: Mapping[str, Any]) -> None:
    """Put a trigger's table to a function's others, without its keys that are None."""
    function.setdefault("triggers", []).append(without_none(table))


def without_none(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in table.items() if value is not None}


def service_of(arn: str) -> str:
    """The service in an ARN: `sqs`, `sns`, …; empty for what is none."""
    parts = arn.split(":")
    return parts[2] if len(parts) > 5 and parts[0] == "arn" else ""


def last_name(arn: str) -> str:
    """The name at the end of an ARN or a queue's URL."""
    return arn.rpartition(":")[2].rpartition("/")[2]


def number(value: Any) -> Any:
    """A number that a template may have as text; else the value as it is, for others to refuse."""
    if not isinstance(value, str):
        return value
    try:
        return int(value)
    except ValueError:
        return value


def flag(value: Any) -> Any:
    """A truth that a template may have as text."""
    return {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value


def as_table(value: Any) -> Any:
    """JSON that a template may have as text; None for what is none."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return None
