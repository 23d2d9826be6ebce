"""AWS's query protocol: parameters as the fields of a form, with lists and maps by number. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from microfaas.errors import ServiceError
from microfaas.gateway.aws import json_form, times
from microfaas.gateway.aws.model import Member, Model, Shape

FIELDS_MAX = 10_000
_TRUTH = {"true": True, "false": False}

# A form as a tree: the parts of names between dots lead to branches, fields' values are leaves.
Tree = dict[str, "Tree | str"]


def fields(text: str | bytes) -> dict[str, str]:
    """The fields of a form or of a URL's query, the last of equal names. Raises ServiceError."""
    try:
        decoded = text.decode() if isinstance(text, bytes) else text
        pairs = parse_qsl(decoded, True, max_num_fields=FIELDS_MAX, errors="strict")
        return dict(pairs)
    except ValueError as error:
        raise ServiceError("MalformedQueryString", f"the form cannot be read: {error}") from None


def lenient(text: str) -> dict[str, str]:
    """The fields, none where they cannot be read: where it is only asked what may be meant."""
    try:
        return fields(text)
    except ServiceError:
        return {}


def read(model: Model, shape: str, pairs: Mapping[str, str]) -> dict[str, Any]:
    """The parameters among the fields; fields that the model has not are passed over."""
    found = _structure(model, model.shape(shape), _tree(pairs), "")
    assert isinstance(found, dict)
    return found


def _tree(pairs: Mapping[str, str]) -> Tree:
    root: Tree = {}
    for name, value in pairs.items():
        node = root
        *path, last = name.split(".")
        for part in path:
            below = node.get(part)
            if not isinstance(below, dict):
                below = node[part] = {}
            node = below
        node.setdefault(last, value)
    return root


def _structure(model: Model, shape: Shape, node: Tree | str, path: str) -> Any:
    if isinstance(node, str):
        raise _malformed(path)
    found = {}
    for key, member in shape.members.items():
        inner = model.shape(member.shape)
        below = node.get(_wire(key, member, inner))
        if below is not None:
            found[key] = _value(model, inner, below, f"{path}.{key}" if path else key)
    return found


def _wire(key: str, member: Member, inner: Shape) -> str:
    if inner.flattened and inner.type == "list":
        return member.query or inner.member.name or member.name or key
    return member.query or member.name or key


def _value(model: Model, shape: Shape, node: Tree | str, path: str) -> Any:
    if shape.type == "structure":
        return _structure(model, shape, node, path)
    if shape.type == "list":
        return _list(model, shape, node, path)
    if shape.type == "map":
        return _map(model, shape, node, path)
    if not isinstance(node, str):
        raise _malformed(path)
    return _scalar(shape, node, path)


def _list(model: Model, shape: Shape, node: Tree | str, path: str) -> list[Any]:
    if node == "":  # how an empty list is written
        return []
    if not shape.flattened:
        node = _below(node, shape.member.name or "member", path)
    inner = model.shape(shape.member.shape)
    return [_value(model, inner, each, f"{path}.{i}") for i, each in _numbered(node, path)]


def _map(model: Model, shape: Shape, node: Tree | str, path: str) -> dict[str, Any]:
    if node == "":
        return {}
    if not shape.flattened:
        node = _below(node, "entry", path)
    inner = model.shape(shape.value.shape)
    found = {}
    for i, entry in _numbered(node, path):
        key = _below(entry, shape.key.name or "key", f"{path}.{i}")
        if inner.type == "structure" and isinstance(entry, dict):
            entry = {shape.value.name or "value": {}, **entry}  # an empty one has no fields
        value = _below(entry, shape.value.name or "value", f"{path}.{i}")
        if not isinstance(key, str):
            raise _malformed(f"{path}.{i}")
        found[key] = _value(model, inner, value, f"{path}.{i}")
    return found


def _below(node: Tree | str, name: str, path: str) -> Tree | str:
    below = node.get(name) if isinstance(node, dict) else None
    if below is None:
        raise ServiceError("MissingParameter", f"The request must contain {path}.{name}")
    return below


def _numbered(node: Tree | str, path: str) -> list[tuple[int, Tree | str]]:
    """The branches whose names are numbers, in order."""
    if isinstance(node, str):
        raise _malformed(path)
    numbers = [name for name in node if name.isdecimal() and name.isascii() and len(name) < 8]
    return sorted(((int(name), node[name]) for name in numbers), key=lambda pair: pair[0])


def _scalar(shape: Shape, text: str, path: str) -> Any:
    try:
        match shape.type:
            case "integer" | "long":
                return times.whole(text)
            case "float" | "double":
                return times.finite(text)
            case "boolean":
                return _TRUTH[text.lower()]
            case "timestamp":
                return times.read(text, path)
            case "blob":
                return json_form.blob(text, path)
    except (ValueError, KeyError):
        raise _malformed(path) from None
    except ServiceError as error:
        raise ServiceError("MalformedInput", str(error)) from None
    return text


def _malformed(path: str) -> ServiceError:
    return ServiceError("MalformedInput", f"the value of {path} is not what the operation takes")
