"""Which operation a request means, and with which parameters. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from microfaas.errors import ServiceError
from microfaas.gateway.aws import json_form, query_form, rest_form
from microfaas.gateway.aws.model import Model, Protocol
from microfaas.gateway.aws.paths import Paths
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


class Operations:
    """All operations of some services, by what a request says of them."""

    def __init__(self, models: Sequence[Model]) -> None:
        self._models = models
        self._paths = Paths(models)
        self._targets = {model.target: model for model in models if model.target}

    @property
    def prefixes(self) -> set[str]:
        """The first segments of the paths that are services'."""
        return self._paths.prefixes

    def of_head(self, request: Request) -> Meant | None:
        """What the target or the path means; None for no operation of any service."""
        if target := request.headers.get("x-amz-target", ""):
            prefix, _, name = target.rpartition(".")
            model = self._targets.get(prefix)
            return None if model is None else Meant(model, "json", name)
        found = self._paths.find(request.method, request.path, request.query)
        if found is None:
            return None
        return Meant(found.model, "rest-json", found.operation, found.named)

    def of_form(self, pairs: Mapping[str, str], path: str) -> Meant | None:
        """What a form means. None when no service speaks forms."""
        speaking = [model for model in self._models if "query" in model.protocols]
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

    def likely(self, request: Request) -> tuple[Model, Protocol]:
        """Who refuses a request whose head names no operation, and may not be looked into."""
        meant = None
        if not request.headers.get("x-amz-target"):
            meant = self.of_form(query_form.lenient(request.query), request.path)
        return (self._models[0], "json") if meant is None else (meant.model, meant.protocol)


def is_form(request: Request) -> bool:
    """Whether the query protocol is spoken: a form, or a query that names an action."""
    at_root = request.path == "/" or _QUEUE_PATH.fullmatch(request.path)
    return bool(at_root) and not request.headers.get("x-amz-target", "")


def read(meant: Meant, request: Request, pairs: Mapping[str, str]) -> Params:
    """The parameters of an operation of the model, not validated yet. Raises ServiceError."""
    model, operation = meant.model, meant.model.operations[meant.operation]
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


def instead(meant: Meant) -> Params:
    """The result of an operation that the model has not, if there is one. Raises ServiceError."""
    unserved = meant.model.unserved.get(meant.operation)
    if unserved is not None and unserved.empty:
        return {unserved.empty: []}
    if unserved is not None and unserved.none_of:
        asked = next(iter(meant.named.values()))
        text = f"Nothing found for {asked}: microfaas has no {unserved.none_of}"
        raise ServiceError("ResourceNotFoundException", text)
    raise unknown(meant)


def unknown(meant: Meant) -> ServiceError:
    """The error for an operation that is not there, which tells whether AWS has it."""
    model, name = meant.model, meant.operation
    if unserved := model.unserved.get(name):
        reason = f": {unserved.reason}" if unserved.reason else ""
        text = f"microfaas does not serve {name} of {model.title}{reason}"
    elif name in model.operations:
        text = f"microfaas does not serve {name} of {model.title}"
    elif name:
        text = f"The action {name} is not valid for this endpoint."
    else:
        text = f"The request names no action of {model.title}."
    if meant.protocol != "query":
        return ServiceError("UnknownOperationException", text)
    return ServiceError("InvalidAction" if name else "MissingAction", text)
