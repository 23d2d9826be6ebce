"""Conditions in CloudWatch's filter patterns: comparisons of what a line has, joined by && and ||.

A pattern names things in one of two ways, by selectors into a JSON object or by the words that a
line's fields are given; whoever compiles brings what finds them. Pure.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from microfaas.patterns.faults import InvalidPattern
from microfaas.patterns.log_regex import Regexes

DEPTH_MAX = 50
# What a name stands for in a line: none, one, or of an array several values.
Found = list[Any]
Condition = Callable[[Any], bool]

_TOKEN = re.compile(
    r"""\s*(?:
        (?P<mark>&&|\|\||[()])
      | (?P<operator>!=|<=|>=|=|<|>)
      | (?P<selector>\$(?:\.?\['[^']*'\]|\[(?:[0-9]+|\*)\]|\.[\w*-]+)+)
      | "(?P<quoted>(?:[^"\\]|\\.)*)"
      | %(?P<regex>(?:[^%\\\s]|\\.)*)%
      | (?P<word>[^\s()&|<>=!"]+)
    )""",
    re.VERBOSE,
)
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_ORDERS: Mapping[str, Callable[[float, float], bool]] = MappingProxyType(
    {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}
)


class _Token(NamedTuple):
    kind: str
    text: str


def compile_condition(
    text: str, find: Callable[[str], Callable[[Any], Found]], regexes: Regexes
) -> Condition:
    """What a condition says of a line. `find` gives what looks a name up in a line, or raises
    InvalidPattern. Raises InvalidPattern."""
    parser = _Parser(_tokens(text), find, regexes)
    condition = parser.either(0)
    if parser.token.kind != "end":
        raise InvalidPattern(f"'{parser.token.text}' is not expected here", text)
    return condition


def equals(literal: str) -> Callable[[str], bool]:
    """Whether a text is the literal, in which each * stands for anything."""
    if "*" not in literal:
        return literal.__eq__
    first, *middle, last = literal.split("*")
    least = sum(map(len, (first, *middle, last)))

    def matches(text: str) -> bool:
        if len(text) < least or not text.startswith(first) or not text.endswith(last):
            return False
        at, end = len(first), len(text) - len(last)
        for part in middle:
            found = text.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True

    return matches


def unescaped(text: str) -> str:
    """What stands between quotes."""
    return re.sub(r"\\(.)", r"\1", text)


def _tokens(text: str) -> list[_Token]:
    found, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise InvalidPattern(f"'{text[at:].strip()}' is not understood", text)
        kind = match.lastgroup or ""
        found.append(_Token(kind, match[kind]))
        at = match.end()
    return [*found, _Token("end", "")]


class _Parser:
    """By descent: `||` binds least, then `&&`."""

    def __init__(
        self,
        tokens: list[_Token],
        find: Callable[[str], Callable[[Any], Found]],
        regexes: Regexes,
    ) -> None:
        self._tokens = tokens
        self._at = 0
        self._find = find
        self._regexes = regexes

    @property
    def token(self) -> _Token:
        return self._tokens[self._at]

    def either(self, depth: int) -> Condition:
        parts = [self._both(depth)]
        while self._takes("mark", "||"):
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else lambda line: any(part(line) for part in parts)

    def _both(self, depth: int) -> Condition:
        parts = [self._one(depth)]
        while self._takes("mark", "&&"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else lambda line: all(part(line) for part in parts)

    def _one(self, depth: int) -> Condition:
        if self._takes("mark", "("):
            if depth == DEPTH_MAX:
                raise InvalidPattern(f"parentheses are nested more than {DEPTH_MAX} deep")
            inner = self.either(depth + 1)
            if not self._takes("mark", ")"):
                raise InvalidPattern("a parenthesis is not closed")
            return inner
        if self.token.kind not in ("selector", "word"):
            what = f"'{self.token.text}'" if self.token.text else "nothing more"
            raise InvalidPattern(f"there must be a name, not {what}")
        find = self._find(self._next().text)
        if self.token.kind == "operator":
            return self._comparison(find)
        return self._state(find)

    def _comparison(self, find: Callable[[Any], Found]) -> Condition:
        sign = self._next().text
        literal = self._next()
        if literal.kind == "regex" and sign in ("=", "!="):
            return _equal(find, self._regexes.compile(literal.text), None, wanted=sign == "=")
        if literal.kind not in ("word", "quoted"):
            raise InvalidPattern(f"behind {sign} there must be a value, not '{literal.text}'")
        quoted = literal.kind == "quoted"
        text = unescaped(literal.text) if quoted else literal.text
        number = float(text) if not quoted and _NUMBER.fullmatch(text) else None
        if sign in _ORDERS:
            if number is None:
                raise InvalidPattern(f"behind {sign} there must be a number, not '{text}'")
            return _ordered(find, _ORDERS[sign], number)
        return _equal(find, equals(text), number, wanted=sign == "=")

    def _state(self, find: Callable[[Any], Found]) -> Condition:
        words: list[str] = []
        while self.token.kind == "word" and len(words) < 2:
            words.append(self._next().text.upper())
        match words:
            case ["IS", "NULL"]:
                return lambda line: any(value is None for value in find(line))
            case ["IS", "TRUE"]:
                return lambda line: any(value is True for value in find(line))
            case ["IS", "FALSE"]:
                return lambda line: any(value is False for value in find(line))
            case ["NOT", "EXISTS"]:
                return lambda line: not find(line)
            case ["EXISTS"]:
                return lambda line: bool(find(line))
        raise InvalidPattern(
            "behind a name there must be a comparison, IS NULL, IS TRUE, IS FALSE, EXISTS or "
            "NOT EXISTS"
        )

    def _next(self) -> _Token:
        token = self.token
        if token.kind != "end":
            self._at += 1
        return token

    def _takes(self, kind: str, text: str) -> bool:
        if self.token != (kind, text):
            return False
        self._at += 1
        return True


def _ordered(
    find: Callable[[Any], Found], order: Callable[[float, float], bool], number: float
) -> Condition:
    def holds(line: Any) -> bool:
        numbers = map(_number, find(line))
        return any(value is not None and order(value, number) for value in numbers)

    return holds


def _equal(
    find: Callable[[Any], Found], same: Callable[[str], bool], number: float | None, *, wanted: bool
) -> Condition:
    def is_equal(value: Any) -> bool:
        known = _number(value) if number is not None else None
        return known == number if known is not None else same(_text(value))

    def holds(line: Any) -> bool:
        values = [value for value in find(line) if not isinstance(value, (dict, list))]
        return any(is_equal(value) is wanted for value in values)

    return holds


def _number(value: Any) -> float | None:
    """A number of JSON's, or a field that reads as one."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return None
    return float(value) if isinstance(value, str) and _NUMBER.fullmatch(value) else None


def _text(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
