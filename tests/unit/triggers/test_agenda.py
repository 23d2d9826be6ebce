"""The agenda's rules, without files or time."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microfaas.triggers import agenda
from microfaas.triggers.agenda import Agenda, Heard


def test_a_key_is_listed_once_for_the_best_reason() -> None:
    book = Agenda()
    book.offer("k", Heard.FOUND)
    book.offer("k", Heard.CLOSED)
    book.offer("k", Heard.CREATED)
    assert len(book) == 1
    assert book.take() == ("k", Heard.CLOSED)


def test_what_is_heard_in_flight_waits_for_the_landing() -> None:
    book = Agenda()
    book.fly("k", racy=False)
    book.offer("k", Heard.CLOSED)
    assert len(book) == 0
    assert book.land("k")
    assert book.take() == ("k", Heard.CLOSED)
    book.fly("k", racy=True)
    book.offer("k", Heard.CLOSED)
    book.land("k")
    assert book.take() == ("k", Heard.REWRITTEN)
    book.fly("k", racy=True)
    assert not book.land("k")


def test_what_does_not_fit_asks_for_a_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(agenda, "PENDING_MAX", 4)
    monkeypatch.setattr(agenda, "DOUBTFUL_MAX", 1)
    book = Agenda()
    for key in "abcd":
        book.offer(key, Heard.CLOSED)
    assert not book.overflowed
    assert not book.has_room
    book.offer("e", Heard.CLOSED)
    assert book.overflowed
    assert len(book) == 4
    book.overflowed = False
    book.doubt("x", Heard.FOUND, 1.0)
    book.doubt("x", Heard.FOUND, 2.0)
    assert not book.overflowed
    book.doubt("y", Heard.FOUND, 1.0)
    assert book.overflowed


def test_a_doubt_comes_back_when_due_unless_it_was_settled() -> None:
    book = Agenda()
    book.doubt("a", Heard.FOUND, 1.0)
    book.doubt("b", Heard.CREATED, 2.0)
    assert not book.settle_doubts(0.9)
    assert book.settle_doubts(1.0)
    assert book.take() == ("a", Heard.FOUND)
    book.offer("b", Heard.CLOSED)
    assert book.take() == ("b", Heard.CLOSED)
    assert not book.settle_doubts(9.0)


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("olt"), st.sampled_from("abc"))))
def test_no_key_flies_twice_and_none_is_forgotten(steps: list[tuple[str, str]]) -> None:
    book = Agenda()
    flying: set[str] = set()
    owed: set[str] = set()
    for step, key in steps:
        if step == "o":
            book.offer(key, Heard.CLOSED)
            owed.add(key)
        elif step == "l" and key in flying:
            flying.discard(key)
            book.land(key)
        elif step == "t" and len(book):
            taken, _ = book.take()
            assert taken not in flying
            owed.discard(taken)
            flying.add(taken)
            book.fly(taken, racy=False)
    for key in flying:
        book.land(key)
    assert {book.take()[0] for _ in range(len(book))} == owed
