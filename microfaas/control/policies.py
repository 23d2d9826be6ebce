"""IAM's policy language, as far as policies of functions and layers use it. Pure.

A statement is what AddPermission has made of its parameters: `Effect`, `Principal`, `Action`,
`Condition` as AWS writes them. Its `Resource` is what the policy belongs to, and is not asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

Statement = Mapping[str, Any]
Matches = Callable[[str, str], bool]
_ARN_PARTS = 6
_ACCOUNT = re.compile(r"(?:arn:[\w-]+:iam::)?(\d{12})(?::.*)?")


def allows(
    statements: Iterable[Statement], action: str, principal: str, context: Mapping[str, str]
) -> bool:
    """Whether somebody may do something, by what is known of the request.

    `principal` is a service (`sns.amazonaws.com`), an account or an ARN; empty: anybody at all.
    `context` are values of condition keys; their case does not matter.
    """
    known = {key.lower(): value for key, value in context.items()}
    effects = {
        statement["Effect"]
        for statement in statements
        if any(like(pattern, action) for pattern in _several(statement["Action"]))
        and _includes(statement["Principal"], principal)
        and _holds(statement.get("Condition", {}), known)
    }
    return effects == {"Allow"}


def like(pattern: str, text: str) -> bool:
    """Whether a text fits a pattern, where `*` stands for any characters and `?` for one."""
    first, *rest = pattern.split("*")
    if not rest:
        return _plain(first).fullmatch(text) is not None
    *middle, last = rest
    end = len(text) - len(last)
    if end < len(first) or not (_plain(first).match(text) and _plain(last).match(text, end)):
        return False
    # Each part where it is met first: there is never anything to take back, whatever the text.
    at = len(first)
    for part in middle:
        found = _plain(part).search(text, at, end)
        if found is None:
            return False
        at = found.end()
    return True


def _plain(part: str) -> re.Pattern[str]:
    return re.compile(re.escape(part).replace(r"\?", "."), re.DOTALL)


def arn_like(pattern: str, arn: str) -> bool:
    """The same for ARNs, part by part: no `*` reaches over a colon, but in the last part."""
    patterns = pattern.split(":", _ARN_PARTS - 1)
    parts = arn.split(":", _ARN_PARTS - 1)
    return len(patterns) == len(parts) and all(map(like, patterns, parts))


def _includes(wanted: str | Mapping[str, Any], principal: str) -> bool:
    kinds = {"AWS": wanted} if isinstance(wanted, str) else wanted
    accounts, services = _several(kinds.get("AWS", ())), _several(kinds.get("Service", ()))
    if "*" in accounts or principal in (*accounts, *services):
        return True
    account = _account_of(principal)
    return bool(account) and account in map(_whole_account, accounts)


def _account_of(principal: str) -> str:
    match = _ACCOUNT.fullmatch(principal)
    return "" if match is None else match[1]


def _whole_account(principal: str) -> str:
    """The account that a principal is all of; empty when it is one of its users or roles."""
    return _account_of(principal) if principal.isdigit() or principal.endswith(":root") else ""


def _holds(conditions: Mapping[str, Mapping[str, Any]], known: Mapping[str, str]) -> bool:
    """Whether all conditions hold. One that nobody here can judge does not."""
    return all(
        operator in _OPERATORS
        and key.lower() in known
        and any(_OPERATORS[operator](value, known[key.lower()]) for value in _several(values))
        for operator, keys in conditions.items()
        for key, values in keys.items()
    )


def _same(value: str, known: str) -> bool:
    return value == known


def _same_truth(value: str, known: str) -> bool:
    return value.lower() == known.lower()


# ArnEquals and ArnLike behave the same, says AWS.
_OPERATORS: Mapping[str, Matches] = MappingProxyType(
    {
        "StringEquals": _same,
        "StringLike": like,
        "ArnEquals": arn_like,
        "ArnLike": arn_like,
        "Bool": _same_truth,
    }
)


def _several(value: Any) -> list[str]:
    """What is one text or a list of them."""
    return [value] if isinstance(value, str) else list(value)
