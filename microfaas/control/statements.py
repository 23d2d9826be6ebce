"""Policies as they are put together, statement by statement, for functions and layers. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

from microfaas.errors import ServiceError

POLICY_BYTES_MAX = 20480
_ACCOUNT = re.compile(r"\d{12}")
_SERVICE = re.compile(r"[\w-]+(\.[\w-]+)*\.(amazonaws\.com(\.cn)?|amazon\.com)")

Statements = tuple[dict[str, Any], ...]


def statement(
    sid: str, principal: str, action: str, resource: str, condition: dict[str, Any]
) -> dict[str, Any]:
    """One that allows something, as AWS writes it. Raises ServiceError for a principal that is
    none."""
    made: dict[str, Any] = {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": _principal(principal),
        "Action": action,
        "Resource": resource,
    }
    return made | {"Condition": condition} if condition else made


def added(statements: Statements, new: dict[str, Any]) -> Statements:
    """Raises ServiceError for a statement that is there, and for more than a policy may hold."""
    if any(each["Sid"] == new["Sid"] for each in statements):
        raise ServiceError(
            "ResourceConflictException",
            f"The statement id ({new['Sid']}) provided already exists. Please provide a new "
            "statement id, or remove the existing statement.",
        )
    size = len(document((*statements, new)).encode())
    if size > POLICY_BYTES_MAX:
        text = f"The final policy size ({size}) is bigger than the limit ({POLICY_BYTES_MAX})."
        raise ServiceError("PolicyLengthExceededException", text)
    return (*statements, new)


def removed(statements: Statements, sid: str) -> Statements:
    """Raises ServiceError when there is no such statement."""
    if not statements:
        text = "No policy is associated with the given resource."
        raise ServiceError("ResourceNotFoundException", text)
    left = tuple(each for each in statements if each["Sid"] != sid)
    if left == statements:
        text = f"Statement {sid} is not found in resource policy."
        raise ServiceError("ResourceNotFoundException", text)
    return left


def document(statements: Statements) -> str:
    """The whole policy, in JSON."""
    return encode({"Version": "2012-10-17", "Id": "default", "Statement": list(statements)})


def encode(value: dict[str, Any]) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _principal(text: str) -> str | dict[str, str]:
    if text == "*":
        return text
    if _ACCOUNT.fullmatch(text):
        return {"AWS": f"arn:aws:iam::{text}:root"}
    if text.startswith("arn:"):
        return {"AWS": text}
    if _SERVICE.fullmatch(text):
        return {"Service": text}
    raise ServiceError(
        "InvalidParameterValueException",
        "The provided principal was invalid. Please check the principal and try again.",
    )
