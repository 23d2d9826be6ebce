"""Layers: packages by names and numbers, which functions are given by their ARNs.

A version that was deleted is nobody's to ask for any more. Functions that have it keep it, also
one that is being made just then: it stays, marked as deleted, until none does.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections.abc import Collection, Sequence
from typing import Any

import msgspec

from microfaas.control import packing, revisions, statements
from microfaas.control.records import Package
from microfaas.control.refusal import refuse
from microfaas.control.registry import Registry, key
from microfaas.control.storage import Storage
from microfaas.control.table import Edit, Table
from microfaas.errors import ConfigError, ServiceError
from microfaas.store.packages import Packages

LAYERS_MAX = 5
_ARN = re.compile(r"arn:aws[\w-]*:lambda:([\w-]+):(\d{12}):layer:([\w-]+):(\d+)")


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What is said of a layer version, and asked by nobody who runs it."""

    description: str = ""
    license: str | None = None
    runtimes: tuple[str, ...] | None = None
    architectures: tuple[str, ...] | None = None


class LayerVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A package that lies in /opt; and who of others may use it, by IAM's statements."""

    package: Package
    about: About
    created_ms: int
    deleted: bool = False
    statements: tuple[dict[str, Any], ...] = ()
    revision: str = ""


class Numbered(msgspec.Struct, frozen=True):
    """The last version's number: none is given twice."""

    last: int


