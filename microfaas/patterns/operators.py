"""What may stand in a pattern's list, made into tests of one value of the event.

A value is a leaf of JSON: text, number, true, false or null. Numbers are equal by value, so 300,
300.0 and 3.0e2 are one, as AWS's event-ruler has it; true is not 1.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from types import MappingProxyType

from microfaas.patterns.faults import refuse

Leaf = str | int | float | bool | None
Test = Callable[[Leaf], bool]
# Of event-ruler: a number beyond it is compared for equality only.
NUMERIC_MAX = 5_000_000_000
_TEXT_ONLY = "{} match pattern must be a string"
_IGNORE_CASE = "equals-ignore-case"


def literal(value: object, where: str) -> tuple[str, Leaf]:
    """A value as the key it is found by: text is no number, true is not 1."""
    if value is None or isinstance(value, bool):
        return ("word", value)
    if isinstance(value, int | float):
        return ("number", value)
    if isinstance(value, str):
        return ("text", value)
    return refuse("Match value must be String, number, true, false, or null", where)


def equal_to_any(values: list[object], where: str) -> Test:
    wanted = frozenset(literal(value, where) for value in values)
    return lambda leaf: literal(leaf, where) in wanted


def operator(expression: Mapping[str, object], where: str) -> Test:
    """The test that {"name": operand} stands for; "exists" is not one of these."""
    name, operand = only_entry(expression, where)
    if name not in OPERATORS:
        refuse(f"Unrecognized match type {name}; known are {', '.join(OPERATORS)}, exists", where)
    return OPERATORS[name](operand, f"{where}.{name}")


def only_entry(expression: Mapping[str, object], where: str) -> tuple[str, object]:
    if not expression:
        refuse("Match expression name not found", where)
    if len(expression) > 1:
        refuse("Only one key allowed in match expression", where)
    return next(iter(expression.items()))


def _text(value: object, name: str, where: str) -> str:
    return value if isinstance(value, str) else refuse(_TEXT_ONLY.format(name), where)


def _end(name: str, operand: object, where: str, find: Callable[[str, str], bool]) -> Test:
    """Prefix or suffix; inside it, case may be ignored."""
    if not isinstance(operand, Mapping):
        end = _text(operand, name, where)
        return lambda leaf: isinstance(leaf, str) and find(leaf, end)
    inner, ending = only_entry(operand, where)
    if inner != _IGNORE_CASE:
        refuse(f"Unsupported {name} pattern: {inner}; only {_IGNORE_CASE} is", where)
    lower = _text(ending, _IGNORE_CASE, where).lower()
    return lambda leaf: isinstance(leaf, str) and find(leaf.lower(), lower)


def prefix(operand: object, where: str) -> Test:
    return _end("prefix", operand, where, str.startswith)


def suffix(operand: object, where: str) -> Test:
    return _end("suffix", operand, where, str.endswith)


def equals_ignore_case(operand: object, where: str) -> Test:
    lower = _text(operand, _IGNORE_CASE, where).lower()
    return lambda leaf: isinstance(leaf, str) and leaf.lower() == lower


def wildcard(operand: object, where: str) -> Test:
    """Looks for the pieces between the stars one after the other, and never goes back."""
    pieces = _pieces(_text(operand, "wildcard", where), where)
    if len(pieces) == 1:
        return lambda leaf: isinstance(leaf, str) and leaf == pieces[0]
    first, *middle, last = pieces

    def matches(leaf: Leaf) -> bool:
        if not isinstance(leaf, str) or not leaf.startswith(first):
            return False
        at, end = len(first), len(leaf) - len(last)
        for piece in middle:
            found = leaf.find(piece, at, end)
            if found < 0:
                return False
            at = found + len(piece)
        return at <= end and leaf.endswith(last)

    return matches


def _pieces(text: str, where: str) -> list[str]:
    pieces, characters, starred = [""], iter(text), False
    for character in characters:
        if character == "*":
            if starred:
                refuse("Consecutive wildcard characters are not allowed", where)
            pieces.append("")
        elif character == "\\":
            escaped = next(characters, "")
            if escaped not in ("*", "\\"):
                refuse("Invalid escape character; a backslash escapes * or \\ only", where)
            pieces[-1] += escaped
        else:
            pieces[-1] += character
        starred = character == "*"
    return pieces


def numeric(operand: object, where: str) -> Test:
    """One comparison, or a lower bound and then an upper one."""
    if not isinstance(operand, list):
        refuse("Value of numeric must be an array.", where)
    if not operand or not isinstance(operand[0], str):
        refuse(f"Invalid member in numeric match: {operand[0] if operand else ']'}", where)
    comparisons = [_comparison(operand, 0, "Unrecognized numeric range operator", where)]
    if len(operand) > 2:
        if operand[0] not in (">", ">="):
            refuse("Too many elements in numeric expression", where)
        if not isinstance(operand[2], str):
            refuse(f"Bad value in numeric range: {operand[2]}", where)
        if operand[2] not in ("<", "<="):
            refuse(f"Bad numeric range operator: {operand[2]}", where)
        comparisons.append(_comparison(operand, 2, "Bad numeric range operator", where))
        if len(operand) > 4:
            refuse("Too many terms in numeric range expression", where)
        if operand[1] >= operand[3]:
            refuse("Bottom must be less than top", where)

    def matches(leaf: Leaf) -> bool:
        if isinstance(leaf, bool) or not isinstance(leaf, int | float) or abs(leaf) > NUMERIC_MAX:
            return False
        return all(compare(leaf, bound) for compare, bound in comparisons)

    return matches


_COMPARE: Mapping[str, Callable[[float, float], bool]] = MappingProxyType(
    {
        "=": lambda value, bound: value == bound,
        "<": lambda value, bound: value < bound,
        "<=": lambda value, bound: value <= bound,
        ">": lambda value, bound: value > bound,
        ">=": lambda value, bound: value >= bound,
    }
)


def _comparison(
    operand: list[object], at: int, unknown: str, where: str
) -> tuple[Callable[[float, float], bool], float]:
    sign = operand[at]
    if not isinstance(sign, str) or sign not in _COMPARE:
        refuse(f"{unknown}: {sign}", where)
    bound = operand[at + 1] if len(operand) > at + 1 else None
    if isinstance(bound, bool) or not isinstance(bound, int | float):
        refuse(f"Value of {'equals' if sign == '=' else sign} must be numeric", where)
    if not abs(bound) <= NUMERIC_MAX:
        refuse(f"Value must be between {-NUMERIC_MAX} and {NUMERIC_MAX}, inclusive", where)
    return _COMPARE[sign], bound


def cidr(operand: object, where: str) -> Test:
    text = _text(operand, "cidr", where)
    if text.count("/") != 1:
        refuse("Malformed CIDR, one '/' required", where)
    address, _, bits = text.partition("/")
    if not (bits.isascii() and bits.isdigit()):
        refuse("Malformed CIDR, mask bits must be an integer", where)
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        refuse(f"Nonstandard IP address: {address}", where)

    def matches(leaf: Leaf) -> bool:
        if not isinstance(leaf, str):
            return False
        try:
            return ipaddress.ip_address(leaf) in network
        except ValueError:
            return False

    return matches


def anything_but(operand: object, where: str) -> Test:
    """True of any value there is that is none of those named; an absent field has no value."""
    if isinstance(operand, Mapping):
        refused = _anything_but_these(operand, where)
        return lambda leaf: not any(test(leaf) for test in refused)
    values = operand if isinstance(operand, list) else [operand]
    kinds = {"text" if isinstance(v, str) else _number_kind(v, where) for v in values}
    if len(kinds) != 1:
        refuse(
            "Inside anything but list, either all values are number or string, "
            "mixed type is not supported",
            where,
        )
    equal = equal_to_any(values, where)
    return lambda leaf: not equal(leaf)


def _number_kind(value: object, where: str) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        refuse("Inside anything but list, start|null|boolean is not supported.", where)
    return "number"


def _anything_but_these(operand: Mapping[str, object], where: str) -> list[Test]:
    name, inner = only_entry(operand, where)
    if name not in (_IGNORE_CASE, "prefix", "suffix", "wildcard"):
        refuse(f"Unsupported anything-but pattern: {name}", where)
    values = inner if isinstance(inner, list) else [inner]
    if not values:
        refuse(f"Value of {name} must be a string or a list of them", where)
    if name in ("prefix", "suffix") and "" in values:
        refuse("Null prefix/suffix not allowed", where)
    texts = [_text(value, name, where) for value in values]
    return [OPERATORS[name](text, where) for text in texts]


OPERATORS: Mapping[str, Callable[[object, str], Test]] = MappingProxyType(
    {
        "anything-but": anything_but,
        "cidr": cidr,
        "equals-ignore-case": equals_ignore_case,
        "numeric": numeric,
        "prefix": prefix,
        "suffix": suffix,
        "wildcard": wildcard,
    }
)
