"""Lambda's operations on functions themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from microfaas.control.downloads import Downloads
from microfaas.control.layers import Layers
from microfaas.control.lifecycle import Lifecycle, Made
from microfaas.control.records import Edition, Settings
from microfaas.control.registry import Registry
from microfaas.control.signing import SigningConfigs
from microfaas.errors import ServiceError
from microfaas.gateway.aws import lambda_code, lambda_settings, lambda_tags
from microfaas.gateway.aws.lambda_names import new, which, whole
from microfaas.gateway.aws.lambda_shapes import Shapes
from microfaas.gateway.aws.paging import page
from microfaas.gateway.aws.service import Call, Caller, Params
from microfaas.model import LATEST


class FunctionsApi:
    """One coroutine per operation. `buckets` are the folders of local buckets, by their names."""

    def __init__(
        self,
        registry: Registry,
        lifecycle: Lifecycle,
        shapes: Shapes,
        layers: Layers,
        signing: SigningConfigs,
        downloads: Downloads,
        buckets: Mapping[str, str],
        *,
        strict: bool,
    ) -> None:
        self._registry = registry
        self._lifecycle = lifecycle
        self._shapes = shapes
        self._layers = layers
        self._signing = signing
        self._downloads = downloads
        self._buckets = buckets
        self._strict = strict

    @property
    def operations(self) -> Mapping[str, Call]:
        return {
            "CreateFunction": self._create,
            "GetFunction": self._get,
            "GetFunctionConfiguration": self._get_configuration,
            "ListFunctions": self._list,
            "UpdateFunctionCode": self._update_code,
            "UpdateFunctionConfiguration": self._update_configuration,
            "DeleteFunction": self._delete,
        }

    async def _create(self, _: Caller, params: Params) -> Params:
        name = new(params, self._registry.address)
        lambda_tags.check(params.get("Tags", {}))
        settings = lambda_settings.created(params, self._strict)
        self._layers.check(settings.layers)
        if "CodeSigningConfigArn" in params:
            self._signing.check(params["CodeSigningConfigArn"])
        data = await lambda_code.package(params["Code"], self._buckets)
        made = await self._lifecycle.create(
            name,
            settings,
            data,
            tags=params.get("Tags", {}),
            signing_config=params.get("CodeSigningConfigArn", ""),
            publish=params.get("Publish", False),
        )
        return self._changed_now(name, made)

    async def _get(self, caller: Caller, params: Params) -> Params:
        name, qualifier = which(params, self._registry.address)
        edition, number = self._registry.edition(name, qualifier)
        head = self._registry.head(name)
        package = edition.package.sha256 or await self._lifecycle.packed(name)
        concurrency = {"ReservedConcurrentExecutions": head.reserved}
        return {
            "Configuration": self._shapes.configuration(name, edition, qualifier, number),
            "Code": {
                "RepositoryType": "S3",
                "Location": self._downloads.link(caller.base_url, package),
            },
            "Tags": head.tags or None,
            "Concurrency": concurrency if head.reserved is not None else None,
        }

    async def _get_configuration(self, _: Caller, params: Params) -> Params:
        name, qualifier = which(params, self._registry.address)
        edition, number = self._registry.edition(name, qualifier)
        return self._shapes.configuration(name, edition, qualifier, number)

    async def _list(self, _: Caller, params: Params) -> Params:
        every = params.get("FunctionVersion") == "ALL"
        found, more = page(self._rows(every), params)
        rows = [self._listed(name, number, every_version=every) for name, number in found]
        return {"Functions": rows, "NextMarker": more}

    async def _update_code(self, _: Caller, params: Params) -> Params:
        name = whole(params, self._registry.address)
        self._registry.head(name)
        data = await lambda_code.package(params, self._buckets)
        made = await self._lifecycle.update(
            name,
            lambda old: old.settings,
            data,
            revision=params.get("RevisionId", ""),
            dry_run=params.get("DryRun", False),
            publish=params.get("Publish", False),
        )
        return self._changed_now(name, made)

    async def _update_configuration(self, _: Caller, params: Params) -> Params:
        name = whole(params, self._registry.address)
        made = await self._lifecycle.update(
            name,
            lambda old: self._changed(old, params),
            revision=params.get("RevisionId", ""),
        )
        return self._changed_now(name, made)

    async def _delete(self, _: Caller, params: Params) -> Params:
        name, qualifier = which(params, self._registry.address)
        self._registry.head(name)
        if not qualifier:
            await self._lifecycle.delete(name)
            return {"StatusCode": 204}
        if qualifier == LATEST:
            text = "$LATEST version cannot be deleted without deleting the function."
            raise ServiceError("InvalidParameterValueException", text)
        if self._registry.alias(name, qualifier) is not None:
            text = "Deletion of aliases is not supported by DeleteFunction: use DeleteAlias."
            raise ServiceError("InvalidParameterValueException", text)
        await self._lifecycle.delete_version(name, qualifier)
        return {"StatusCode": 204}

    def _changed_now(self, name: str, made: Made) -> Params:
        qualifier = "" if made.number == LATEST else made.number
        return self._shapes.configuration(name, made.edition, qualifier, made.number, fresh=True)

    def _changed(self, old: Edition, params: Params) -> Settings:
        settings = lambda_settings.changed(old.settings, params, self._strict)
        if "Layers" in params:
            self._layers.check(settings.layers)
        return settings

    def _rows(self, every_version: bool) -> Iterator[tuple[str, tuple[str, str]]]:
        """Functions' names and versions' numbers, which take no time: a list is read by pages."""
        # A blank comes before whatever a longer name may go on with, so the keys are in order.
        for name in self._registry.names():
            yield f"{name} {LATEST}", (name, LATEST)
            if every_version:
                for number in self._registry.numbers(name):
                    yield f"{name} {int(number):012d}", (name, number)

    def _listed(self, name: str, number: str, *, every_version: bool) -> Params:
        edition, _ = self._registry.edition(name, number)
        qualifier = "" if number == LATEST else number
        made = self._shapes.configuration(name, edition, qualifier, number)
        if every_version and number == LATEST:
            # AWS shows the qualified ARN only where it lists all versions.
            made["FunctionArn"] = self._registry.arn(name, LATEST)
        return made
