"""The dispatcher: what it decides, and that it does so."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microfaas import dispatch
from microfaas.dispatch import (
    ATTEMPTS_MAX,
    BUSY_DELAY_S,
    BUSY_DELAY_S_MAX,
    JITTER,
    RETRY_DELAYS_S,
    Dispatcher,
    Step,
    decide,
)
from microfaas.errors import FunctionNotFound, MachineError, TooManyRequests
from microfaas.model import Invocation, Outcome, Status
from microfaas.testing import FakeInvoker

OK = Outcome(status=Status.OK, payload=b"1")
ERROR = Outcome(status=Status.ERROR, payload=b'{"errorType": "E"}')
BUSY = TooManyRequests("ConcurrentInvocationLimitExceeded")
EVENT = Invocation(request_id="id", function="f", event=b"{}")
BAD = [status for status in Status if status is not Status.OK]

Answers = list[Outcome | Exception]


def answering(*answers: Outcome | Exception) -> FakeInvoker:
    """An invoker that gives these answers one after the other."""
    left = list(answers)

    async def answer(_: Invocation) -> Outcome:
        now = left.pop(0)
        if isinstance(now, Exception):
            raise now
        return now

    return FakeInvoker({"f": answer})


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The delays that were waited for, without waiting."""
    delays: list[float] = []

    async def sleep(delay_s: float) -> None:
        delays.append(delay_s)

    monkeypatch.setattr(dispatch.asyncio, "sleep", sleep)
    monkeypatch.setattr(dispatch.random, "random", lambda: 0.0)
    return delays


@contextlib.asynccontextmanager
async def running(dispatcher: Dispatcher) -> AsyncIterator[asyncio.Task[None]]:
    work = asyncio.create_task(dispatcher.run())
    yield work
    work.cancel()
    await asyncio.gather(work, return_exceptions=True)


@pytest.mark.parametrize("attempts", [1, 2, 3, 10])
def test_a_success_is_done(attempts: int) -> None:
    assert decide(attempts, 0, OK) == Step("done")


@pytest.mark.parametrize("status", BAD)
@pytest.mark.parametrize("attempts", range(1, ATTEMPTS_MAX))
def test_every_bad_end_is_tried_again(status: Status, attempts: int) -> None:
    outcome = Outcome(status=status, payload=b"")
    assert decide(attempts, 0, outcome) == Step("retry", RETRY_DELAYS_S[attempts - 1])


@pytest.mark.parametrize("status", BAD)
def test_after_the_last_attempt_it_is_given_up(status: Status) -> None:
    outcome = Outcome(status=status, payload=b"")
    assert decide(ATTEMPTS_MAX, 0, outcome) == Step("bury")


@pytest.mark.parametrize("attempts", [0, 1, ATTEMPTS_MAX, 100])
def test_a_refusal_is_nobodys_attempt(attempts: int) -> None:
    assert decide(attempts, 1, None).action == "retry"


def test_refusals_are_waited_out_ever_more_patiently() -> None:
    delays = [decide(0, refusals, None).delay_s for refusals in range(20)]
    assert delays[0] == BUSY_DELAY_S
    assert delays == sorted(delays)
    assert delays[-1] == BUSY_DELAY_S_MAX


@given(st.integers(0, 10**6))
def test_however_often_it_was_refused_the_delay_is_bounded(refusals: int) -> None:
    assert 0 < decide(0, refusals, None).delay_s <= BUSY_DELAY_S_MAX


async def test_a_success_is_delivered_at_once(slept: list[float]) -> None:
    assert await Dispatcher(answering(OK)).deliver(EVENT) == (OK, 1)
    assert slept == []


async def test_a_failure_is_delivered_again(slept: list[float]) -> None:
    assert await Dispatcher(answering(ERROR, OK)).deliver(EVENT) == (OK, 2)
    assert slept == [RETRY_DELAYS_S[0]]


