"""The gate before an endpoint: who may try when it is down, and when."""

from __future__ import annotations

import asyncio

import pytest

from microfaas.dispatch import delivery
from microfaas.dispatch.gate import Gate


@pytest.fixture
def gate() -> Gate:
    return Gate(lambda failures: 0.0)


def closed() -> Gate:
    """One that failed, and stays shut for longer than any test."""
    made = Gate(lambda failures: 3600.0)
    made.leave("usual", reached=False)
    return made


async def test_while_the_endpoint_answers_everybody_may(gate: Gate) -> None:
    for _ in range(10):
        assert await gate.enter() == "usual"
    gate.leave("usual", reached=True)
    assert await gate.enter() == "usual"


async def test_after_a_failure_one_may_try(gate: Gate) -> None:
    gate.leave("usual", reached=False)
    assert await gate.enter() == "trial"
    other = asyncio.ensure_future(gate.enter())
    await asyncio.sleep(0.01)
    assert not other.done()
    gate.leave("trial", reached=False)
    assert await other == "trial"


async def test_once_it_answers_everybody_may_again(gate: Gate) -> None:
    gate.leave("usual", reached=False)
    assert await gate.enter() == "trial"
    others = [asyncio.ensure_future(gate.enter()) for _ in range(5)]
    await asyncio.sleep(0)
    gate.leave("trial", reached=True)
    assert await asyncio.gather(*others) == ["usual"] * 5


async def test_those_that_set_out_together_fail_as_one() -> None:
    asked: list[int] = []

    def delay_s(failures: int) -> float:
        asked.append(failures)
        return 0.0

    gate = Gate(delay_s)
    for _ in range(8):
        gate.leave("usual", reached=False)
    assert asked == [1]
    for _ in range(3):
        assert await gate.enter() == "trial"
        gate.leave("trial", reached=False)
    assert asked == [1, 2, 3, 4]


async def test_who_comes_late_does_not_end_anothers_trial(gate: Gate) -> None:
    gate.leave("usual", reached=False)
    assert await gate.enter() == "trial"
    gate.leave("usual", reached=False)
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(gate.enter(), 0.01)


async def test_nobody_tries_before_the_time() -> None:
    gate = closed()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(gate.enter(), 0.01)


async def test_stopped_nobody_waits_any_more() -> None:
    gate = closed()
    waiting = [asyncio.ensure_future(gate.enter()) for _ in range(3)]
    await asyncio.sleep(0)
    gate.stop()
    assert await asyncio.gather(*waiting) == [None] * 3
    assert await gate.enter() is None


def test_an_endpoint_is_left_alone_ever_longer_but_not_for_ever() -> None:
    delays = [delivery._delay_s(failures) for failures in (1, 4, 8, 1000)]
    assert delays == sorted(delays)
    assert 1 <= delays[0] < 2
    assert delays[-1] <= 300 * 1.2