class Layers:
    """All layers. Versions are under `NAME:NUMBER`."""

    def __init__(self, registry: Registry, packages: Packages, bytes_max: int) -> None:
        """`bytes_max` is what all packages may take together, functions' as well."""
        self._registry = registry
        self._packages = packages
        self._versions = Table(
            registry.resources, "layer", LayerVersion, lambda version: version.package.size
        )
        self._numbers = Table(registry.resources, "layer-number", Numbered)
        self.storage = Storage(bytes_max, registry.functions, registry.versions, self._versions)
        self._changing = asyncio.Lock()

    async def open(self) -> None:
        """Raises MachineError."""
        self._versions.open()
        self._numbers.open()
        await self.forget_unused()

    async def forget_unused(self) -> None:
        """Forget those that were deleted and that no function has any more; while no function is
        being changed. Raises MachineError."""
        deleted = [qualified for qualified, version in self._versions.all() if version.deleted]
        used = self._used() if deleted else set()
        gone = [each for each in deleted if self.arn(*_parts(each)) not in used]
        if gone:
            await self._registry.commit(*map(self._versions.remove, gone))

    def arn(self, name: str, number: int | None = None) -> str:
        """Of a layer, or of one of its versions."""
        address = self._registry.address
        arn = f"arn:aws:lambda:{address.region}:{address.account_id}:layer:{name}"
        return arn if number is None else f"{arn}:{number}"

    def names(self) -> list[str]:
        """Layers that have a version."""
        kept = {_parts(q)[0] for q, version in self._versions.all() if not version.deleted}
        return sorted(kept)

    def versions(self, name: str) -> list[tuple[int, LayerVersion]]:
        """With their numbers, the newest first."""
        found = [
            (_parts(qualified)[1], version)
            for qualified, version in self._versions.all(f"{name}:")
            if not version.deleted
        ]
        return sorted(found, key=lambda pair: pair[0], reverse=True)

    def get(self, name: str, number: int) -> LayerVersion | None:
        version = self._versions.get(key(name, str(number)))
        return None if version is None or version.deleted else version

    async def publish(self, name: str, data: bytes, about: About) -> tuple[int, LayerVersion]:
        """A new version. Raises ServiceError, MachineError."""
        with self.storage.room(len(data)):
            return await self._publish(name, data, about)

    async def _publish(self, name: str, data: bytes, about: About) -> tuple[int, LayerVersion]:
        package = await packing.keep(self._packages, data)
        path = self._packages.path(package.sha256)
        try:
            await asyncio.to_thread(packing.unpacked_bytes, [path])
        except ConfigError as error:
            raise packing.refusal(error, path) from None
        version = LayerVersion(package=package, about=about, created_ms=int(time.time() * 1000))
        async with self._changing:
            before = self._numbers.get(name)
            number = before.last + 1 if before is not None else 1
            await self._registry.commit(
                self._versions.put(key(name, str(number)), version),
                self._numbers.put(name, Numbered(number)),
            )
        return number, version

    async def delete(self, name: str, number: int) -> None:
        """Nobody may ask for it any more; one that is not there is deleted. Raises MachineError."""
        async with self._changing:
            version = self.get(name, number)
            if version is None:
                return
            deleted = msgspec.structs.replace(version, deleted=True)
            await self._registry.commit(self._versions.put(key(name, str(number)), deleted))

    async def permit(
        self, name: str, number: int, statement: dict[str, Any], revision: str
    ) -> LayerVersion:
        """Add a statement to its policy. Raises ServiceError, MachineError."""
        async with self._changing:
            version = self.need(name, number)
            _check(version, revision)
            kept = statements.added(version.statements, statement)
            return await self._keep_policy(name, number, kept)

    async def forbid(self, name: str, number: int, sid: str, revision: str) -> None:
        """Remove a statement from its policy. Raises ServiceError, MachineError."""
        async with self._changing:
            version = self.need(name, number)
            _check(version, revision)
            await self._keep_policy(name, number, statements.removed(version.statements, sid))

    def need(self, name: str, number: int) -> LayerVersion:
        """Raises ServiceError when there is none."""
        version = self.get(name, number)
        if version is None:
            text = f"Layer version {self.arn(name, number)} does not exist."
            raise ServiceError("ResourceNotFoundException", text)
        return version

    def check(self, arns: Sequence[str]) -> None:
        """Raises ServiceError unless a function may be given these layers."""
        if len(arns) > LAYERS_MAX:
            refuse(f"Cannot reference more than {LAYERS_MAX} layers.")
        seen: dict[str, str] = {}
        for arn in arns:
            self._check_place(arn)
            if self._find(arn).deleted:
                refuse(f"Layer version {arn} does not exist.")
            layer = arn.rpartition(":")[0]
            if layer in seen:
                refuse(
                    "Two different versions of the same layer are not allowed to be referenced in "
                    f"the same function. {seen[layer]} and {arn} are versions of the same layer."
                )
            seen[layer] = arn

    def package(self, arn: str) -> str:
        """The package's SHA-256, also of a version that is deleted. Raises ServiceError."""
        return self._find(arn).package.sha256

    def size(self, arn: str) -> int:
        """The package's bytes, also of a version that is deleted. Raises ServiceError."""
        return self._find(arn).package.size

    def packages(self) -> Collection[str]:
        """All packages that must stay, by their hashes."""
        return {version.package.sha256 for _, version in self._versions.all()}

    def _find(self, arn: str) -> LayerVersion:
        match = _ARN.fullmatch(arn)
        version = self._versions.get(key(match[3], match[4])) if match is not None else None
        if version is None:
            refuse(f"Layer version {arn} does not exist.")
        return version

    def _check_place(self, arn: str) -> None:
        match, address = _ARN.fullmatch(arn), self._registry.address
        if match is None or match[2] != address.account_id:
            refuse(f"Layer version {arn} does not exist.")
        if match[1] != address.region:
            refuse(
                "Layers are not in the same region as the function. Layers are expected to be in "
                f"region {address.region}."
            )

    def _used(self) -> set[str]:
        """The ARNs that functions have."""
        return {arn for edition in self._registry.editions() for arn in edition.settings.layers}

    async def _keep_policy(
        self, name: str, number: int, kept: statements.Statements
    ) -> LayerVersion:
        version = msgspec.structs.replace(
            self.need(name, number), statements=kept, revision=str(uuid.uuid4())
        )
        edit: Edit = self._versions.put(key(name, str(number)), version)
        await self._registry.commit(edit)
        return version


def _check(version: LayerVersion, revision: str) -> None:
    revisions.check(version.revision, revision, "GetLayerPolicy")


def _parts(qualified: str) -> tuple[str, int]:
    name, _, number = qualified.partition(":")
    return name, int(number)
