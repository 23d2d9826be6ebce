"""The plan: what a pool starts, and whom it refuses, for any numbers."""

from __future__ import annotations

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from microfaas.pool.plan import View, refusal, starts

SMALL = st.integers(0, 30)


@st.composite
def views(draw: st.DrawFn) -> View:
    """Any pool that has no more instances than it may have."""
    idle, busy, starting = draw(SMALL), draw(SMALL), draw(SMALL)
    return View(
        idle=idle,
        busy=busy,
        starting=starting,
        waiting=draw(SMALL),
        in_use=draw(st.booleans()),
        concurrency_max=max(1, idle + busy + starting + draw(SMALL)),
        ready_ahead=draw(st.integers(0, 5)),
        affordable=draw(SMALL),
    )


def room(view: View) -> int:
    return view.concurrency_max - view.idle - view.busy - view.starting


def startable(view: View) -> int:
    return min(room(view), view.affordable)


@given(views())
def test_starts_are_never_negative(view: View) -> None:
    assert starts(view) >= 0


@given(views())
def test_starts_stay_within_the_concurrency(view: View) -> None:
    assert starts(view) <= room(view)


@given(views())
def test_starts_stay_within_the_memory(view: View) -> None:
    assert starts(view) <= view.affordable


@given(views())
def test_everybody_who_waits_gets_an_instance_if_there_is_room(view: View) -> None:
    coming = view.idle + view.starting + starts(view)
    assert coming >= view.waiting or starts(view) == startable(view)


@given(views())
def test_nothing_is_started_beyond_those_who_wait_and_the_reserve(view: View) -> None:
    reserve = view.ready_ahead if view.in_use else 0
    assert starts(view) <= max(0, view.waiting + reserve - view.idle - view.starting)


@given(views())
def test_a_pool_that_is_not_in_use_keeps_no_reserve(view: View) -> None:
    assert starts(dataclasses.replace(view, in_use=False, waiting=0)) == 0


@given(views())
def test_a_pool_in_use_has_its_reserve_if_there_is_room(view: View) -> None:
    view = dataclasses.replace(view, in_use=True, waiting=0)
    coming = view.idle + view.starting + starts(view)
    assert coming >= view.ready_ahead or starts(view) == startable(view)


@given(views())
def test_what_was_started_once_is_not_started_again(view: View) -> None:
    count = starts(view)
    after = dataclasses.replace(
        view, starting=view.starting + count, affordable=view.affordable - count
    )
    assert starts(after) == 0


@given(views(), SMALL)
def test_nobody_is_refused_while_the_line_has_a_place(view: View, waiting_max: int) -> None:
    if view.waiting < waiting_max:
        assert refusal(view, waiting_max) is None


@given(views(), SMALL)
def test_nobody_is_refused_who_can_have_an_instance(view: View, waiting_max: int) -> None:
    if view.waiting < view.idle + view.starting + startable(view):
        assert refusal(view, waiting_max) is None


@given(views(), SMALL)
def test_the_line_is_bounded(view: View, waiting_max: int) -> None:
    if view.waiting >= waiting_max + view.idle + view.starting + startable(view):
        assert refusal(view, waiting_max) is not None


@given(views(), SMALL)
def test_the_reason_names_what_is_short(view: View, waiting_max: int) -> None:
    reason = refusal(view, waiting_max)
    if reason is not None:
        machine = view.affordable < room(view)
        assert reason.startswith("Concurrent" if machine else "ReservedFunctionConcurrent")
        assert reason.endswith("InvocationLimitExceeded")
