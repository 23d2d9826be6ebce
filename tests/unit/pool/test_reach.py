"""Allow-lists as wires: what is listened on, what it is called, and where each address leads."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from microfaas.model import Egress, Network
from microfaas.pool.reach import Place, Reach, reach

PORT = 9000
GATEWAY = ("127.0.0.1", 41234)
WILDCARD = "0.0.0.0"
LOOPBACK = "127.0.0.1"
STATIC = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
# For a port that is every port: those that are tried.
PORTS = (80, 443, PORT)


def made(*allowed: Egress, endpoint: bool = False, kind: str = "allowed") -> Reach:
    """The network of a function that may reach these."""
    found = reach(Network(kind=kind, allowed=allowed, endpoint=endpoint), PORT, GATEWAY)  # type: ignore[arg-type]
    assert found is not None
    return found


def named(host: str, port: int = 443) -> Egress:
    return Egress(host, port)


def block(host: str, port: int = 443) -> Egress:
    return Egress(host, port, block=True)


def addresses(found: Reach) -> dict[str, str]:
    """What /etc/hosts has besides the names that every machine has, by name."""
    assert found.hosts.startswith(STATIC)
    lines = found.hosts.removeprefix(STATIC).splitlines()
    return {name: address for address, name in (line.split() for line in lines)}


def leads(found: Reach, address: str, port: int) -> Place | str | None:
    """Where the kernel and the relay take a connection of the function's; None: nowhere."""
    reached = ipaddress.ip_address(address)
    if any(reached in ipaddress.ip_network(one) for one in found.wires.redirects):
        route = found.routes[-1]
        assert route is not None
        assert route.port == 0
        return route.target(address, port)
    for listen in ((address, port), (WILDCARD, port)):
        if listen in found.wires.listens and _is_own(found, address):
            route = found.routes[found.wires.listens.index(listen)]
            return "gateway" if route is None else route.target(address, port)
    return None


def _is_own(found: Reach, address: str) -> bool:
    """Whether the address is one of the network's: to others there is no way."""
    blocks = ["127.0.0.0/8", "::1", *found.wires.blocks]
    return any(ipaddress.ip_address(address) in ipaddress.ip_network(one) for one in blocks)


def test_host_is_the_machines_network() -> None:
    assert reach(Network(kind="host"), PORT, GATEWAY) is None


@pytest.mark.parametrize(
    ("kind", "endpoint", "loopback"),
    [("none", False, False), ("none", True, True), ("loopback", False, True)],
)
def test_kinds_without_a_list(kind: str, endpoint: bool, loopback: bool) -> None:
    found = made(kind=kind, endpoint=endpoint)
    assert found.wires.loopback is loopback
    assert found.wires.blocks == found.wires.redirects == []
    assert found.hosts == STATIC
    assert found.wires.listens == ([(LOOPBACK, PORT)] if endpoint else [])
    assert found.routes == ([None] if endpoint else [])


def test_a_named_host_has_an_address_and_a_name_for_it() -> None:
    found = made(named("db.example", 5432), named("DB.example", 80), named("other", 80))
    assert [*addresses(found)] == ["db.example", "other"]
    first, second = addresses(found).values()
    assert first != second
    assert found.wires.listens == [(first, 5432), (first, 80), (second, 80)]
    assert leads(found, first, 5432) == ("db.example", 5432)
    assert leads(found, second, 80) == ("other", 80)
    assert leads(found, second, 5432) is None


def test_the_machine_itself_is_found_by_its_usual_name() -> None:
    found = made(named("localhost", 5432))
    assert found.hosts == STATIC
    assert found.wires.blocks == []
    assert leads(found, LOOPBACK, 5432) == ("localhost", 5432)
    assert leads(found, LOOPBACK, 80) is None
    assert leads(found, "127.0.0.2", 5432) is None


def test_the_machine_itself_beside_a_block_on_its_port() -> None:
    found = made(named("localhost"), block("10.0.0.0/8"))
    assert leads(found, LOOPBACK, 443) == ("localhost", 443)
    assert leads(found, "127.0.0.2", 443) is None


def test_blocks_are_reached_as_they_are() -> None:
    found = made(block("10.0.0.0/8"), block("192.0.2.7", 80))
    assert found.wires.listens == [(WILDCARD, 443), ("192.0.2.7", 80)]
    assert leads(found, "10.255.255.255", 443) == ("10.255.255.255", 443)
    assert leads(found, "192.0.2.7", 80) == ("192.0.2.7", 80)
    assert leads(found, "192.0.2.7", 443) is None
    assert leads(found, "10.0.0.1", 80) is None
    assert leads(found, "11.0.0.0", 443) is None


def test_a_single_address_of_ipv6_listens_beside_all_of_ipv4() -> None:
    found = made(block("2001:db8::1"), block("10.0.0.0/8"), named("db"))
    assert sorted(found.wires.listens) == [(WILDCARD, 443), ("2001:db8::1", 443)]
    assert leads(found, "2001:db8::1", 443) == ("2001:db8::1", 443)
    assert leads(found, "2001:db8::2", 443) is None
    assert leads(found, addresses(found)["db"], 443) == ("db", 443)


@pytest.mark.parametrize(
    "twice",
    [
        (named("db"), named("DB")),
        (block("192.0.2.7"), block("192.0.2.7/32")),
        (block("10.0.0.0/8"), block("10.0.0.0/16")),
        (block("2001:db8::1"), block("2001:db8::1/128")),
        (block("10.0.0.0/8", 0), block("10.0.0.0/16", 0)),
    ],
)
def test_what_is_listed_twice_is_there_once(twice: tuple[Egress, ...]) -> None:
    found = made(*twice)
    assert len(found.wires.blocks) == 1
    assert len(found.routes) == 1


