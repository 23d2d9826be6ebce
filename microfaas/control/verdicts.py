"""What an authorizer's result means for a request. Pure.

AWS: "Output from an API Gateway Lambda authorizer", and for HTTP APIs "Control access to HTTP APIs
with AWS Lambda authorizers".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from microfaas.control.policies import like
from microfaas.payloads.authorizers import Authorizer

# AWS's quota of an authorizer's result.
RESULT_BYTES_MAX = 8 * 1024
_ACTION = "execute-api:invoke"


class Malformed(ValueError):
    """A result that says nothing about who may call."""


class Verdict(NamedTuple):
    """Whether the caller may, and if not whether a statement says so; who it is, and what the
    function that is called is to know of it."""

    allowed: bool
    denied: bool
    principal: str
    context: Mapping[str, Any] | None


class _Statement(msgspec.Struct):
    Effect: str  # AWS's names, in this struct and the next ones
    Action: str | list[str] | None = None
    NotAction: str | list[str] | None = None
    Resource: str | list[str] | None = None
    NotResource: str | list[str] | None = None
    Condition: dict[str, Any] | None = None


class _Policy(msgspec.Struct):
    Statement: _Statement | list[_Statement]


class _Result(msgspec.Struct):
    policyDocument: _Policy
    principalId: str | None = None
    context: dict[str, Any] | None = None


class _Simple(msgspec.Struct):
    isAuthorized: bool
    context: dict[str, Any] | None = None


def verdict(authorizer: Authorizer, payload: bytes, arn: str) -> Verdict:
    """What a result says about a call of `arn`. Raises Malformed."""
    if len(payload) > RESULT_BYTES_MAX:
        raise Malformed(f"it has more than {RESULT_BYTES_MAX} bytes")
    try:
        if authorizer.simple:
            simple = msgspec.json.decode(payload, type=_Simple)
            return Verdict(simple.isAuthorized, not simple.isAuthorized, "", simple.context)
        result = msgspec.json.decode(payload, type=_Result)
    except (ValueError, RecursionError) as error:
        raise Malformed(str(error)) from None
    if authorizer.form != "2.0" and not result.principalId:
        raise Malformed("it has no principalId")
    effects = _effects(result.policyDocument.Statement, arn)
    context = _flat(result.context or {}) if authorizer.rest else result.context
    allowed = effects == {"Allow"}
    return Verdict(allowed, "Deny" in effects, result.principalId or "", context)


def told(authorizer: Authorizer, verdict: Verdict, payload: str, took_ms: int) -> dict[str, Any]:
    """`requestContext.authorizer` of the event of the function that is called."""
    if payload == "2.0":
        return {"lambda": verdict.context}
    latency = {"integrationLatency": took_ms} if authorizer.rest else {}
    principal = {"principalId": verdict.principal} if verdict.principal else {}
    return {**(verdict.context or {}), **principal, **latency}


def _effects(statements: _Statement | list[_Statement], arn: str) -> set[str]:
    """Those of the statements that are about the call. Raises Malformed."""
    listed = statements if isinstance(statements, list) else [statements]
    for statement in listed:
        if statement.Effect not in ("Allow", "Deny"):
            raise Malformed(f"the Effect {statement.Effect!r} is neither Allow nor Deny")
        if statement.Condition:
            # One that is passed over could let through what it was to keep out.
            raise Malformed("its policy has a Condition, which is not had here")
    return {statement.Effect for statement in listed if _is_about(statement, arn)}


def _is_about(statement: _Statement, arn: str) -> bool:
    actions, other_actions = _several(statement.Action), _several(statement.NotAction)
    if not _fits(_lowered(actions), _lowered(other_actions), _ACTION):
        return False
    return _fits(_several(statement.Resource), _several(statement.NotResource), arn)


def _fits(wanted: list[str], unwanted: list[str], text: str) -> bool:
    """Whether a text is among what is wanted, or, where that says nothing, not what is unwanted.

    Raises Malformed when both or neither are said.
    """
    if bool(wanted) == bool(unwanted):
        raise Malformed("a statement must have one of Action and NotAction, and of the Resources")
    patterns = wanted or unwanted
    return any(like(pattern, text) for pattern in patterns) == bool(wanted)


def _lowered(patterns: list[str]) -> list[str]:
    return [pattern.lower() for pattern in patterns]


def _several(given: str | list[str] | None) -> list[str]:
    return [given] if isinstance(given, str) else given or []


def _flat(context: Mapping[str, Any]) -> dict[str, str]:
    """A REST API's: texts alone, where numbers and truths may have been. Raises Malformed."""
    for name, value in context.items():
        if isinstance(value, dict | list):
            raise Malformed(f"{name} of its context is a list or an object, which REST APIs refuse")
    return {name: _text(value) for name, value in context.items() if value is not None}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
