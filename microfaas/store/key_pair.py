"""An RSA key and its certificate in one file, made when there is none."""

from __future__ import annotations

import base64
import datetime
import os
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID

from microfaas.errors import MachineError

KEY_BITS = 2048
VALID_DAYS = 3650


@dataclass(frozen=True)
class KeyPair:
    """What signs, and what is verified with."""

    key: rsa.RSAPrivateKey
    certificate: x509.Certificate

    def sign(self, text: bytes, version: str) -> str:
        """Base64 of the signature; version 1 is SHA-1, as SNS began, 2 is SHA-256."""
        algorithm = hashes.SHA256() if version == "2" else hashes.SHA1()
        return base64.b64encode(self.key.sign(text, padding.PKCS1v15(), algorithm)).decode()

    @property
    def pem(self) -> bytes:
        """The certificate alone."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the certificate, in hexadecimal."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()


def read(path: str) -> KeyPair:
    """The pair of the file, which is made when it is not there. Raises MachineError."""
    try:
        if not os.path.exists(path):
            _make(path)
        with open(path, "rb") as file:
            pem = file.read()
        key = serialization.load_pem_private_key(pem, password=None)
        if not isinstance(key, rsa.RSAPrivateKey):
            raise ValueError("the key is not RSA's")
        return KeyPair(key, x509.load_pem_x509_certificate(pem))
    except OSError as error:
        raise MachineError(f"cannot use {path}: {error.strerror or error}") from None
    except (ValueError, TypeError) as error:
        raise MachineError(
            f"cannot use {path}: it holds no key and certificate ({error}); remove it, "
            "and another pair is made"
        ) from None


def _make(path: str) -> None:
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
    part = f"{path}.part"
    with open(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    os.replace(part, path)
