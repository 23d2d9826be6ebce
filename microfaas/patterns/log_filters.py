"""CloudWatch's filter patterns, which say of a log's event whether it is wanted. Pure.

ERROR "timed out" -retry        all of the terms, and none of those behind a -
?ERROR ?WARN                    any of them
{ $.level = "E*" && $.ms > 3 }  of a JSON object
[ip, user, ..., status = 4*]    of fields between spaces; "…" and […] are one each
%time[ds]*%                     a regular expression (`log_regex.py`); also as a term or a value
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from microfaas.patterns.faults import InvalidPattern
from microfaas.patterns.log_conditions import Condition, Found, compile_condition, unescaped
from microfaas.patterns.log_regex import Regexes

_TERM = re.compile(
    r"""\s*(?P<sign>[-?]?)(?:
        "(?P<phrase>(?:[^"\\]|\\.)*)"
      | %(?P<regex>(?:[^%\\\s]|\\.)*)%
      | (?P<word>\S+)
    )(?=\s|$)""",
    re.VERBOSE,
)
# Whatever else a term has, it must stand in quotes.
_WORD = re.compile(r"[\w.#=@/;,:+~$-]+")
_STEP = re.compile(r"\.?\['([^']*)'\]|\[([0-9]+|\*)\]|\.([\w*-]+)")
_FIELD = re.compile(r'"([^"]*)"|\[([^\]]*)\]|(\S+)')
_FIELD_NAME = re.compile(r"[\w.-]+")
_REST = "..."


class LogFilter(NamedTuple):
    """A filter pattern, compiled."""

    matches: Callable[[str], bool]


def compile_log_filter(text: str) -> LogFilter:
    """Raises InvalidPattern."""
    text = text.strip()
    if text.startswith("{"):
        return LogFilter(_object(_within(text, "}")))
    if text.startswith("["):
        return LogFilter(_fields(_within(text, "]")))
    return LogFilter(_terms(text))


def _within(text: str, end: str) -> str:
    if not text.endswith(end) or len(text) < 2:
        raise InvalidPattern(f"'{text[0]}' is not closed by '{end}'")
    return text[1:-1]


def _terms(text: str) -> Callable[[str], bool]:
    found: dict[str, list[Callable[[str], bool]]] = {"": [], "-": [], "?": []}
    regexes = Regexes()
    at = 0
    while text[at:].strip():
        match = _TERM.match(text, at)
        if match is None:
            raise InvalidPattern(f"a quote is not closed in {text[at:].strip()}")
        found[match["sign"]].append(_term(match, regexes))
        at = match.end()
    must, without, any_of = found[""], found["-"], found["?"]
    if must or without:  # beside others, CloudWatch ignores those behind a ?
        any_of = []

    def matches(message: str) -> bool:
        return (
            all(term(message) for term in must)
            and not any(term(message) for term in without)
            and (not any_of or any(term(message) for term in any_of))
        )

    return matches


def _term(match: re.Match[str], regexes: Regexes) -> Callable[[str], bool]:
    """Whether a message has it."""
    if (regex := match["regex"]) is not None:
        return regexes.compile(regex)
    word = match["word"]
    if word is not None and not _WORD.fullmatch(word):
        raise InvalidPattern(f"Invalid character(s) in term '{word}'")
    term = unescaped(match["phrase"]) if word is None else word
    return lambda message: term in message


def _object(text: str) -> Callable[[str], bool]:
    condition = compile_condition(text, _selector, Regexes())

    def matches(message: str) -> bool:
        if not message.lstrip().startswith("{"):
            return False
        try:
            line = msgspec.json.decode(message)
        except (msgspec.DecodeError, RecursionError, ValueError):
            return False
        return isinstance(line, dict) and condition(line)

    return matches


def _selector(name: str) -> Callable[[Any], Found]:
    if not name.startswith("$"):
        raise InvalidPattern(f"a property begins with '$.', and '{name}' does not")
    steps = [tuple(match.groups()) for match in _STEP.finditer(name)]

    def find(line: Any) -> Found:
        values = [line]
        for quoted, index, plain in steps:
            key = plain if quoted is None else quoted
            values = [inner for value in values for inner in _step(value, key, index)]
        return values

    return find


def _step(value: Any, key: str | None, index: str | None) -> Found:
    if index is not None:
        if not isinstance(value, list):
            return []
        if index == "*":
            return value
        # An index with more digits is beyond any array.
        return value[int(index) :][:1] if len(index) < 10 else []
    if not isinstance(value, dict):
        return []
    if key == "*":
        return list(value.values())
    return [value[key]] if key in value else []


def _fields(text: str) -> Callable[[str], bool]:
    parts = [part.strip() for part in _split(text)]
    if parts.count(_REST) > 1:
        raise InvalidPattern(f"'{_REST}' may stand once")
    named = [part for part in parts if part != _REST]
    places, conditions = _named(named)
    before = parts.index(_REST) if _REST in parts else None

    def matches(message: str) -> bool:
        found = [match[match.lastindex or 0] for match in _FIELD.finditer(message)]
        if before is None:
            if len(found) != len(named):
                return False
        else:
            if len(found) < len(named):
                return False
            after = len(named) - before
            found = found[:before] + found[len(found) - after :]
        line = {name: found[place] for name, place in places.items()}
        return all(condition(line) for condition in conditions)

    return matches


def _named(parts: list[str]) -> tuple[dict[str, int], list[Condition]]:
    """The places of fields, by their names, and what must hold of them."""
    places: dict[str, int] = {}
    conditions, regexes = [], Regexes()
    for place, part in enumerate(parts):
        match = _FIELD_NAME.match(part.lstrip("( "))
        if match is None:
            raise InvalidPattern(f"a field must have a name, not '{part}'")
        places[match[0]] = place
        if match[0] != part:
            conditions.append(compile_condition(part, _field_of(match[0]), regexes))
    return places, conditions


def _field_of(own: str) -> Callable[[str], Callable[[Any], Found]]:
    def find(name: str) -> Callable[[Any], Found]:
        if name != own:
            raise InvalidPattern(f"the condition of {own} must be of {own}, not of '{name}'")
        return lambda line: [line[name]]

    return find


def _split(text: str) -> Iterator[str]:
    """At commas, but for those in quotes and in regular expressions."""
    start, quote = 0, ""
    for at, char in enumerate(text):
        if char in '"%' and text[at - 1 : at] != "\\" and quote in ("", char):
            quote = "" if quote else char
        elif char == "," and not quote:
            yield text[start:at]
            start = at + 1
    yield text[start:]
