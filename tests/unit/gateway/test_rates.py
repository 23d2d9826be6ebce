"""Token buckets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microfaas.errors import TooManyRequests
from microfaas.gateway.rates import Rates


def passes(rates: Rates, per_s: float, now_s: float, name: str = "a") -> bool:
    try:
        rates.take(name, per_s, now_s)
    except TooManyRequests:
        return False
    return True


def test_a_second_of_requests_may_come_at_once() -> None:
    rates = Rates("CallerRateLimitExceeded")
    assert [passes(rates, 3, 10.0) for _ in range(4)] == [True, True, True, False]
    assert not passes(rates, 3, 10.3)
    assert passes(rates, 3, 10.4)
    assert passes(rates, 3, 10.4, name="b")


def test_who_is_refused_learns_when_to_come_back() -> None:
    rates = Rates("CallerRateLimitExceeded")
    rates.take("a", 0.1, 0.0)
    with pytest.raises(TooManyRequests) as caught:
        rates.take("a", 0.1, 4.0)
    assert (caught.value.reason, caught.value.retry_after_s) == ("CallerRateLimitExceeded", 6)
    assert passes(rates, 0.1, 10.0)


def test_a_clock_that_goes_back_gives_nothing_and_takes_nothing() -> None:
    rates = Rates("")
    assert passes(rates, 1, 100.0)
    assert not passes(rates, 1, 50.0)
    assert passes(rates, 1, 51.0)


@given(st.floats(0.1, 100), st.lists(st.floats(0, 2), max_size=200))
def test_no_more_pass_than_the_rate_and_one_burst(per_s: float, gaps: list[float]) -> None:
    rates, now_s, passed = Rates(""), 0.0, 0
    for gap in gaps:
        now_s += gap
        passed += passes(rates, per_s, now_s)
    assert passed <= now_s * per_s + max(1.0, per_s) + 1e-6
