"""Templates' text: tags, lines, and what is wrong with it."""

from __future__ import annotations

import sys

import pytest

from microfaas.errors import ConfigError
from microfaas.templates import document
from microfaas.templates.document import Document


def parse(text: str) -> Document:
    return document.parse(text, "/x/template.yaml")


def test_short_tags_become_long_forms() -> None:
    text = """\
Resources:
  A:
    One: !Ref Queue
    Two: !GetAtt Queue.Arn
    Three: !Sub "${A}-x"
    Four: !Join [":", [a, !Ref B]]
    Five: !If [IsProd, 1, !Ref "AWS::NoValue"]
    Six: !Equals [!Condition C, "true"]
"""
    assert parse(text).data["Resources"]["A"] == {
        "One": {"Ref": "Queue"},
        "Two": {"Fn::GetAtt": ["Queue", "Arn"]},
        "Three": {"Fn::Sub": "${A}-x"},
        "Four": {"Fn::Join": [":", ["a", {"Ref": "B"}]]},
        "Five": {"Fn::If": ["IsProd", 1, {"Ref": "AWS::NoValue"}]},
        "Six": {"Fn::Equals": [{"Condition": "C"}, "true"]},
    }


def test_dates_stay_text() -> None:
    read = parse("AWSTemplateFormatVersion: 2010-09-09\nResources: {}\n")
    assert read.data["AWSTemplateFormatVersion"] == "2010-09-09"


def test_places_are_lines_of_the_nearest_part() -> None:
    read = parse("Resources:\n  Queue:\n    Type: X\n    Items:\n      - a\n      - b: 1\n")
    assert read.place(("Resources", "Queue")) == "template.yaml:2"
    assert read.place(("Resources", "Queue", "Items", 1, "b")) == "template.yaml:6"
    assert read.place(("Resources", "Queue", "Type", "deeper")) == "template.yaml:3"
    assert read.place(("Outputs",)) == "template.yaml"


def test_what_the_transform_made_is_where_it_came_from() -> None:
    read = parse("Resources:\n  Or: {}\n  Order: {}\n")
    assert read.place_of("OrderRole", "Properties") == "template.yaml:3"
    assert read.place_of("ServerlessRestApi") == "template.yaml:1"


def test_json_is_a_template_too() -> None:
    read = parse('{"Resources": {"Q": {"Type": "AWS::SQS::Queue",\n\t"Properties": {"A": 1.5}}}}')
    assert read.data["Resources"]["Q"]["Properties"] == {"A": 1.5}


def test_merged_keys_may_be_said_again() -> None:
    read = parse("x: &x {a: 1, b: 2}\nResources:\n  A:\n    <<: *x\n    b: 3\n")
    assert read.data["Resources"]["A"] == {"a": 1, "b": 3}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("Resources:\n  A: {}\n  A: {}\n", "template.yaml:3: has A a second time"),
        ("Resources:\n  - [a\n", "template.yaml:3: "),
        ("Resources: []\n", "must have a section Resources"),
        ("", "must have a section Resources"),
        ("Resources:\n  A: &a\n    b: *a\n", "is not valid YAML"),
    ],
)
def test_faults_are_named_with_their_line(text: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        parse(text)


def test_little_text_may_not_become_much(monkeypatch: pytest.MonkeyPatch) -> None:
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9))
    with pytest.raises(ConfigError, match="more than 200000 values"):
        parse(f"a0: &a0 x\n{levels}Resources: {{}}\n")


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="No such file"):
        document.read("/nowhere/template.yaml")


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "microfaas.templates.nodes", raising=False)
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(ConfigError, match=r'pip install "microfaas\[sam\]"'):
        parse("Resources: {}\n")
