"""The control API's part about functions' triggers: what fires a function that the API has made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from microfaas.errors import InvalidRequest
from microfaas.gateway.invocations_api import Asked, Operation
from microfaas.gateway.reply import Reply, as_json

PATH = "/functions/{id}/triggers"


class Bindings(Protocol):
    """Functions' triggers, as tables of `microfaas.toml`."""

    def tables(self, function: str) -> Sequence[dict[str, Any]]:
        """A function's. Raises FunctionNotFound."""

    async def put(self, function: str, tables: Sequence[dict[str, Any]]) -> None:
        """In place of those before. Raises FunctionNotFound, InvalidRequest, MachineError."""


class TriggersApi:
    """Two rows of the control API."""

    def __init__(self, bindings: Bindings) -> None:
        self._bindings = bindings
        self.operations = (
            Operation("GET", PATH, "GetTriggers", "read", self._get),
            Operation("PUT", PATH, "PutTriggers", "admin", self._put),
        )

    async def _get(self, asked: Asked) -> Reply:
        return as_json({"triggers": self._bindings.tables(asked.id)}, asked.request_id)

    async def _put(self, asked: Asked) -> Reply:
        try:
            tables = msgspec.json.decode(asked.body, type=list[dict[str, Any]])
        except (ValueError, RecursionError) as error:
            raise InvalidRequest(f"the body must be a JSON list of triggers: {error}") from None
        await self._bindings.put(asked.id, tables)
        return await self._get(asked)
