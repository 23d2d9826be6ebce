"""Results as the query protocol's XML. Pure."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape

from microfaas.gateway.aws import times
from microfaas.gateway.aws.model import Model, Shape

# What XML 1.0 allows, and no message or name may have anything else in it.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def allowed(text: str) -> bool:
    """Whether XML 1.0 has all its characters."""
    return _FORBIDDEN.search(text) is None


def result(model: Model, operation: str, value: dict[str, Any], request_id: str) -> bytes:
    """The whole document that answers an operation."""
    shape = model.operations[operation].output
    inner = ""
    if shape:
        inner = _tag(f"{operation}Result", _members(model, model.shape(shape), value))
    inner += _tag("ResponseMetadata", _tag("RequestId", request_id))
    return _document(f"{operation}Response", model, inner)


def error(
    model: Model, who: str, code: str, message: str, request_id: str, more: Mapping[str, object]
) -> bytes:
    """The whole document that refuses one; `more` are members of the error beside its message."""
    told = _tag("Type", who) + _tag("Code", _text(code)) + _tag("Message", _text(message))
    told += "".join(_tag(name, _text(str(value))) for name, value in more.items())
    return _document("ErrorResponse", model, _tag("Error", told) + _tag("RequestId", request_id))


def _document(name: str, model: Model, inner: str) -> bytes:
    head = '<?xml version="1.0"?>\n'
    return f'{head}<{name} xmlns="{model.namespace}">{inner}</{name}>\n'.encode()


def _members(model: Model, shape: Shape, value: dict[str, Any]) -> str:
    if unknown := value.keys() - shape.members.keys():
        raise KeyError(f"a result has members that its shape has not: {sorted(unknown)}")
    written = []
    for key, member in shape.members.items():
        if value.get(key) is not None:
            name = member.query or member.name or key
            written.append(_element(model, model.shape(member.shape), value[key], name))
    return "".join(written)


def _element(model: Model, shape: Shape, value: Any, name: str) -> str:
    if shape.type == "structure":
        return _tag(name, _members(model, shape, value))
    if shape.type == "list":
        inner = model.shape(shape.member.shape)
        each_name = name if shape.flattened else shape.member.name or "member"
        written = "".join(_element(model, inner, each, each_name) for each in value)
        return written if shape.flattened else _tag(name, written)
    if shape.type == "map":
        written = "".join(_entry(model, shape, pair, name) for pair in value.items())
        return written if shape.flattened else _tag(name, written)
    return _tag(name, _text(_scalar(shape, value)))


def _entry(model: Model, shape: Shape, pair: tuple[str, Any], name: str) -> str:
    key = _tag(shape.key.name or "key", _text(pair[0]))
    inner = model.shape(shape.value.shape)
    value = _element(model, inner, pair[1], shape.value.name or "value")
    return _tag(name if shape.flattened else "entry", key + value)


def _scalar(shape: Shape, value: Any) -> str:
    if shape.type == "boolean":
        return "true" if value else "false"
    if shape.type == "blob":
        return base64.b64encode(value).decode()
    return times.write(value) if shape.type == "timestamp" else str(value)


def _text(text: str) -> str:
    """Escaped, the carriage return too, which a parser would make a line feed of."""
    return escape(_FORBIDDEN.sub("\ufffd", text), {"\r": "&#13;"})


def _tag(name: str, inner: str) -> str:
    return f"<{name}>{inner}</{name}>"
