"""CloudFormation's functions, with what is known, and with what is not known yet."""

from __future__ import annotations

from typing import Any

import pytest

from microfaas.errors import Problem
from microfaas.templates.intrinsics import NOTHING, PENDING, Resolver

KNOWN: dict[str, object] = {
    "Stage": "prod",
    "Count": 3,
    "Names": ["a", "b"],
    "Odd": "${Stage}",
    "AWS::NoValue": NOTHING,
}
ATTRIBUTES = {("Queue", "Arn"): "arn:queue"}
DATA: dict[str, Any] = {
    "Mappings": {"Sizes": {"prod": {"memory": 512}}},
    "Conditions": {
        "IsProd": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]},
        "IsTest": {"Fn::Not": [{"Condition": "IsProd"}]},
        "Three": {"Fn::Equals": [{"Ref": "Count"}, "3"]},
        "Both": {"Fn::And": [{"Condition": "IsProd"}, {"Condition": "Three"}]},
        "Either": {"Fn::Or": [{"Condition": "IsTest"}, {"Condition": "Three"}]},
        "Loop": {"Condition": "Loop"},
        "Odd": {"Fn::Maybe": []},
    },
}


def resolve(value: Any, *, final: bool = True) -> tuple[Any, list[Problem]]:
    problems: list[Problem] = []
    resolver = Resolver(
        DATA,
        lambda name: KNOWN.get(name, PENDING),
        lambda name, attribute: ATTRIBUTES.get((name, attribute), PENDING),
        lambda path: "/".join(map(str, path)),
        problems,
        final=final,
    )
    return resolver.resolve(value, ("at",)), problems


@pytest.mark.parametrize(
    ("value", "made"),
    [
        ({"Ref": "Stage"}, "prod"),
        ({"a": {"Ref": "Count"}}, {"a": 3}),
        ({"a": 1, "b": {"Ref": "AWS::NoValue"}}, {"a": 1}),
        ([1, {"Ref": "AWS::NoValue"}], [1]),
        ({"Fn::GetAtt": ["Queue", "Arn"]}, "arn:queue"),
        ({"Fn::GetAtt": "Queue.Arn"}, "arn:queue"),
        ({"Fn::Join": ["-", ["a", {"Ref": "Stage"}, {"Ref": "Count"}]]}, "a-prod-3"),
        ({"Fn::Join": [",", {"Ref": "Names"}]}, "a,b"),
        ({"Fn::Split": ["-", "a-b-c"]}, ["a", "b", "c"]),
        ({"Fn::Select": ["1", {"Ref": "Names"}]}, "b"),
        ({"Fn::Select": [0, {"Fn::Split": [",", "x,y"]}]}, "x"),
        ({"Fn::Sub": "${Stage}-${Queue.Arn}-${!Literal}"}, "prod-arn:queue-${Literal}"),
        ({"Fn::Sub": ["${a}/${Stage}", {"a": {"Ref": "Count"}}]}, "3/prod"),
        # What a value contains is not substituted again.
        ({"Fn::Sub": "${Odd}"}, "${Stage}"),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "Stage"}, "memory"]}, 512),
        ({"Fn::If": ["IsProd", "yes", "no"]}, "yes"),
        ({"Fn::If": ["IsTest", "yes", "no"]}, "no"),
        ({"Fn::If": ["Both", "yes", "no"]}, "yes"),
        ({"Fn::If": ["Either", "yes", "no"]}, "yes"),
        ({"a": {"Fn::If": ["IsTest", 1, {"Ref": "AWS::NoValue"}]}}, {}),
        ({"Fn::Base64": "abc"}, "YWJj"),
        ({"Condition": {"StringEquals": {"a": "b"}}}, {"Condition": {"StringEquals": {"a": "b"}}}),
    ],
)
def test_what_is_known_is_resolved(value: Any, made: Any) -> None:
    assert resolve(value) == (made, [])
    assert resolve(value, final=False) == (made, [])


@pytest.mark.parametrize(
    ("value", "made"),
    [
        ({"Ref": "Table"}, {"Ref": "Table"}),
        ({"Fn::GetAtt": ["Table", "Arn"]}, {"Fn::GetAtt": ["Table", "Arn"]}),
        ({"Fn::Sub": "${Stage}-${Table}"}, {"Fn::Sub": "prod-${Table}"}),
        ({"Fn::Sub": "${Odd}-${Table}"}, {"Fn::Sub": "${!Stage}-${Table}"}),
        (
            {"Fn::Sub": ["${a}-${b}", {"a": {"Ref": "Stage"}, "b": {"Ref": "Table"}}]},
            {"Fn::Sub": ["prod-${b}", {"a": "prod", "b": {"Ref": "Table"}}]},
        ),
        (
            {"Fn::Join": ["-", [{"Ref": "Stage"}, {"Ref": "Table"}]]},
            {"Fn::Join": ["-", ["prod", {"Ref": "Table"}]]},
        ),
        ({"Fn::If": ["IsProd", {"Ref": "Table"}, 1]}, {"Ref": "Table"}),
    ],
)
def test_what_is_not_known_yet_stays(value: Any, made: Any) -> None:
    assert resolve(value, final=False) == (made, [])
    _, problems = resolve(value)
    assert "Table" in str(problems) or "there is no" in str(problems)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"Fn::ImportValue": "x"}, "takes what another stack exports"),
        ({"Fn::ForEach::Loop": []}, "AWS::LanguageExtensions"),
        ({"Fn::Nothing": 1}, "Fn::Nothing is not a function"),
        ({"Fn::FindInMap": ["Sizes", "test", "memory"]}, "no Sizes.test.memory in Mappings"),
        ({"Fn::Select": [5, ["a"]]}, "long enough"),
        ({"Fn::If": ["Unknown", 1, 2]}, "there is no condition Unknown"),
        ({"Fn::If": ["Loop", 1, 2]}, "Conditions/Loop: depends on itself"),
        ({"Fn::If": ["Odd", 1, 2]}, "a condition is Fn::Equals"),
        ({"Fn::If": ["IsProd"]}, "needs a condition and two values"),
        ({"Fn::Sub": "${Names}"}, "needs a text, not a list"),
        ({"Fn::Join": ["-", "text"]}, "needs a delimiter and a list"),
        ("{{resolve:secretsmanager:x}}", "make it a parameter"),
    ],
)
def test_faults_are_named(value: Any, told: str) -> None:
    _, problems = resolve({"key": value})
    assert told in str(problems[0])
