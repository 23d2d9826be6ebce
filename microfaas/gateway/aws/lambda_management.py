"""Lambda's operations on how a function is looked after: what to do about recursive loops, which
`Invoker` asks for, and when its runtime is to change, which is kept and not acted on."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from microfaas.control.lifecycle import Lifecycle
from microfaas.control.records import RuntimeManagement
from microfaas.control.registry import Registry, key
from microfaas.errors import ServiceError
from microfaas.gateway.aws.lambda_names import which, whole
from microfaas.gateway.aws.service import Call, Caller, Params
from microfaas.model import LATEST


class ManagementApi:
    """One coroutine per operation."""

    def __init__(self, registry: Registry, lifecycle: Lifecycle) -> None:
        self._registry = registry
        self._lifecycle = lifecycle

    @property
    def operations(self) -> Mapping[str, Call]:
        return {
            "GetFunctionRecursionConfig": self._get_recursion,
            "PutFunctionRecursionConfig": self._put_recursion,
            "GetRuntimeManagementConfig": self._get_runtime,
            "PutRuntimeManagementConfig": self._put_runtime,
        }

    async def _get_recursion(self, _: Caller, params: Params) -> Params:
        name = whole(params, self._registry.address)
        self._registry.head(name)
        return {"RecursiveLoop": "Allow" if self._registry.allows_loops(name) else "Terminate"}

    async def _put_recursion(self, _: Caller, params: Params) -> Params:
        name = whole(params, self._registry.address)
        async with self._lifecycle.lock(name):
            self._lifecycle.changeable(name)
            head = self._registry.head(name)
            kept = msgspec.structs.replace(head, recursion=params["RecursiveLoop"])
            await self._registry.commit(self._registry.functions.put(name, kept))
        return {"RecursiveLoop": kept.recursion}

    async def _get_runtime(self, _: Caller, params: Params) -> Params:
        name, qualifier = self._which(params)
        kept = self._registry.managed.get(key(name, qualifier))
        return self._told(name, qualifier, kept or RuntimeManagement("Auto"))

    async def _put_runtime(self, _: Caller, params: Params) -> Params:
        name, qualifier = self._which(params)
        kept = RuntimeManagement(params["UpdateRuntimeOn"], params.get("RuntimeVersionArn", ""))
        if (kept.update_on == "Manual") != bool(kept.runtime_arn):
            text = "RuntimeVersionArn must be given when UpdateRuntimeOn is Manual, and only then."
            raise ServiceError("InvalidParameterValueException", text)
        async with self._lifecycle.lock(name):
            self._which(params)  # it may have gone meanwhile
            table = self._registry.managed
            await self._registry.commit(table.put(key(name, qualifier), kept))
        return self._told(name, qualifier, kept)

    def _which(self, params: Params) -> tuple[str, str]:
        """A function and a version of it; an alias has no runtime of its own. Raises
        ServiceError."""
        name, qualifier = which(params, self._registry.address)
        self._registry.edition(name, qualifier)
        if self._registry.alias(name, qualifier) is not None:
            self._registry.not_found(name, qualifier)
        return name, qualifier or LATEST

    def _told(self, name: str, qualifier: str, kept: RuntimeManagement) -> Params:
        return {
            "UpdateRuntimeOn": kept.update_on,
            "FunctionArn": self._registry.arn(name, qualifier),
            "RuntimeVersionArn": kept.runtime_arn or None,
        }
