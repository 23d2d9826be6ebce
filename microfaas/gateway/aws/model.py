"""AWS's service models, as far as they are served: operations, shapes, errors. Values only."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from importlib import resources
from typing import Literal

import msgspec

from microfaas.model import EVENT_BYTES_MAX

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
    """A type with its constraints. What is in a `sparse` list may be null; of an `eventstream` the
    members are its events."""

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
    sparse: bool = False
    eventstream: bool = False
    format: str = ""


class Operation(msgspec.Struct, frozen=True):
    """What is called, and where. Only a REST protocol's uri is more than `/`."""

    method: str
    uri: str
    input: str = ""
    output: str = ""
    status: int = 200
    body_bytes_max: int = EVENT_BYTES_MAX


class Unserved(msgspec.Struct, frozen=True):
    """An operation that AWS has and microfaas has not. What is told of it, instead of a refusal:
    that there are `none_of` these; or a result whose member `empty` is an empty list."""

    method: str
    uri: str
    none_of: str = ""
    empty: str = ""
    reason: str = ""


class Error(msgspec.Struct, frozen=True):
    """An error of the model; `code` is what the query protocol calls it.

    Its members are given with the header that they stand in, which is empty for the body.
    """

    code: str
    status: int
    members: dict[str, str] = {}


class Model(msgspec.Struct, frozen=True):
    """A service."""

    name: str
    title: str
    protocols: tuple[Protocol, ...]
    version: str
    target: str
    json_version: str
    namespace: str
    query_compatible: bool
    operations: dict[str, Operation]
    unserved: dict[str, Unserved]
    errors: dict[str, Error]
    shapes: dict[str, Shape]

    def shape(self, name: str) -> Shape:
        """By its name; the empty one has no members."""
        return self.shapes[name] if name else _NOTHING

    def stream_of(self, name: str) -> str:
        """Which member of an output is a stream of events; empty where none is."""
        members = self.shape(name).members.items()
        return next((key for key, each in members if self.shape(each.shape).eventstream), "")


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
