"""Parameters: defaults, what is given, and what a declaration has against it."""

from __future__ import annotations

import pytest
from template_world import Load

from microfaas.errors import ConfigError

TEMPLATE = """\
Parameters:
  Stage: {Type: String, Default: test, AllowedValues: [test, prod]}
  Name: {Type: String, AllowedPattern: "[a-z]+", MaxLength: 8}
  Size: {Type: Number, Default: 128, MinValue: 64, MaxValue: 512}
  Tags: {Type: CommaDelimitedList, Default: "a, b"}
Resources:
  Queue:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !Sub "${Stage}-${Name}-${Size}"
      DelaySeconds: !Ref Size
  Topic:
    Type: AWS::SNS::Topic
    Properties: {TopicName: !Join ["-", !Ref Tags]}
"""


def test_defaults_and_what_is_given(load: Load) -> None:
    stack = load(TEMPLATE, Name="orders", Size="256")
    assert stack.queues == {"test-orders-256": {"delay_s": 256}}
    assert stack.topics == {"a-b": {}}


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "template.yaml:3: the parameter Name has no default; give it with --parameter Name="),
        ({"Name": "a", "Stgae": "x"}, 'template.yaml:1: has no Stgae; did you mean "Stage"?'),
        ({"Name": "a", "Stage": "x"}, "must be one of: test, prod, not 'x'"),
        ({"Name": "A1"}, r"must match \[a-z\]\+, not 'A1'"),
        ({"Name": "toolongname"}, "must have 0 to 8 characters"),
        ({"Name": "a", "Size": "x"}, "must be a number, not 'x'"),
        ({"Name": "a", "Size": "1"}, "must be at least 64"),
        ({"Name": "a", "Size": "1000"}, "must be at most 512"),
    ],
)
def test_faults_are_named(load: Load, given: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        load(TEMPLATE, **given)


def test_what_is_not_to_be_seen_is_not_shown(load: Load) -> None:
    text = """\
        Parameters:
          Password: {Type: String, NoEcho: true, AllowedPattern: "[a-z]+"}
        Resources: {}
        """
    with pytest.raises(ConfigError, match="not what was given") as caught:
        load(text, Password="S3CRET")
    assert "S3CRET" not in str(caught.value)


def test_the_parameter_store_is_not_asked(load: Load) -> None:
    text = """\
        Parameters:
          Key: {Type: "AWS::SSM::Parameter::Value<String>", Default: /shop/key}
        Resources:
          Queue: {Type: AWS::SQS::Queue, Properties: {QueueName: !Ref Key}}
        """
    with pytest.raises(ConfigError, match="Parameter Store"):
        load(text)
    assert list(load(text, Key="orders").queues) == ["orders"]
