"""CloudWatch's regular expressions match what Python's do, in a time that is bounded."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from microfaas.patterns import InvalidPattern
from microfaas.patterns.log_regex import compile_regex

ATOMS = ["a", "b", ".", "[ab]", "[^a]", "[a-c0]", r"\d", r"\W", r"\s", r"\x61", r"\.", r"[\d_.]"]
QUANTIFIERS = ["", "", "", "?", "*", "+", "{2}", "{0,2}", "{1,}", "{0}"]
ALTERNATIVE = st.builds(
    lambda first, parts, last: first + "".join(map("".join, parts)) + last,
    st.sampled_from(["", "", "^"]),
    st.lists(st.tuples(st.sampled_from(ATOMS), st.sampled_from(QUANTIFIERS)), max_size=6),
    st.sampled_from(["", "", "$"]),
)


@settings(max_examples=500)
@given(st.lists(ALTERNATIVE, min_size=1, max_size=3), st.text("abc0_. é\n", max_size=12))
def test_it_finds_what_pythons_find(alternatives: list[str], text: str) -> None:
    pattern = "|".join(alternatives)
    wanted = re.search(pattern, text, re.ASCII) is not None
    assert compile_regex(pattern)(text) is wanted


@pytest.mark.parametrize(
    "pattern",
    [
        ".*a.*a.*a.*[bc]",
        "a?" * 300 + "a" * 300 + "[bc]",
        "[ab]*a[ab]{500}[bc]",
        "a*" * 500 + "[bc]",
    ],
)
def test_what_others_take_for_ever_to_find_is_not_there(pattern: str) -> None:
    assert not compile_regex(pattern)("a" * 100_000)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("(a)", r"'\(' may not stand there"),
        ("a b", "'.' may not stand there"),
        ("a!", "'!' may not stand there"),
        ("é", "'é' may not stand there"),
        ("a}", "'}' may not stand there"),
        ("*a", r"nothing for \* to repeat"),
        ("a+?", r"nothing for \? to repeat"),
        ("a{2}{3}", r"nothing for \{ to repeat"),
        ("a^", r"\^ stands at the beginning"),
        ("a$b", r"\$ stands at the end"),
        ("a{", "how often"),
        ("a{3,2}", "how often"),
        ("a{1001}", "how often"),
        ("a{600}|b{600}", "1000 places"),
        ("a{999}b{2}", "1000 places"),
        ("[]", "nothing between"),
        ("[a", "ends too early"),
        ("[a b]", r"may not stand between \[ and \]"),
        ("[z-a]", "wrong way round"),
        (r"[a-\d]", "between two characters"),
        ("a\\", "ends too early"),
        (r"\b", "is none of"),
        (r"\xff", "is none of"),
    ],
)
def test_what_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(InvalidPattern, match=why):
        compile_regex(pattern)
