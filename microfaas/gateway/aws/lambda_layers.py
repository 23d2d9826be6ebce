"""Lambda's operations on layers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import NoReturn

from microfaas.control import packing
from microfaas.control.downloads import Downloads
from microfaas.control.layers import About, Layers, LayerVersion
from microfaas.errors import ServiceError
from microfaas.gateway.aws import lambda_code
from microfaas.gateway.aws.lambda_names import layer
from microfaas.gateway.aws.lambda_shapes import modified
from microfaas.gateway.aws.paging import page
from microfaas.gateway.aws.service import Call, Caller, Params
from microfaas.model import Address


class LayersApi:
    """One coroutine per operation. `buckets` are the folders of local buckets, by their names;
    `tidy` forgets what no function uses."""

    def __init__(
        self,
        layers: Layers,
        downloads: Downloads,
        buckets: Mapping[str, str],
        address: Address,
        tidy: Callable[[], Awaitable[None]],
    ) -> None:
        self._layers = layers
        self._tidy = tidy
        self._downloads = downloads
        self._buckets = buckets
        self._address = address

    @property
    def operations(self) -> Mapping[str, Call]:
        return {
            "PublishLayerVersion": self._publish,
            "GetLayerVersion": self._get,
            "GetLayerVersionByArn": self._get_by_arn,
            "ListLayers": self._list,
            "ListLayerVersions": self._list_versions,
            "DeleteLayerVersion": self._delete,
        }

    async def _publish(self, caller: Caller, params: Params) -> Params:
        name = layer(params["LayerName"], self._address)
        data = await lambda_code.package(params["Content"], self._buckets)
        about = About(
            description=params.get("Description", ""),
            license=params.get("LicenseInfo"),
            runtimes=_tuple(params, "CompatibleRuntimes"),
            architectures=_tuple(params, "CompatibleArchitectures"),
        )
        number, version = await self._layers.publish(name, data, about)
        return self._whole(caller, name, number, version)

    async def _get(self, caller: Caller, params: Params) -> Params:
        return self._found(caller, layer(params["LayerName"], self._address), _number(params))

    async def _get_by_arn(self, caller: Caller, params: Params) -> Params:
        arn, _, number = params["Arn"].rpartition(":")
        if not number.isdigit():  # one of AWS's own, which have no number
            _not_there()
        return self._found(caller, layer(arn, self._address), int(number))

    async def _list(self, _: Caller, params: Params) -> Params:
        rows = []
        for name in self._layers.names():
            if fitting := self._fitting(name, params):
                latest = self._item(name, *fitting[0])
                item = {"LayerName": name, "LayerArn": self._layers.arn(name)}
                rows.append((name, {**item, "LatestMatchingVersion": latest}))
        found, more = page(rows, params)
        return {"Layers": found, "NextMarker": more}

    async def _list_versions(self, _: Caller, params: Params) -> Params:
        name = layer(params["LayerName"], self._address)
        rows = [
            (_newest_first(number), self._item(name, number, version))
            for number, version in self._fitting(name, params)
        ]
        found, more = page(rows, params)
        return {"LayerVersions": found, "NextMarker": more}

    async def _delete(self, _: Caller, params: Params) -> Params:
        await self._layers.delete(layer(params["LayerName"], self._address), _number(params))
        await self._tidy()
        return {}

    def _fitting(self, name: str, params: Params) -> list[tuple[int, LayerVersion]]:
        """A layer's versions that are for the runtime and architecture that are asked for."""
        wanted = params.get("CompatibleRuntime"), params.get("CompatibleArchitecture")
        return [
            (number, version)
            for number, version in self._layers.versions(name)
            if wanted[0] in (None, *(version.about.runtimes or ()))
            and wanted[1] in (None, *(version.about.architectures or ()))
        ]

    def _found(self, caller: Caller, name: str, number: int) -> Params:
        version = self._layers.get(name, number)
        if version is None:
            _not_there()
        return self._whole(caller, name, number, version)

    def _whole(self, caller: Caller, name: str, number: int, version: LayerVersion) -> Params:
        package = version.package
        return {
            **self._item(name, number, version),
            "LayerArn": self._layers.arn(name),
            "Content": {
                "Location": self._downloads.link(caller.base_url, package.sha256),
                "CodeSha256": packing.shown_sha256(package),
                "CodeSize": package.size,
            },
        }

    def _item(self, name: str, number: int, version: LayerVersion) -> Params:
        about = version.about
        return {
            "LayerVersionArn": self._layers.arn(name, number),
            "Version": number,
            "Description": about.description,
            "CreatedDate": modified(version.created_ms),
            "CompatibleRuntimes": about.runtimes,
            "CompatibleArchitectures": about.architectures,
            "LicenseInfo": about.license,
        }


def _tuple(params: Params, name: str) -> tuple[str, ...] | None:
    return tuple(params[name]) if name in params else None


def _number(params: Params) -> int:
    number: int = params["VersionNumber"]
    if number < 1:
        text = "Layer Version Cannot be less than 1"
        raise ServiceError("InvalidParameterValueException", text)
    return number


def _newest_first(number: int) -> str:
    return f"{10**12 - number:012d}"


def _not_there() -> NoReturn:
    text = "The resource you requested does not exist."
    raise ServiceError("ResourceNotFoundException", text)
