"""The key that signs what topics send, and the certificate by which receivers verify it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from microfaas.errors import MachineError

if TYPE_CHECKING:
    from microfaas.store.key_pair import KeyPair

FILE_NAME = "topics.pem"


class Signer:
    """To be prepared before anything is signed: to make a key takes a while."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._pair: KeyPair | None = None
        self._preparing = asyncio.Lock()

    @property
    def ready(self) -> bool:
        return self._pair is not None

    async def prepare(self) -> None:
        """Read the key, or make it when there is none. Raises MachineError."""
        async with self._preparing:
            if self._pair is None:
                self._pair = await asyncio.to_thread(_read, self._path)

    def sign(self, text: bytes, version: str) -> str:
        """Base64 of the signature; version 1 is SHA-1, as SNS began, 2 is SHA-256."""
        return self._prepared.sign(text, version)

    @property
    def certificate(self) -> bytes:
        """The certificate, PEM."""
        return self._prepared.pem

    @property
    def certificate_name(self) -> str:
        """The file name of the certificate in URLs; another one for another certificate."""
        return f"SimpleNotificationService-{self._prepared.fingerprint[:32]}.pem"

    @property
    def _prepared(self) -> KeyPair:
        if self._pair is None:
            raise MachineError(f"cannot sign: {self._path} was not read")
        return self._pair


def _read(path: str) -> KeyPair:
    # Megabytes of cryptography, for those alone whose topics have endpoints outside.
    from microfaas.store import key_pair

    return key_pair.read(path)
