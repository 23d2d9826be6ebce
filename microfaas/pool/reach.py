"""What a function may reach over the network, as wires in a network of its own. Pure.

Named hosts get addresses that nothing else has, and names for them in /etc/hosts: what the
function connects to there, the supervisor connects to by name, at that moment.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import NamedTuple

from microfaas.linux.network import Wires
from microfaas.model import Egress, Network

# Set aside for tests of network devices (RFC 2544): on no real network.
_NAMED = ipaddress.ip_network("198.18.0.0/15")
_LOOPBACK = "127.0.0.1"
_OWN = ipaddress.IPv4Network("127.0.0.0/8")
_LOCALHOST = "localhost"
_HOSTS = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"

Place = tuple[str, int]
_Block = ipaddress.IPv4Network | ipaddress.IPv6Network


class Reach(NamedTuple):
    """A network of its own: its set-up, its /etc/hosts, and where what listens there leads.

    `routes` has for each socket, in the order of `wires.listens` and then the one for
    `wires.redirects`, where a connection to one of its addresses goes: a host by exact address, or
    the blocks in which it may go as it is. None stands for the gateway itself.
    """

    wires: Wires
    hosts: str
    routes: list[Route | None]


class Route(NamedTuple):
    """Where connections to one listening port lead; port 0 stands for every port of the blocks."""

    port: int
    hosts: dict[str, Place]
    blocks: list[str]

    def target(self, address: str, port: int) -> Place | None:
        """Where to connect to for somebody who has connected to `address` at `port`."""
        if address in self.hosts:
            return self.hosts[address]
        reached = ipaddress.ip_address(address)
        if reached in _OWN:  # lies in a block of half of all addresses, and yet is not meant
            return None
        if any(reached in ipaddress.ip_network(block) for block in self.blocks):
            return address, port
        return None


def reach(
    network: Network, endpoint_port: int, gateway: Place, *, talks: bool = False
) -> Reach | None:
    """The network that a function gets; None where it is the machine's. One whose programs have
    to talk to each other, as with the Runtime API, has a loopback in any case.

    At `endpoint_port` of its loopback it finds the gateway, which the machine has at `gateway`.
    """
    if network.kind == "host":
        return None
    addresses = _addresses(network.allowed)
    routes = [_route(port, network.allowed, addresses) for port in _ports(network.allowed)]
    leads: dict[Place, Route | None] = {pair: r for r in routes for pair in _listens(r)}
    if network.endpoint:
        all_of_port = leads.get(("0.0.0.0", endpoint_port))
        if all_of_port is None:
            leads[_LOOPBACK, endpoint_port] = None
        else:
            # That socket has all addresses of this port, the loopback's as well.
            all_of_port.hosts[_LOOPBACK] = gateway
    loopback = talks or network.kind != "none" or network.endpoint
    named = {host: address for host, address in addresses.items() if address != _LOOPBACK}
    whole = [egress.host for egress in network.allowed if not egress.port]
    return Reach(
        Wires(
            loopback=loopback,
            blocks=[*_blocks(network.allowed), *named.values()],
            listens=list(leads),
            redirects=_without(whole, named.values()),
        ),
        _HOSTS + "".join(f"{address} {host}\n" for host, address in named.items()),
        [*leads.values(), *([Route(0, {}, whole)] if whole else [])],
    )


def _addresses(allowed: tuple[Egress, ...]) -> dict[str, str]:
    """An address for each named host; the machine's own name stands for the loopback as ever."""
    names = dict.fromkeys(egress.host.lower() for egress in allowed if not egress.block)
    meant = {egress.host.partition("/")[0] for egress in allowed if egress.block}
    free = (address for address in map(str, _NAMED.hosts()) if address not in meant)
    return {name: _LOOPBACK if name == _LOCALHOST else next(free) for name in names}


def _blocks(allowed: tuple[Egress, ...]) -> list[str]:
    """Without those that lie in another one: a network cannot have the same address twice."""
    blocks = dict.fromkeys(ipaddress.ip_network(e.host) for e in allowed if e.block)
    return [str(block) for block in blocks if not any(_lies_in(block, other) for other in blocks)]


def _lies_in(block: _Block, other: _Block) -> bool:
    return block != other and block.version == other.version and block.subnet_of(other)  # type: ignore[arg-type]


def _without(blocks: list[str], named: Iterable[str]) -> list[str]:
    """IPv4 blocks less the addresses in them that lead elsewhere: the loopback's and the named."""
    left = {ipaddress.IPv4Network(block) for block in blocks}
    for other in [_OWN, *(ipaddress.IPv4Network(address) for address in named)]:
        for block in [block for block in left if other.subnet_of(block)]:
            left.remove(block)
            left.update(block.address_exclude(other))
    return [str(block) for block in sorted(left)]


def _ports(allowed: tuple[Egress, ...]) -> list[int]:
    return list(dict.fromkeys(egress.port for egress in allowed if egress.port))


def _route(port: int, allowed: tuple[Egress, ...], addresses: dict[str, str]) -> Route:
    here = [egress for egress in allowed if egress.port == port]
    hosts = {addresses[e.host.lower()]: (e.host, port) for e in here if not e.block}
    return Route(port, hosts, [egress.host for egress in here if egress.block])


def _listens(route: Route) -> list[tuple[str, int]]:
    """One socket for each address; but one for all of them where there are blocks of many."""
    networks = [ipaddress.ip_network(block) for block in route.blocks]
    singles = [str(n.network_address) for n in networks if n.num_addresses == 1]
    if len(singles) < len(networks):
        wide = ["0.0.0.0", *(single for single in singles if ":" in single)]
    else:
        wide = [*singles, *route.hosts]
    return [(address, route.port) for address in wide]
