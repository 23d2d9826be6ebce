"""Strict conversion of plain data into structs that reports every problem, not only the first.

`msgspec.convert` stops at the first fault. Here each field is converted by itself, and structs,
lists of structs and tables of structs are descended into, so that one run names them all.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Mapping
from types import MappingProxyType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from microfaas.errors import Problem

T = TypeVar("T", bound=msgspec.Struct)
SHOWN_CHARS_MAX = 60
_FAULT = object()
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_PLAIN = MappingProxyType(
    {
        "float": "a number",
        "int": "a whole number",
        "str": "text",
        "bool": "true or false",
        "array": "a list",
        "object": "a table",
    }
)


def convert(table: object, struct: type[T], where: str, problems: list[Problem]) -> T | None:
    """Make a `struct` of `table`; None when anything was wrong, then `problems` has grown."""
    before = len(problems)
    made = salvage(table, struct, where, problems)
    return made if len(problems) == before else None


def salvage(table: object, struct: type[T], where: str, problems: list[Problem]) -> T | None:
    """As `convert`, but with defaults in place of what was wrong, so that checks can go on.

    None only when something was wrong that has no default.
    """
    value = _struct(table, struct, where, problems)
    return value if isinstance(value, struct) else None


def shown(value: object) -> str:
    """A value as a message quotes it: short, in TOML's words."""
    if isinstance(value, str):
        return repr(value if len(value) <= SHOWN_CHARS_MAX else f"{value[:SHOWN_CHARS_MAX]}…")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        # Python refuses to print an integer of thousands of digits.
        return str(value) if abs(value) < 1e18 or value != value else "so large a number"
    if isinstance(value, list):
        return "a list" if value else "an empty list"
    return "a table" if isinstance(value, Mapping) else "a date or time"


def join(where: str, name: str) -> str:
    """The place of a key, quoted where TOML would quote it."""
    key = name if _BARE_KEY.fullmatch(name) else json.dumps(name, ensure_ascii=False)
    return f"{where}.{key}" if where else key


def _struct(table: object, struct: type[T], where: str, problems: list[Problem]) -> object:
    if not isinstance(table, Mapping):
        problems.append(Problem(where, f"must be a table, not {shown(table)}"))
        return _FAULT
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    _refuse_unknown(table, fields, where, problems)
    values: dict[str, Any] = {}
    for name, field in fields.items():
        if name in table:
            value = _value(table[name], field.type, join(where, name), problems)
            if value is not _FAULT or field.required:
                values[field.name] = value
        elif field.required:
            problems.append(Problem(join(where, name), f"is missing; it {_wanted(field.type)}"))
            values[field.name] = _FAULT
    return _FAULT if any(value is _FAULT for value in values.values()) else struct(**values)


def _refuse_unknown(
    table: Mapping[str, object],
    fields: Mapping[str, object],
    where: str,
    problems: list[Problem],
) -> None:
    for name in table:
        if name in fields:
            continue
        near = difflib.get_close_matches(name, fields, n=1)
        hint = f'did you mean "{near[0]}"?' if near else f"known are: {', '.join(sorted(fields))}"
        problems.append(Problem(join(where, name), f"is not a known key; {hint}"))


def _value(value: object, kind: Any, where: str, problems: list[Problem]) -> object:
    """The converted value. Tables lose the entries that are wrong, lists are wrong as a whole."""
    bare = get_args(kind)[0] if get_origin(kind) is Annotated else kind
    bare = _struct_of(bare) if isinstance(value, Mapping) else bare
    if bare is Any:
        return value
    if isinstance(bare, type) and issubclass(bare, msgspec.Struct):
        return _struct(value, bare, where, problems)
    before = len(problems)
    if get_origin(bare) is dict and isinstance(value, Mapping):
        inner = get_args(bare)[1]
        made = {k: _value(v, inner, join(where, k), problems) for k, v in value.items()}
        value = {k: v for k, v in made.items() if v is not _FAULT}
    elif get_origin(bare) is list and isinstance(value, list):
        inner = get_args(bare)[0]
        value = [_value(v, inner, f"{where}[{i}]", problems) for i, v in enumerate(value)]
        if len(problems) > before:
            return _FAULT
    return _scalar(value, kind, where, problems)


def _struct_of(kind: Any) -> Any:
    """The struct in one that may be absent; else the kind as it is."""
    parts = get_args(kind) if get_origin(kind) in (Union, UnionType) else ()
    structs = [p for p in parts if isinstance(p, type) and issubclass(p, msgspec.Struct)]
    return structs[0] if len(structs) == 1 and len(parts) == 2 else kind


def _scalar(value: object, kind: Any, where: str, problems: list[Problem]) -> object:
    """What is left to check once the parts of a value have been."""
    if isinstance(value, float) and not math.isfinite(value):
        problems.append(Problem(where, f"must be a finite number, not {value}"))
        return _FAULT
    if isinstance(value, str) and "\0" in value:
        problems.append(Problem(where, "must not contain a NUL character"))
        return _FAULT
    try:
        return msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError:
        problems.append(Problem(where, f"{_wanted(kind, value)}, not {shown(value)}"))
        return _FAULT


def _wanted(kind: Any, value: object = _FAULT) -> str:
    """What a value of that kind must be, or, given one, what it fails to be."""
    if choices := _choices(kind):
        return f"must be one of: {', '.join(map(str, choices))}"
    try:
        msgspec.convert(value, kind, strict=True)
    except msgspec.ValidationError as error:
        return _plain(str(error))
    return "may be anything"


def _choices(kind: Any) -> tuple[object, ...]:
    """What a Literal allows, also inside of Annotated and beside None."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    parts = get_args(kind) if get_origin(kind) in (Annotated, Union, UnionType) else ()
    return next(filter(None, map(_choices, parts)), ())


def _plain(message: str) -> str:
    """Turn "Expected `int | null`, got `str` - at `$.a`" into "must be a whole number"."""
    if message.startswith("Number out of range"):
        return "must be a smaller number"
    expected = message.partition(" - at `")[0].partition(", got ")[0]
    expected = re.sub(r"`([^`]*)`", lambda match: _plain_kind(match[1]), expected)
    return expected.replace("Expected", "must be", 1)


def _plain_kind(kind: str) -> str:
    names = [name for name in kind.split(" | ") if name != "null"]
    return " or ".join(_PLAIN.get(name, name) for name in names)
