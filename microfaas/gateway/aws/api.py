"""From an HTTP request to a service's operation and back, whatever the protocol."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Protocol

from microfaas.errors import ServiceError
from microfaas.gateway.aws import permissions, query_form, requests, validation
from microfaas.gateway.aws.replies import Form
from microfaas.gateway.aws.requests import Meant, Operations, Request
from microfaas.gateway.aws.service import Caller, Params, Services
from microfaas.gateway.aws.streamed import Streamed
from microfaas.gateway.reply import Reply
from microfaas.model import EVENT_BYTES_MAX
from microfaas.scopes import Action
from microfaas.store.keys import Key


class Visit(Protocol):
    """One request, as the gateway has it: who it is from, and what it may."""

    async def identify(self, body_bytes_max: int) -> Key | None:
        """None where nobody is asked for a key. Raises AccessRefused and more, what `body` does."""

    async def body(self, body_bytes_max: int) -> bytes:
        """Raises RequestTooLarge, InvalidRequest."""

    def permit(self, key: Key, actions: tuple[Action, ...], operation: str, name: str) -> None:
        """Raises AccessRefused unless the key may do one of these, `sqs:SendMessage`, to `name`."""

    def refused(self, error: Exception) -> None:
        """Note what went wrong before it becomes a reply."""


class AwsApi:
    """Serves all services at one address."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._operations = Operations([service.model for service in services.all.values()])

    @property
    def prefixes(self) -> set[str]:
        """The first segments of the paths that are services'."""
        return self._operations.prefixes

    async def answer(self, request: Request, caller: Caller, visit: Visit) -> Reply | Streamed:
        """The reply to a request; every error is one, too."""
        meant = self._operations.of_head(request)
        form = self._form(meant, request, caller)
        limit = EVENT_BYTES_MAX if meant is None else _body_bytes_max(meant)
        try:
            key = None if self._is_open(request) else await visit.identify(limit)
            request = request._replace(body=await visit.body(limit))
            pairs = self._pairs(request)
            meant = meant or self._of_form(request, pairs)
            form = self._form(meant, request, caller)
            if meant.operation not in meant.model.operations:
                return form.result(requests.instead(meant))
            params = requests.read(meant, request, pairs)
            return form.result(await self._result(meant, params, caller, key, visit))
        except Exception as error:
            visit.refused(error)
            return form.error(error)

    async def _result(
        self, meant: Meant, params: Params, caller: Caller, key: Key | None, visit: Visit
    ) -> Params:
        model, operation = meant.model, meant.operation
        call = self._services.all[model.name].operations.get(operation)
        if call is None:
            raise requests.unknown(meant)
        if key is not None:
            _permit(meant, params, key, visit)
            caller = _known(caller, meant, key, visit)
        validation.validate(model, meant.protocol, model.operations[operation].input, params)
        return await call(caller, params)

    def _form(self, meant: Meant | None, request: Request, caller: Caller) -> Form:
        """In whose words to answer, even before it is known what is meant."""
        if meant is None:
            return Form(*self._operations.likely(request), caller.request_id)
        return Form(meant.model, meant.protocol, caller.request_id, meant.operation)

    def _is_open(self, request: Request) -> bool:
        """A link in a message, which brings its own proof and no signature."""
        if request.method != "GET" or "authorization" in request.headers:
            return False
        pairs = query_form.lenient(request.query)
        if "X-Amz-Signature" in pairs or not requests.is_form(request):
            return False
        meant = self._operations.of_form(pairs, request.path)
        if meant is None:
            return False
        return permissions.of(meant.model.name, meant.operation).open

    def _pairs(self, request: Request) -> Mapping[str, str]:
        if not requests.is_form(request):
            return {}
        if request.method == "GET":  # a body must not say another action than `_is_open` saw
            return query_form.fields(request.query)
        return query_form.fields(request.query) | query_form.fields(request.body)

    def _of_form(self, request: Request, pairs: Mapping[str, str]) -> Meant:
        meant = None
        if requests.is_form(request):
            meant = self._operations.of_form(pairs, request.path)
        if meant is None:
            text = f"cannot {request.method} {request.path}: no such operation"
            raise ServiceError("UnknownOperationException", text, status=404)
        return meant


def _body_bytes_max(meant: Meant) -> int:
    operation = meant.model.operations.get(meant.operation)
    return EVENT_BYTES_MAX if operation is None else operation.body_bytes_max


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
