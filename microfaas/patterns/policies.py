"""SNS's filter policies: the same patterns, on a message's attributes or on its body."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from microfaas.patterns import compiled
from microfaas.patterns.compiled import Pattern
from microfaas.patterns.faults import InvalidPattern, refuse

Scope = Literal["MessageAttributes", "MessageBody"]
POLICY_CHARS_MAX = 256 * 1024
POLICY_KEYS_MAX = 5
POLICY_COMBINATIONS_MAX = 150
PREFACE = "Invalid parameter: FilterPolicy: "
_NUMBER = re.compile(r"[+-]?(\d{1,150}(\.\d{0,150})?|\.\d{1,150})([eE][+-]?\d{1,3})?", re.ASCII)


class Policy(msgspec.Struct, frozen=True):
    """A compiled filter policy; without a pattern it lets everything through."""

    pattern: Pattern | None
    scope: Scope

    def accepts(self, attributes: Mapping[str, tuple[str, str]], body: str) -> bool:
        """Whether a message goes to the subscriber; attributes are name → (type, value)."""
        if self.pattern is None:
            return True
        if self.scope == "MessageAttributes":
            return self.pattern.matches(_plain(attributes))
        try:
            return self.pattern.matches(msgspec.json.decode(body))
        except (msgspec.DecodeError, RecursionError, ValueError):
            return False


def compile_policy(policy: str | Mapping[str, Any], scope: Scope) -> Policy:
    """Compile a filter policy, {} being none at all; raises InvalidPattern."""
    try:
        table = compiled.parsed(policy, POLICY_CHARS_MAX)
        if not table:
            return Policy(None, scope)
        _check_shape(table, scope)
        test = compiled.fields(table)
        # Each value counts as often as it is deep; SNS's documentation reckons so.
        weight = compiled.combinations(table, lambda values, depth: len(values) * depth)
        if weight > POLICY_COMBINATIONS_MAX:
            refuse("Filter policy is too complex", "")
    except InvalidPattern as error:
        raise error.told(PREFACE) from None
    return Policy(Pattern(test), scope)


def _check_shape(table: Mapping[str, Any], scope: Scope) -> None:
    if len(table) > POLICY_KEYS_MAX:
        refuse(f"Filter policy can not have more than {POLICY_KEYS_MAX} keys", "")
    if scope == "MessageAttributes":
        for name, inner in table.items():
            if isinstance(inner, Mapping):
                refuse(f"Filter policy scope {scope} does not support nested filter policy", name)


def _plain(attributes: Mapping[str, tuple[str, str]]) -> dict[str, object]:
    """Attributes as an event. What is binary, or not what its type says, is as if not there."""
    made: dict[str, object] = {}
    for name, (kind, text) in attributes.items():
        if kind == "String":
            made[name] = text
        elif kind == "Number" and _NUMBER.fullmatch(text):
            made[name] = int(text) if text.lstrip("+-").isdigit() else float(text)
        elif kind == "String.Array" and (values := _array(text)) is not None:
            made[name] = values
    return made


def _array(text: str) -> list[object] | None:
    try:
        values = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return None
    return values if isinstance(values, list) else None
