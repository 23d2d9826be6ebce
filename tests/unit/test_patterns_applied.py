"""Filter policies of subscriptions, and filters of event source mappings."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from microfaas.patterns import InvalidPattern, compile_filters, compile_policy

ATTRIBUTES = {
    "store": ("String", "example_corp"),
    "event": ("String", "order_placed"),
    "price": ("Number", "100.50"),
    "count": ("Number", "-3"),
    "interests": ("String.Array", '["soccer", "rugby", 5, null, true]'),
    "picture": ("Binary", "aGVsbG8="),
    "broken": ("Number", "much"),
    "no-list": ("String.Array", "{}"),
    "no-json": ("String.Array", "["),
    "empty": ("String", ""),
}


@pytest.mark.parametrize(
    ("policy", "accepts"),
    [
        ({"store": ["example_corp"], "event": [{"anything-but": "order_cancelled"}]}, True),
        ({"store": ["example_corp"], "event": [{"anything-but": ["order_placed"]}]}, False),
        ({"event": [{"prefix": "order"}]}, True),
        ({"event": [{"anything-but": {"prefix": "order"}}]}, False),
        ({"event": [{"suffix": "_placed"}]}, True),
        ({"event": [{"equals-ignore-case": "ORDER_PLACED"}]}, True),
        ({"price": [{"numeric": [">=", 100]}]}, True),
        ({"price": [100.5]}, True),
        ({"price": ["100.50"]}, False),
        ({"count": [-3]}, True),
        ({"interests": ["baseball", "rugby"]}, True),
        ({"interests": ["hockey"]}, False),
        ({"interests": [5]}, True),
        ({"interests": [None]}, True),
        ({"picture": [{"exists": False}]}, True),
        ({"broken": [{"exists": True}]}, False),
        ({"no-list": [{"exists": True}]}, False),
        ({"no-json": [{"exists": True}]}, False),
        ({"empty": [""]}, True),
        ({"gone": [{"exists": False}]}, True),
        ({"$or": [{"store": ["x"]}, {"price": [{"numeric": ["<", 200]}]}]}, True),
        ({}, True),
    ],
)
def test_a_policy_on_attributes(policy: dict[str, Any], accepts: bool) -> None:
    made = compile_policy(json.dumps(policy), "MessageAttributes")
    assert made.accepts(ATTRIBUTES, "{}") is accepts


@pytest.mark.parametrize(
    ("body", "accepts"),
    [
        ('{"a":{"b":"x"}}', True),
        ('{"a":[{"b":["y","x"]}]}', True),
        ('{"a":{"b":"y"}}', False),
        ('[{"a":{"b":"x"}}]', False),
        ("no JSON", False),
        ("", False),
        ("[" * 100_000, False),
    ],
)
def test_a_policy_on_the_body(body: str, accepts: bool) -> None:
    assert compile_policy({"a": {"b": ["x"]}}, "MessageBody").accepts({}, body) is accepts


def test_what_is_no_json_matches_not_even_absence() -> None:
    policy = compile_policy({"a": [{"exists": False}]}, "MessageBody")
    assert policy.accepts({}, "{}")
    assert not policy.accepts({}, "text")


@pytest.mark.parametrize(
    ("policy", "scope", "message"),
    [
        ("{", "MessageBody", "Invalid parameter: FilterPolicy: failed to parse JSON."),
        (
            {"key": ["a"] * 151},
            "MessageAttributes",
            "Invalid parameter: FilterPolicy: Filter policy is too complex",
        ),
        (
            {name: ["v"] for name in "abcdef"},
            "MessageAttributes",
            "Invalid parameter: FilterPolicy: Filter policy can not have more than 5 keys",
        ),
        (
            {"k": {"l": ["v"]}},
            "MessageAttributes",
            "Invalid parameter: FilterPolicy: Filter policy scope MessageAttributes does not "
            "support nested filter policy (at k)",
        ),
        (
            {"key_a": "value_one"},
            "MessageBody",
            'Invalid parameter: FilterPolicy: "key_a" must be an object or an array (at key_a)',
        ),
    ],
)
def test_a_policy_that_is_refused(policy: Any, scope: Any, message: str) -> None:
    with pytest.raises(InvalidPattern) as refused:
        compile_policy(policy, scope)
    assert str(refused.value) == message


def test_each_value_of_a_policy_counts_as_often_as_it_is_deep() -> None:
    documented = {  # 4 values three deep, 3 values two deep: 4 * 3 * 3 * 2 = 72
        "key_a": {"key_b": {"key_c": ["1", "2", "3", "4"]}},
        "key_d": {"key_e": ["1", "2", "3"]},
    }
    compile_policy(documented, "MessageBody")
    compile_policy({**documented, "f": ["1", "2"]}, "MessageBody")  # 144
    with pytest.raises(InvalidPattern, match="too complex"):
        compile_policy({**documented, "f": ["1", "2", "3"]}, "MessageBody")
    compile_policy({"$or": [{"a": ["1"] * 75}, {"b": ["1"] * 75}]}, "MessageBody")
    with pytest.raises(InvalidPattern, match="too complex"):
        compile_policy({"$or": [{"a": ["1"] * 75}, {"b": ["1"] * 76}]}, "MessageBody")


JSON_BODY = '{"RecordNumber": 1234, "RequestCode": "BBBB"}'


@pytest.mark.parametrize(
    ("pattern", "body", "accepts"),
    [
        ({"body": {"RequestCode": ["BBBB"]}}, JSON_BODY, True),
        ({"body": {"RequestCode": ["AAAA"]}}, JSON_BODY, False),
        ({"body": {"RecordNumber": [{"numeric": ["<", 2000]}]}}, JSON_BODY, True),
        ({"body": {"x": [{"exists": False}]}}, JSON_BODY, True),
        ({"body": {"x": [{"exists": False}]}}, "text", False),
        ({"body": ["text"]}, "text", True),
        ({"body": ["1234"]}, "1234", True),
        ({"body": [{"prefix": "te"}]}, "text", True),
        ({"body": [{"prefix": "{"}]}, JSON_BODY, False),
        ({"body": ["a"]}, '["a"]', False),
        ({"messageId": ["1"]}, "text", True),
        ({"messageId": ["2"]}, JSON_BODY, False),
        ({"$or": [{"messageId": ["1"]}, {"messageId": ["2"]}]}, "text", True),
        ({"$or": [{"body": {"a": [1]}}, {"body": {"b": [1]}}]}, '{"b": 1}', True),
        ({"$or": [{"body": {"a": [1]}}, {"body": {"b": [1]}}]}, "text", False),
    ],
)
def test_a_filter_of_a_queue(pattern: dict[str, Any], body: str, accepts: bool) -> None:
    filters = compile_filters([json.dumps(pattern)], "body")
    assert filters.accepts({"messageId": "1", "body": body}) is accepts


@pytest.mark.parametrize(
    ("pattern", "data", "accepts"),
    [
        ({"data": {"RequestCode": ["BBBB"]}}, JSON_BODY.encode(), True),
        ({"data": {"RequestCode": ["AAAA"]}}, JSON_BODY.encode(), False),
        ({"data": {"RequestCode": [{"exists": False}]}}, b"\xff\x00", False),
        ({"partitionKey": ["1"]}, b"\xff\x00", True),
        ({"partitionKey": ["2"], "data": {"RequestCode": ["BBBB"]}}, JSON_BODY.encode(), False),
    ],
)
def test_a_filter_of_a_stream(pattern: dict[str, Any], data: bytes, accepts: bool) -> None:
    record = {"partitionKey": "1", "data": base64.b64encode(data).decode()}
    assert compile_filters([pattern], "data").accepts(record) is accepts


def test_filters_are_an_or_and_none_accepts_everything() -> None:
    filters = compile_filters([{"body": ["a"]}, {"body": {"b": [1]}}], "body")
    assert [filters.accepts({"body": body}) for body in ("a", '{"b":1}', "c")] == [1, 1, 0]
    assert compile_filters([], "body").accepts({"body": "anything"})


def test_a_record_without_readable_data_matches_nothing_that_speaks_of_it() -> None:
    filters = compile_filters([{"data": {"a": [{"exists": False}]}}], "data")
    assert not filters.accepts({"data": "no base64!"})
    assert not filters.accepts({})


def test_a_filter_that_is_refused() -> None:
    with pytest.raises(InvalidPattern) as refused:
        compile_filters([{"body": ["a"]}, {"body": []}], "body")
    assert str(refused.value) == (
        "Invalid filter pattern definition. Empty arrays are not allowed (at Filters[1] body)"
    )
    with pytest.raises(InvalidPattern, match="must be an object, not a list"):
        compile_filters([{"data": ["a"]}], "data")
    with pytest.raises(InvalidPattern, match="at most 10 filters"):
        compile_filters([{"body": ["a"]}] * 11, "body")
    with pytest.raises(InvalidPattern, match="at most 4096 characters"):
        compile_filters([{"body": ["a" * 4096]}], "body")
