"""What a function may reach over the network, as wires in a network of its own. Pure.

Named hosts get addresses that nothing else has, and names for them in /etc/hosts: what the
function connects to there, the supervisor connects to by name, at that moment.
"""

from __future__ import annotations

import ipaddress
from typing import NamedTuple

from microfaas.linux.network import Wires
from microfaas.model import Egress, Network

# Set aside for tests of network devices (RFC 2544): on no real network.
_NAMED = ipaddress.ip_network("198.18.0.0/15")
_LOOPBACK = "127.0.0.1"
_HOSTS = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"


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
    hosts: dict[str, str]
    blocks: list[str]

    def target(self, address: str) -> str | None:
        """The host to connect to for somebody who has connected to `address`."""
        if address in self.hosts:
            return self.hosts[address]
        reached = ipaddress.ip_address(address)
        if any(reached in ipaddress.ip_network(block) for block in self.blocks):
            return address
        return None


def reach(network: Network, endpoint_port: int) -> Reach | None:
    """The network that a function gets; None where it is the machine's."""
    if network.kind == "host":
        return None
    addresses = _addresses(network.allowed)
    routes = [_route(port, network.allowed, addresses) for port in _ports(network.allowed)]
    listens = [pair for route in routes for pair in _listens(route)]
    leads: list[Route | None] = [route for route in routes for _ in _listens(route)]
    if network.endpoint:
        if ("0.0.0.0", endpoint_port) in listens:
            # That socket has all addresses of this port, the loopback's as well.
            leads[listens.index(("0.0.0.0", endpoint_port))].hosts[_LOOPBACK] = _LOOPBACK  # type: ignore[union-attr]
        else:
            listens.append((_LOOPBACK, endpoint_port))
            leads.append(None)
    loopback = network.kind != "none" or network.endpoint
    redirects = [egress.host for egress in network.allowed if not egress.port]
    if redirects:
        leads.append(Route(0, {}, redirects))
    blocks = [egress.host for egress in network.allowed if egress.block]
    named = "".join(f"{address} {host}\n" for host, address in addresses.items())
    return Reach(
        Wires(
            loopback=loopback,
            blocks=list(dict.fromkeys([*blocks, *addresses.values()])),
            listens=listens,
            redirects=redirects,
        ),
        _HOSTS + named,
        leads,
    )


def _addresses(allowed: tuple[Egress, ...]) -> dict[str, str]:
    """An address for each named host."""
    names = dict.fromkeys(egress.host.lower() for egress in allowed if not egress.block)
    return {name: str(_NAMED[number + 1]) for number, name in enumerate(names)}


def _ports(allowed: tuple[Egress, ...]) -> list[int]:
    return list(dict.fromkeys(egress.port for egress in allowed if egress.port))


def _route(port: int, allowed: tuple[Egress, ...], addresses: dict[str, str]) -> Route:
    here = [egress for egress in allowed if egress.port == port]
    hosts = {addresses[e.host.lower()]: e.host for e in here if not e.block}
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
