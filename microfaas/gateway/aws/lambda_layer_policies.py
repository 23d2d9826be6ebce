"""Lambda's operations on the policies of layer versions: who else may use them."""

from __future__ import annotations

from collections.abc import Mapping

from microfaas.control import statements
from microfaas.control.layers import Layers
from microfaas.errors import ServiceError
from microfaas.gateway.aws.lambda_names import layer
from microfaas.gateway.aws.service import Call, Caller, Params
from microfaas.model import Address


class LayerPolicies:
    """One coroutine per operation."""

    def __init__(self, layers: Layers, address: Address) -> None:
        self._layers = layers
        self._address = address

    @property
    def operations(self) -> Mapping[str, Call]:
        return {
            "AddLayerVersionPermission": self._add,
            "GetLayerVersionPolicy": self._get,
            "RemoveLayerVersionPermission": self._remove,
        }

    async def _add(self, _: Caller, params: Params) -> Params:
        name, number = self._which(params)
        organization = params.get("OrganizationId")
        condition = {"StringEquals": {"aws:PrincipalOrgID": organization}} if organization else {}
        made = statements.statement(
            *(params["StatementId"], params["Principal"], params["Action"]),
            resource=self._layers.arn(name, number),
            condition=condition,
        )
        version = await self._layers.permit(name, number, made, params.get("RevisionId", ""))
        return {"Statement": statements.encode(made), "RevisionId": version.revision}

    async def _get(self, _: Caller, params: Params) -> Params:
        version = self._layers.need(*self._which(params))
        if not version.statements:
            text = "No policy is associated with the given resource."
            raise ServiceError("ResourceNotFoundException", text)
        return {
            "Policy": statements.document(version.statements),
            "RevisionId": version.revision,
        }

    async def _remove(self, _: Caller, params: Params) -> Params:
        name, number = self._which(params)
        revision = params.get("RevisionId", "")
        await self._layers.forbid(name, number, params["StatementId"], revision)
        return {}

    def _which(self, params: Params) -> tuple[str, int]:
        return layer(params["LayerName"], self._address), params["VersionNumber"]
