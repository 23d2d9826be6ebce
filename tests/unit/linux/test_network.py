"""A network of a function's own, set up in a child that has one."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from child import enter, run, until

from microfaas.linux import network
from microfaas.linux import syscalls as sys
from microfaas.linux.network import Wires

WAIT_S = 60.0
EVERYWHERE = [("0.0.0.0", 80)]
IPV6 = Path("/proc/net/if_inet6").exists()


def within(wires: Wires, act: Callable[[list[socket.socket]], Any] = len) -> Any:
    """What comes of it in a child with such a network."""

    def inside() -> Any:
        enter(sys.CLONE_NEWNET)
        made = network.set_up(wires)
        try:
            return act(made)
        finally:
            for one in made:
                one.close()

    return run(inside)


def connected(listening: socket.socket, *place: Any) -> str:
    """The address that somebody who connects there is seen to have meant; or the error."""
    family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
    listening.settimeout(WAIT_S)
    with socket.socket(family) as one:
        one.settimeout(WAIT_S)
        try:
            one.connect(place)
        except OSError as error:
            return errno.errorcode[error.errno or 0]
        with listening.accept()[0] as accepted:
            meant: str = accepted.getsockname()[0]
            return meant


def test_without_a_loopback_there_is_nothing() -> None:
    def act(made: list[socket.socket]) -> tuple[int, str]:
        with socket.socket() as one:
            try:
                one.connect(("127.0.0.1", 80))
            except OSError as error:
                return len(made), errno.errorcode[error.errno or 0]
        return len(made), "connected"

    assert within(Wires(loopback=False), act) == (0, "ENETUNREACH")


def test_the_loopback_works_and_leads_nowhere_else() -> None:
    def act(made: list[socket.socket]) -> dict[str, str]:
        with socket.create_server(("127.0.0.1", 0)) as own:
            port = own.getsockname()[1]
            found = {"own": connected(own, "127.0.0.1", port)}
        for address in ("192.0.2.1", "127.0.0.1"):
            with socket.socket() as one:
                found[address] = errno.errorcode[one.connect_ex((address, port))]
        return found

    found = within(Wires(loopback=True), act)
    assert found == {"own": "127.0.0.1", "192.0.2.1": "ENETUNREACH", "127.0.0.1": "ECONNREFUSED"}


def test_sockets_come_in_the_order_asked_for() -> None:
    listens = [("127.0.0.1", 9000), ("192.0.2.7", 80), ("192.0.2.7", 443), ("0.0.0.0", 22)]
    wires = Wires(loopback=True, blocks=["192.0.2.7"], listens=listens)
    assert within(wires, lambda made: [one.getsockname() for one in made]) == listens


@pytest.mark.parametrize(
    ("block", "inside", "outside"),
    [
        ("10.1.0.0/16", ["10.1.0.0", "10.1.0.1", "10.1.7.9", "10.1.255.255"], ["10.2.0.0"]),
        ("192.0.2.8/30", ["192.0.2.8", "192.0.2.11"], ["192.0.2.7", "192.0.2.12"]),
        ("192.0.2.8/31", ["192.0.2.8", "192.0.2.9"], ["192.0.2.10"]),
        ("192.0.2.8", ["192.0.2.8"], ["192.0.2.9"]),
        ("0.0.0.0/1", ["1.2.3.4", "126.255.255.255"], ["128.0.0.1"]),
        ("128.0.0.0/2", ["128.0.0.0", "191.255.255.255"], ["1.2.3.4"]),
    ],
)
def test_every_address_of_a_block_and_no_other_leads_to_the_socket(
    block: str, inside: list[str], outside: list[str]
) -> None:
    wires = Wires(loopback=True, blocks=[block], listens=EVERYWHERE)
    found = within(wires, lambda made: [connected(made[0], a, 80) for a in inside + outside])
    assert found == inside + ["ENETUNREACH"] * len(outside)


def test_many_blocks_that_overlap_stand_beside_each_other() -> None:
    blocks = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.3", "198.18.0.1", "198.18.0.2", "128.0.0.0/1"]
    addresses = ["10.255.255.255", "10.1.255.255", "10.1.2.3", "198.18.0.1", "198.18.0.2"]
    wires = Wires(loopback=True, blocks=blocks, listens=EVERYWHERE)
    assert within(wires, lambda made: [connected(made[0], a, 80) for a in addresses]) == addresses


def test_as_many_blocks_as_can_be_configured() -> None:
    blocks = [f"10.{number}.0.0/16" for number in range(64)]
    wires = Wires(loopback=True, blocks=blocks, listens=EVERYWHERE)
    found = within(wires, lambda made: [connected(made[0], f"10.{n}.0.9", 80) for n in range(64)])
    assert found == [f"10.{number}.0.9" for number in range(64)]


def _can_be_bound(address: str) -> bool:
    with socket.socket(socket.AF_INET6) as one:
        try:
            one.bind((address, 0))
        except OSError:
            return False
    return True


if IPV6:

    def test_a_single_address_of_ipv6() -> None:
        wires = Wires(
            loopback=True,
            blocks=["2001:db8::1", "10.0.0.0/8"],
            listens=[("0.0.0.0", 80), ("2001:db8::1", 80)],
        )

        def act(made: list[socket.socket]) -> list[str]:
            until(lambda: _can_be_bound("2001:db8::1"), "the address to be valid")
            tried = ("2001:db8::1", "2001:db8::2")
            return [connected(made[1], address, 80) for address in tried]

        assert within(wires, act) == ["2001:db8::1", "ENETUNREACH"]


def test_a_socket_can_be_accepted_from_outside() -> None:
    """That is the whole trick: it stays in its network whoever holds it."""
    mine, theirs = socket.socketpair()

    def act(made: list[socket.socket]) -> str:
        socket.send_fds(theirs, [b"x"], [made[0].fileno()])
        with socket.socket() as one:
            one.settimeout(WAIT_S)
            one.connect(("192.0.2.7", 80))
            one.sendall(b"from inside")
            return one.recv(100).decode()

    def outside() -> str:
        # In a child as well, so that two processes can wait for each other.
        _, (fd,), _, _ = socket.recv_fds(mine, 1, 1)
        with socket.socket(fileno=fd) as listening:
            listening.settimeout(WAIT_S)
            with listening.accept()[0] as accepted:
                accepted.sendall(b"heard " + accepted.recv(100))
        return "ended"

    wires = Wires(loopback=True, blocks=["192.0.2.7"], listens=[("192.0.2.7", 80)])
    answers = run(lambda: (_in_background(outside), within(wires, act))[1])
    mine.close()
    theirs.close()
    assert answers == "heard from inside"


def _in_background(act: Callable[[], object]) -> None:
    if os.fork() == 0:
        try:
            act()
        finally:
            os._exit(0)


def test_what_the_kernel_refuses_is_told() -> None:
    with pytest.raises(OSError, match="Address already in use"):
        within(Wires(loopback=True, listens=[("0.0.0.0", 80), ("127.0.0.1", 80)]))
    with pytest.raises(OSError, match="Cannot assign"):
        within(Wires(loopback=True, listens=[("192.0.2.7", 80)]))


def test_the_machines_own_network_is_not_touched() -> None:
    before = Path("/proc/net/fib_trie").read_text()
    within(Wires(loopback=True, blocks=["192.0.2.0/24"], listens=EVERYWHERE))
    assert Path("/proc/net/fib_trie").read_text() == before
