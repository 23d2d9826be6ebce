"""AWS's JSON: parameters out of a body, and results into one. Pure."""

from __future__ import annotations

import base64
import binascii
import math
from typing import Any

import msgspec

from microfaas.errors import ServiceError
from microfaas.gateway.aws import times
from microfaas.gateway.aws.model import Member, Model, Shape

_NUMBERS = ("integer", "long", "float", "double")
_KINDS = {
    bool: "BOOLEAN_VALUE",
    int: "NUMBER_VALUE",
    float: "NUMBER_VALUE",
    str: "STRING_VALUE",
    list: "START_ARRAY",
    dict: "START_OBJECT",
}
_WANTED = {
    "structure": "a structure",
    "list": "a list",
    "map": "a map",
    "string": "a String",
    "integer": "an Integer",
    "long": "a Long",
    "float": "a Float",
    "double": "a Double",
    "boolean": "a Boolean",
    "blob": "a Blob",
    "timestamp": "a Timestamp",
}


def read(model: Model, shape: str, body: bytes) -> dict[str, Any]:
    """The parameters in a body; members that the model has not are passed over, as AWS does."""
    try:
        # msgspec's limit of depth is Python's: it raises RecursionError past it.
        value = msgspec.json.decode(body) if body.strip() else {}
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise ServiceError("SerializationException", f"the body is not JSON: {error}") from None
    found = _read(model, model.shape(shape), value, "")
    assert isinstance(found, dict)
    return found


def write(model: Model, shape: str, result: dict[str, Any]) -> bytes:
    """A result as it goes into a body."""
    return msgspec.json.encode(_write(model, model.shape(shape), result))


def _read(model: Model, shape: Shape, value: Any, path: str) -> Any:
    if shape.type == "structure" and isinstance(value, dict):
        return {
            key: _read(model, model.shape(member.shape), value[name], _join(path, key))
            for key, member in shape.members.items()
            if not member.location and value.get(name := member.name or key) is not None
        }
    if shape.type == "list" and isinstance(value, list):
        inner = model.shape(shape.member.shape)
        numbered = enumerate(value, 1)
        return [_read(model, inner, each, f"{path}.{i}.member") for i, each in numbered]
    if shape.type == "map" and isinstance(value, dict):
        inner = model.shape(shape.value.shape)
        return {
            key: _read(model, inner, each, f"{path}.{key}.member")
            for key, each in value.items()
            if each is not None
        }
    return _scalar(shape, value, path)


def _scalar(shape: Shape, value: Any, path: str) -> Any:
    kind = shape.type
    number = _is_number(value)
    if kind == "string" and isinstance(value, str):
        return value
    if kind == "boolean" and isinstance(value, bool):
        return value
    if kind in ("integer", "long") and number and times.is_long(value) and value % 1 == 0:
        return int(value)
    if kind in ("float", "double") and number:
        return float(value)
    if kind == "timestamp" and number:
        return float(value)
    if kind == "timestamp" and isinstance(value, str):
        return times.read(value, path)
    if kind == "blob" and isinstance(value, str):
        return blob(value, path)
    found = _KINDS.get(type(value), "NULL_VALUE")
    text = f"{found} can not be converted to {_WANTED[kind]} at '{path or 'body'}'"
    raise ServiceError("SerializationException", text)


def _is_number(value: Any) -> bool:
    """No larger than AWS's, whose whole numbers have 64 bits."""
    if isinstance(value, int) and not isinstance(value, bool):
        return times.is_long(value)
    return isinstance(value, float) and math.isfinite(value)


def blob(text: str, path: str) -> bytes:
    """Bytes out of base64. Raises ServiceError."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ServiceError("SerializationException", f"'{path}' is not base64") from None


def _write(model: Model, shape: Shape, value: Any) -> Any:
    if shape.type == "structure":
        _know(shape, value)
        return {
            member.name or key: _write(model, model.shape(member.shape), value[key])
            for key, member in shape.members.items()
            if value.get(key) is not None and _in_body(member)
        }
    if shape.type == "list":
        inner = model.shape(shape.member.shape)
        return [_write(model, inner, each) for each in value]
    if shape.type == "map":
        inner = model.shape(shape.value.shape)
        return {key: _write(model, inner, each) for key, each in value.items()}
    if shape.type == "blob":
        return base64.b64encode(value).decode()
    if shape.type == "timestamp" and shape.format == "iso8601":
        return times.write(value)
    return value


def _know(shape: Shape, value: dict[str, Any]) -> None:
    if unknown := value.keys() - shape.members.keys():
        raise KeyError(f"a result has members that its shape has not: {sorted(unknown)}")


def _in_body(member: Member) -> bool:
    return not member.location


def _join(path: str, key: str) -> str:
    """A path as AWS writes it: each segment begins with a small letter."""
    segment = key[:1].lower() + key[1:]
    return f"{path}.{segment}" if path else segment
