"""EventBridge's event patterns, compiled once and then matched against any number of events.

Theory of operation. A pattern mirrors the event: an object is an AND over its fields, a list the
OR of what one leaf may be, "$or" the OR of whole objects. Arrays of the event are seen through: a
leaf matches when any element does, and an object in the pattern must match as a whole within one
element ("Anna" and "Jones" are not found in two different employees), which is event-ruler's
array consistency. A field that is null or "" is there; one that holds {} or [] has no leaf, and
so is absent. Matching goes as deep as the pattern does, however deep the event is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from microfaas.patterns.faults import InvalidPattern, refuse
from microfaas.patterns.operators import OPERATORS, Leaf, Test, equal_to_any, only_entry, operator

PATTERN_CHARS_MAX = 4096
PATTERN_DEPTH_MAX = 32
# EventBridge's, of the alternatives that all the "$or" of a pattern make together.
OR_COMBINATIONS_MAX = 1000
OR = "$or"
PREFACE = "Event pattern is not valid. Reason: "
RESERVED = frozenset((*OPERATORS, "exists", "exactly"))

Matcher = Callable[[object], bool]


class Pattern(msgspec.Struct, frozen=True):
    """A compiled pattern."""

    test: Matcher

    def matches(self, value: object) -> bool:
        """Whether an event, as plain data, matches; one that is no object never does."""
        return isinstance(value, Mapping) and self.test(value)


def compile_pattern(
    pattern: str | Mapping[str, Any], *, chars_max: int = PATTERN_CHARS_MAX
) -> Pattern:
    """Compile an event pattern; raises InvalidPattern."""
    try:
        return Pattern(fields(parsed(pattern, chars_max)))
    except InvalidPattern as error:
        raise error.told(PREFACE) from None


def parsed(pattern: str | Mapping[str, Any], chars_max: int) -> Mapping[str, Any]:
    """The pattern as plain data, when it is an object and not too long."""
    try:
        text = pattern if isinstance(pattern, str) else msgspec.json.encode(pattern).decode()
        if len(text) > chars_max:
            refuse(f"Pattern must be at most {chars_max} characters, not {len(text)}", "")
        made = msgspec.json.decode(text)
    except (msgspec.MsgspecError, RecursionError, ValueError, TypeError, OverflowError):
        refuse("failed to parse JSON.", "")
    return made if isinstance(made, dict) else refuse("Filter is not an object", "")


def fields(pattern: Mapping[str, Any], where: str = "") -> Matcher:
    """The test of an object of the event."""
    made = _object(pattern, where, 1)
    if combinations(pattern, lambda _values, _depth: 1) > OR_COMBINATIONS_MAX:
        refuse(f"Pattern must have at most {OR_COMBINATIONS_MAX} combinations of {OR}", where)
    return made


def combinations(
    pattern: Mapping[str, Any], weight: Callable[[Sequence[object], int], int], depth: int = 1
) -> int:
    """How many ways there are to choose one value of each list of a valid pattern."""
    total = 1
    for name, inner in pattern.items():
        if isinstance(inner, Mapping):
            total *= combinations(inner, weight, depth + 1)
        elif name == OR:
            total *= sum(combinations(choice, weight, depth) for choice in inner)
        else:
            total *= weight(inner, depth)
    return total


def _object(pattern: Mapping[str, Any], where: str, depth: int, *, chosen: bool = False) -> Matcher:
    """`chosen` is an object within "$or": there, an operator's name is surely a mistake."""
    if not pattern:
        refuse("Empty objects are not allowed", where or "the pattern")
    if depth > PATTERN_DEPTH_MAX:
        refuse(f"Pattern must be nested at most {PATTERN_DEPTH_MAX} deep", where)
    tests: list[Matcher] = []
    for name, inner in pattern.items():
        place = f"{where}.{name}" if where else name
        if name == OR and not isinstance(inner, Mapping):
            tests.append(_any_object(inner, place, depth))
        elif chosen and name in RESERVED:
            refuse(f"{name} is reserved and cannot be used as a field name inside {OR}", place)
        elif isinstance(inner, Mapping):
            tests.append(_nested(name, _object(inner, place, depth + 1, chosen=chosen)))
        elif isinstance(inner, list):
            tests.append(_leaf(name, inner, place))
        else:
            refuse(f'"{name}" must be an object or an array', place)
    return lambda value: all(test(value) for test in tests)


def _any_object(choices: object, where: str, depth: int) -> Matcher:
    if not isinstance(choices, list):
        refuse(f"It must be an Array followed with {OR}.", where)
    if len(choices) < 2:
        refuse(f"There must have at least 2 Objects in {OR} relationship.", where)
    tests = []
    for at, choice in enumerate(choices):
        if not isinstance(choice, Mapping):
            refuse(f"Only JSON object is allowed in array of {OR} relationship.", f"{where}[{at}]")
        tests.append(_object(choice, f"{where}[{at}]", depth + 1, chosen=True))
    return lambda value: any(test(value) for test in tests)


def _nested(name: str, test: Matcher) -> Matcher:
    def matches(value: Any) -> bool:
        # Without an object there, only what asks for absence can hold.
        objects = [one for one in _elements(value.get(name)) if isinstance(one, Mapping)]
        return any(test(one) for one in objects or ({},))

    return matches


def _leaf(name: str, values: list[object], where: str) -> Matcher:
    if not values:
        refuse("Empty arrays are not allowed", where)
    tests, absent = _tests(values, where)

    def matches(value: Any) -> bool:
        if name not in value:
            return absent
        there = False
        for leaf in _leaves(value[name]):
            there = True
            if any(test(leaf) for test in tests):
                return True
        return absent and not there

    return matches


def _tests(values: list[object], where: str) -> tuple[list[Test], bool]:
    """The tests of a leaf, one of which must hold, and whether it may be absent."""
    tests: list[Test] = []
    literals: list[object] = []
    absent = False
    for at, value in enumerate(values):
        if not isinstance(value, Mapping):
            literals.append(value)
        elif "exists" in value:
            if _exists(value, f"{where}[{at}]"):
                tests.append(lambda _leaf: True)
            else:
                absent = True
        else:
            tests.append(operator(value, f"{where}[{at}]"))
    if literals:
        tests.insert(0, equal_to_any(literals, where))
    return tests, absent


def _exists(value: Mapping[str, object], where: str) -> bool:
    _, wanted = only_entry(value, where)
    if isinstance(wanted, bool):
        return wanted
    return refuse("exists match pattern must be either true or false.", where)


def _leaves(value: object) -> Iterator[Leaf]:
    for one in _elements(value):
        if one is None or isinstance(one, str | int | float):
            yield one


def _elements(value: object) -> Iterator[object]:
    """A value, or what is in it when it is an array; no recursion, however deep arrays nest."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list | tuple):
            waiting.extend(one)
        else:
            yield one
