"""EventBridge's events, paths and templates."""

from __future__ import annotations

import json

import pytest

from microfaas.model import Address
from microfaas.payloads import eventbridge
from microfaas.payloads.eventbridge import MISSING, Occurrence, Tick

TICK = Tick(at_ms=1_796_731_200_999, id="11111111-2222-4333-8444-555555555555")
ARN = "arn:aws:events:us-east-1:123456789012:rule/r"
EVENT = {
    "id": "7",
    "time": "2026-12-08T12:00:00Z",
    "detail": {"list": [{"a": 1}, "x"], "text": 'a "b"\n', "none": None, "number": 1.5},
}


def test_a_rules_event_has_awss_fields_in_awss_order() -> None:
    event = eventbridge.of_rule(Address(), ARN, TICK)
    assert json.loads(eventbridge.encode(event)) == {
        "version": "0",
        "id": TICK.id,
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "123456789012",
        "time": "2026-12-08T12:00:00Z",
        "region": "us-east-1",
        "resources": [ARN],
        "detail": {},
    }
    assert [*event] == [
        "version",
        "id",
        "detail-type",
        "source",
        "account",
        "time",
        "region",
        "resources",
        "detail",
    ]


def test_an_event_of_the_bus_carries_what_was_put() -> None:
    occurrence = Occurrence(
        id="i", at_ms=0, source="s", detail_type="t", detail={"ü": [1]}, resources=("r",)
    )
    event = eventbridge.event(Address(region="eu-west-1"), occurrence)
    assert (event["time"], event["region"]) == ("1970-01-01T00:00:00Z", "eu-west-1")
    assert (event["detail"], event["resources"]) == ({"ü": [1]}, ["r"])


def test_schedulers_words_are_replaced_and_others_stay() -> None:
    text = (
        '["<aws.scheduler.schedule-arn>", "<aws.scheduler.scheduled-time>", '
        '"<aws.scheduler.execution-id>", <aws.scheduler.attempt-number>, "<aws.scheduler.else>"]'
    )
    assert json.loads(eventbridge.filled(text, ARN, TICK)) == [
        ARN, "2026-12-08T12:00:00Z", TICK.id, 1, "<aws.scheduler.else>",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", EVENT),
        ("$.id", "7"),
        ("$.detail.list[0].a", 1),
        ("$.detail.list[1]", "x"),
        ("$.detail.none", None),
        ("$.detail.list[2]", MISSING),
        ("$.detail.none.deeper", MISSING),
        ("$.id[0]", MISSING),
        ("$.absent", MISSING),
    ],
)
def test_paths(path: str, found: object) -> None:
    assert eventbridge.is_path(path)
    assert eventbridge.at_path(EVENT, path) == found


@pytest.mark.parametrize("path", ["", "id", "$id", "$.", "$..a", "$.a[x]", "$.a[-1]", "$['a']"])
def test_what_is_no_path(path: str) -> None:
    assert not eventbridge.is_path(path)


@pytest.mark.parametrize(
    ("template", "made"),
    [
        ('{"t": "<text>", "n": <number>}', {"t": 'a "b"\n', "n": 1.5}),
        ('{"t": <text>, "all": "<list>"}', {"t": 'a "b"\n', "all": '[{"a":1},"x"]'}),
        ('{"none": <gone>, "text": "-<gone>-"}', {"none": None, "text": "--"}),
        ('"<number> is \\"<text>\\""', '1.5 is "a "b"\n"'),
        ("<number> is <text>", '1.5 is a "b"\n'),
        ('{"rule": "<aws.events.rule-name>", "arn": <aws.events.rule-arn>}',
         {"rule": "r", "arn": ARN}),
        ('{"whole": <aws.events.event.json>}', {"whole": EVENT}),
        ('{"less": <aws.events.event>}', {"less": {k: EVENT[k] for k in ("id", "time")}}),
        ('{"unknown": "<unknown>"}', {"unknown": "<unknown>"}),
        ('["<number>", "a\\\\", <number>]', ["1.5", "a\\", 1.5]),
    ],
)  # fmt: skip
def test_templates(template: str, made: object) -> None:
    paths = {
        "text": "$.detail.text",
        "number": "$.detail.number",
        "list": "$.detail.list",
        "gone": "$.detail.gone",
    }
    assert json.loads(eventbridge.transformed(EVENT, paths, template, (ARN, "r"))) == made
