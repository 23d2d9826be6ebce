"""TLS: a certificate that is loaded again when its files change, and the handshakes with it.

Connections are accepted here, one by one, so that a peer is counted before it may cost a
handshake, and so that each handshake has the newest certificate while older connections go on.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Callable

from microfaas.config import TlsFiles
from microfaas.errors import MachineError
from microfaas.gateway.connections import Census, Ticket

POLL_S = 1.0
HANDSHAKE_S_MAX = 10.0
# After an accept that failed for want of descriptors or memory.
ACCEPT_AGAIN_S = 0.5

Factory = Callable[[Ticket], asyncio.Protocol]
_Stamp = tuple[tuple[int, int, int], ...]

_log = logging.getLogger("microfaas.gateway")


class Certificate:
    """The pair of files, and the context made of them; a newer pair makes a new context."""

    def __init__(self, files: TlsFiles) -> None:
        """Raises MachineError when they cannot be used."""
        self._files = files
        self._stamp = self._look()
        self.context = self._load()

    async def follow(self) -> None:
        """Load the files again when they have changed; a pair that is no good changes nothing."""
        seen = self._stamp
        while True:
            await asyncio.sleep(POLL_S)
            # Unchanged since the last look, for the two are not written at the same moment.
            before, seen = seen, self._look()
            if seen in (self._stamp, ()) or seen != before:
                continue
            self._stamp = seen
            try:
                self.context = self._load()
                _log.info("the certificate %s was loaded again", self._files.certificate)
            except MachineError as error:
                _log.error("%s; the old one stays", error)

    def _look(self) -> _Stamp:
        """What tells the files' states apart; empty while one is missing."""
        try:
            found = [os.stat(path) for path in (self._files.certificate, self._files.key)]
        except OSError:
            return ()
        return tuple((status.st_mtime_ns, status.st_size, status.st_ino) for status in found)

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_RENEGOTIATION
        context.set_alpn_protocols(["http/1.1"])
        certificate, key = self._files.certificate, self._files.key
        try:
            # With a password, or OpenSSL would ask for one on the terminal.
            context.load_cert_chain(certificate, key, password="")
        except (OSError, ValueError) as error:
            # OpenSSL's own words, such as "PEM lib", help nobody alone.
            why = getattr(error, "reason", None) or getattr(error, "strerror", None) or error
            raise MachineError(
                f"cannot use the certificate {certificate} with the key {key}: {why}; both must be "
                "PEM, the key not encrypted and the certificate's own"
            ) from None
        return context


async def accept(
    listener: socket.socket, certificate: Certificate, census: Census, factory: Factory
) -> None:
    """Take connections until cancelled; then handshakes that are not complete are given up."""
    loop = asyncio.get_running_loop()
    async with asyncio.TaskGroup() as handshakes:
        while True:
            try:
                connection, address = await loop.sock_accept(listener)
            except OSError as error:
                _log.error("cannot accept a connection: %s", error.strerror or error)
                await asyncio.sleep(ACCEPT_AGAIN_S)
                continue
            ticket = census.enter(address[0])
            if ticket is None:
                connection.close()  # nothing can be said before the handshake
            else:
                handshakes.create_task(_shake_hands(connection, certificate, ticket, factory))


async def _shake_hands(
    connection: socket.socket, certificate: Certificate, ticket: Ticket, factory: Factory
) -> None:
    """The protocol has the ticket once the connection is made; until then it is ours."""
    try:
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: factory(ticket),
            connection,
            ssl=certificate.context,
            ssl_handshake_timeout=HANDSHAKE_S_MAX,
        )
    except OSError as error:
        ticket.leave()
        _log.debug("a handshake failed: %s", error)
    except asyncio.CancelledError:
        ticket.leave()
        raise
