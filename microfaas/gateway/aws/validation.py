"""The first check of parameters, against the model alone, in AWS's words. Pure.

A constraint of a scalar is told at its own path. What is wrong with a scalar in a list or a map is
told at the list's or map's path, with all of its value and all constraints of what is in it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable, Iterator
from types import MappingProxyType
from typing import Any, NamedTuple

from microfaas.errors import ServiceError
from microfaas.gateway.aws import model as models
from microfaas.gateway.aws.model import Member, Model, Protocol, Shape, compiled

TOLD_MAX = 10
VALUE_CHARS_MAX = 512
# No value that a pattern is asked of is longer than AWS's longest: patterns may be slow.
PATTERN_CHARS_MAX = 4096

_LENGTHS = ("string", "blob", "list", "map")
_NOT_NULL = "Member must not be null"
_SECRET = "***Sensitive Data Redacted***"
# What services call it that do not say ValidationException.
_KINDS = MappingProxyType({"logs": "InvalidParameterException"})


class _Rule(NamedTuple):
    """A constraint in AWS's words, and whether a value breaks it."""

    text: str
    broken: Callable[[Any], bool]


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
        usual = "ValidationError" if protocol == "query" else "ValidationException"
        text = f"{len(problems)} validation error{several} detected: {told}"
        raise ServiceError(_KINDS.get(model.name, usual), text, status=400)


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
    for key, member in shape.members.items():
        segment = key[:1].lower() + key[1:]
        at = f"{path}.{segment}" if path else segment
        if key in value:
            yield from _value(model, member.shape, value[key], at)
        elif key in shape.required:
            yield f"Value null at '{at}' failed to satisfy constraint: {_NOT_NULL}"


def _value(model: Model, name: str, value: Any, path: str) -> Iterator[str]:
    shape = model.shape(name)
    for rule in _rules(model.name, name):
        if rule.broken(value):
            yield _failed(model, shape, value, path, rule.text)
    if shape.type == "structure":
        yield from _structure(model, shape, value, path)
    elif shape.type == "list":
        yield from _list(model, shape, value, path)
    elif shape.type == "map":
        yield from _map(model, shape, value, path)


def _list(model: Model, shape: Shape, value: list[Any], path: str) -> Iterator[str]:
    if _is_compound(model, shape.member):
        for i, each in enumerate(value, 1):
            yield from _value(model, shape.member.shape, each, f"{path}.{i}.member")
        return
    null = [] if shape.sparse else [_NOT_NULL]
    for text in _of_scalars("Member", model, shape.member, value, null):
        yield _failed(model, shape, value, path, text)


def _map(model: Model, shape: Shape, value: dict[str, Any], path: str) -> Iterator[str]:
    for text in _of_scalars("Map keys", model, shape.key, value, []):
        yield _failed(model, shape, value, path, text)
    if _is_compound(model, shape.value):
        for key, each in value.items():
            yield from _value(model, shape.value.shape, each, f"{path}.{key}.member")
        return
    for text in _of_scalars("Map value", model, shape.value, value.values(), [_NOT_NULL]):
        yield _failed(model, shape, value, path, text)


def _of_scalars(
    who: str, model: Model, member: Member, values: Collection[Any], also: list[str]
) -> Iterator[str]:
    """All constraints of the scalars in a list or a map, if any of them breaks one."""
    rules = _rules(model.name, member.shape)
    if any(rule.broken(each) for rule in rules for each in values):
        texts = ", ".join([*(rule.text for rule in rules), *also])
        yield f"{who} must satisfy constraint: [{texts}]"


def _is_compound(model: Model, member: Member) -> bool:
    return model.shape(member.shape).type in ("structure", "list", "map")


def _failed(model: Model, shape: Shape, value: Any, path: str, text: str) -> str:
    shown = "" if shape.sensitive else f"'{_shortened(_written(model, shape, value))}' "
    return f"Value {shown}at '{path}' failed to satisfy constraint: {text}"


def _shortened(text: str) -> str:
    return text if len(text) <= VALUE_CHARS_MAX else text[:VALUE_CHARS_MAX] + "..."


def _written(model: Model, shape: Shape, value: Any) -> str:
    """A value as Java writes it, without what must not be told."""
    if shape.sensitive:
        return _SECRET
    if shape.type == "list":
        inner = model.shape(shape.member.shape)
        return f"[{', '.join(_written(model, inner, each) for each in value)}]"
    if shape.type == "map":
        inner = model.shape(shape.value.shape)
        return _braced((key, _written(model, inner, each)) for key, each in value.items())
    if shape.type == "structure":
        shapes = {key: model.shape(member.shape) for key, member in shape.members.items()}
        return _braced((key, _written(model, shapes[key], each)) for key, each in value.items())
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)


def _braced(pairs: Iterable[tuple[str, str]]) -> str:
    return "{" + ", ".join(f"{key}={text}" for key, text in pairs) + "}"


@functools.cache
def _rules(service: str, name: str) -> tuple[_Rule, ...]:
    """The constraints of a shape, in the order in which AWS tells them."""
    shape = models.load(service).shape(name)
    return (*_bounds(shape), *_contents(shape))


def _bounds(shape: Shape) -> Iterator[_Rule]:
    word, size = ("length", len) if shape.type in _LENGTHS else ("value", _itself)
    # Fractions are bounded by fractions, as in 1.0.
    form = "{:.0f}" if shape.type not in ("float", "double") else "{!r}"
    if (most := shape.max) is not None:
        text = f"Member must have {word} less than or equal to {form.format(most)}"
        yield _Rule(text, lambda value: size(value) > most)
    if (least := shape.min) is not None:
        text = f"Member must have {word} greater than or equal to {form.format(least)}"
        yield _Rule(text, lambda value: size(value) < least)


def _itself(number: float) -> float:
    return number


def _contents(shape: Shape) -> Iterator[_Rule]:
    if shape.enum:
        text = f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"
        yield _Rule(text, lambda value: value not in shape.enum)
    if shape.pattern:
        longest = min(shape.max or PATTERN_CHARS_MAX, PATTERN_CHARS_MAX)
        match = compiled(shape.pattern).fullmatch
        text = f"Member must satisfy regular expression pattern: {shape.pattern}"
        yield _Rule(text, lambda value: len(value) <= longest and not match(value))
