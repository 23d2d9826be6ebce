"""The filter criteria of event source mappings: which records a function is to see."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from microfaas.patterns import compiled
from microfaas.patterns.compiled import OR, PATTERN_CHARS_MAX, Pattern
from microfaas.patterns.faults import InvalidPattern, refuse

FILTERS_MAX = 10
PREFACE = "Invalid filter pattern definition. "
DataKey = Literal["body", "data", "dynamodb"]
_NOT_DATA = object()


class Filter(msgspec.Struct, frozen=True):
    """One pattern, and the formats of the data it can match: JSON, plain text, or any."""

    pattern: Pattern
    formats: frozenset[str]

    def accepts(self, record: Mapping[str, object], data_format: str) -> bool:
        if self.formats and data_format not in self.formats:
            return False
        return self.pattern.matches(record)


class Filters(msgspec.Struct, frozen=True):
    """All the filters of a mapping: a record is accepted by any of them, or when there is none."""

    filters: tuple[Filter, ...]
    key: DataKey

    def accepts(self, record: Mapping[str, object]) -> bool:
        """Whether the function sees a record: one of SQS or of a table's stream, or the "kinesis"
        object of a stream's."""
        if not self.filters:
            return True
        data_format, data = _decoded(record.get(self.key), self.key)
        seen = {name: value for name, value in record.items() if name != self.key}
        if data is not _NOT_DATA:
            seen[self.key] = data
        return any(each.accepts(seen, data_format) for each in self.filters)


def compile_filters(
    patterns: Sequence[str | Mapping[str, Any]], key: DataKey, *, chars_max: int = PATTERN_CHARS_MAX
) -> Filters:
    """Compile the patterns of a mapping's Filters; raises InvalidPattern."""
    if len(patterns) > FILTERS_MAX:
        raise InvalidPattern(f"there may be at most {FILTERS_MAX} filters", preface=PREFACE)
    made = []
    for at, pattern in enumerate(patterns):
        try:
            made.append(_filter(compiled.parsed(pattern, chars_max), key))
        except InvalidPattern as error:
            raise error.told(PREFACE, f"Filters[{at}] ") from None
    return Filters(tuple(made), key)


def _filter(table: Mapping[str, Any], key: DataKey) -> Filter:
    test = compiled.fields(table)
    formats = frozenset(_formats(table, key))
    if key == "data" and "text" in formats:
        refuse("a stream's data is matched as JSON: it must be an object, not a list", key)
    return Filter(Pattern(test), formats)


def _formats(table: Mapping[str, Any], key: str) -> Iterator[str]:
    """What a valid pattern takes the data for, wherever it speaks of it."""
    for name, inner in table.items():
        if name == key:
            yield "json" if isinstance(inner, Mapping) else "text"
        elif name == OR and isinstance(inner, list):
            for choice in inner:
                yield from _formats(choice, key)


def _decoded(raw: object, key: DataKey) -> tuple[str, object]:
    """The format of a record's data, and the data. A bare number or word is plain text."""
    if isinstance(raw, Mapping):
        return "json", raw
    if not isinstance(raw, str):
        return "none", _NOT_DATA
    text: str | bytes = raw
    if key == "data":
        try:
            text = base64.b64decode(raw, validate=True)
        except (binascii.Error, ValueError):
            return "none", _NOT_DATA
    try:
        data = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, ValueError):
        return "text", raw
    return ("json", data) if isinstance(data, dict | list) else ("text", raw)
