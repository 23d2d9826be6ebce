"""Whether a reply is what botocore's model says of the operation: not only what a client needs.

botocore's own parser takes what it knows and passes over the rest; here nothing may be left over.
"""

from __future__ import annotations

import base64
import datetime
import email.utils
import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from xml.etree import ElementTree

from botocore.model import OperationModel, Shape, StructureShape

from microfaas.gateway.aws.model import compiled

# Faults that AWS answers though no model has them.
COMMON = frozenset(
    {"ValidationException", "UnknownOperationException", "AccessDeniedException", "AccessDenied"}
)
# What AWS answers with where the model says something else, or only one of several.
STATUSES: Mapping[str, tuple[int, ...]] = {"DeleteFunction": (204,), "Invoke": (200, 202, 204)}
# What AWS says, as recorded replies show, though the model does not let it.
RECORDED: Mapping[str, tuple[str, ...]] = {"LastUpdateStatusReasonCode": ("Creating",)}
# What AWS leaves out though the model requires it: a function need not have one.
ABSENT: Mapping[str, tuple[str, ...]] = {
    "GetFunctionCodeSigningConfigResponse": ("CodeSigningConfigArn",)
}
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "string": str,
    "character": str,
    "integer": int,
    "long": int,
    "float": (int, float),
    "double": (int, float),
    "boolean": bool,
    "timestamp": (int, float),
    "blob": str,
    "list": list,
    "map": dict,
    "structure": dict,
}


class Replies:
    """What is wrong with the replies that a client gets."""

    def __init__(self, client: Any) -> None:
        self.faults: list[str] = []
        client.meta.events.register("before-parse", self._look)

    def _look(self, operation_model: OperationModel, response_dict: Any, **_: Any) -> None:
        name, status = operation_model.name, response_dict["status_code"]
        self.faults += [
            f"{name} {status}: {each}" for each in faults(operation_model, response_dict)
        ]


