"""Event patterns: AWS's documented examples, event-ruler's rules, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microfaas.patterns import InvalidPattern, compile_pattern
from microfaas.patterns.compiled import OR_COMBINATIONS_MAX, PATTERN_DEPTH_MAX

EC2 = {
    "detail-type": "EC2 Instance State-change Notification",
    "source": "aws.ec2",
    "time": "2017-10-02T16:24:49Z",
    "resources": ["arn:aws:ec2:us-east-1:123456789012:instance/i-000000aaaaaa00000"],
    "detail": {
        "c-count": 5,
        "d-count": 3,
        "x-limit": 301.8,
        "source-ip": "10.0.0.33",
        "state": "running",
    },
}
EMPLOYEES = {
    "employees": [
        [{"firstName": "John", "lastName": "Doe"}, {"firstName": "Anna", "lastName": "Smith"}],
        [{"firstName": "Peter", "lastName": "Jones"}],
    ]
}
OR_EXAMPLE = {
    "source": ["aws.cloudwatch"],
    "$or": [
        {"metricName": ["CPUUtilization"]},
        {"metricType": ["M"], "$or": [{"metricId": [1234]}, {"spaceId": [1000]}]},
    ],
}

DOCUMENTED: list[tuple[dict[str, Any], Any, bool]] = [
    ({"detail": {"state": ["initializing", "running"]}}, EC2, True),
    ({"resources": EC2["resources"], "detail": {"state": ["stopped"]}}, EC2, False),
    ({"time": [{"prefix": "2017-10-02"}]}, EC2, True),
    ({"source": [{"prefix": {"equals-ignore-case": "AWS."}}]}, EC2, True),
    ({"source": [{"suffix": "ec2"}]}, EC2, True),
    ({"source": [{"suffix": {"equals-ignore-case": ".EC2"}}]}, EC2, True),
    ({"source": [{"suffix": ".EC2"}]}, EC2, False),
    ({"source": [{"equals-ignore-case": "AWS.EC2"}]}, EC2, True),
    ({"source": [{"wildcard": "a*.*2"}]}, EC2, True),
    ({"source": [{"anything-but": "aws.ec2"}]}, EC2, False),
    ({"detail": {"state": [{"anything-but": ["stopped", "overloaded"]}]}}, EC2, True),
    ({"detail": {"x-limit": [{"anything-but": [100, 301.8]}]}}, EC2, False),
    ({"detail": {"state": [{"anything-but": 5}]}}, EC2, True),
    ({"detail": {"none": [{"anything-but": 5}]}}, EC2, False),
    ({"detail": {"state": [{"anything-but": {"prefix": "run"}}]}}, EC2, False),
    ({"detail": {"state": [{"anything-but": {"prefix": ["init", "run"]}}]}}, EC2, False),
    ({"detail": {"state": [{"anything-but": {"suffix": ["ed", "ing"]}}]}}, EC2, False),
    ({"detail": {"state": [{"anything-but": {"equals-ignore-case": "RUNNING"}}]}}, EC2, False),
    ({"detail": {"state": [{"anything-but": {"wildcard": "r*g"}}]}}, EC2, False),
    ({"detail": {"state": [{"anything-but": {"wildcard": "*x*"}}]}}, EC2, True),
    ({"detail": {"c-count": [{"numeric": [">", 0, "<=", 5]}]}}, EC2, True),
    ({"detail": {"c-count": [{"numeric": [">", 0, "<", 5]}]}}, EC2, False),
    ({"detail": {"x-limit": [{"numeric": ["=", 3.018e2]}]}}, EC2, True),
    ({"detail": {"state": [{"numeric": [">=", 0]}]}}, EC2, False),
    ({"detail": {"source-ip": [{"cidr": "10.0.0.0/24"}]}}, EC2, True),
    ({"detail": {"source-ip": [{"cidr": "10.0.1.0/24"}]}}, EC2, False),
    ({"detail": {"source-ip": [{"cidr": "2001:db8::/32"}]}}, EC2, False),
    ({"ip": [{"cidr": "2001:db8::/32"}]}, {"ip": "2001:DB8::1"}, True),
    ({"ip": [{"cidr": "10.0.0.0/8"}]}, {"ip": ["x", 5, "10.1.2.3"]}, True),
    ({"detail": {"c-count": [{"exists": True}]}}, EC2, True),
    ({"detail": {"c-count": [{"exists": False}]}}, EC2, False),
    ({"detail": [{"exists": True}]}, EC2, False),  # no leaf
    ({"detail": [{"exists": False}]}, EC2, True),
    ({"none": {"deeper": [{"exists": False}]}}, EC2, True),
    ({"detail": {"none": [{"exists": False}, "x"]}}, EC2, True),
    ({"employees": {"firstName": ["Anna"]}}, EMPLOYEES, True),
    ({"employees": {"firstName": ["Anna"], "lastName": ["Smith"]}}, EMPLOYEES, True),
    ({"employees": {"firstName": ["Anna"], "lastName": ["Jones"]}}, EMPLOYEES, False),
    (OR_EXAMPLE, {"source": "aws.cloudwatch", "metricName": "CPUUtilization"}, True),
    (OR_EXAMPLE, {"source": "aws.cloudwatch", "metricType": "M", "spaceId": 1000}, True),
    (OR_EXAMPLE, {"source": "aws.cloudwatch", "metricType": "M"}, False),
    (OR_EXAMPLE, {"source": "aws.ec2", "metricName": "CPUUtilization"}, False),
    ({"$or": {"a": [1]}}, {"$or": {"a": 1}}, True),  # then a field like any other
    ({"a": [None]}, {"a": None}, True),
    ({"a": [None]}, {}, False),
    ({"a": [""]}, {"a": ""}, True),
    ({"a": [""]}, {"a": None}, False),
    ({"a": [{"exists": True}]}, {"a": None}, True),
    ({"a": [{"exists": True}]}, {"a": []}, False),
    ({"a": [True]}, {"a": 1}, False),
    ({"a": [1]}, {"a": True}, False),
    ({"a": ["5"]}, {"a": 5}, False),
    ({"a": [0.1]}, {"a": 0.1}, True),
    ({"a": [123456789012]}, {"a": 123456789012}, True),
    ({"a": [{"numeric": [">", 0]}]}, {"a": 6_000_000_000}, False),
    ({"a": ["x"]}, ["x"], False),
    ({"a": [{"prefix": "x"}]}, {"a": [None, 5, "xy"]}, True),
]


@pytest.mark.parametrize(("pattern", "event", "matches"), DOCUMENTED)
def test_documented(pattern: dict[str, Any], event: Any, matches: bool) -> None:
    assert compile_pattern(pattern).matches(event) is matches
    assert compile_pattern(json.dumps(pattern)).matches(event) is matches


@pytest.mark.parametrize("wanted", ["300", "300.0", "3.0e2"])
@pytest.mark.parametrize("given_", ["300", "300.0", "3.0e2"])
def test_numbers_are_equal_by_value(wanted: str, given_: str) -> None:
    assert compile_pattern(f'{{"a":[{wanted}]}}').matches(json.loads(f'{{"a":{given_}}}'))


REFUSED = [
    ("{", "failed to parse JSON", ""),
    ("[]", "Filter is not an object", ""),
    ("{}", "Empty objects are not allowed", "the pattern"),
    ('{"a":{}}', "Empty objects are not allowed", "a"),
    ('{"a":[]}', "Empty arrays are not allowed", "a"),
    ('{"a":{"b":"x"}}', '"b" must be an object or an array', "a.b"),
    ('{"a":[["x"]]}', "Match value must be String, number, true, false, or null", "a"),
    ('{"a":[{}]}', "Match expression name not found", "a[0]"),
    ('{"a":["x",{"prefx":"y"}]}', "Unrecognized match type prefx", "a[1]"),
    ('{"a":[{"prefix":"x","suffix":"y"}]}', "Only one key allowed", "a[0]"),
    ('{"a":[{"exists":true,"suffix":"y"}]}', "Only one key allowed", "a[0]"),
    ('{"a":[{"exists":"yes"}]}', "exists match pattern must be either true or false.", "a[0]"),
    ('{"a":[{"prefix":5}]}', "prefix match pattern must be a string", "a[0].prefix"),
    ('{"a":[{"prefix":{"suffix":"x"}}]}', "Unsupported prefix pattern: suffix", "a[0].prefix"),
    ('{"a":[{"wildcard":"a**b"}]}', "Consecutive wildcard", "a[0].wildcard"),
    ('{"a":[{"wildcard":"a\\\\b"}]}', "Invalid escape character", "a[0].wildcard"),
    ('{"a":[{"wildcard":"a\\\\"}]}', "Invalid escape character", "a[0].wildcard"),
    ('{"a":[{"cidr":"10.0.0.0"}]}', "Malformed CIDR, one '/' required", "a[0].cidr"),
    ('{"a":[{"cidr":"10.0.0.0/x"}]}', "mask bits must be an integer", "a[0].cidr"),
    ('{"a":[{"cidr":"10.0.0/8"}]}', "Nonstandard IP address: 10.0.0", "a[0].cidr"),
    ('{"a":[{"anything-but":[]}]}', "either all values are number or string", "a[0].anything-but"),
    ('{"a":[{"anything-but":["x",1]}]}', "mixed type is not supported", "a[0].anything-but"),
    ('{"a":[{"anything-but":[null]}]}', "start|null|boolean", "a[0].anything-but"),
    ('{"a":[{"anything-but":{"prefix":""}}]}', "Null prefix/suffix", "a[0].anything-but"),
    ('{"a":[{"anything-but":{"prefix":[]}}]}', "a string or a list", "a[0].anything-but"),
    ('{"a":[{"anything-but":{"numeric":[]}}]}', "Unsupported anything-but", "a[0].anything-but"),
    ('{"a":[{"numeric":5}]}', "Value of numeric must be an array.", "a[0].numeric"),
    ('{"a":[{"numeric":[]}]}', "Invalid member in numeric match: ]", "a[0].numeric"),
    ('{"a":[{"numeric":["!",1]}]}', "Unrecognized numeric range operator: !", "a[0].numeric"),
    ('{"a":[{"numeric":["=","0"]}]}', "Value of equals must be numeric", "a[0].numeric"),
    ('{"a":[{"numeric":[">="]}]}', "Value of >= must be numeric", "a[0].numeric"),
    ('{"a":[{"numeric":["<",9,">",1]}]}', "Too many elements in numeric", "a[0].numeric"),
    ('{"a":[{"numeric":[">",1,">",2]}]}', "Bad numeric range operator: >", "a[0].numeric"),
    ('{"a":[{"numeric":[">",20,30]}]}', "Bad value in numeric range: 30", "a[0].numeric"),
    ('{"a":[{"numeric":[">",3,"<",1]}]}', "Bottom must be less than top", "a[0].numeric"),
    ('{"a":[{"numeric":[">",1,"<",3,"<",4]}]}', "Too many terms", "a[0].numeric"),
    ('{"a":[{"numeric":["<",5000000001]}]}', "Value must be between", "a[0].numeric"),
    ('{"$or":5}', "It must be an Array followed with $or.", "$or"),
    ('{"$or":[{"a":[1]}]}', "at least 2 Objects", "$or"),
    ('{"$or":[{"a":[1]},5]}', "Only JSON object is allowed", "$or[1]"),
    ('{"$or":[{"a":[1]},{"prefix":["x"]}]}', "prefix is reserved", "$or[1].prefix"),
]


@pytest.mark.parametrize(("pattern", "reason", "where"), REFUSED)
def test_what_is_wrong_is_named_with_its_place(pattern: str, reason: str, where: str) -> None:
    with pytest.raises(InvalidPattern) as refused:
        compile_pattern(pattern)
    assert reason in refused.value.reason
    assert refused.value.where == where
    assert str(refused.value).startswith("Event pattern is not valid. Reason: ")


def test_bounds() -> None:
    exact = '{"a":["' + "x" * (4096 - 10) + '"]}'
    assert len(exact) == 4096
    compile_pattern(exact)
    with pytest.raises(InvalidPattern, match="at most 4096 characters, not 4097"):
        compile_pattern(exact + " ")
    with pytest.raises(InvalidPattern, match="at most 10 characters, not 4096"):
        compile_pattern(exact, chars_max=10)
    deep = '{"a":' * PATTERN_DEPTH_MAX + "{}" + "}" * PATTERN_DEPTH_MAX
    with pytest.raises(InvalidPattern, match="nested at most"):
        compile_pattern(deep.replace("{}", '{"a":[1]}'))
    pairs = {"$or": [{"a": [1]}, {"b": [1]}]}
    chained = {str(at): pairs for at in range(10)}
    assert 2 ** len(chained) > OR_COMBINATIONS_MAX
    with pytest.raises(InvalidPattern, match="at most 1000 combinations"):
        compile_pattern(chained)
    with pytest.raises(InvalidPattern, match="failed to parse JSON"):
        compile_pattern("[" * 100_000, chars_max=200_000)


def test_an_event_nested_deeper_than_python_recurses() -> None:
    value: Any = "x"
    for _ in range(100_000):
        value = [value]
    assert compile_pattern({"a": ["x"]}).matches({"a": value})
    while isinstance(value, list):
        value = value.pop()  # or freeing it would recurse


def test_a_wildcard_never_goes_back() -> None:
    stars = compile_pattern({"a": [{"wildcard": "*a" * 500 + "*b"}]})
    assert not stars.matches({"a": "a" * 200_000})
    assert stars.matches({"a": "a" * 500 + "b"})


def wild(pieces: list[str]) -> str:
    return "*".join(one.replace("\\", "\\\\").replace("*", "\\*") for one in pieces)


letters = st.text("ab*\\", max_size=4)


@given(letters, st.lists(letters.filter(bool), max_size=3), letters, st.text("ab*\\", max_size=12))
def test_a_wildcard_is_as_slow_search_says(
    first: str, middle: list[str], last: str, text: str
) -> None:
    pieces = [first, *middle, last]

    def slowly(text: str, pieces: list[str]) -> bool:
        piece, *rest = pieces
        if not rest:
            return text.endswith(piece)
        ends = [at + len(piece) for at in range(len(text) + 1) if text.startswith(piece, at)]
        return any(slowly(text[end:], rest) for end in ends)

    wanted = text.startswith(first) and slowly(text[len(first) :], [*middle, last])
    made = compile_pattern({"a": [{"wildcard": wild(pieces)}]})
    assert made.matches({"a": text}) is wanted
    assert made.matches({"a": "ab".join(pieces)})


leaves = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5)
names = st.text("abc$.", min_size=1, max_size=2).filter(lambda name: name != "$or")
events = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3)
)


@given(st.dictionaries(names, leaves, min_size=1, max_size=4), st.dictionaries(names, events))
def test_a_pattern_made_of_an_event_matches_it_and_its_negation_does_not(
    flat: dict[str, Any], more: dict[str, Any]
) -> None:
    event = {**more, **flat}
    assert compile_pattern({name: [value] for name, value in flat.items()}).matches(event)
    assert compile_pattern({name: [{"exists": True}] for name in flat}).matches(event)
    for name in flat:
        assert not compile_pattern({name: [{"exists": False}]}).matches(event)


@given(st.dictionaries(names, events))
def test_a_leaf_is_there_or_absent(event: dict[str, Any]) -> None:
    for name in ("a", "b", "zz"):
        there = compile_pattern({name: [{"exists": True}]}).matches(event)
        assert compile_pattern({name: [{"exists": False}]}).matches(event) is not there
