"""Lambda's operations on code signing configurations."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from microfaas.control.lifecycle import Lifecycle
from microfaas.control.registry import Registry
from microfaas.control.signing import SigningConfig, SigningConfigs
from microfaas.gateway.aws import lambda_tags
from microfaas.gateway.aws.lambda_names import whole
from microfaas.gateway.aws.lambda_shapes import modified
from microfaas.gateway.aws.paging import page
from microfaas.gateway.aws.service import Call, Caller, Params


class SigningApi:
    """One coroutine per operation."""

    def __init__(self, registry: Registry, lifecycle: Lifecycle, configs: SigningConfigs) -> None:
        self._registry = registry
        self._lifecycle = lifecycle
        self._configs = configs

    @property
    def operations(self) -> Mapping[str, Call]:
        return {
            "CreateCodeSigningConfig": self._create,
            "GetCodeSigningConfig": self._get,
            "UpdateCodeSigningConfig": self._update,
            "DeleteCodeSigningConfig": self._delete,
            "ListCodeSigningConfigs": self._list,
            "ListFunctionsByCodeSigningConfig": self._list_functions,
            "PutFunctionCodeSigningConfig": self._put_of_function,
            "GetFunctionCodeSigningConfig": self._get_of_function,
            "DeleteFunctionCodeSigningConfig": self._delete_of_function,
        }

    async def _create(self, _: Caller, params: Params) -> Params:
        fields = {**_fields(params), "tags": params.get("Tags", {})}
        lambda_tags.check(fields["tags"])
        return self._whole(*await self._configs.create(SigningConfig(**fields)))

    async def _get(self, _: Caller, params: Params) -> Params:
        return self._whole(*self._configs.need(params["CodeSigningConfigArn"]))

    async def _update(self, _: Caller, params: Params) -> Params:
        arn = params["CodeSigningConfigArn"]
        return self._whole(*await self._configs.update(arn, _fields(params)))

    async def _delete(self, _: Caller, params: Params) -> Params:
        await self._configs.delete(params["CodeSigningConfigArn"])
        return {}

    async def _list(self, _: Caller, params: Params) -> Params:
        rows = [(each, self._told(each, config)) for each, config in self._configs.all()]
        found, more = page(rows, params)
        return {"CodeSigningConfigs": found, "NextMarker": more}

    async def _list_functions(self, _: Caller, params: Params) -> Params:
        names = self._configs.functions(params["CodeSigningConfigArn"])
        found, more = page([(name, self._registry.arn(name)) for name in names], params)
        return {"FunctionArns": found, "NextMarker": more}

    async def _put_of_function(self, _: Caller, params: Params) -> Params:
        arn = params["CodeSigningConfigArn"]
        self._configs.check(arn)
        name = await self._assign(params, arn)
        return {"CodeSigningConfigArn": arn, "FunctionName": name}

    async def _get_of_function(self, _: Caller, params: Params) -> Params:
        name = whole(params, self._registry.address)
        arn = self._registry.head(name).signing_config
        return {"CodeSigningConfigArn": arn or None, "FunctionName": name}

    async def _delete_of_function(self, _: Caller, params: Params) -> Params:
        await self._assign(params, "")
        return {}

    async def _assign(self, params: Params, arn: str) -> str:
        """Have a function have it; the function's name."""
        name = whole(params, self._registry.address)
        async with self._lifecycle.lock(name):
            head = msgspec.structs.replace(self._registry.head(name), signing_config=arn)
            await self._registry.commit(self._registry.functions.put(name, head))
        return name

    def _whole(self, config_id: str, config: SigningConfig) -> Params:
        return {"CodeSigningConfig": self._told(config_id, config)}

    def _told(self, config_id: str, config: SigningConfig) -> Params:
        return {
            "CodeSigningConfigId": config_id,
            "CodeSigningConfigArn": self._configs.arn(config_id),
            "Description": config.description,
            "AllowedPublishers": {"SigningProfileVersionArns": config.publishers},
            "CodeSigningPolicies": {"UntrustedArtifactOnDeployment": config.untrusted},
            "LastModified": modified(config.changed_ms),
        }


def _fields(params: Params) -> Params:
    """What is given of a SigningConfig's fields."""
    fields: Params = {}
    if "AllowedPublishers" in params:
        arns = params["AllowedPublishers"]["SigningProfileVersionArns"]
        fields["publishers"] = tuple(arns)
    if "UntrustedArtifactOnDeployment" in (policies := params.get("CodeSigningPolicies", {})):
        fields["untrusted"] = policies["UntrustedArtifactOnDeployment"]
    if "Description" in params:
        fields["description"] = params["Description"]
    return fields
