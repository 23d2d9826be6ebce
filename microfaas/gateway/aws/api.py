"""From an HTTP request to a service's operation and back, whatever the protocol."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Protocol

from microfaas.errors import ServiceError
from microfaas.gateway.aws import permissions, query_form, replies, requests, validation
from microfaas.gateway.aws.model import Model
from microfaas.gateway.aws.model import Protocol as Spoken
from microfaas.gateway.aws.requests import Meant, Request
from microfaas.gateway.aws.service import Caller, Params, Services
from microfaas.gateway.reply import Reply
from microfaas.scopes import Action
from microfaas.store.keys import Key


class Visit(Protocol):
    """One request, as the gateway has it: who it is from, and what it may."""

    async def identify(self) -> Key | None:
        """None where nobody is asked for a key. Raises AccessRefused and more."""

    async def body(self) -> bytes:
        """Raises RequestTooLarge, InvalidRequest."""

    def permit(self, key: Key, actions: tuple[Action, ...], operation: str, name: str) -> None:
        """Raises AccessRefused unless the key may do one of these, `sqs:SendMessage`, to `name`."""

    def refused(self, error: Exception) -> None:
        """Note what went wrong before it becomes a reply."""


class AwsApi:
    """Serves all services at one address."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._models = [service.model for service in services.all.values()]

    @property
    def prefixes(self) -> set[str]:
        """The first segments of the paths that are services'."""
        return requests.prefixes(self._models)

    async def answer(self, request: Request, caller: Caller, visit: Visit) -> Reply:
        """The reply to a request; every error is one, too."""
        model, spoken = self._spoken(request)
        try:
            key = None if self._is_open(request) else await visit.identify()
            request = request._replace(body=await visit.body())
            pairs = self._pairs(request)
            meant = self._meant(request, pairs)
            model, spoken = meant.model, meant.protocol
            return await self._call(meant, requests.read(meant, request, pairs), caller, key, visit)
        except Exception as error:
            visit.refused(error)
            return replies.error(model, spoken, error, caller.request_id)

    async def _call(
        self, meant: Meant, params: Params, caller: Caller, key: Key | None, visit: Visit
    ) -> Reply:
        model, operation = meant.model, meant.operation
        call = self._services.all[model.name].operations.get(operation)
        if call is None:
            raise requests.unknown(model, meant.protocol, operation)
        if key is not None:
            _permit(meant, params, key, visit)
            caller = _known(caller, meant, key, visit)
        validation.validate(model, meant.protocol, model.operations[operation].input, params)
        result = await call(caller, params)
        return replies.result(model, meant.protocol, operation, result, caller.request_id)

    def _spoken(self, request: Request) -> tuple[Model, Spoken]:
        """In whose form to refuse a request that may not be looked into."""
        if (found := requests.by_head(self._models, request)) is not None:
            return found
        if request.headers.get("x-amz-target"):
            return self._models[0], "json"
        meant = requests.of_form(self._models, query_form.lenient(request.query), request.path)
        return (meant.model, meant.protocol) if meant else (self._models[0], "json")

    def _is_open(self, request: Request) -> bool:
        """A link in a message, which brings its own proof and no signature."""
        if request.method != "GET" or "authorization" in request.headers:
            return False
        pairs = query_form.lenient(request.query)
        if "X-Amz-Signature" in pairs or not requests.is_form(request):
            return False
        meant = requests.of_form(self._models, pairs, request.path)
        if meant is None:
            return False
        return permissions.of(meant.model.name, meant.operation).open

    def _pairs(self, request: Request) -> Mapping[str, str]:
        if not requests.is_form(request):
            return {}
        if request.method == "GET":  # a body must not say another action than `_is_open` saw
            return query_form.fields(request.query)
        return query_form.fields(request.query) | query_form.fields(request.body)

    def _meant(self, request: Request, pairs: Mapping[str, str]) -> Meant:
        meant = requests.of_head(self._models, request)
        if meant is None and requests.is_form(request):
            meant = requests.of_form(self._models, pairs, request.path)
        if meant is None:
            text = f"cannot {request.method} {request.path}: no such operation"
            raise ServiceError("UnknownOperationException", text, status=404)
        return meant


def _permit(meant: Meant, params: Params, key: Key, visit: Visit) -> None:
    permission = permissions.of(meant.model.name, meant.operation)
    operation = f"{meant.model.name}:{meant.operation}"
    for name in list(permission.names(params)) or [""]:
        visit.permit(key, permission.actions, operation, name)


def _known(caller: Caller, meant: Meant, key: Key, visit: Visit) -> Caller:
    operation = f"{meant.model.name}:{meant.operation}"

    def permit(action: Action, name: str) -> None:
        visit.permit(key, (action,), operation, name)

    return dataclasses.replace(caller, key_id=key.id, permit=permit)
