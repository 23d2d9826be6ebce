"""Lambda's operations on tags: of functions, event source mappings and code signing configs."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from microfaas.control import revisions
from microfaas.control.lifecycle import Lifecycle
from microfaas.control.mappings import Mappings
from microfaas.control.refusal import refuse
from microfaas.control.registry import Registry
from microfaas.control.signing import SigningConfigs
from microfaas.errors import ServiceError
from microfaas.gateway.aws import tagging
from microfaas.gateway.aws.lambda_names import which
from microfaas.gateway.aws.service import Call, Caller, Params

TAGS_MAX = 50
Tags = Mapping[str, str]


def check(tags: Tags) -> None:
    """Raises ServiceError for more than anything may have."""
    if len(tags) > TAGS_MAX:
        refuse("Number of tags exceeds resource tag limit.")


class TagsApi:
    """One coroutine per operation."""

    def __init__(
        self,
        registry: Registry,
        lifecycle: Lifecycle,
        mappings: Mappings,
        signing: SigningConfigs,
    ) -> None:
        self._registry = registry
        self._lifecycle = lifecycle
        self._mappings = mappings
        self._signing = signing

    @property
    def operations(self) -> Mapping[str, Call]:
        return {"TagResource": self._tag, "UntagResource": self._untag, "ListTags": self._list}

    async def _tag(self, _: Caller, params: Params) -> Params:
        if not params["Tags"]:
            refuse("An error occurred and the request cannot be processed.")
        await self._change(params["Resource"], params["Tags"], [])
        return {}

    async def _untag(self, _: Caller, params: Params) -> Params:
        await self._change(params["Resource"], {}, params["TagKeys"])
        return {}

    async def _list(self, _: Caller, params: Params) -> Params:
        return {"Tags": dict(self._tags(params["Resource"]))}

    def _tags(self, arn: str) -> Tags:
        """Raises ServiceError when there is nothing of that ARN that has tags."""
        kind, name = _parts(arn)
        if kind == "function":
            return self._registry.head(self._function(arn)).tags
        if arn == self._mappings.arn(name):
            return self._mappings.tags(name)
        if kind == "code-signing-config":
            return self._signing.need(arn)[1].tags
        raise _not_found(arn, kind)

    async def _change(self, arn: str, new: Tags, gone: list[str]) -> None:
        kind, name = _parts(arn)
        if kind == "function":
            name = self._function(arn)
            async with self._lifecycle.lock(name):
                await self._keep(name, _changed(self._tags(arn), new, gone))
            return
        _changed(self._tags(arn), new, gone)  # refuses too many
        if kind == "event-source-mapping":
            await self._mappings.tag(name, new, gone)
        else:
            await self._signing.tag(arn, new, gone)

    async def _keep(self, name: str, tags: dict[str, str]) -> None:
        head = msgspec.structs.replace(self._registry.head(name), tags=tags)
        edit = self._registry.functions.put(name, head)
        await self._registry.commit(edit, revisions.touch(self._registry, name))

    def _function(self, arn: str) -> str:
        name, qualifier = which({"FunctionName": arn}, self._registry.address)
        if qualifier:
            refuse(
                "Tags on function aliases and versions are not supported. Please specify a "
                "function ARN."
            )
        return name


def _changed(old: Tags, new: Tags, gone: list[str]) -> dict[str, str]:
    """Raises ServiceError for more than anything may have."""
    tags = {**tagging.without(old, gone), **new}
    check(tags)
    return tags


def _parts(arn: str) -> tuple[str, str]:
    """What kind of thing it is, and its name or id."""
    kind, _, name = arn.split(":", 5)[5].partition(":")
    return kind, name


def _not_found(arn: str, kind: str) -> ServiceError:
    called = kind.replace("-", " ").capitalize()
    return ServiceError("ResourceNotFoundException", f"{called} not found: {arn}")
