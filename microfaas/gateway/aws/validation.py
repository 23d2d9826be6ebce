"""The first check of parameters, against the model alone, in AWS's words. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from microfaas.errors import ServiceError
from microfaas.gateway.aws.model import Model, Protocol, Shape, compiled

TOLD_MAX = 10
VALUE_CHARS_MAX = 200
# No value that a pattern is asked of is longer than AWS's longest: patterns may be slow.
PATTERN_CHARS_MAX = 4096

_LENGTHS = ("string", "blob", "list", "map")
_NUMBERS = ("integer", "long", "float", "double")


def validate(model: Model, protocol: Protocol, shape: str, params: dict[str, Any]) -> None:
    """Raises ServiceError that names everything that is wrong with the parameters.

    SQS asks for required parameters only, and leaves the rest to its operations.
    """
    if model.query_compatible:
        for path in _missing(model, model.shape(shape), params, ""):
            text = f"The request must contain the parameter {path}."
            raise ServiceError("MissingParameter", text)
        return
    problems = list(_structure(model, model.shape(shape), params, ""))
    if problems:
        several = "s" if len(problems) > 1 else ""
        told = "; ".join(problems[:TOLD_MAX])
        kind = "ValidationError" if protocol == "query" else "ValidationException"
        raise ServiceError(
            kind, f"{len(problems)} validation error{several} detected: {told}", status=400
        )


def _missing(model: Model, shape: Shape, value: Any, path: str) -> Iterator[str]:
    if shape.type == "structure":
        for name in shape.required:
            if name not in value:
                yield f"{path}{name}"
        for key, each in value.items():
            inner = model.shape(shape.members[key].shape)
            yield from _missing(model, inner, each, f"{path}{shape.members[key].query or key}.")
    elif shape.type == "list":
        for i, each in enumerate(value, 1):
            yield from _missing(model, model.shape(shape.member.shape), each, f"{path}{i}.")
    elif shape.type == "map":
        for key, each in value.items():
            yield from _missing(model, model.shape(shape.value.shape), each, f"{path}{key}.")


def _structure(model: Model, shape: Shape, value: dict[str, Any], path: str) -> Iterator[str]:
    for key in shape.members:
        segment = key[:1].lower() + key[1:]
        at = f"{path}.{segment}" if path else segment
        if key in value:
            yield from _value(model, model.shape(shape.members[key].shape), value[key], at)
        elif key in shape.required:
            yield f"Value null at '{at}' failed to satisfy constraint: Member must not be null"


def _value(model: Model, shape: Shape, value: Any, path: str) -> Iterator[str]:
    for broken in _broken(shape, value):
        shown = "" if shape.sensitive else f"'{_shown(value)}' "
        yield f"Value {shown}at '{path}' failed to satisfy constraint: {broken}"
    if shape.type == "structure":
        yield from _structure(model, shape, value, path)
    elif shape.type == "list":
        inner = model.shape(shape.member.shape)
        for i, each in enumerate(value, 1):
            yield from _value(model, inner, each, f"{path}.{i}.member")
    elif shape.type == "map":
        keys, values = model.shape(shape.key.shape), model.shape(shape.value.shape)
        for key, each in value.items():
            yield from _value(model, keys, key, f"{path}.key")
            yield from _value(model, values, each, f"{path}.{key}.member")


def _broken(shape: Shape, value: Any) -> Iterator[str]:
    """What AWS says of each constraint that a value does not satisfy."""
    if shape.type in _LENGTHS:
        size, word = len(value), "length"
    elif shape.type in _NUMBERS:
        size, word = value, "value"
    else:
        return
    if shape.max is not None and size > shape.max:
        yield f"Member must have {word} less than or equal to {shape.max:.0f}"
    if shape.min is not None and size < shape.min:
        yield f"Member must have {word} greater than or equal to {shape.min:.0f}"
    if shape.enum and value not in shape.enum:
        yield f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
    longest = min(shape.max or PATTERN_CHARS_MAX, PATTERN_CHARS_MAX)
    if shape.pattern and size <= longest and not compiled(shape.pattern).fullmatch(value):
        yield f"Member must satisfy regular expression pattern: {shape.pattern}"


def _shown(value: Any) -> str:
    text = f"{len(value)} bytes" if isinstance(value, bytes) else str(value)
    return text if len(text) <= VALUE_CHARS_MAX else text[:VALUE_CHARS_MAX] + "..."
