"""Strict conversion of plain data into structs that reports every problem, not only the first.

`msgspec.convert` stops at the first fault. Here each field is converted by itself, and structs,
lists of structs and tables of structs are descended into, so that one run names them all.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Annotated, Any, TypeVar, get_args, get_origin

import msgspec

from microfaas.errors import Problem

T = TypeVar("T", bound=msgspec.Struct)
_FAULT = object()
_PLAIN = {
    "`": "",
    "Expected": "must be",
    "Invalid enum value": "must be one of the known values",
    "float": "a number",
    "int": "a whole number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    " | null": "",
}


def convert(table: object, struct: type[T], where: str, problems: list[Problem]) -> T | None:
    """Make a `struct` of `table`; None when anything was wrong, then `problems` has grown."""
    value = _struct(table, struct, where, problems)
    return value if isinstance(value, struct) else None


def _struct(table: object, struct: type[T], where: str, problems: list[Problem]) -> object:
    if not isinstance(table, Mapping):
        problems.append(Problem(where, f"must be a table, not {_kind(table)}"))
        return _FAULT
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    _refuse_unknown(table, fields, where, problems)
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in table:
            value = _value(table[name], field.type, _join(where, name), problems)
            values[field.name] = value
        elif field.required:
            problems.append(Problem(_join(where, name), f"is missing; {_wanted(field.type)}"))
            values[field.name] = _FAULT
    if _FAULT in values.values() or not table.keys() <= fields.keys():
        return _FAULT
    return struct(**values)


def _refuse_unknown(
    table: Mapping[str, object],
    fields: Mapping[str, object],
    where: str,
    problems: list[Problem],
) -> None:
    for name in table:
        if name in fields:
            continue
        near = difflib.get_close_matches(str(name), fields, n=1)
        hint = f'did you mean "{near[0]}"?' if near else f"known are: {', '.join(sorted(fields))}"
        problems.append(Problem(_join(where, str(name)), f"is not a known key; {hint}"))


def _value(value: object, kind: Any, where: str, problems: list[Problem]) -> object:
    bare = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    if isinstance(bare, type) and issubclass(bare, msgspec.Struct):
        return _struct(value, bare, where, problems)
    if get_origin(bare) is dict and isinstance(value, Mapping):
        inner = get_args(bare)[1]
        made = {k: _value(v, inner, _join(where, k), problems) for k, v in value.items()}
        return _FAULT if _FAULT in made.values() else made
    if get_origin(bare) is list and isinstance(value, list):
        inner = get_args(bare)[0]
        rows = [_value(v, inner, f"{where}[{i}]", problems) for i, v in enumerate(value)]
        return _FAULT if _FAULT in rows else rows
    try:
        return msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as error:
        place, text = _split(str(error), where)
        problems.append(Problem(place, f"{text}, not {value!r}"))
        return _FAULT


def _split(message: str, where: str) -> tuple[str, str]:
    """Turn msgspec's "Expected `int`, got `str` - at `$.a`" into a place and a plain text."""
    text, _, path = message.partition(" - at `")
    place = where + path.rstrip("`").removeprefix("$")
    expected, _, _ = text.partition(", got ")
    for theirs, ours in _PLAIN.items():
        expected = expected.replace(theirs, ours)
    return place, expected


def _wanted(kind: Any) -> str:
    try:
        msgspec.convert(object(), kind)
    except msgspec.ValidationError as error:
        return _split(str(error), "")[1]
    return "any value will do"


def _kind(value: object) -> str:
    return {dict: "a table", list: "a list", str: "text", bool: "true or false"}.get(
        type(value), type(value).__name__
    )


def _join(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name
