"""CloudWatch's filter patterns, most of them as its guide has them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microfaas.patterns import InvalidPattern, compile_log_filter
from microfaas.patterns.log_conditions import equals

ERRORS = ["[ERROR 400] BAD REQUEST", "[ERROR 401] UNAUTHORIZED REQUEST", "[WARN] ALL IS WELL"]
EVENT = {
    "eventType": "UpdateTrail",
    "sourceIPAddress": "111.111.111.111",
    "arrayKey": ["value", "another value"],
    "objectList": [{"name": "a", "id": 1}, {"name": "b", "id": 2}],
    "SomeObject": None,
    "cluster.name": "c",
    "ThisFlag": True,
    "That": False,
    "ms": 12.5,
    "count": "404",
    "deep": {"er": {"est": "bottom"}},
}
ACCESS = '127.0.0.1 Prod frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534'


def matches(pattern: str, message: str) -> bool:
    return compile_log_filter(pattern).matches(message)


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("", [0, 1, 2]),
        ("   ", [0, 1, 2]),
        ("ERROR", [0, 1]),
        ("error", []),
        ("ERROR REQUEST", [0, 1]),
        ("?ERROR ?WARN", [0, 1, 2]),
        ("?401 ?WELL", [1, 2]),
        ("ERROR -400", [1]),
        ("-ERROR", [2]),
        ('"BAD REQUEST"', [0]),
        ('"[ERROR 401]" REQUEST', [1]),
        ('-"BAD REQUEST" ERROR', [1]),
        ('?"IS WELL" ?400', [0, 2]),
        ("ERROR ?400", [0, 1]),
        ('"say \\"hi\\""', []),
    ],
)
def test_terms(pattern: str, found: list[int]) -> None:
    assert [n for n, message in enumerate(ERRORS) if matches(pattern, message)] == found


def test_a_phrase_may_have_quotes() -> None:
    assert matches(r'"say \"hi\""', 'they say "hi" here')


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ('$.eventType = "UpdateTrail"', True),
        ("$.eventType = UpdateTrail", True),
        ('$.eventType = "Update"', False),
        ('$.eventType = "Up*Trail"', True),
        ('$.eventType = "*Tr*"', True),
        ('$.eventType != "UpdateTrail"', False),
        ('$.eventType != "Other*"', True),
        ('$.missing != "x"', False),
        ("$.sourceIPAddress != 123.123.*", True),
        ("$.sourceIPAddress = 111.111.*", True),
        ('$.arrayKey[0] = "value"', True),
        ('$.arrayKey[1] = "value"', False),
        ('$.arrayKey[9] = "value"', False),
        ('$.arrayKey[*] = "another*"', True),
        ("$.objectList[1].id = 2", True),
        ("$.objectList[*].id = 3", False),
        ("$.['cluster.name'] = c", True),
        ("$['cluster.name'] = c", True),
        ("$.deep.er.est = bottom", True),
        ("$.deep.er = bottom", False),
        ("$.SomeObject IS NULL", True),
        ("$.ThisFlag IS NULL", False),
        ("$.missing IS NULL", False),
        ("$.SomeOtherObject NOT EXISTS", True),
        ("$.SomeObject NOT EXISTS", False),
        ("$.SomeObject EXISTS", True),
        ("$.ThisFlag IS TRUE", True),
        ("$.ThisFlag IS FALSE", False),
        ("$.That IS FALSE", True),
        ("$.ms > 12", True),
        ("$.ms >= 12.5", True),
        ("$.ms < 1.25e1", False),
        ("$.ms <= 1.25E+1", True),
        ("$.ms = 12.50", True),
        ("$.ms != 12.5", False),
        ("$.ThisFlag > 0", False),
        ("$.count = 4*", True),
        ("$.count > 403", True),
        ("$.ms > 1 && $.That IS TRUE", False),
        ("$.ms > 1 || $.That IS TRUE", True),
        ("$.ms > 99 && $.ms > 99 || $.ms > 1", True),
        ("$.ms > 99 && ($.ms > 99 || $.ms > 1)", False),
        ("($.eventType = x) || (($.ms>1) && ($.count=404))", True),
    ],
)
def test_conditions_of_an_object(condition: str, holds: bool) -> None:
    assert matches(f"{{ {condition} }}", json.dumps(EVENT)) is holds


@pytest.mark.parametrize("message", ["", "plain", "[1]", "{", '{"a": 1} tail', "null"])
def test_what_is_no_object_has_none(message: str) -> None:
    assert not matches("{ $.a NOT EXISTS }", message)


@pytest.mark.parametrize(
    ("pattern", "holds"),
    [
        ("[ip, env, user, timestamp, request, status, bytes]", True),
        ("[ip, env, user, timestamp, request, status]", False),
        ("[ip, ...]", True),
        ("[..., bytes]", True),
        ("[a, b, c, d, e, f, g, ...]", True),
        ("[a, b, c, d, e, f, g, h, ...]", False),
        ("[ip, env, user, timestamp, request = *.html*, status = 4*, bytes]", True),
        ("[..., status = 4*, bytes > 1534]", False),
        ("[..., status = 404, bytes >= 1534]", True),
        ("[ip = 127.0.0.*, ...]", True),
        ('[ip, env, user = "frank", ...]', True),
        ("[ip, env != Dev, ...]", True),
        ("[(env1 = x || env1 = 127.0.0.1), ...]", True),
        ("[a, b, c, when = *-0700, ...]", True),
        ("[a = 127* && a != *.2, ...]", True),
    ],
)
def test_fields(pattern: str, holds: bool) -> None:
    assert matches(pattern, ACCESS) is holds


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("{ $.a = 1", "'{' is not closed by '}'"),
        ("[a", "'[' is not closed by ']'"),
        ("{", "'{' is not closed by '}'"),
        ('"open', "Invalid character(s) in term '\"open'"),
        ("(ERROR)", "Invalid character(s) in term '(ERROR)'"),
        ("{ }", "there must be a name, not nothing more"),
        ("{ $.a }", "behind a name there must be a comparison, IS NULL"),
        ("{ $.a > x }", "behind > there must be a number, not 'x'"),
        ("{ $.a = }", "behind = there must be a value, not ''"),
        ("{ a = 1 }", "a property begins with '$.', and 'a' does not"),
        ("{ ($.a = 1 }", "a parenthesis is not closed"),
        ("{ $.a = 1 ) }", "')' is not expected here"),
        ("{ $.a & 1 }", "'& 1' is not understood"),
        ("{ " + "(" * 60 + "$.a = 1" + ")" * 60 + " }", "nested more than 50 deep"),
        ("[a, ..., ...]", "'...' may stand once"),
        ("[]", "a field must have a name, not ''"),
        ("[a = 1 && b = 2]", "the condition of a must be of a, not of 'b'"),
    ],
)
def test_what_is_wrong_is_told(pattern: str, reason: str) -> None:
    with pytest.raises(InvalidPattern) as caught:
        compile_log_filter(pattern)
    assert reason in str(caught.value)


@given(st.text("ab*", max_size=8), st.text("ab", max_size=8))
def test_a_star_stands_for_anything(literal: str, text: str) -> None:
    def reference(pattern: str, rest: str) -> bool:
        if not pattern:
            return not rest
        if pattern[0] == "*":
            return any(reference(pattern[1:], rest[n:]) for n in range(len(rest) + 1))
        return rest[:1] == pattern[0] and reference(pattern[1:], rest[1:])

    assert equals(literal)(text) is reference(literal, text)


def test_many_stars_take_no_longer() -> None:
    assert not matches('{ $.a = "' + "*a" * 400 + 'b" }', json.dumps({"a": "a" * 100_000}))


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("%ERROR%", [0, 1]),
        ("%40[01]%", [0, 1]),
        (r"%^\[WARN\]%", [2]),
        ("%REQUEST$%", [0, 1]),
        ("%BAD|WELL%", [0, 2]),
        ("REQUEST -%40+%", []),
        (r"?%\d{3}% ?WARN", [0, 1, 2]),
        (r"%\x5bE%", [0, 1]),
    ],
)
def test_regular_expressions_as_terms(pattern: str, found: list[int]) -> None:
    assert [n for n, message in enumerate(ERRORS) if matches(pattern, message)] == found


@pytest.mark.parametrize(
    ("pattern", "matched"),
    [
        ("{ $.eventType = %Trail% }", True),
        ("{ $.eventType = %^Trail% }", False),
        ("{ $.eventType != %^Trail% && $.count = %4[0-9]{2}% }", True),
        ("{ $.arrayKey[*] = %^another% }", True),
        (r"{ $.sourceIPAddress = %^(111)% }", None),
        (r"{ $.ms = %^12\.% }", True),
    ],
)
def test_regular_expressions_as_values(pattern: str, matched: bool | None) -> None:
    if matched is None:
        with pytest.raises(InvalidPattern, match="may not stand there"):
            compile_log_filter(pattern)
    else:
        assert matches(pattern, json.dumps(EVENT)) is matched


def test_regular_expressions_of_fields() -> None:
    assert matches(r"[..., request = %^GET\s/.{1,20}HTTP%, status = %4\d\d%, bytes]", ACCESS)
    assert not matches(r"[..., request, status = %5\d{2,2}%, bytes]", ACCESS)


@pytest.mark.parametrize("pattern", ["%a% %b% %c%", "{$.a=%a% && $.a=%b% || $.a=%c%}"])
def test_there_may_be_two(pattern: str) -> None:
    with pytest.raises(InvalidPattern, match="there may be 2 regular expressions"):
        compile_log_filter(pattern)
