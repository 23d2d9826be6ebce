"""The key that signs what topics send, and the certificate by which receivers verify it."""

from __future__ import annotations

import asyncio
import base64
import datetime
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from microfaas.errors import MachineError

FILE_NAME = "topics.pem"
KEY_BITS = 2048
VALID_DAYS = 3650


class Signer:
    """To be prepared before anything is signed: to make a key takes a while."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._pair: tuple[rsa.RSAPrivateKey, x509.Certificate] | None = None
        self._preparing = asyncio.Lock()

    @property
    def ready(self) -> bool:
        return self._pair is not None

    async def prepare(self) -> None:
        """Read the key, or make it when there is none. Raises MachineError."""
        async with self._preparing:
            if self._pair is None:
                self._pair = await asyncio.to_thread(self._read)

    def sign(self, text: bytes, version: str) -> str:
        """Base64 of the signature; version 1 is SHA-1, as SNS began, 2 is SHA-256."""
        algorithm = hashes.SHA256() if version == "2" else hashes.SHA1()
        signature = self._prepared[0].sign(text, padding.PKCS1v15(), algorithm)
        return base64.b64encode(signature).decode()

    @property
    def certificate(self) -> bytes:
        """The certificate, PEM."""
        return self._prepared[1].public_bytes(serialization.Encoding.PEM)

    @property
    def certificate_name(self) -> str:
        """The file name of the certificate in URLs; another one for another certificate."""
        digest = self._prepared[1].fingerprint(hashes.SHA256()).hex()[:32]
        return f"SimpleNotificationService-{digest}.pem"

    @property
    def _prepared(self) -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
        if self._pair is None:
            raise MachineError(f"cannot sign: {self._path} was not read")
        return self._pair

    def _read(self) -> tuple[rsa.RSAPrivateKey, x509.Certificate]:
        try:
            if not os.path.exists(self._path):
                self._make()
            with open(self._path, "rb") as file:
                pem = file.read()
            key = serialization.load_pem_private_key(pem, password=None)
            if not isinstance(key, rsa.RSAPrivateKey):
                raise ValueError("the key is not RSA's")
            return key, x509.load_pem_x509_certificate(pem)
        except OSError as error:
            raise MachineError(f"cannot use {self._path}: {error.strerror or error}") from None
        except (ValueError, TypeError) as error:
            raise MachineError(
                f"cannot use {self._path}: it holds no key and certificate ({error}); remove it, "
                "and another pair is made"
            ) from None

    def _make(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "microfaas topics")])
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=VALID_DAYS))
            .sign(key, hashes.SHA256())
        )
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ) + certificate.public_bytes(serialization.Encoding.PEM)
        # Whole or not at all, and never readable by others.
        part = f"{self._path}.part"
        with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, self._path)
