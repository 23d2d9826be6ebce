"""Lambda's operations on versions and aliases."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import NoReturn

import msgspec

from microfaas.control import revisions
from microfaas.control.lifecycle import Lifecycle
from microfaas.control.records import Alias
from microfaas.control.refusal import refuse
from microfaas.control.registry import Registry, key
from microfaas.control.routing import Routing
from microfaas.errors import ServiceError
from microfaas.gateway.aws.lambda_names import whole
from microfaas.gateway.aws.lambda_shapes import Shapes
from microfaas.gateway.aws.paging import page
from microfaas.gateway.aws.service import Call, Caller, Params
from microfaas.model import LATEST


class VersionsApi:
    """One coroutine per operation."""

    def __init__(
        self, registry: Registry, lifecycle: Lifecycle, routing: Routing, shapes: Shapes
    ) -> None:
        self._registry = registry
        self._lifecycle = lifecycle
        self._routing = routing
        self._shapes = shapes

    @property
    def operations(self) -> Mapping[str, Call]:
        return {
            "PublishVersion": self._publish,
            "ListVersionsByFunction": self._list_versions,
            "CreateAlias": self._create_alias,
            "GetAlias": self._get_alias,
            "ListAliases": self._list_aliases,
            "UpdateAlias": self._update_alias,
            "DeleteAlias": self._delete_alias,
        }

    async def _publish(self, _: Caller, params: Params) -> Params:
        name = whole(params, self._registry.address)
        edition, number = await self._lifecycle.publish(
            name,
            params.get("Description"),
            params.get("CodeSha256", ""),
            params.get("RevisionId", ""),
        )
        return self._shapes.configuration(name, edition, number, number)

    async def _list_versions(self, _: Caller, params: Params) -> Params:
        name = whole(params, self._registry.address)
        latest = self._shapes.configuration(name, self._registry.latest(name), "", LATEST)
        rows = [("$", {**latest, "FunctionArn": self._registry.arn(name, LATEST)})]
        for number in self._registry.numbers(name):
            edition, _number = self._registry.edition(name, number)
            made = self._shapes.configuration(name, edition, number, number)
            rows.append((f"{int(number):012d}", made))
        found, more = page(rows, params)
        return {"Versions": found, "NextMarker": more}

    async def _create_alias(self, _: Caller, params: Params) -> Params:
        name, called = whole(params, self._registry.address), params["Name"]
        async with self._lifecycle.lock(name):
            self._registry.head(name)
            if self._registry.alias(name, called) is not None:
                text = f"Alias already exists: {self._registry.arn(name, called)}"
                raise ServiceError("ResourceConflictException", text)
            alias = Alias(
                version=params["FunctionVersion"],
                revision=str(uuid.uuid4()),
                description=params.get("Description", ""),
                weights=_weights(params),
            )
            self._check(name, alias)
            await self._routing.put(name, called, alias)
        return self._shapes.alias(name, called, alias)

    async def _get_alias(self, _: Caller, params: Params) -> Params:
        name, called = whole(params, self._registry.address), params["Name"]
        alias = self._registry.alias(name, called)
        if alias is None:
            self._no_alias("Cannot find alias arn", name, called)
        return self._shapes.alias(name, called, alias)

    async def _list_aliases(self, _: Caller, params: Params) -> Params:
        name = whole(params, self._registry.address)
        self._registry.head(name)
        version = params.get("FunctionVersion")
        rows = [
            (called, self._shapes.alias(name, called, alias))
            for qualified, alias in self._registry.aliases.all(f"{name}:")
            if version in (None, alias.version) and (called := qualified.partition(":")[2])
        ]
        found, more = page(rows, params)
        return {"Aliases": found, "NextMarker": more}

    async def _update_alias(self, _: Caller, params: Params) -> Params:
        name, called = whole(params, self._registry.address), params["Name"]
        async with self._lifecycle.lock(name):
            old = self._registry.alias(name, called)
            if old is None:
                self._no_alias("Alias not found", name, called)
            current = revisions.of(self._registry, name, called)
            revisions.check(current, params.get("RevisionId", ""))
            alias = msgspec.structs.replace(
                old,
                version=params.get("FunctionVersion", old.version),
                description=params.get("Description", old.description),
                weights=_weights(params) if "RoutingConfig" in params else old.weights,
                revision=str(uuid.uuid4()),
            )
            self._check(name, alias)
            if alias.version == LATEST and key(name, called) in self._registry.provisioned:
                refuse("Invalid alias configuration for Provisioned Concurrency")
            await self._routing.put(name, called, alias)
        return self._shapes.alias(name, called, alias)

    async def _delete_alias(self, _: Caller, params: Params) -> Params:
        name, called = whole(params, self._registry.address), params["Name"]
        async with self._lifecycle.lock(name):
            self._registry.head(name)
            if self._registry.alias(name, called) is not None:
                await self._routing.remove(name, called)
        return {}

    def _check(self, name: str, alias: Alias) -> None:
        """Raises ServiceError for an alias that cannot be."""
        if len(alias.weights) > 1:
            refuse("Number of items in AdditionalVersionWeights cannot be greater than 1")
        if alias.weights and alias.version == LATEST:
            refuse("$LATEST is not supported for an alias pointing to more than 1 version")
        if alias.version in alias.weights:
            number = alias.version
            refuse(
                f"Invalid function version {number}. Function version {number} is already "
                "included in routing configuration."
            )
        for number in (alias.version, *alias.weights):
            if number != LATEST and key(name, number) not in self._registry.versions:
                self._registry.not_found(name, number)

    def _no_alias(self, text: str, name: str, called: str) -> NoReturn:
        arn = self._registry.arn(name, called)
        raise ServiceError("ResourceNotFoundException", f"{text}: {arn}")


def _weights(params: Params) -> dict[str, float]:
    routing = params.get("RoutingConfig") or {}
    return dict(routing.get("AdditionalVersionWeights") or {})
