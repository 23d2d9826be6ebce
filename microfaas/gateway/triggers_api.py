"""The control API's part about functions' triggers: what fires a function that the API has made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from microfaas.errors import InvalidRequest
from microfaas.gateway.invocations_api import Asked, Operation
from microfaas.gateway.reply import Reply, as_json

PATH = "/functions/{id}/triggers"
_T = TypeVar("_T")


class Planned(msgspec.Struct, forbid_unknown_fields=True):
    """Triggers by their functions; and what is to be there by then: functions' `timeout_s`, queues'
    `visibility_timeout_s`, streams and topics."""

    triggers: dict[str, list[dict[str, Any]]]
    functions: dict[str, float] = {}
    queues: dict[str, int] = {}
    streams: list[str] = []
    topics: list[str] = []


class Bindings(Protocol):
    """Functions' triggers, as tables of `microfaas.toml`."""

    def tables(self, function: str) -> Sequence[dict[str, Any]]:
        """A function's. Raises FunctionNotFound."""

    def check(self, planned: Planned) -> None:
        """Whether these could be put. Raises FunctionNotFound, InvalidRequest."""

    async def put(self, triggers: Mapping[str, Sequence[dict[str, Any]]]) -> None:
        """By their functions, all or none, in place of those before.

        Raises FunctionNotFound, InvalidRequest, MachineError.
        """


class TriggersApi:
    """Rows of the control API."""

    def __init__(self, bindings: Bindings) -> None:
        self._bindings = bindings
        self.operations = (
            Operation("GET", PATH, "GetTriggers", "read", self._get),
            Operation("PUT", PATH, "PutTriggers", "admin", self._put),
            Operation("PUT", "/triggers", "PutAllTriggers", "admin", self._put_all),
            Operation("POST", "/triggers/check", "CheckTriggers", "admin", self._check),
        )

    async def _get(self, asked: Asked) -> Reply:
        return as_json({"triggers": self._bindings.tables(asked.id)}, asked.request_id)

    async def _put(self, asked: Asked) -> Reply:
        tables = _decoded(asked, list[dict[str, Any]], "a JSON list of triggers")
        await self._bindings.put({asked.id: tables})
        return await self._get(asked)

    async def _put_all(self, asked: Asked) -> Reply:
        of_each = _decoded(asked, dict[str, list[dict[str, Any]]], "functions' triggers by name")
        await self._bindings.put(of_each)
        return as_json({}, asked.request_id)

    async def _check(self, asked: Asked) -> Reply:
        planned = _decoded(asked, Planned, "triggers and what there will be")
        self._bindings.check(planned)
        return as_json({}, asked.request_id)


def _decoded(asked: Asked, shape: type[_T], what: str) -> _T:
    try:
        return msgspec.json.decode(asked.body, type=shape)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest(f"the body must be {what}: {error}") from None
