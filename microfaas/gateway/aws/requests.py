"""Which operation a request means, and with which parameters. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple
from urllib.parse import unquote

from microfaas.errors import ServiceError
from microfaas.gateway.aws import json_form, query_form, rest_form
from microfaas.gateway.aws.model import Model, Protocol
from microfaas.gateway.aws.service import Params

FORM = "application/x-www-form-urlencoded"
CBOR = "application/x-amz-cbor"
_QUEUE_PATH = re.compile(r"/([0-9]{12})/([^/]+)/?")


class Request(NamedTuple):
    """An HTTP request as it came; headers' names in small letters."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes = b""


class Meant(NamedTuple):
    """The operation that a request means, served or not. `named` are the labels in its path."""

    model: Model
    protocol: Protocol
    operation: str
    named: Mapping[str, str] = {}


def by_head(models: Sequence[Model], request: Request) -> tuple[Model, Protocol] | None:
    """Whose operation the target or the path names, and in which protocol."""
    meant = of_head(models, request)
    return None if meant is None else (meant.model, meant.protocol)


def of_head(models: Sequence[Model], request: Request) -> Meant | None:
    """What the target or the path means; None for no operation of any of them."""
    target = request.headers.get("x-amz-target", "")
    if not target:
        return _of_path(models, request)
    prefix, _, name = target.rpartition(".")
    found = [model for model in models if model.target and model.target == prefix]
    return Meant(found[0], "json", name) if found else None


def is_form(request: Request) -> bool:
    """Whether the query protocol is spoken: a form, or a query that names an action."""
    at_root = request.path == "/" or _QUEUE_PATH.fullmatch(request.path)
    return bool(at_root) and not request.headers.get("x-amz-target", "")


def of_form(models: Sequence[Model], pairs: Mapping[str, str], path: str) -> Meant | None:
    """What a form means. None when no service speaks forms."""
    speaking = [model for model in models if "query" in model.protocols]
    action, version = pairs.get("Action", ""), pairs.get("Version", "")
    queue = _QUEUE_PATH.fullmatch(path) is not None
    for model in speaking:
        by_action = action in model.operations or action in model.unserved
        if queue:
            right = model.name == "sqs"
        elif version:
            right = model.version == version
        else:
            right = by_action
        if right:
            return Meant(model, "query", action)
    return Meant(speaking[0], "query", action) if speaking else None


def read(meant: Meant, request: Request, pairs: Mapping[str, str]) -> Params:
    """The parameters of an operation. Raises ServiceError; they are not validated yet."""
    model = meant.model
    if meant.operation not in model.operations:
        raise unknown(model, meant.protocol, meant.operation)
    operation = model.operations[meant.operation]
    if meant.protocol == "query":
        found = query_form.read(model, operation.input, pairs)
        if (
            _QUEUE_PATH.fullmatch(request.path)
            and "QueueUrl" in model.shape(operation.input).members
        ):
            found.setdefault("QueueUrl", request.path.rstrip("/"))
        return found
    if meant.protocol == "rest-json":
        return rest_form.read(model, operation, meant.named, request.query, request)
    if request.headers.get("content-type", "").startswith(CBOR):
        raise ServiceError(
            "UnsupportedMediaTypeException",
            f"cannot read {CBOR}: send JSON (Java: -Daws.cborEnabled=false or CBOR_ENABLED=false)",
            status=415,
        )
    return json_form.read(model, operation.input, request.body)


def prefixes(models: Iterable[Model]) -> set[str]:
    """The first segments of the paths of services that have paths."""
    found = set()
    for model in models:
        if "rest-json" in model.protocols:
            uris = [operation.uri for operation in model.operations.values()]
            uris += [place.partition(" ")[2] for place in model.unserved.values()]
            found |= {uri.split("/")[1] for uri in uris}
    return found


def _of_path(models: Sequence[Model], request: Request) -> Meant | None:
    for model in models:
        if "rest-json" not in model.protocols:
            continue
        for name, operation in model.operations.items():
            place = f"{operation.method} {operation.uri}"
            if (labels := _match(place, request)) is not None:
                return Meant(model, "rest-json", name, named=labels)
        for name, place in model.unserved.items():
            if _match(place, request) is not None:
                return Meant(model, "rest-json", name)
    return None


def _match(place: str, request: Request) -> dict[str, str] | None:
    """The labels in a path; None when it is another."""
    method, _, uri = place.partition(" ")
    wanted, there = uri.strip("/").split("/"), request.path.strip("/").split("/")
    if method != request.method or len(wanted) != len(there):
        return None
    labels = {}
    for want, have in zip(wanted, there, strict=True):
        if want.startswith("{"):
            labels[want.strip("{}+")] = unquote(have)
        elif want != have:
            return None
    return labels


def unknown(model: Model, protocol: Protocol, name: str) -> ServiceError:
    """The error for an operation that is not there, which tells whether AWS has it."""
    if name in model.unserved or name in model.operations:
        text = f"microfaas does not serve {name} of {model.title}"
    elif name:
        text = f"The action {name} is not valid for this endpoint."
    else:
        text = f"The request names no action of {model.title}."
    if protocol != "query":
        return ServiceError("UnknownOperationException", text)
    return ServiceError("InvalidAction" if name else "MissingAction", text)
