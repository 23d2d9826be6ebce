"""Function names as they come in paths."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microfaas.errors import InvalidRequest
from microfaas.gateway.names import NAME_CHARS_MAX, parse
from microfaas.model import Address

ADDRESS = Address(region="eu-west-3", account_id="123456789012")
ARN = "arn:aws:lambda:eu-west-3:123456789012:function:f"
NAMES = st.from_regex(r"[a-zA-Z0-9_-]{1,64}", fullmatch=True)

UNDERSTOOD: list[tuple[str, str, str, str]] = [
    ("f", "", "f", ""),
    ("my-function_2", "", "my-function_2", ""),
    ("f:PROD", "", "f", "PROD"),
    ("f:7", "", "f", "7"),
    ("f:$LATEST", "", "f", "$LATEST"),
    ("f:%24LATEST", "", "f", "$LATEST"),
    ("f%3APROD", "", "f", "PROD"),
    ("f", "PROD", "f", "PROD"),
    ("f", "$LATEST", "f", "$LATEST"),
    ("f:PROD", "PROD", "f", "PROD"),
    ("function:f", "", "f", ""),
    ("123456789012:f", "", "f", ""),
    ("123456789012:function:f", "", "f", ""),
    ("123456789012:function:f:PROD", "", "f", "PROD"),
    ("eu-west-3:123456789012:function:f", "", "f", ""),
    (ARN, "", "f", ""),
    (ARN + ":PROD", "", "f", "PROD"),
    (ARN + ":PROD", "PROD", "f", "PROD"),
    (ARN.replace(":", "%3A"), "", "f", ""),
    (ARN.replace(":", "%3a") + "%3a%24LATEST", "", "f", "$LATEST"),
    ("a.b", "", "a.b", ""),
]

MALFORMED = [
    "",
    "f g",
    "f/g",
    "f%2Fg",
    "f%20",
    "f%0A",
    "f%00",
    "f:",
    "f:a:b",
    "f:a b",
    "é",
    "%C3%A9",
    "%FF",
    "%",
    "arn:aws:s3:::f",
    "arn:aws:lambda:eu-west-3:12:function:f",
    "a" * (NAME_CHARS_MAX + 1),
]


@pytest.mark.parametrize(("raw", "query", "name", "qualifier"), UNDERSTOOD)
def test_a_name_is_understood(raw: str, query: str, name: str, qualifier: str) -> None:
    assert parse(raw, query, ADDRESS) == (name, qualifier)


@pytest.mark.parametrize("raw", MALFORMED)
def test_a_malformed_name_is_refused_in_the_words_of_aws(raw: str) -> None:
    with pytest.raises(InvalidRequest, match="at 'functionName' failed to satisfy") as refused:
        parse(raw, "", ADDRESS)
    assert refused.value.kind == "ValidationException"


@pytest.mark.parametrize("query", ["a b", "a:b", "é", "$OLD/", "x\n"])
def test_a_malformed_qualifier_is_refused_in_the_words_of_aws(query: str) -> None:
    with pytest.raises(InvalidRequest, match="at 'qualifier' failed to satisfy") as refused:
        parse("f", query, ADDRESS)
    assert refused.value.kind == "ValidationException"


@pytest.mark.parametrize("raw", [ARN.replace("eu-west-3", "us-east-1"), "us-east-1:f"])
def test_a_function_of_another_region_is_not_found(raw: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(raw, "", ADDRESS)
    assert refused.value.kind == "ResourceNotFoundException"
    assert str(refused.value) == (
        "Functions from 'us-east-1' are not reachable in this region ('eu-west-3')"
    )


@pytest.mark.parametrize("raw", ["f:PROD", ARN + ":PROD", "f%3APROD"])
def test_two_qualifiers_that_differ_are_refused(raw: str) -> None:
    with pytest.raises(InvalidRequest, match="does not match the specified") as refused:
        parse(raw, "TEST", ADDRESS)
    assert refused.value.kind == "InvalidParameterValueException"


def test_a_name_of_the_greatest_length_is_taken() -> None:
    name = "a" * NAME_CHARS_MAX
    assert parse(name, "", ADDRESS) == (name, "")


@given(NAMES, NAMES)
def test_however_it_is_written_a_name_means_the_same(name: str, qualifier: str) -> None:
    arn = ADDRESS.arn(name)
    for raw in (f"{name}:{qualifier}", f"{arn}:{qualifier}", quote(f"{arn}:{qualifier}", safe="")):
        assert parse(raw, "", ADDRESS) == (name, qualifier)
    assert parse(name, qualifier, ADDRESS) == (name, qualifier)


@given(st.text(), st.text())
def test_any_text_is_a_name_or_refused(raw: str, query: str) -> None:
    try:
        name, _ = parse(raw, query, ADDRESS)
    except InvalidRequest:
        return
    assert re.fullmatch(r"[a-zA-Z0-9._-]+", name)