def faults(operation: OperationModel, reply: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with a reply; `reply` is what botocore's parsers are given."""
    headers = reply["headers"]
    if not _UUID.fullmatch(headers.get("x-amzn-RequestId", "")):
        yield f"x-amzn-RequestId is {headers.get('x-amzn-RequestId')!r}"
    if "Date" not in headers or email.utils.parsedate(headers["Date"]) is None:
        yield f"Date is {headers.get('Date')!r}"
    if reply["status_code"] >= 300:
        yield from _error(operation, reply)
    else:
        yield from _result(operation, reply)


def _result(operation: OperationModel, reply: Mapping[str, Any]) -> Iterator[str]:
    right = STATUSES.get(operation.name, (operation.http.get("responseCode", 200),))
    if reply["status_code"] not in right:
        yield f"the status ought to be one of {right}"
    shape, body = operation.output_shape, reply["body"]
    if shape is None:
        if operation.service_model.metadata["protocol"] == "query":
            yield from _xml_result(operation, None, body)
        elif body not in (b"", b"{}"):
            yield f"there is a body, {body[:200]!r}"
        return
    for key, member in shape.members.items():
        if member.serialization.get("location") == "header":
            yield from _header(key, member, reply["headers"], shape)
    payload = shape.serialization.get("payload")
    if payload is not None or reply["status_code"] == 204:
        if payload is None and body:
            yield f"there is a body, {body[:200]!r}"
        return
    if shape.event_stream_name:
        if reply["headers"].get("Content-Type") != "application/vnd.amazon.eventstream":
            yield f"Content-Type is {reply['headers'].get('Content-Type')!r}"
        return
    yield from _content_type(operation, reply)
    if operation.service_model.metadata["protocol"] == "query":
        yield from _xml_result(operation, shape, body)
    else:
        yield from _json(shape, json.loads(body), "")


def _content_type(operation: OperationModel, reply: Mapping[str, Any]) -> Iterator[str]:
    metadata = operation.service_model.metadata
    right = {
        "rest-json": "application/json",
        "json": f"application/x-amz-json-{metadata.get('jsonVersion')}",
        "query": "text/xml",
    }[metadata["protocol"]]
    if reply["headers"].get("Content-Type") != right:
        yield f"Content-Type is {reply['headers'].get('Content-Type')!r}, not {right!r}"


def _error(operation: OperationModel, reply: Mapping[str, Any]) -> Iterator[str]:
    service = operation.service_model
    yield from _content_type(operation, reply)
    if service.metadata["protocol"] == "query":
        root = ElementTree.fromstring(reply["body"])
        error = {_bare(each): each.text or "" for each in root.iter() if not len(each)}
        kind, content = error["Code"], {}
        if {"Type", "Code", "Message", "RequestId"} - error.keys():
            yield f"the error is {error}"
    else:
        content = json.loads(reply["body"])
        kind = reply["headers"].get("x-amzn-ErrorType") or content.pop("__type", "")
    shapes = {
        each.metadata.get("error", {}).get("code", each.name): each for each in service.error_shapes
    }
    shape = shapes.get(kind)
    if shape is None:
        if kind not in COMMON:
            yield f"the model has no error {kind!r}"
        return
    right = shape.metadata.get("error", {}).get("httpStatusCode", 400)
    if reply["status_code"] != right:
        yield f"the status ought to be {right}"
    if service.metadata["protocol"] != "query":
        # That there is a message is the protocol's to say, and not always the model's as well.
        key = "Message" if "Message" in shape.members else "message"
        if not content.get(key):
            yield f"there is no {key}"
        told = {name: each for name, each in content.items() if name != key}
        yield from _json(shape, told, "")


def _header(key: str, shape: Shape, headers: Any, whole: StructureShape) -> Iterator[str]:
    text = headers.get(shape.serialization["name"])
    if text is None:
        if key in whole.required_members:
            yield f"there is no header {shape.serialization['name']}"
    elif shape.type_name in ("integer", "long"):
        if not re.fullmatch(r"-?\d+", text):
            yield f"the header of {key} is {text!r}"
    else:
        yield from _traits(shape, text, key)


def _json(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """What is wrong with a decoded value of a shape. There are no nulls."""
    right = _TYPES[shape.type_name]
    if not isinstance(value, right) or (isinstance(value, bool) and right is not bool):
        yield f"{path or 'the body'} is {value!r}, not a {shape.type_name}"
        return
    yield from _inner(shape, value, path, _json)


def _inner(
    shape: Any,
    value: Any,
    path: str,
    check: Callable[[Shape, Any, str], Iterator[str]],
) -> Iterator[str]:
    if shape.type_name == "structure":
        inside = {
            member.serialization.get("name", key): (key, member)
            for key, member in shape.members.items()
            # Of its place the status may be in the body besides.
            if member.serialization.get("location") in (None, "statusCode")
        }
        for name in value.keys() - inside.keys():
            yield f"{path}.{name} is not in {shape.name}"
        for name, (key, member) in inside.items():
            if name in value:
                yield from check(member, value[name], f"{path}.{name}")
            elif key in shape.required_members and key not in ABSENT.get(shape.name, ()):
                yield f"{path}.{name} is missing"
    elif shape.type_name == "list":
        for number, each in enumerate(value):
            yield from check(shape.member, each, f"{path}[{number}]")
    elif shape.type_name == "map":
        for key, each in value.items():
            yield from _traits(shape.key, key, f"{path} key")
            yield from check(shape.value, each, f"{path}[{key}]")
    else:
        yield from _traits(shape, value, path)


def _traits(shape: Shape, value: Any, path: str) -> Iterator[str]:
    """What is wrong with a value of the right type: its choices, its pattern, its length."""
    metadata = shape.metadata
    recorded = RECORDED.get(shape.name, ())
    if metadata.get("enum") and value not in (*metadata["enum"], *recorded):
        yield f"{path} is {value!r}, not one of {metadata['enum']}"
    if isinstance(value, str) and shape.type_name == "string":
        if "pattern" in metadata and not compiled(metadata["pattern"]).fullmatch(value):
            yield f"{path} is {value!r}, not like {metadata['pattern']}"
        if not metadata.get("min", 0) <= len(value) <= metadata.get("max", len(value)):
            yield f"{path} is {value!r}, of {metadata.get('min')} to {metadata.get('max')} letters"
    elif shape.type_name in ("integer", "long", "double", "float"):
        if not metadata.get("min", value) <= value <= metadata.get("max", value):
            yield f"{path} is {value}, not {metadata.get('min')} to {metadata.get('max')}"
    elif shape.type_name == "blob":
        base64.b64decode(value, validate=True)


def _xml_result(operation: OperationModel, shape: Shape | None, body: bytes) -> Iterator[str]:
    root = ElementTree.fromstring(body)
    namespace = operation.service_model.metadata["xmlNamespace"]
    if root.tag != f"{{{namespace}}}{operation.name}Response":
        yield f"the root is {root.tag}"
    parts = {_bare(each): each for each in root}
    if parts.pop("ResponseMetadata", None) is None:
        yield "there is no ResponseMetadata"
    wrapper = operation.output_shape.serialization.get("resultWrapper") if shape else None
    if wrapper is not None:
        result = parts.pop(wrapper, None)
        yield from [f"there is no {wrapper}"] if result is None else _xml(shape, result, "")
    if parts:
        yield f"{sorted(parts)} is too much"


def _xml(shape: Any, element: ElementTree.Element, path: str) -> Iterator[str]:
    """What is wrong with an element of a shape."""
    value: Any = element.text or ""
    match shape.type_name:
        case "structure":
            value = {_bare(each): each for each in element}
        case "list":
            value = list(element)
            wrong = {_bare(each) for each in value} - {
                shape.member.serialization.get("name", "member")
            }
            if wrong:
                yield f"{path} has {wrong}"
        case "map":
            value = {}
            for entry in element:
                pair = {_bare(each): each for each in entry}
                value[pair["key"].text or ""] = pair["value"]
        case "boolean":
            if value not in ("true", "false"):
                yield f"{path} is {value!r}, not a boolean"
        case "integer" | "long":
            if not re.fullmatch(r"-?\d+", value):
                yield f"{path} is {value!r}, not a number"
                return
            value = int(value)
        case "timestamp":
            datetime.datetime.fromisoformat(value)
    yield from _inner(shape, value, path, _xml)


def _bare(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
