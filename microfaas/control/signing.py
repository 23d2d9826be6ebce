"""Code signing configurations, kept for whoever asks: no code is refused for its signature here."""

from __future__ import annotations

import asyncio
import secrets
import string
import time
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Literal

import msgspec

from microfaas.control.registry import Registry
from microfaas.control.table import Table
from microfaas.errors import ServiceError

ID_CHARS = 17
_ALPHABET = string.digits + "abcdef"


class SigningConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`publishers` are the ARNs of versions of signing profiles."""

    publishers: tuple[str, ...]
    untrusted: Literal["Warn", "Enforce"] = "Warn"
    description: str = ""
    tags: dict[str, str] = {}
    changed_ms: int = 0


class SigningConfigs:
    """All of them, by their ids."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._table = Table(registry.resources, "signing-config", SigningConfig)
        self._changing = asyncio.Lock()

    def open(self) -> None:
        """Read what is on disk. Raises MachineError."""
        self._table.open()

    def arn(self, config_id: str) -> str:
        address = self._registry.address
        where = f"{address.region}:{address.account_id}"
        return f"arn:aws:lambda:{where}:code-signing-config:{config_id}"

    def all(self) -> Iterator[tuple[str, SigningConfig]]:
        """In the order of their ids."""
        return self._table.all()

    def exists(self, arn: str) -> bool:
        return self._find(arn) is not None

    def need(self, arn: str) -> tuple[str, SigningConfig]:
        """The id and what is kept. Raises ServiceError."""
        config = self._find(arn)
        if config is None:
            text = f"The Lambda code signing configuration {arn} can not be found."
            raise ServiceError("ResourceNotFoundException", text)
        return _id_of(arn), config

    def check(self, arn: str) -> None:
        """Raises ServiceError unless a function may be given it."""
        if not self.exists(arn):
            raise ServiceError(
                "CodeSigningConfigNotFoundException",
                "The code signing configuration cannot be found. Check that the provided "
                f"configuration is not deleted: {arn}.",
            )

    def functions(self, arn: str) -> list[str]:
        """The names of those that have it. Raises ServiceError when there is no such thing."""
        self.need(arn)
        return [name for name, head in self._registry.functions.all() if head.signing_config == arn]

    async def create(self, config: SigningConfig) -> tuple[str, SigningConfig]:
        """Its id and what is kept. Raises MachineError."""
        config_id = "csc-" + "".join(secrets.choice(_ALPHABET) for _ in range(ID_CHARS))
        return config_id, await self._keep(config_id, config)

    async def update(self, arn: str, changes: Mapping[str, Any]) -> tuple[str, SigningConfig]:
        """Change fields. Raises ServiceError, MachineError."""
        async with self._changing:
            config_id, config = self.need(arn)
            return config_id, await self._keep(
                config_id, msgspec.structs.replace(config, **changes)
            )

    async def tag(self, arn: str, tags: Mapping[str, str], removed: Collection[str] = ()) -> None:
        """Set and remove tags. Raises ServiceError, MachineError."""
        async with self._changing:
            config_id, config = self.need(arn)
            left = {key: config.tags[key] for key in config.tags if key not in removed}
            await self._keep(config_id, msgspec.structs.replace(config, tags={**left, **tags}))

    async def delete(self, arn: str) -> None:
        """Raises ServiceError, also while a function has it; MachineError."""
        async with self._changing:
            if names := self.functions(arn):
                raise ServiceError(
                    "ResourceConflictException",
                    f"The code signing configuration {arn} cannot be deleted: it is used by the "
                    f"functions {', '.join(names)}.",
                )
            await self._registry.commit(self._table.remove(_id_of(arn)))

    async def _keep(self, config_id: str, config: SigningConfig) -> SigningConfig:
        kept = msgspec.structs.replace(config, changed_ms=int(time.time() * 1000))
        await self._registry.commit(self._table.put(config_id, kept))
        return kept

    def _find(self, arn: str) -> SigningConfig | None:
        config_id = _id_of(arn)
        return self._table.get(config_id) if arn == self.arn(config_id) else None


def _id_of(arn: str) -> str:
    return arn.rpartition(":")[2]
