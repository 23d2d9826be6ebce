"""The control API's part about canaries: beginning one, and how far it is."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from microfaas.control.rollouts import Rollout, Rollouts
from microfaas.errors import InvalidRequest, ServiceError
from microfaas.gateway.invocations_api import Asked, Operation
from microfaas.gateway.reply import Reply, as_json

_Text = Annotated[str, Meta(min_length=1, max_length=128)]


class _Begin(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request that begins one."""

    alias: _Text
    version: _Text
    share: float
    for_s: float
    rollback_on: Annotated[list[_Text], Meta(max_length=10)] = []


class RolloutsApi:
    """Reads and begins, and makes replies of it."""

    def __init__(self, rollouts: Rollouts) -> None:
        self._rollouts = rollouts
        self.operations = (
            Operation("POST", "/functions/{id}/rollouts", "BeginRollout", "admin", self._begin),
            Operation("GET", "/functions/{id}/rollouts", "GetRollout", "read", self._get),
        )

    async def _begin(self, asked: Asked) -> Reply:
        try:
            wanted = msgspec.json.decode(asked.body, type=_Begin)
        except (ValueError, RecursionError) as error:
            raise InvalidRequest(f"cannot begin a rollout: {error}") from None
        try:
            rollout = await self._rollouts.begin(
                asked.id,
                wanted.alias,
                wanted.version,
                wanted.share,
                wanted.for_s,
                wanted.rollback_on,
            )
        except ServiceError as error:
            raise InvalidRequest(str(error), error.kind) from None
        return as_json(_shown(rollout), asked.request_id)

    async def _get(self, asked: Asked) -> Reply:
        """The last one of the alias that the query names."""
        called = asked.query.get("alias", "")
        rollout = self._rollouts.find(asked.id, called)
        if rollout is None:
            text = f"there was no rollout of {asked.id}:{called}"
            raise InvalidRequest(text, "ResourceNotFoundException")
        return as_json(_shown(rollout), asked.request_id)


def _shown(rollout: Rollout) -> dict[str, object]:
    return msgspec.structs.asdict(rollout)
