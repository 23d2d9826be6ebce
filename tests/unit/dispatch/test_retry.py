"""What is decided after an attempt, for all there could have been."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microfaas.dispatch.retry import BUSY_DELAY_S, BUSY_DELAY_S_MAX, JITTER, Policy, Step, decide

LAMBDA = Policy(2, 60.0, 21600.0)
POLICIES = st.builds(
    Policy,
    st.integers(0, 100),
    st.floats(0.001, 3600),
    st.floats(1, 1e6),
    st.booleans(),
)
CHANCES = st.floats(0, 1, exclude_max=True)
AGES = st.floats(0, 2e6)


def test_a_function_that_fails_is_tried_as_lambda_does() -> None:
    assert decide(LAMBDA, 1, 0, False, 1.0, 0.0) == Step("retry", 60.0)
    assert decide(LAMBDA, 2, 0, False, 70.0, 0.0) == Step("retry", 120.0)
    assert decide(LAMBDA, 3, 0, False, 200.0, 0.0) == Step("bury", condition="RetriesExhausted")


def test_doubling_is_patient_but_not_for_ever() -> None:
    policy = Policy(50, 1.0, 1e9, doubling=True)
    delays = [decide(policy, n, 0, False, 0.0, 0.0).delay_s for n in range(1, 50)]
    assert delays[:5] == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert delays == sorted(delays)
    assert delays[-1] == BUSY_DELAY_S_MAX


def test_no_retries_means_one_attempt() -> None:
    assert decide(Policy(0, 60.0, 21600.0), 1, 0, False, 0.0, 0.0).action == "bury"


def test_refusals_are_waited_out_ever_more_patiently() -> None:
    delays = [decide(LAMBDA, 0, refusals, None, 0.0, 0.0).delay_s for refusals in range(20)]
    assert delays[0] == BUSY_DELAY_S
    assert delays == sorted(delays)
    assert delays[-1] == BUSY_DELAY_S_MAX


def test_a_part_of_every_delay_is_random() -> None:
    assert decide(LAMBDA, 1, 0, False, 0.0, 0.5).delay_s == 60.0 * (1 + JITTER / 2)
    assert decide(LAMBDA, 0, 0, None, 0.0, 1.0).delay_s == pytest.approx(
        BUSY_DELAY_S * (1 + JITTER)
    )


@given(POLICIES, st.integers(1, 200), st.integers(0, 10**6), AGES, CHANCES)
def test_a_success_is_done(
    policy: Policy, attempts: int, refusals: int, age_s: float, chance: float
) -> None:
    assert decide(policy, attempts, refusals, True, age_s, chance) == Step("done")


@given(POLICIES, st.integers(0, 200), st.integers(0, 10**6), AGES, CHANCES)
def test_a_refusal_is_nobodys_attempt(
    policy: Policy, attempts: int, refusals: int, age_s: float, chance: float
) -> None:
    """It is tried again as long as it is young enough, however often it was run."""
    step = decide(policy, attempts, refusals, None, age_s, chance)
    if age_s + BUSY_DELAY_S_MAX * (1 + JITTER) <= policy.age_s_max:
        assert step.action == "retry"
        assert BUSY_DELAY_S <= step.delay_s <= BUSY_DELAY_S_MAX * (1 + JITTER)
    elif step.action == "bury":
        assert step.condition == "EventAgeExceeded"


@given(POLICIES, st.integers(1, 200), st.integers(0, 10**6), AGES, CHANCES)
def test_a_failure_is_tried_again_while_there_are_retries_and_time(
    policy: Policy, attempts: int, refusals: int, age_s: float, chance: float
) -> None:
    step = decide(policy, attempts, refusals, False, age_s, chance)
    if attempts > policy.retries_max:
        assert step == Step("bury", condition="RetriesExhausted")
    elif step.action == "bury":
        assert step.condition == "EventAgeExceeded"
        later = max(policy.retry_delay_s * max(attempts, 2.0 ** min(attempts, 16)), 300.0)
        assert age_s + later * (1 + JITTER) > policy.age_s_max
    else:
        assert step.action == "retry"
        assert age_s + step.delay_s <= policy.age_s_max
        assert step.delay_s >= policy.retry_delay_s
