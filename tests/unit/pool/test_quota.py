"""Versions of one function share its concurrency."""

from __future__ import annotations

from microfaas.pool.quota import Quota


def test_what_is_taken_is_no_longer_free() -> None:
    quota = Quota(2, 0)
    quota.take()
    assert quota.free == 1
    quota.give_back()
    assert quota.free == 2


def test_who_waits_is_told_once() -> None:
    quota, told = Quota(1, 0), []
    quota.wait("a", lambda: told.append("a"))
    quota.wait("a", lambda: told.append("again"))
    quota.tell()
    quota.tell()
    assert told == ["again"]


def test_who_still_lacks_room_may_wait_again() -> None:
    quota, told = Quota(0, 0), []

    def wake() -> None:
        told.append(quota.limit)
        if not quota.limit:
            quota.wait("a", wake)

    quota.wait("a", wake)
    quota.tell()
    quota.change(3, 0)
    quota.tell()
    assert told == [0, 3]
