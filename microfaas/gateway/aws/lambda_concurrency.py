"""Lambda's operations on how many instances run: reserved for a function, or provisioned."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NoReturn

from microfaas.control.account import Account
from microfaas.control.lifecycle import Lifecycle
from microfaas.control.records import Provisioned
from microfaas.control.refusal import refuse
from microfaas.control.registry import key
from microfaas.control.routing import Routing
from microfaas.errors import ServiceError
from microfaas.gateway.aws.lambda_code import ZIPPED_BYTES_MAX
from microfaas.gateway.aws.lambda_names import check_qualifier, which, whole
from microfaas.gateway.aws.lambda_shapes import modified
from microfaas.gateway.aws.paging import page
from microfaas.gateway.aws.service import Call, Caller, Params
from microfaas.model import LATEST
from microfaas.store.archive import UNPACKED_BYTES_MAX


class ConcurrencyApi:
    """One coroutine per operation."""

    def __init__(self, account: Account, lifecycle: Lifecycle, routing: Routing) -> None:
        self._account = account
        self._registry = account.registry
        self._lifecycle = lifecycle
        self._routing = routing
        # Two functions must not take the same last instances.
        self._taking = asyncio.Lock()

    @property
    def operations(self) -> Mapping[str, Call]:
        return {
            "GetAccountSettings": self._settings,
            "PutFunctionConcurrency": self._reserve,
            "GetFunctionConcurrency": self._get_reserved,
            "DeleteFunctionConcurrency": self._release,
            "PutProvisionedConcurrencyConfig": self._provision,
            "GetProvisionedConcurrencyConfig": self._get,
            "ListProvisionedConcurrencyConfigs": self._list,
            "DeleteProvisionedConcurrencyConfig": self._delete,
        }

    async def _settings(self, _: Caller, __: Params) -> Params:
        account = self._account
        return {
            "AccountLimit": {
                "TotalCodeSize": account.storage.bytes_max,
                "CodeSizeUnzipped": UNPACKED_BYTES_MAX,
                "CodeSizeZipped": ZIPPED_BYTES_MAX,
                "ConcurrentExecutions": account.concurrency,
                "UnreservedConcurrentExecutions": account.unreserved(),
            },
            "AccountUsage": {
                "TotalCodeSize": account.storage.taken,
                "FunctionCount": len(self._registry.names()),
            },
        }

    async def _reserve(self, _: Caller, params: Params) -> Params:
        name = whole(params, self._registry.address)
        count: int = params["ReservedConcurrentExecutions"]
        if not self._registry.knows(name):
            self._registry.not_found(name, LATEST)
        async with self._taking:
            self._check_reserved(name, count)
            await self._lifecycle.reserve(name, count)
        return {"ReservedConcurrentExecutions": count}

    async def _get_reserved(self, _: Caller, params: Params) -> Params:
        name = whole(params, self._registry.address)
        return {"ReservedConcurrentExecutions": self._registry.head(name).reserved}

    async def _release(self, _: Caller, params: Params) -> Params:
        await self._lifecycle.reserve(whole(params, self._registry.address), None)
        return {}

    async def _provision(self, _: Caller, params: Params) -> Params:
        name, qualifier = which(params, self._registry.address)
        count: int = params["ProvisionedConcurrentExecutions"]
        async with self._taking, self._lifecycle.lock(name):
            self._check_published(name, qualifier)
            self._check_provisioned(name, qualifier, count)
            self._check_only(name, qualifier)
            record = await self._routing.provision(name, qualifier, count)
        return {
            "RequestedProvisionedConcurrentExecutions": count,
            "AllocatedProvisionedConcurrentExecutions": 0,
            "AvailableProvisionedConcurrentExecutions": 0,
            "Status": "IN_PROGRESS",
            "LastModified": modified(record.changed_ms),
        }

    async def _get(self, _: Caller, params: Params) -> Params:
        name, qualifier = self._which(params)
        record = self._registry.provisioned.get(key(name, qualifier))
        if record is None:
            text = "No Provisioned Concurrency Config found for this function"
            raise ServiceError("ProvisionedConcurrencyConfigNotFoundException", text)
        return self._told(name, qualifier, record)

    async def _list(self, _: Caller, params: Params) -> Params:
        name = whole(params, self._registry.address)
        self._registry.head(name)
        rows = []
        for qualified, record in self._registry.provisioned.all(f"{name}:"):
            qualifier = qualified.partition(":")[2]
            arn = self._registry.arn(name, qualifier)
            rows.append((qualifier, {"FunctionArn": arn, **self._told(name, qualifier, record)}))
        found, more = page(rows, params)
        return {"ProvisionedConcurrencyConfigs": found, "NextMarker": more}

    async def _delete(self, _: Caller, params: Params) -> Params:
        name, qualifier = self._which(params)
        async with self._lifecycle.lock(name):
            if key(name, qualifier) in self._registry.provisioned:
                await self._routing.provision(name, qualifier, 0)
        return {}

    def _which(self, params: Params) -> tuple[str, str]:
        """A function and a version or alias of it. Raises ServiceError."""
        name, qualifier = which(params, self._registry.address)
        if qualifier == LATEST:
            refuse("The function resource provided must be an alias or a published version.")
        check_qualifier(self._registry, name, qualifier)
        return name, qualifier

    def _check_reserved(self, name: str, count: int) -> None:
        account = self._account
        if account.unreserved(without=name) - count < account.unreserved_min:
            refuse(
                "Specified ReservedConcurrentExecutions for function decreases account's "
                "UnreservedConcurrentExecution below its minimum value of "
                f"[{account.unreserved_min}]."
            )
        provisioned = sum(account.provisioned(name).values())
        if count < provisioned:
            refuse(
                f" ReservedConcurrentExecutions  {count} should not be lower than function's total "
                f"provisioned concurrency [{provisioned}]."
            )

    def _check_published(self, name: str, qualifier: str) -> None:
        check_qualifier(self._registry, name, qualifier)
        alias = self._registry.alias(name, qualifier)
        if LATEST in (qualifier, alias.version if alias is not None else ""):
            refuse(
                "Provisioned Concurrency Configs cannot be applied to unpublished function "
                "versions."
            )

    def _check_provisioned(self, name: str, qualifier: str, count: int) -> None:
        account = self._account
        others = {k: each for k, each in account.provisioned(name).items() if k != qualifier}
        total = count + sum(others.values())
        reserved = self._registry.head(name).reserved
        if reserved is not None:
            if total > reserved:
                refuse(
                    "Requested Provisioned Concurrency should not be greater than the "
                    "reservedConcurrentExecution for function"
                )
        elif total > (unreserved := account.unreserved(without=name)):
            refuse(
                "Specified ConcurrentExecutions for function is greater than account's unreserved "
                f"concurrency [{unreserved}]."
            )
        elif unreserved - total < account.unreserved_min:
            refuse(
                "Specified ConcurrentExecutions for function decreases account's "
                "UnreservedConcurrentExecution below its minimum value of "
                f"[{account.unreserved_min}]."
            )
        served = self._registry.served.latest(name)
        if served is not None and total > (most := served.function.limits.concurrency_max):
            refuse(f"This machine has memory for {most} instances of {name}, and not for {total}.")

    def _check_only(self, name: str, qualifier: str) -> None:
        """Instances are a version's: for one, either it or its aliases may ask."""
        provisioned = self._account.provisioned(name)
        alias = self._registry.alias(name, qualifier)
        if alias is not None and alias.version in provisioned:
            _conflict(
                "Alias can't be used for Provisioned Concurrency configuration on an already "
                "Provisioned version"
            )
        others = (self._registry.alias(name, each) for each in provisioned)
        if any(other is not None and other.version == qualifier for other in others):
            _conflict("Version is pointed by a Provisioned Concurrency alias")

    def _told(self, name: str, qualifier: str, record: Provisioned) -> Params:
        wanted = record.instances
        started, ready, fault = self._routing.allocation(name, qualifier)
        told: Params = {
            "RequestedProvisionedConcurrentExecutions": wanted,
            "AllocatedProvisionedConcurrentExecutions": min(started, wanted),
            "AvailableProvisionedConcurrentExecutions": min(ready, wanted),
            "Status": "READY" if ready >= wanted else "IN_PROGRESS",
            "LastModified": modified(record.changed_ms),
        }
        if fault and ready < wanted:
            told |= {
                "Status": "FAILED",
                "StatusReason": fault,
                "AllocatedProvisionedConcurrentExecutions": 0,
            }
        return told


def _conflict(text: str) -> NoReturn:
    raise ServiceError("ResourceConflictException", text)
