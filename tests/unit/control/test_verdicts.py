"""What authorizers' results mean: policies, and whether one simply may."""

from __future__ import annotations

import json
from typing import Any

import pytest

from microfaas.control import verdicts
from microfaas.control.policies import like
from microfaas.control.verdicts import Malformed, Verdict
from microfaas.payloads.authorizers import Authorizer

ARN = "arn:aws:execute-api:eu-west-1:123456789012:shop/$default/GET/items/7"
WHERE = ARN.removesuffix("GET/items/7")
NEW = Authorizer("g", "", "2.0")
SIMPLE = Authorizer("g", "", "2.0", simple=True)
REST = Authorizer("g", "", "1.0", rest=True)


def statement(effect: str = "Allow", resource: Any = "*", **more: Any) -> dict[str, Any]:
    made = {"Effect": effect, "Action": "execute-api:Invoke", "Resource": resource, **more}
    return {name: value for name, value in made.items() if value is not None}


def policy(*statements: dict[str, Any], **more: Any) -> bytes:
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    return json.dumps({"principalId": "p", "policyDocument": document, **more}).encode()


ALLOWED, DENIED, NEITHER = (True, False), (False, True), (False, False)


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        ([statement()], ALLOWED),
        ([statement(resource=ARN)], ALLOWED),
        ([statement(resource=["x", f"{WHERE}*/items/*"])], ALLOWED),
        ([statement(resource="arn:aws:execute-api:*:*:*/*/GET/items/?")], ALLOWED),
        ([statement(Action="execute-api:*")], ALLOWED),
        ([statement(Action=["lambda:Invoke", "EXECUTE-API:invoke"])], ALLOWED),
        ([statement(Action=None, NotAction="execute-api:ManageConnections")], ALLOWED),
        ([statement(resource=None, NotResource=f"{WHERE}POST/*")], ALLOWED),
        ([statement("Deny")], DENIED),
        ([statement(), statement("Deny", f"{WHERE}*/items/*")], DENIED),
        ([statement(), statement("Deny", f"{WHERE}DELETE/*")], ALLOWED),
        ([statement(), statement("Deny", None, NotResource=f"{WHERE}GET/pets/*")], DENIED),
        ([], NEITHER),
        ([statement(resource=f"{WHERE}GET/items/8")], NEITHER),
        ([statement(resource=f"{WHERE}POST/*")], NEITHER),
        ([statement(resource=ARN.upper())], NEITHER),
        ([statement(Action="lambda:InvokeFunction")], NEITHER),
        ([statement(Action=None, NotAction="execute-api:*")], NEITHER),
    ],
)
def test_a_policy_is_asked_about_what_is_called(
    statements: list[dict[str, Any]], expected: tuple[bool, bool]
) -> None:
    found = verdicts.verdict(NEW, policy(*statements), ARN)
    assert (found.allowed, found.denied) == expected


def test_one_statement_needs_no_list() -> None:
    result = {"policyDocument": {"Statement": statement()}, "context": {"a": [1]}}
    found = verdicts.verdict(NEW, json.dumps(result).encode(), ARN)
    assert found == Verdict(True, False, "", {"a": [1]})


def test_a_simple_answer() -> None:
    result = b'{"isAuthorized": true, "context": {"a": {"b": 1}}}'
    assert verdicts.verdict(SIMPLE, result, ARN) == Verdict(True, False, "", {"a": {"b": 1}})
    assert not verdicts.verdict(SIMPLE, b'{"isAuthorized": false}', ARN).allowed


@pytest.mark.parametrize(
    ("authorizer", "payload"),
    [
        (NEW, b""),
        (NEW, b"null"),
        (NEW, b'"yes"'),
        (NEW, b'{"isAuthorized": true}'),
        (NEW, b'{"principalId": "p"}'),
        (NEW, b'{"principalId": "p", "policyDocument": {}}'),
        (NEW, b"\xff"),
        (NEW, b"[" * 5000),
        (
            NEW,
            policy(statement())[:-1] + b', "context": {"a": ' + b"[" * 3000 + b"]" * 3000 + b"}}",
        ),
        (NEW, policy(statement("Maybe"))),
        (NEW, policy(statement(Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}))),
        (NEW, policy(statement("Deny", Condition={"Bool": {"a": "true"}}), statement())),
        (NEW, policy(statement(resource=None))),
        (NEW, policy(statement(NotResource="*"))),
        (NEW, policy(statement(), context=["a"])),
        (NEW, policy(statement(), context={"a": "x" * verdicts.RESULT_BYTES_MAX})),
        (SIMPLE, policy(statement())),
        (SIMPLE, b'{"isAuthorized": "true"}'),
        (SIMPLE, b'{"isAuthorized": 1}'),
        (REST, policy(statement(), principalId=None)),
        (REST, policy(statement(), context={"a": {}})),
        (Authorizer("g", "", "1.0"), policy(statement(), principalId="")),
    ],
)
def test_what_says_nothing_lets_nobody_in(authorizer: Authorizer, payload: bytes) -> None:
    with pytest.raises(Malformed):
        verdicts.verdict(authorizer, payload, ARN)


def test_what_the_function_gets_to_know() -> None:
    context = {"text": "a", "number": 1.5, "truth": True, "nothing": None}
    result = policy(statement(), context=context)
    new = verdicts.verdict(NEW, result, ARN)
    assert verdicts.told(NEW, new, "2.0", 3) == {"lambda": context}
    assert verdicts.told(NEW, new, "1.0", 3) == {**context, "principalId": "p"}
    rest = verdicts.verdict(REST, result, ARN)
    flat = {"text": "a", "number": "1.5", "truth": "true"}
    latency = {"principalId": "p", "integrationLatency": 3}
    assert verdicts.told(REST, rest, "1.0", 3) == {**flat, **latency}
    bare = verdicts.verdict(SIMPLE, b'{"isAuthorized": true}', ARN)
    assert verdicts.told(SIMPLE, bare, "2.0", 3) == {"lambda": None}


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("*", "", True),
        ("a*", "a", True),
        ("a*a", "a", False),
        ("a*b*c", "axxbxxbxxc", True),
        ("a*b*c", "axxc", False),
        ("*b?d*", "abcd", True),
        ("*bb", "abbb", True),
        ("ab*b", "ab", False),
        ("a**b", "a\nb", True),
        ("?", "", False),
        ("a.c", "abc", False),
    ],
)
def test_how_patterns_fit(pattern: str, text: str, fits: bool) -> None:
    assert like(pattern, text) is fits


def test_no_text_makes_a_pattern_slow() -> None:
    # A search that takes back what it has found would never end.
    assert not like("*/" * 12 + "x", "/" * 8000)
