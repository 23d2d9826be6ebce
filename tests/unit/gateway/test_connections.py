"""Who is at the other end, and how many of them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from microfaas.gateway.connections import Census, Peer, is_loopback, peer_of


class Transport(asyncio.Transport):
    """One that only knows who is at its other end."""

    def __init__(self, **extra: Any) -> None:
        super().__init__(extra)


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("local", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.1.5", False),
        ("::ffff:192.168.1.5", False),
        ("fe80::1%eth0", False),
        ("somewhere", False),
    ],
)
def test_what_is_this_machine(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_a_way_is_private_over_tls_and_on_this_machine() -> None:
    far = ("192.168.1.5", 4000)
    assert peer_of(Transport(peername=far)) == Peer("192.168.1.5", False)
    assert peer_of(Transport(peername=far, sslcontext=object())) == Peer("192.168.1.5", True)
    assert peer_of(Transport(peername=("::1", 4000, 0, 0))) == Peer("::1", True)
    assert peer_of(Transport(peername="")) == Peer("local", True)
    assert not peer_of(None).private


def test_there_is_room_for_so_many_in_all_and_of_each() -> None:
    census = Census(connections_max=3, per_peer_max=2)
    first, second = census.enter("10.0.0.1"), census.enter("10.0.0.1")
    assert first
    assert second
    assert census.enter("10.0.0.1") is None
    third = census.enter("10.0.0.2")
    assert third
    assert census.enter("10.0.0.3") is None
    first.leave()
    first.leave()
    assert census.enter("10.0.0.1")
    assert census.enter("10.0.0.3") is None


def test_a_network_of_ipv6_counts_as_one_peer() -> None:
    census = Census(connections_max=9, per_peer_max=1)
    assert census.enter("2001:db8::1")
    assert census.enter("2001:db8::2") is None
    assert census.enter("2001:db8:0:1::1")
    assert census.enter("fe80::1%eth0")
    assert census.enter("fe80::2%eth1") is None
