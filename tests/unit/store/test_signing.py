"""The key that signs what topics send: what receivers can verify, and what is kept of it."""

from __future__ import annotations

import asyncio
import base64
import os
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from microfaas.errors import MachineError
from microfaas.store.signing import Signer


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tmp_path_factory.mktemp("data") / "topics.pem")


async def prepared(path: str) -> Signer:
    made = Signer(path)
    await made.prepare()
    return made


@pytest.mark.parametrize(("version", "algorithm"), [("1", hashes.SHA1()), ("2", hashes.SHA256())])
async def test_who_has_the_certificate_can_verify(
    path: str, version: str, algorithm: hashes.HashAlgorithm
) -> None:
    signer = await prepared(path)
    key = x509.load_pem_x509_certificate(signer.certificate).public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    signature = base64.b64decode(signer.sign(b"text", version), validate=True)
    key.verify(signature, b"text", padding.PKCS1v15(), algorithm)
    with pytest.raises(InvalidSignature):
        key.verify(signature, b"another", padding.PKCS1v15(), algorithm)


async def test_the_key_outlives_a_restart(path: str) -> None:
    first, second = await prepared(path), await prepared(path)
    assert first.certificate == second.certificate
    assert first.sign(b"text", "1") == second.sign(b"text", "1")
    assert first.certificate_name == second.certificate_name
    assert first.certificate_name.startswith("SimpleNotificationService-")
    assert first.certificate_name.endswith(".pem")


async def test_nobody_else_may_read_it(path: str) -> None:
    await prepared(path)
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.listdir(os.path.dirname(path)) == ["topics.pem"]


async def test_the_certificate_gives_no_key_away(path: str) -> None:
    assert b"PRIVATE" not in (await prepared(path)).certificate


async def test_asked_at_once_it_is_made_once(tmp_path: Path) -> None:
    signer = Signer(str(tmp_path / "topics.pem"))
    await asyncio.gather(*(signer.prepare() for _ in range(3)))
    assert signer.certificate == (await prepared(str(tmp_path / "topics.pem"))).certificate


def test_before_it_is_prepared_nothing_is_signed(path: str) -> None:
    signer = Signer(path)
    assert not signer.ready
    with pytest.raises(MachineError, match="was not read"):
        signer.sign(b"text", "1")


def without_certificate() -> bytes:
    return _pem(rsa.generate_private_key(public_exponent=65537, key_size=2048))


def of_another_kind() -> bytes:
    return _pem(ec.generate_private_key(ec.SECP256R1()))


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


@pytest.mark.parametrize("content", [b"", b"junk", without_certificate(), of_another_kind()])
async def test_what_holds_no_pair_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "topics.pem").write_bytes(content)
    with pytest.raises(MachineError, match=r"topics\.pem: it holds no key and certificate"):
        await Signer(str(tmp_path / "topics.pem")).prepare()
    assert (tmp_path / "topics.pem").read_bytes() == content


async def test_a_place_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"gone/topics\.pem: No such file or directory"):
        await Signer(str(tmp_path / "gone" / "topics.pem")).prepare()
