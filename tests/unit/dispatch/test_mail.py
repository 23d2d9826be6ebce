"""Mails through a real SMTP server on this machine, with and without TLS and login."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import email.message
import email.policy
import socket
import ssl
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from microfaas.config.topics import Smtp
from microfaas.dispatch.delivery import Verdict
from microfaas.dispatch.mail import MailSender

USER, PASSWORD = "shop", "open, sesame"


class Box:
    """Takes mails, unless it is told what to say instead."""

    def __init__(self) -> None:
        self.mails: list[email.message.EmailMessage] = []
        self.envelopes: list[Envelope] = []
        self.to_recipient = ""
        self.to_data = ""

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.to_recipient:
            return self.to_recipient
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Envelope) -> str:
        if self.to_data:
            return self.to_data
        self.envelopes.append(envelope)
        content = envelope.content
        assert isinstance(content, bytes)
        parsed = email.message_from_bytes(content, policy=email.policy.default)
        assert isinstance(parsed, email.message.EmailMessage)
        self.mails.append(parsed)
        return "250 OK"


class OverTls(Controller):
    """Begins with TLS: `smtps`."""

    def factory(self) -> SMTP:
        return SMTP(self.handler, **self.SMTP_kwargs)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of the mail server, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    names = x509.SubjectAlternativeName(
        [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    )
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "mail.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    return _tls(certificate)


def _tls(certificate: Path) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate)
    return made


def login(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    right = LoginPassword(USER.encode(), PASSWORD.encode())
    return AuthResult(success=data == right, handled=False)


@contextlib.contextmanager
def server(box: Box, kind: type[Controller] = Controller, **options: Any) -> Iterator[int]:
    """A mail server; its port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    made = kind(box, hostname="127.0.0.1", port=port, **options)
    made.start()
    try:
        yield port
    finally:
        made.stop()


def smtp(port: int, **more: Any) -> Smtp:
    made = {"host": "127.0.0.1", "tls": "none", "sender": "topics@microfaas.example", **more}
    return Smtp(port=port, **made)


async def send(settings: Smtp | None, subject: str = "News", text: str = "hello\n") -> Verdict:
    sender = MailSender(settings)
    try:
        return await sender.send("ada@example.org", subject, text, "id-1")
    finally:
        sender.close()


async def test_a_mail_arrives() -> None:
    box = Box()
    with server(box) as port:
        verdict = await send(smtp(port), "Grüße\nX-Other: no", "hello, Ada: äöü €\n")
    assert verdict == Verdict("done")
    [mail], [envelope] = box.mails, box.envelopes
    assert (envelope.mail_from, envelope.rcpt_tos) == (
        "topics@microfaas.example",
        ["ada@example.org"],
    )
    assert mail["From"] == "topics@microfaas.example"
    assert mail["To"] == "ada@example.org"
    assert mail["Subject"] == "Grüße X-Other: no"
    assert mail["X-Other"] is None
    assert mail["Message-ID"] == "<id-1@microfaas.example>"
    assert mail["Date"].datetime is not None
    assert mail.get_content().splitlines() == ["hello, Ada: äöü €"]


async def test_with_starttls(trusted: ssl.SSLContext) -> None:
    box = Box()
    with server(box, tls_context=trusted, require_starttls=True) as port:
        assert (await send(smtp(port, tls="starttls"))).action == "done"
    assert len(box.mails) == 1


async def test_with_tls_from_the_start(trusted: ssl.SSLContext) -> None:
    box = Box()
    with server(box, OverTls, ssl_context=trusted) as port:
        assert (await send(smtp(port, tls="tls"))).action == "done"
    assert len(box.mails) == 1


async def test_a_server_that_cannot_be_trusted_gets_nothing(certificate: Path) -> None:
    box = Box()
    with server(box, tls_context=_tls(certificate)) as port:
        verdict = await send(smtp(port, tls="starttls"))
    assert verdict.action == "later"
    assert "certificate verify failed" in verdict.why
    assert box.mails == []


async def test_nor_does_one_without_tls_that_should_have_it() -> None:
    box = Box()
    with server(box) as port:
        verdict = await send(smtp(port, tls="starttls", user=USER, password_file="/gone"))
    assert verdict.action == "later"
    assert "STARTTLS" in verdict.why
    assert box.mails == []


async def test_with_a_login(trusted: ssl.SSLContext, tmp_path: Path) -> None:
    (tmp_path / "password").write_text(f"{PASSWORD}\n")
    box, known = Box(), {"user": USER, "password_file": str(tmp_path / "password")}
    options = {"tls_context": trusted, "authenticator": login, "auth_required": True}
    with server(box, **options) as port:
        assert (await send(smtp(port, tls="starttls", **known))).action == "done"
        (tmp_path / "password").write_text("wrong")
        refused = await send(smtp(port, tls="starttls", **known))
        (tmp_path / "password").unlink()
        missing = await send(smtp(port, tls="starttls", **known))
    assert len(box.mails) == 1
    assert refused.action == "later"  # the operator may put it right
    assert "535" in refused.why
    assert "wrong" not in refused.why
    assert missing.action == "later"
    assert "No such file" in missing.why


@pytest.mark.parametrize(
    ("words", "action"), [("550 no such user", "never"), ("451 try again", "later")]
)
async def test_a_recipient_may_be_refused(words: str, action: str) -> None:
    box = Box()
    box.to_recipient = words
    with server(box) as port:
        verdict = await send(smtp(port))
    assert verdict.action == action
    assert "refused ada@example.org" in verdict.why


@pytest.mark.parametrize(("words", "action"), [("554 spam", "never"), ("452 full", "later")])
async def test_a_mail_may_be_refused(words: str, action: str) -> None:
    box = Box()
    box.to_data = words
    with server(box) as port:
        verdict = await send(smtp(port))
    assert verdict == (
        action,
        f"cannot send a mail to ada@example.org: 127.0.0.1 answered {words[:3]}: {words[4:]}",
    )


async def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        verdict = await send(smtp(unused.getsockname()[1]))
    assert verdict.action == "later"
    assert "through 127.0.0.1" in verdict.why


async def test_without_a_server_it_waits_for_one() -> None:
    verdict = await send(None)
    assert verdict == ("later", "cannot send a mail to ada@example.org: [smtp] names no host")


async def test_a_server_that_hangs_up_after_it_took_the_mail_has_it() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        while line := await reader.readline():
            if line.upper().startswith(b"QUIT"):
                writer.write(b"421 I am tired\r\n")
                break
            if line.upper().startswith(b"DATA"):
                writer.write(b"354 go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
            writer.write(b"250 OK\r\n")
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        assert await send(smtp(port)) == Verdict("done")
