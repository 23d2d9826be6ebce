"""Lambda's operations on the policies of functions, versions and aliases: who else may call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from microfaas.control import revisions, statements
from microfaas.control.lifecycle import Lifecycle
from microfaas.control.records import Policy
from microfaas.control.registry import Registry, key
from microfaas.control.statements import Statements
from microfaas.control.table import Edit
from microfaas.errors import ServiceError
from microfaas.gateway.aws.lambda_names import check_qualifier, which
from microfaas.gateway.aws.service import Call, Caller, Params
from microfaas.model import LATEST

# Parameters that become conditions: the operator and the key.
_CONDITIONS = (
    ("SourceAccount", "StringEquals", "AWS:SourceAccount"),
    ("EventSourceToken", "StringEquals", "lambda:EventSourceToken"),
    ("PrincipalOrgID", "StringEquals", "aws:PrincipalOrgID"),
    ("FunctionUrlAuthType", "StringEquals", "lambda:FunctionUrlAuthType"),
    ("InvokedViaFunctionUrl", "Bool", "lambda:InvokedViaFunctionUrl"),
    ("SourceArn", "ArnLike", "AWS:SourceArn"),
)


class PoliciesApi:
    """One coroutine per operation."""

    def __init__(self, registry: Registry, lifecycle: Lifecycle) -> None:
        self._registry = registry
        self._lifecycle = lifecycle

    @property
    def operations(self) -> Mapping[str, Call]:
        return {
            "AddPermission": self._add,
            "GetPolicy": self._get,
            "RemovePermission": self._remove,
        }

    async def _add(self, _: Caller, params: Params) -> Params:
        name, qualifier = which(params, self._registry.address)
        if qualifier == LATEST:
            text = "We currently do not support adding policies for $LATEST."
            raise ServiceError("InvalidParameterValueException", text)
        async with self._lifecycle.lock(name):
            self._registry.head(name)
            check_qualifier(self._registry, name, qualifier)
            self._check(name, qualifier, params)
            made = statements.statement(
                *(params["StatementId"], params["Principal"], params["Action"]),
                resource=self._registry.arn(name, qualifier),
                condition=_condition(params),
            )
            kept = statements.added(self._statements(name, qualifier), made)
            await self._keep(name, qualifier, kept)
        return {"Statement": statements.encode(made)}

    async def _get(self, _: Caller, params: Params) -> Params:
        name, qualifier = self._which(params)
        self._registry.head(name)
        kept = self._statements(name, qualifier)
        if not kept:
            text = "The resource you requested does not exist."
            raise ServiceError("ResourceNotFoundException", text)
        return {
            "Policy": statements.document(kept),
            "RevisionId": revisions.of(self._registry, name, qualifier),
        }

    async def _remove(self, _: Caller, params: Params) -> Params:
        name, qualifier = self._which(params)
        if not self._registry.knows(name):
            text = f"No policy found for: {self._registry.arn(name)}"
            raise ServiceError("ResourceNotFoundException", text)
        async with self._lifecycle.lock(name):
            check_qualifier(self._registry, name, qualifier)
            left = statements.removed(self._statements(name, qualifier), params["StatementId"])
            self._check(name, qualifier, params)
            await self._keep(name, qualifier, left)
        return {}

    def _which(self, params: Params) -> tuple[str, str]:
        """$LATEST has the function's own policy."""
        name, qualifier = which(params, self._registry.address)
        return name, "" if qualifier == LATEST else qualifier

    def _check(self, name: str, qualifier: str, params: Params) -> None:
        """Raises ServiceError when it is not what the caller has seen."""
        current = revisions.of(self._registry, name, qualifier)
        revisions.check(current, params.get("RevisionId", ""), "GetPolicy")

    def _statements(self, name: str, qualifier: str) -> Statements:
        policy = self._registry.policies.get(key(name, qualifier))
        return () if policy is None else policy.statements

    async def _keep(self, name: str, qualifier: str, kept: Statements) -> None:
        table, qualified = self._registry.policies, key(name, qualifier)
        edit: Edit = table.put(qualified, Policy(kept)) if kept else table.remove(qualified)
        await self._registry.commit(edit, revisions.touch(self._registry, name, qualifier))


def _condition(params: Params) -> dict[str, Any]:
    condition: dict[str, dict[str, str]] = {}
    for name, operator, asked in _CONDITIONS:
        if name in params:
            value = params[name]
            text = str(value).lower() if isinstance(value, bool) else value
            condition.setdefault(operator, {})[asked] = text
    return condition
