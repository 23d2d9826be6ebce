"""What authorizers have said is kept for a while, and within bounds."""

from __future__ import annotations

from microfaas.control.kept_verdicts import KeptVerdicts, Subject, subject
from microfaas.payloads.authorizers import Authorizer, Source

AUTHORIZER = Authorizer("g", "", "2.0", sources=(Source("header", "a"),), ttl_s=60)


def about(*values: str, api: str = "shop", authorizer: Authorizer = AUTHORIZER) -> Subject:
    made = subject(authorizer, api, list(values))
    assert made is not None
    return made


def test_it_counts_for_as_long_as_the_authorizer_says() -> None:
    kept = KeptVerdicts()
    kept.put(about("a"), b"yes", now_s=100)
    assert kept.get(about("a"), now_s=159) == b"yes"
    assert kept.get(about("a"), now_s=160) is None


def test_it_counts_for_the_same_caller_authorizer_and_api_alone() -> None:
    kept = KeptVerdicts()
    kept.put(about("a", "b"), b"yes", now_s=0)
    other = AUTHORIZER._replace(qualifier="live")
    for one in (
        *(about("a"), about("b", "a"), about("a,b"), about("ab", "")),
        *(about("a", "b", api="x"), about("a", "b", authorizer=other)),
    ):
        assert kept.get(one, now_s=1) is None


def test_nobody_is_known_again_without_sources() -> None:
    assert subject(AUTHORIZER, "shop", []) is None
    assert subject(AUTHORIZER._replace(ttl_s=0), "shop", ["a"]) is None


def test_many_callers_take_no_more_than_there_is() -> None:
    kept = KeptVerdicts(bytes_max=10_000)
    kept.put(about("first"), b"x" * 100, now_s=0)
    for number in range(1000):
        assert kept.get(about("first"), now_s=1) == b"x" * 100
        kept.put(about(str(number)), b"x" * 100, now_s=0)
    there = [n for n in range(1000) if kept.get(about(str(n)), now_s=1) is not None]
    assert there == list(range(1000 - len(there), 1000))
    assert 10 < len(there) < 100


def test_what_is_said_anew_takes_the_place_of_the_old() -> None:
    kept = KeptVerdicts(bytes_max=1000)
    for number in range(100):
        kept.put(about("a"), b"%d" % number, now_s=number)
    assert kept.get(about("a"), now_s=100) == b"99"
    kept.put(about("b"), b"x", now_s=0)
    assert kept.get(about("a"), now_s=100) == b"99"
