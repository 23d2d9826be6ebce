"""AWS's REST protocol with JSON: parameters in the path, the query, headers and the body. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from microfaas.errors import ServiceError
from microfaas.gateway.aws import json_form, query_form, times
from microfaas.gateway.aws.model import Member, Model, Operation, Shape

if TYPE_CHECKING:
    from microfaas.gateway.aws.requests import Request


def read(
    model: Model, operation: Operation, labels: Mapping[str, str], query: str, request: Request
) -> dict[str, Any]:
    """The parameters of a request, wherever they stand. Raises ServiceError."""
    shape = model.shape(operation.input)
    found = json_form.read(model, operation.input, request.body)
    try:
        pairs = parse_qsl(query, True, max_num_fields=query_form.FIELDS_MAX, errors="strict")
    except ValueError as error:
        text = f"the query cannot be read: {error}"
        raise ServiceError("SerializationException", text) from None
    for key, member in shape.members.items():
        texts = _texts(member, member.name or key, labels, pairs, request.headers)
        if texts:
            found[key] = _value(model, model.shape(member.shape), texts, key)
    return found


def _texts(
    member: Member,
    name: str,
    labels: Mapping[str, str],
    pairs: list[tuple[str, str]],
    headers: Mapping[str, str],
) -> list[str]:
    if member.location == "uri":
        return [labels[name]]
    if member.location == "querystring":
        return [value for key, value in pairs if key == name]
    if member.location == "header" and name.lower() in headers:
        return [headers[name.lower()]]
    return []


def _value(model: Model, shape: Shape, texts: list[str], path: str) -> Any:
    if shape.type == "list":
        inner = model.shape(shape.member.shape)
        return [_scalar(inner, text, path) for text in texts]
    return _scalar(shape, texts[-1], path)


def _scalar(shape: Shape, text: str, path: str) -> Any:
    try:
        if shape.type in ("integer", "long"):
            return times.whole(text)
        if shape.type in ("float", "double"):
            return times.finite(text)
        if shape.type == "boolean":
            return {"true": True, "false": False}[text.lower()]
    except (ValueError, KeyError):
        said = f"STRING_VALUE can not be converted to a {shape.type.title()} at '{path}'"
        raise ServiceError("SerializationException", said) from None
    return times.read(text, path) if shape.type == "timestamp" else text
