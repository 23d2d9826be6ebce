"""Lambda's operations on how asynchronous invocations are seen through."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Any, NoReturn

import msgspec

from microfaas.control.lifecycle import Lifecycle
from microfaas.control.records import InvokeConfig
from microfaas.control.refusal import refuse
from microfaas.control.registry import Registry, key
from microfaas.errors import ServiceError
from microfaas.gateway.aws.lambda_names import which
from microfaas.gateway.aws.paging import page
from microfaas.gateway.aws.service import Call, Caller, Params
from microfaas.messaging.targets import Place, place
from microfaas.model import LATEST
from microfaas.payloads.eventbridge import bus_arn

# Parameters and their fields.
_FIELDS = {"MaximumRetryAttempts": "retries_max", "MaximumEventAgeInSeconds": "age_s_max"}
_KNOWN = re.compile(r"arn:aws[\w-]*:(lambda|sqs|sns|events|s3):.*")
_UNSERVED = ("events", "s3")


class InvokeConfigsApi:
    """One coroutine per operation. `serves` tells whether there is such a place here."""

    def __init__(
        self, registry: Registry, lifecycle: Lifecycle, serves: Callable[[Place], bool]
    ) -> None:
        self._registry = registry
        self._lifecycle = lifecycle
        self._serves = serves

    @property
    def operations(self) -> Mapping[str, Call]:
        return {
            "PutFunctionEventInvokeConfig": self._put,
            "UpdateFunctionEventInvokeConfig": self._update,
            "GetFunctionEventInvokeConfig": self._get,
            "ListFunctionEventInvokeConfigs": self._list,
            "DeleteFunctionEventInvokeConfig": self._delete,
        }

    async def _put(self, _: Caller, params: Params) -> Params:
        _check_given(params)
        name, qualifier = self._which(params)
        async with self._lifecycle.lock(name):
            self._check_exists(name, qualifier)
            return await self._keep(name, qualifier, InvokeConfig(changed_ms=0), params)

    async def _update(self, _: Caller, params: Params) -> Params:
        _check_given(params)
        name, qualifier = self._which(params)
        async with self._lifecycle.lock(name):
            self._check_exists(name, qualifier)
            return await self._keep(name, qualifier, self._need(name, qualifier), params)

    async def _get(self, _: Caller, params: Params) -> Params:
        name, qualifier = self._which(params)
        return self._told(name, qualifier, self._need(name, qualifier))

    async def _list(self, _: Caller, params: Params) -> Params:
        name, _qualifier = self._which(params)
        if not self._registry.knows(name):
            _no_function()
        rows = [
            (qualified, self._told(name, qualified.partition(":")[2], config))
            for qualified, config in self._registry.invoke_configs.all(f"{name}:")
        ]
        found, more = page(rows, params)
        return {"FunctionEventInvokeConfigs": found, "NextMarker": more}

    async def _delete(self, _: Caller, params: Params) -> Params:
        name, qualifier = self._which(params)
        async with self._lifecycle.lock(name):
            self._need(name, qualifier)
            self._check_changeable(name, qualifier)
            table = self._registry.invoke_configs
            await self._registry.commit(table.remove(key(name, qualifier)))
        return {}

    def _which(self, params: Params) -> tuple[str, str]:
        name, qualifier = which(params, self._registry.address)
        return name, qualifier or LATEST

    def _check_exists(self, name: str, qualifier: str) -> None:
        """Raises ServiceError when nobody is there to set it for."""
        if not self._registry.exists(name, qualifier):
            _no_function()

    def _need(self, name: str, qualifier: str) -> InvokeConfig:
        config = self._registry.invoke_configs.get(key(name, qualifier))
        if config is None:
            arn = self._registry.arn(name, qualifier)
            text = f"The function {arn} doesn't have an EventInvokeConfig"
            raise ServiceError("ResourceNotFoundException", text)
        return config

    def _check_changeable(self, name: str, qualifier: str) -> None:
        """How a file's function sees its events through, the file says."""
        if qualifier == LATEST:
            self._lifecycle.changeable(name)

    async def _keep(
        self, name: str, qualifier: str, config: InvokeConfig, params: Params
    ) -> Params:
        self._check_changeable(name, qualifier)
        given: dict[str, Any] = {
            field: params[parameter] for parameter, field in _FIELDS.items() if parameter in params
        }
        if "DestinationConfig" in params:
            success, failure = _destinations(params["DestinationConfig"])
            self._check_destinations(name, success, failure)
            given |= {"on_success": success, "on_failure": failure}
        kept = msgspec.structs.replace(config, **given, changed_ms=int(time.time() * 1000))
        table = self._registry.invoke_configs
        await self._registry.commit(table.put(key(name, qualifier), kept))
        return self._told(name, qualifier, kept)

    def _check_destinations(self, name: str, success: str, failure: str) -> None:
        """Raises ServiceError for one that nothing can be sent to."""
        services = {arn: _KNOWN.fullmatch(arn) for arn in (success, failure) if arn}
        if not all(services.values()):
            on_success = f"OnSuccess(destination={success})" if success else "null"
            on_failure = f"OnFailure(destination={failure})" if failure else "null"
            refuse(
                "The provided destination config DestinationConfig("
                f"onSuccess={on_success}, onFailure={on_failure}) is invalid."
            )
        for arn, match in services.items():
            if arn == bus_arn(self._registry.address):
                continue
            if match is not None and match[1] in _UNSERVED:
                to_what = "functions, queues, topics and its default event bus"
                refuse(f"microfaas sends to {to_what}, and not to {arn}.")
            to = place(arn)
            if to is None or not self._serves(to):
                refuse(f"The destination ARN {arn} is invalid.")
            if (to.kind, to.name) == ("function", name):
                refuse("You can't specify the function as a destination for itself.")

    def _told(self, name: str, qualifier: str, config: InvokeConfig) -> Params:
        return {
            "LastModified": config.changed_ms / 1000,
            "FunctionArn": self._registry.arn(name, qualifier),
            "MaximumRetryAttempts": config.retries_max,
            "MaximumEventAgeInSeconds": config.age_s_max,
            "DestinationConfig": {
                "OnSuccess": {"Destination": config.on_success or None},
                "OnFailure": {"Destination": config.on_failure or None},
            },
        }


def _destinations(given: Mapping[str, Any]) -> tuple[str, str]:
    """ARNs, or nothing, for what succeeds and for what fails."""
    success, failure = given.get("OnSuccess", {}), given.get("OnFailure", {})
    return success.get("Destination", ""), failure.get("Destination", "")


def _check_given(params: Params) -> None:
    """Raises ServiceError when nothing is to be set."""
    if not params.keys() & {*_FIELDS, "DestinationConfig"}:
        refuse("You must specify at least one of error handling or destination setting.")


def _no_function() -> NoReturn:
    raise ServiceError("ResourceNotFoundException", "The function doesn't exist.")
