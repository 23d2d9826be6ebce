"""AWS's service models, as far as they are served: operations, shapes, errors. Values only."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from importlib import resources
from typing import Literal

import msgspec

Protocol = Literal["json", "query", "rest-json"]
Location = Literal["", "uri", "querystring", "header", "headers", "statusCode"]
Type = Literal[
    "structure",
    "list",
    "map",
    "string",
    "integer",
    "long",
    "float",
    "double",
    "boolean",
    "blob",
    "timestamp",
]


class Member(msgspec.Struct, frozen=True):
    """A place in a shape. `name` is its name on the wire, `query` where the query protocol differs;
    empty for its own."""

    shape: str
    name: str = ""
    query: str = ""
    location: Location = ""


class Shape(msgspec.Struct, frozen=True):
    """A type with its constraints."""

    type: Type
    required: tuple[str, ...] = ()
    members: dict[str, Member] = {}
    member: Member = Member("")
    key: Member = Member("")
    value: Member = Member("")
    enum: tuple[str, ...] = ()
    pattern: str = ""
    min: float | None = None
    max: float | None = None
    sensitive: bool = False
    flattened: bool = False
    format: str = ""


class Operation(msgspec.Struct, frozen=True):
    """What is called, and where."""

    method: str
    uri: str
    input: str = ""
    output: str = ""
    status: int = 200


class Error(msgspec.Struct, frozen=True):
    """An error of the model; `code` is what the query protocol calls it."""

    code: str
    status: int
    members: tuple[str, ...] = ()


class Model(msgspec.Struct, frozen=True):
    """A service. `unserved` are the operations that AWS has and microfaas has not."""

    name: str
    title: str
    protocols: tuple[Protocol, ...]
    version: str
    target: str
    json_version: str
    namespace: str
    query_compatible: bool
    operations: dict[str, Operation]
    unserved: dict[str, str]
    errors: dict[str, Error]
    shapes: dict[str, Shape]

    def shape(self, name: str) -> Shape:
        """By its name; the empty one has no members."""
        return self.shapes[name] if name else _NOTHING


_NOTHING = Shape("structure")


@functools.cache
def load(name: str) -> Model:
    """A service's model, which comes with microfaas."""
    path = resources.files(__package__) / "models" / f"{name}.json"
    return msgspec.json.decode(path.read_bytes(), type=Model)


@functools.cache
def compiled(pattern: str) -> re.Pattern[str]:
    """AWS's patterns are Java's. Classes of Unicode are written as the nearest that Python has."""
    flags = re.RegexFlag(0) if r"\p{" in pattern else re.ASCII
    for java, python in _CLASSES.items():
        pattern = pattern.replace(java, python)
    return re.compile(pattern, flags)


_CLASSES: Mapping[str, str] = {r"\p{L}": r"\w", r"\p{N}": r"\w", r"\p{Z}": r"\s"}
