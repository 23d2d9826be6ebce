"""When a canary has broken a rule."""

from __future__ import annotations

import pytest

from microfaas.control.rollouts import CALLS_KEPT, Counts, rule_of
from microfaas.errors import InvalidRequest
from microfaas.model import Status


def counted(*calls: tuple[Status, float]) -> Counts:
    counts = Counts()
    for status, wall_ms in calls:
        counts.add(status, wall_ms)
    return counts


@pytest.mark.parametrize(
    ("text", "what", "limit"),
    [
        ("errors>2%", "errors", 0.02),
        ("errors > 0.5%", "errors", 0.005),
        ("p99>500ms", "p99", 500.0),
        ("p5>1.5s", "p5", 1500.0),
        ("mean>200ms", "mean", 200.0),
    ],
)
def test_rules_are_read(text: str, what: str, limit: float) -> None:
    assert rule_of(text)[1:] == (what, limit)


@pytest.mark.parametrize(
    "text", ["", "errors>2", "errors<2%", "p100>5ms", "p>5ms", "mean>5", "errors>2%,p99>5ms"]
)
def test_what_is_no_rule_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(InvalidRequest, match="errors>2%"):
        rule_of(text)


def test_without_calls_nothing_is_broken() -> None:
    assert Counts().broken(rule_of("errors>0%")) == Counts().broken(rule_of("p99>0ms")) == ""


@pytest.mark.parametrize(("failures", "told"), [(2, ""), (3, "3 of 100 calls failed, errors>2%")])
def test_errors_are_a_share_of_the_calls(failures: int, told: str) -> None:
    calls = [(Status.ERROR, 1.0)] * failures + [(Status.OK, 1.0)] * (100 - failures)
    assert counted(*calls).broken(rule_of("errors>2%")) == told


@pytest.mark.parametrize("status", [each for each in Status if each is not Status.OK])
def test_every_bad_end_is_an_error(status: Status) -> None:
    assert counted((status, 1.0)).errors == 1


@pytest.mark.parametrize(
    ("rule", "broken"),
    [
        ("p50>50ms", False),
        ("p50>49ms", True),
        ("p99>99ms", False),
        ("p99>98ms", True),
        ("mean>50.5ms", False),
        ("mean>50.4ms", True),
    ],
)
def test_percentiles_are_of_what_was_measured(rule: str, broken: bool) -> None:
    counts = counted(*((Status.OK, float(wall_ms)) for wall_ms in range(1, 101)))
    assert bool(counts.broken(rule_of(rule))) is broken


def test_old_calls_are_forgotten_for_percentiles_and_not_for_shares() -> None:
    slow = [(Status.ERROR, 1000.0)] * CALLS_KEPT
    counts = counted(*slow, *([(Status.OK, 1.0)] * CALLS_KEPT))
    assert counts.broken(rule_of("p99>2ms")) == ""
    assert counts.errors == CALLS_KEPT
