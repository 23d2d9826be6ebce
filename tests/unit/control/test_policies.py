"""Which statements let whom do what."""

from __future__ import annotations

from typing import Any

import pytest

from microfaas.control.policies import allows, arn_like, like

TOPIC = "arn:aws:sns:us-east-1:123456789012:orders"
INVOKE = "lambda:InvokeFunction"


def statement(**parts: Any) -> dict[str, Any]:
    return {"Sid": "s", "Effect": "Allow", "Principal": "*", "Action": INVOKE, **parts}


def may(made: dict[str, Any], principal: str = "", context: dict[str, str] | None = None) -> bool:
    return allows([made], INVOKE, principal, context or {})


def test_nothing_is_allowed_without_a_statement() -> None:
    assert not allows([], INVOKE, "sns.amazonaws.com", {})


@pytest.mark.parametrize(
    ("action", "allowed"),
    [
        (INVOKE, True),
        ("lambda:*", True),
        ("*", True),
        ("lambda:Invoke*", True),
        ("lambda:InvokeFunctionUrl", False),
        ("lambda:GetFunction", False),
    ],
)
def test_actions(action: str, allowed: bool) -> None:
    assert may(statement(Action=action)) is allowed


@pytest.mark.parametrize(
    ("principal", "who", "allowed"),
    [
        ("*", "", True),
        ("*", "sns.amazonaws.com", True),
        ({"AWS": "*"}, "", True),
        ({"AWS": ["*"]}, "", True),
        ({"Service": "sns.amazonaws.com"}, "sns.amazonaws.com", True),
        ({"Service": "sns.amazonaws.com"}, "events.amazonaws.com", False),
        ({"Service": "sns.amazonaws.com"}, "", False),
        ({"Service": ["a.amazonaws.com", "b.amazonaws.com"]}, "b.amazonaws.com", True),
        ({"AWS": "arn:aws:iam::111111111111:root"}, "111111111111", True),
        ({"AWS": "arn:aws:iam::111111111111:root"}, "arn:aws:iam::111111111111:user/x", True),
        ({"AWS": "arn:aws:iam::111111111111:root"}, "222222222222", False),
        ({"AWS": "111111111111"}, "arn:aws:iam::111111111111:role/r", True),
        ({"AWS": "arn:aws:iam::111111111111:role/r"}, "arn:aws:iam::111111111111:role/r", True),
        ({"AWS": "arn:aws:iam::111111111111:role/r"}, "arn:aws:iam::111111111111:role/q", False),
        ({"AWS": "arn:aws:iam::111111111111:role/r"}, "", False),
    ],
)
def test_principals(principal: Any, who: str, allowed: bool) -> None:
    assert may(statement(Principal=principal), who) is allowed


@pytest.mark.parametrize(
    ("condition", "allowed"),
    [
        ({}, True),
        ({"ArnLike": {"AWS:SourceArn": TOPIC}}, True),
        ({"ArnLike": {"AWS:SourceArn": "arn:aws:sns:*:*:orders"}}, True),
        ({"ArnEquals": {"aws:SourceArn": "arn:aws:sns:*:*:order?"}}, True),
        ({"ArnLike": {"AWS:SourceArn": "arn:aws:sns:*:other"}}, False),
        ({"StringEquals": {"AWS:SourceAccount": "123456789012"}}, True),
        ({"StringEquals": {"AWS:SourceAccount": ["1", "123456789012"]}}, True),
        ({"StringEquals": {"AWS:SourceAccount": "1*"}}, False),
        ({"StringLike": {"AWS:SourceAccount": "1*"}}, True),
        ({"StringEquals": {"aws:PrincipalOrgID": "o-1"}}, False),
        ({"Bool": {"lambda:InvokedViaFunctionUrl": "True"}}, True),
        ({"Bool": {"lambda:InvokedViaFunctionUrl": "false"}}, False),
        ({"IpAddress": {"aws:SourceIp": "0.0.0.0/0"}}, False),
        (
            {
                "ArnLike": {"AWS:SourceArn": TOPIC},
                "StringEquals": {"AWS:SourceAccount": "999999999999"},
            },
            False,
        ),
    ],
)
def test_all_conditions_must_hold(condition: dict[str, Any], allowed: bool) -> None:
    context = {
        "aws:SourceArn": TOPIC,
        "aws:SourceAccount": "123456789012",
        "lambda:InvokedViaFunctionUrl": "true",
        "aws:SourceIp": "127.0.0.1",
    }
    assert may(statement(Condition=condition), context=context) is allowed


def test_one_of_several_statements_suffices() -> None:
    other = statement(Principal={"Service": "events.amazonaws.com"})
    assert allows([other, statement()], INVOKE, "sns.amazonaws.com", {})


def test_a_denial_is_stronger() -> None:
    assert not allows([statement(), statement(Effect="Deny")], INVOKE, "", {})


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("a*c", "abbc", True),
        ("a*c", "a.c", True),
        ("a.c", "abc", False),
        ("a?c", "abc", True),
        ("a?c", "ac", False),
        ("**", "", True),
        ("a*", "a\nb", True),
        ("A", "a", False),
    ],
)
def test_wildcards(pattern: str, text: str, fits: bool) -> None:
    assert like(pattern, text) is fits


@pytest.mark.parametrize(
    ("pattern", "fits"),
    [
        ("arn:aws:events:us-east-1:123456789012:rule/*", True),
        ("arn:*:events:*:*:rule/b/r", True),
        ("arn:aws:events:*:rule/b/r", False),
        ("*", False),
        ("arn:aws:events:us-east-1:123456789012:rule/b", False),
    ],
)
def test_wildcards_in_arns_end_at_a_colon(pattern: str, fits: bool) -> None:
    assert arn_like(pattern, "arn:aws:events:us-east-1:123456789012:rule/b/r") is fits
