"""The machine's key: what secrets are encrypted with at rest, and what access keys derive from.

It lies in a file of its own that only microfaas's user can read, so that a copy of the database
alone, in a backup say, gives nothing away. It is made when it is first needed.
"""

from __future__ import annotations

import contextlib
import hmac
import os

from microfaas.errors import MachineError

FILE_NAME = "machine.key"
KEY_BYTES = 32
NONCE_BYTES = 12
DIGEST_BYTES = 32


class MachineKey:
    """Keys for each purpose are derived from one; none of them tells anything of another."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    @classmethod
    def load(cls, path: str) -> MachineKey:
        """Read the key, or make one. Raises MachineError."""
        try:
            with contextlib.suppress(FileExistsError):
                _make(path)
            with open(path, "rb") as file:
                key = file.read(KEY_BYTES + 1)
                mode = os.fstat(file.fileno()).st_mode
        except OSError as error:
            raise MachineError(f"cannot use the key {path}: {error.strerror}") from None
        if len(key) != KEY_BYTES:
            raise MachineError(f"cannot use the key {path}: it must be {KEY_BYTES} bytes long")
        if mode & 0o077:
            raise MachineError(f"cannot use the key {path}: others can read it; chmod 600 {path}")
        return cls(key)

    def derive(self, purpose: str, about: bytes = b"", length: int = KEY_BYTES) -> bytes:
        """A key of its own for a purpose and what it is about."""
        info = b"microfaas\0" + purpose.encode() + b"\0" + about
        return _expanded(hmac.digest(bytes(DIGEST_BYTES), self._key, "sha256"), info, length)

    def seal(self, plain: bytes, name: str) -> bytes:
        """Encrypt; the result can be opened only under the same name."""
        # Megabytes, for those alone who keep secrets here; as below.
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(NONCE_BYTES)
        return nonce + AESGCM(self.derive("seal")).encrypt(nonce, plain, name.encode())

    def open(self, sealed: bytes, name: str) -> bytes:
        """Decrypt what `seal` made. Raises MachineError for another key, name or content."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce, box = sealed[:NONCE_BYTES], sealed[NONCE_BYTES:]
        try:
            return AESGCM(self.derive("seal")).decrypt(nonce, box, name.encode())
        except (InvalidTag, ValueError):
            raise MachineError(
                f"cannot decrypt {name}: it was encrypted with another machine key, or altered"
            ) from None


def _expanded(key: bytes, info: bytes, length: int) -> bytes:
    """RFC 5869's second step, with SHA-256; its first one, without a salt, is one HMAC."""
    made, block = b"", b""
    for number in range(1, -(-length // DIGEST_BYTES) + 1):
        block = hmac.digest(key, block + info + bytes([number]), "sha256")
        made += block
    return made[:length]


def _make(path: str) -> None:
    """Beside its place first, so that nobody ever reads a part of it."""
    if os.path.exists(path):
        return
    part = f"{path}.{os.getpid()}.new"
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb") as file:
            file.write(os.urandom(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        os.link(part, path)
    finally:
        os.unlink(part)
