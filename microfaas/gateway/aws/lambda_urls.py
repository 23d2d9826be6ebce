"""Lambda's operations on function URLs."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from microfaas.control.lifecycle import Lifecycle
from microfaas.control.records import Url
from microfaas.control.registry import key
from microfaas.control.urls import Urls
from microfaas.gateway.aws import lambda_names, times
from microfaas.gateway.aws.paging import page
from microfaas.gateway.aws.service import Call, Caller, Params
from microfaas.model import Address


class LambdaUrls:
    """One coroutine per operation."""

    def __init__(self, urls: Urls, lifecycle: Lifecycle, address: Address, base_url: str) -> None:
        """`base_url` is the gateway's: scheme and port of all URLs are its own."""
        self._urls = urls
        self._lifecycle = lifecycle
        self._address = address
        self._base = urlsplit(base_url)

    @property
    def operations(self) -> Mapping[str, Call]:
        return {
            "CreateFunctionUrlConfig": self._create,
            "GetFunctionUrlConfig": self._get,
            "UpdateFunctionUrlConfig": self._update,
            "DeleteFunctionUrlConfig": self._delete,
            "ListFunctionUrlConfigs": self._list,
        }

    async def _create(self, _: Caller, params: Params) -> Params:
        name, qualifier = self._which(params)
        async with self._lifecycle.lock(name):
            url = await self._urls.create(
                *(name, qualifier, params["AuthType"]),
                mode=params.get("InvokeMode", "BUFFERED"),
                cors=params.get("Cors"),
            )
        return self._told(name, qualifier, url) | _mode(params)

    async def _get(self, _: Caller, params: Params) -> Params:
        name, qualifier = self._which(params)
        return self._whole(name, qualifier, self._urls.get(name, qualifier))

    async def _update(self, _: Caller, params: Params) -> Params:
        name, qualifier = self._which(params)
        meant = {"AuthType": "auth", "InvokeMode": "mode", "Cors": "cors"}
        changes = {ours: params[theirs] for theirs, ours in meant.items() if theirs in params}
        async with self._lifecycle.lock(name):
            url = await self._urls.update(name, qualifier, changes)
        return self._told(name, qualifier, url) | _changed(url) | _mode(params)

    async def _delete(self, _: Caller, params: Params) -> Params:
        name, qualifier = self._which(params)
        async with self._lifecycle.lock(name):
            await self._urls.delete(name, qualifier)
        return {}

    async def _list(self, _: Caller, params: Params) -> Params:
        name, _qualifier = lambda_names.which(params, self._address)
        found, more = page(((each.place, each) for each in self._urls.all_of(name)), params)
        told = [self._whole(each.function, each.qualifier, each.url) for each in found]
        return {"FunctionUrlConfigs": told, "NextMarker": more}

    def _which(self, params: Params) -> tuple[str, str]:
        """The function and its alias, which by the model is no version and not $LATEST."""
        return lambda_names.which(params, self._address)

    def _whole(self, name: str, qualifier: str, url: Url) -> Params:
        return self._told(name, qualifier, url) | _changed(url) | {"InvokeMode": url.mode}

    def _told(self, name: str, qualifier: str, url: Url) -> Params:
        host = f"{url.id}.lambda-url.{self._address.region}.localhost"
        place = host if self._base.port is None else f"{host}:{self._base.port}"
        cors = {} if url.cors is None else {"Cors": url.cors}
        return {
            "FunctionUrl": f"{self._base.scheme}://{place}/",
            "FunctionArn": self._address.arn(key(name, qualifier)),
            "AuthType": url.auth,
            **cors,
            "CreationTime": times.write(url.created_ms / 1000),
        }


def _changed(url: Url) -> Params:
    return {"LastModifiedTime": times.write(url.changed_ms / 1000)}


def _mode(params: Params) -> Params:
    """Who changes a URL is told its mode only where he gave one, as AWS does."""
    return {"InvokeMode": params["InvokeMode"]} if "InvokeMode" in params else {}