def test_an_address_that_stands_for_a_name_is_not_one_that_is_listed() -> None:
    found = made(named("db"), block("198.18.0.1"), block("198.18.0.2", 80))
    assert addresses(found)["db"] not in ("198.18.0.1", "198.18.0.2")
    assert leads(found, "198.18.0.1", 443) == ("198.18.0.1", 443)


def test_half_of_all_addresses_do_not_include_the_machines_own() -> None:
    found = made(block("0.0.0.0/1"), block("0.0.0.0/1", 0))
    assert leads(found, "9.9.9.9", 22) == ("9.9.9.9", 22)
    assert leads(found, LOOPBACK, 443) is None
    assert leads(found, LOOPBACK, 22) is None


def test_every_port_of_a_block_leads_there_but_names_lead_where_they_say() -> None:
    found = made(block("192.0.0.0/2", 0), named("db", 5432), endpoint=True)
    assert leads(found, "192.0.2.7", 1) == ("192.0.2.7", 1)
    assert leads(found, addresses(found)["db"], 5432) == ("db", 5432)
    assert leads(found, LOOPBACK, PORT) == "gateway"
    assert leads(found, "128.0.0.1", 1) is None


@pytest.mark.parametrize(
    ("allowed", "where"),
    [
        ((named("db", PORT),), "gateway"),
        ((named("localhost", PORT),), "gateway"),
        ((block("192.0.2.7", PORT),), "gateway"),
        # One socket has all addresses of the port: the relay leads to where the gateway listens.
        ((block("10.0.0.0/8", PORT),), GATEWAY),
        ((block("0.0.0.0/1", PORT), named("localhost", PORT)), GATEWAY),
        ((block("0.0.0.0/1", 0),), "gateway"),
    ],
)
def test_the_endpoint_is_there_whatever_is_listed(
    allowed: tuple[Egress, ...], where: object
) -> None:
    assert leads(made(*allowed, endpoint=True), LOOPBACK, PORT) == where
    others = [row for row in allowed if row.host != "localhost"]
    assert leads(made(*others), LOOPBACK, PORT) is None


_PORTS = st.sampled_from(PORTS)
_NAMES = st.sampled_from(["db", "DB", "a.example", "localhost"]).map(named)
# Few of them, near each other, so that they meet.
_BLOCKS = st.sampled_from(
    [
        "10.0.0.0/8", "10.0.0.0/16", "10.1.0.0/16", "10.0.0.1", "10.0.0.1/32", "192.0.2.0/31",
        "192.0.2.1", "198.18.0.1", "198.18.0.0/24", "0.0.0.0/1", "128.0.0.0/1", "2001:db8::1",
        "2001:db8::2/128",
    ]
).map(block)  # fmt: skip
_EGRESS = st.builds(lambda one, port: Egress(one.host, port, one.block), _NAMES | _BLOCKS, _PORTS)
_WHOLE = _BLOCKS.filter(lambda one: ":" not in one.host).map(lambda one: block(one.host, 0))
_ALLOWED = st.lists(_EGRESS | _WHOLE, max_size=8)
_TRIED = ("10.0.0.0", "10.0.0.1", "10.1.2.3", "10.255.255.255", "11.0.0.0", "192.0.2.1",
          "192.0.2.2", "198.18.0.1", "198.18.0.9", "1.1.1.1", "200.1.1.1", "127.0.0.1",
          "127.0.0.2", "2001:db8::1", "2001:db8::2", "::1")  # fmt: skip


def _expected(allowed: list[Egress], address: str, port: int) -> Place | None:
    """What the list says of an address that stands for itself."""
    reached = ipaddress.ip_address(address)
    if reached.is_loopback:
        return None
    fits = [row for row in allowed if row.block and row.port in (0, port)]
    inside = any(reached in ipaddress.ip_network(row.host) for row in fits)
    return (address, port) if inside else None


@given(_ALLOWED, st.booleans())
@example([block("0.0.0.0/1", PORT), named("localhost", PORT)], True)
@example([named("db"), block("198.18.0.0/24", 0)], False)
def test_what_is_allowed_leads_where_it_should_and_nothing_else_does(
    allowed: list[Egress], endpoint: bool
) -> None:
    found = made(*allowed, endpoint=endpoint)
    places = {**addresses(found), "localhost": LOOPBACK}
    names = {row.host.lower() for row in allowed if not row.block}
    assert {*addresses(found)} == names - {"localhost"}
    for port in PORTS:
        for name in names:
            if (name, port) == ("localhost", PORT) and endpoint:
                continue
            listed = [row for row in allowed if (row.host.lower(), row.port) == (name, port)]
            got = leads(found, places[name], port)
            if listed:
                assert got == (listed[-1].host, port)
            elif name == "localhost":
                assert got is None
            else:  # what stands for a name may be in a block, and is not that name's
                assert got in (None, (places[name], port))
        for address in _TRIED:
            if address not in [places[name] for name in names] and address != LOOPBACK:
                assert leads(found, address, port) == _expected(allowed, address, port)
    if endpoint:
        assert leads(found, LOOPBACK, PORT) in ("gateway", GATEWAY)


@given(_ALLOWED, st.booleans())
def test_everything_can_be_listened_on_at_once(allowed: list[Egress], endpoint: bool) -> None:
    found = made(*allowed, endpoint=endpoint)
    listens = found.wires.listens
    assert len(set(listens)) == len(listens)
    assert len(listens) + bool(found.wires.redirects) == len(found.routes)
    wide = {port for address, port in listens if address == WILDCARD}
    assert not [row for row in listens if row[1] in wide and "." in row[0] and row[0] != WILDCARD]
    firsts = [ipaddress.ip_network(one).network_address for one in found.wires.blocks]
    assert len(set(firsts)) == len(firsts)
