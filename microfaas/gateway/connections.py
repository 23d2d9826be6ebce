"""Connections: who is at the other end, and how many there may be, in all and from each peer."""

from __future__ import annotations

import asyncio
import functools
import ipaddress
from collections import Counter
from typing import NamedTuple, cast

from microfaas.gateway import faults
from microfaas.gateway.reply import Clock, encode
from microfaas.invoke import new_request_id

_LOCAL = "local"


class Peer(NamedTuple):
    """The other end. `private`: on the way to it nobody can listen or change anything."""

    host: str
    private: bool


def peer_of(transport: asyncio.BaseTransport | None) -> Peer:
    """Of a connection over TLS, or from this machine, it is private."""
    if transport is None:
        return Peer(_LOCAL, False)
    name = transport.get_extra_info("peername")
    host = name[0] if isinstance(name, tuple) else _LOCAL
    secure = transport.get_extra_info("sslcontext") is not None
    return Peer(host, secure or is_loopback(host))


@functools.lru_cache(maxsize=1024)
def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own."""
    if host == _LOCAL:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


class Ticket:
    """A connection that is counted, until it leaves."""

    def __init__(self, census: Census, group: str) -> None:
        self._census: Census | None = census
        self._group = group

    def leave(self) -> None:
        if self._census is not None:
            self._census.forget(self._group)
            self._census = None


class Census:
    """Counts connections. Who comes when there are too many is turned away."""

    def __init__(self, connections_max: int, per_peer_max: int) -> None:
        self._connections_max = connections_max
        self._per_peer_max = per_peer_max
        self._groups: Counter[str] = Counter()
        self._count = 0
        self._clock = Clock()

    def enter(self, host: str) -> Ticket | None:
        """None when there is no room for one more of this peer's."""
        group = _group(host)
        if self._count >= self._connections_max or self._groups[group] >= self._per_peer_max:
            return None
        self._count += 1
        self._groups[group] += 1
        return Ticket(self, group)

    def forget(self, group: str) -> None:
        self._count -= 1
        self._groups[group] -= 1
        if not self._groups[group]:
            del self._groups[group]

    def turn_away(self, transport: asyncio.Transport) -> None:
        """Tell the client to come back later, and hang up."""
        text = "too many connections: there are as many as are allowed in all, or from this address"
        reply = faults.reply(
            *(503, "ServiceUnavailableException", text, new_request_id()),
            headers="Connection: close\r\nRetry-After: 1\r\n",
        )
        transport.write(encode(reply, self._clock.date()))
        transport.close()


def _group(host: str) -> str:
    """What counts as one peer: an address of IPv4, and of IPv6 what one customer has, a /64."""
    if ":" not in host:
        return host  # IPv4, or a name that somebody gave the group
    network = ipaddress.ip_network((host.partition("%")[0], 64), strict=False)
    return str(network.network_address)


class Counted(asyncio.Protocol):
    """Another protocol's connection, counted until it is lost."""

    def __init__(
        self,
        inner: asyncio.Protocol,
        census: Census,
        ticket: Ticket | None = None,
        group: str = "",
    ) -> None:
        self._inner = inner
        self._census = census
        self._ticket = ticket
        self._group = group

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if self._ticket is None:
            self._ticket = self._census.enter(self._group or peer_of(transport).host)
        if self._ticket is None:
            self._census.turn_away(cast(asyncio.Transport, transport))
        else:
            self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._ticket is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._ticket is not None else None

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._ticket is not None:
            self._ticket.leave()
            self._inner.connection_lost(exc)