async def test_what_keeps_failing_is_given_up(slept: list[float]) -> None:
    outcomes = [ERROR] * ATTEMPTS_MAX
    assert await Dispatcher(answering(*outcomes)).deliver(EVENT) == (ERROR, ATTEMPTS_MAX)
    assert slept == list(RETRY_DELAYS_S)


@pytest.mark.parametrize("refusal", [BUSY, MachineError("no room")])
async def test_refusals_do_not_count_as_attempts(slept: list[float], refusal: Exception) -> None:
    invoker = answering(*[refusal] * 10, ERROR, refusal, OK)
    assert await Dispatcher(invoker).deliver(EVENT) == (OK, 2)
    assert len(slept) == 12


async def test_after_an_attempt_refusals_are_counted_from_the_start(slept: list[float]) -> None:
    await Dispatcher(answering(BUSY, BUSY, ERROR, BUSY, OK)).deliver(EVENT)
    busy = [BUSY_DELAY_S * 2, BUSY_DELAY_S * 4]
    assert slept == [*busy, RETRY_DELAYS_S[0], busy[0]]


async def test_a_part_of_every_delay_is_random(
    slept: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatch.random, "random", lambda: 1.0)
    await Dispatcher(answering(ERROR, OK)).deliver(EVENT)
    assert slept == [RETRY_DELAYS_S[0] * (1 + JITTER)]


async def test_every_attempt_is_the_same_invocation(slept: list[float]) -> None:
    invoker = answering(ERROR, BUSY, OK)
    await Dispatcher(invoker).deliver(EVENT)
    assert invoker.invocations == [EVENT] * 3


async def test_a_function_that_is_gone_is_told(slept: list[float]) -> None:
    with pytest.raises(FunctionNotFound):
        await Dispatcher(FakeInvoker({})).deliver(EVENT)
    assert slept == []


async def test_what_was_submitted_is_run() -> None:
    done = asyncio.Event()

    async def answer(_: Invocation) -> Outcome:
        done.set()
        return OK

    dispatcher = Dispatcher(FakeInvoker({"f": answer}))
    async with running(dispatcher), asyncio.timeout(60):
        dispatcher.submit(EVENT)
        await done.wait()


def test_a_full_queue_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "QUEUE_MAX", 2)
    dispatcher = Dispatcher(FakeInvoker({}))
    dispatcher.submit(EVENT)
    dispatcher.submit(EVENT)
    with pytest.raises(TooManyRequests):
        dispatcher.submit(EVENT)


LOST: dict[str, Any] = {
    "a fault of microfaas": FunctionNotFound("f", ""),
    "a bug": RuntimeError("a bug"),
}


@pytest.mark.parametrize("error", LOST.values(), ids=LOST.keys())
async def test_an_event_that_is_lost_is_told_and_the_others_go_on(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(dispatch, "WORKERS", 1)
    done = asyncio.Event()

    async def answer(invocation: Invocation) -> Outcome:
        if invocation is EVENT:
            raise error
        done.set()
        return OK

    dispatcher = Dispatcher(FakeInvoker({"f": answer}))
    with caplog.at_level(logging.ERROR):
        async with running(dispatcher) as work:
            dispatcher.submit(EVENT)
            dispatcher.submit(Invocation(request_id="next", function="f", event=b""))
            other = asyncio.create_task(done.wait())
            await asyncio.wait([work, other], return_when=asyncio.FIRST_COMPLETED)
            assert done.is_set()
    assert "event id is lost" in caplog.text


async def test_an_event_that_is_given_up_is_told(
    slept: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    dispatcher = Dispatcher(answering(*[ERROR] * ATTEMPTS_MAX))
    told = asyncio.Event()
    handler = logging.Handler()
    handler.emit = lambda _: told.set()  # type: ignore[method-assign]
    logging.getLogger("microfaas.dispatch").addHandler(handler)
    async with running(dispatcher), asyncio.timeout(60):
        dispatcher.submit(EVENT)
        await told.wait()
    logging.getLogger("microfaas.dispatch").removeHandler(handler)
    assert "f: event id given up after 3 attempts" in caplog.text
