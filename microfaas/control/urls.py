"""Function URLs: which there are, whom each one calls, and whether everybody may."""

from __future__ import annotations

import secrets
import string
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import msgspec

from microfaas.control.policies import allows
from microfaas.control.records import Url
from microfaas.control.registry import Registry, key
from microfaas.errors import ServiceError

ID_CHARS = 32
_ALPHABET = string.ascii_lowercase + string.digits
# What a policy's conditions may ask of a request that nobody has signed.
_UNSIGNED = MappingProxyType({"lambda:FunctionUrlAuthType": "NONE"})

Auth = Literal["NONE", "AWS_IAM"]
Mode = Literal["BUFFERED", "RESPONSE_STREAM"]


class Found(NamedTuple):
    """A URL, and what it calls: a function, or one of its aliases."""

    function: str
    qualifier: str
    url: Url

    @property
    def place(self) -> str:
        """What its record stands under."""
        return key(self.function, self.qualifier)


class Urls:
    """Owns the registry's table of URLs. Qualifiers are aliases, or empty."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._table = registry.urls
        self._by_id: dict[str, str] = {}
        self._indexed = -1

    def by_id(self, url_id: str) -> Found | None:
        """The URL with that id, for each request that comes to one."""
        if self._indexed != self._table.changes:
            self._by_id = {url.id: name for name, url in self._table.all()}
            self._indexed = self._table.changes
        name = self._by_id.get(url_id)
        url = None if name is None else self._table.get(name)
        return None if name is None or url is None else _found(name, url)

    def get(self, name: str, qualifier: str) -> Url:
        """Raises ServiceError."""
        url = self._table.get(key(name, qualifier))
        if url is None:
            text = "The resource you requested does not exist."
            raise ServiceError("ResourceNotFoundException", text)
        return url

    def all_of(self, name: str) -> list[Found]:
        """A function's own URL and its aliases'. Raises ServiceError."""
        self._need(name)
        own = self._table.get(name)
        found = [] if own is None else [_found(name, own)]
        return found + [_found(qualified, url) for qualified, url in self._table.all(f"{name}:")]

    async def create(
        self, name: str, qualifier: str, auth: Auth, mode: Mode, cors: dict[str, Any] | None
    ) -> Url:
        """Raises ServiceError, MachineError."""
        self._need(name, qualifier)
        place = key(name, qualifier)
        if place in self._table:
            raise ServiceError(
                "ResourceConflictException",
                "Failed to create function url config for [functionArn = "
                f"{self._registry.arn(name, qualifier)}]. Error message:  FunctionUrlConfig exists "
                "for this Lambda function",
            )
        url_id = "".join(secrets.choice(_ALPHABET) for _ in range(ID_CHARS))
        now_ms = int(time.time() * 1000)
        url = Url(id=url_id, auth=auth, mode=mode, cors=cors, created_ms=now_ms, changed_ms=now_ms)
        await self._registry.commit(self._table.put(place, url))
        return url

    async def update(self, name: str, qualifier: str, changes: Mapping[str, Any]) -> Url:
        """Change what is given of `auth`, `mode` and `cors`. Raises ServiceError, MachineError."""
        url = self.get(name, qualifier)
        url = msgspec.structs.replace(url, **changes, changed_ms=int(time.time() * 1000))
        await self._registry.commit(self._table.put(key(name, qualifier), url))
        return url

    async def delete(self, name: str, qualifier: str) -> None:
        """Raises ServiceError, MachineError."""
        self.get(name, qualifier)
        await self._registry.commit(self._table.remove(key(name, qualifier)))

    def is_public(self, found: Found) -> bool:
        """Whether the policy lets everybody call a URL that asks for no signature."""
        policy = self._registry.policies.get(found.place)
        statements = () if policy is None else policy.statements
        return allows(statements, "lambda:InvokeFunctionUrl", "", _UNSIGNED)

    def _need(self, name: str, qualifier: str = "") -> None:
        if not self._registry.exists(name, qualifier):
            raise ServiceError("ResourceNotFoundException", "Function does not exist")


def _found(place: str, url: Url) -> Found:
    name, _, qualifier = place.partition(":")
    return Found(name, qualifier, url)
