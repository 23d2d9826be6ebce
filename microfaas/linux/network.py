"""A network of a function's own: nothing but a loopback, and what is put on it.

Theory of operation. Such a network leads nowhere, so whatever a function may reach is made to be
on its loopback: a socket listens there, under the address that the function connects to, and is
given to the supervisor, which carries on what comes in. A listening socket stays in the network
it was made in, whoever accepts from it. So there is no route and no filter that code inside could
change, and no privilege is needed outside.
"""

from __future__ import annotations

import fcntl
import ipaddress
import socket
import struct
from collections.abc import Iterable

import msgspec

from microfaas.linux.redirect import redirect

BACKLOG = 128
INTERFACE = b"lo"
IFF_UP = 1
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _SIOCSIFADDR, _SIOCSIFNETMASK = 0x8913, 0x8914, 0x8916, 0x891C
_SIOCGIFINDEX = 0x8933
_IPV6_FREEBIND = 78
_NOWHERE = ipaddress.IPv4Network("0.0.0.0/8")
_Block = ipaddress.IPv4Network | ipaddress.IPv6Network


class Wires(msgspec.Struct, frozen=True, kw_only=True):
    """What to set up in a new network: blocks of addresses that are its own, besides the
    loopback's; where to listen, as (address, port); and blocks whose every port leads to one
    more socket, which comes last."""

    loopback: bool
    blocks: list[str] = []
    listens: list[tuple[str, int]] = []
    redirects: list[str] = []


def set_up(wires: Wires) -> list[socket.socket]:
    """Make the loopback work and listen; the sockets in the order asked for."""
    if not wires.loopback:
        return []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        _up(control)
        for number, block in enumerate(_spread(wires.blocks)):
            _add(control, number, block)
    listening = [_listen(address, port) for address, port in wires.listens]
    if wires.redirects:
        listening.append(_listen("127.0.0.1", 0))
        redirect(wires.redirects, listening[-1].getsockname()[1])
    return listening


def _up(control: socket.socket) -> None:
    request = struct.pack("16sH22x", INTERFACE, 0)
    flags = struct.unpack_from("H", fcntl.ioctl(control, _SIOCGIFFLAGS, request), 16)[0]
    fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack("16sH22x", INTERFACE, flags | IFF_UP))


def _spread(blocks: list[str]) -> list[str]:
    """The blocks as the kernel takes them.

    The last address of each stands by itself, and first: or it is taken for a broadcast's.
    """
    networks = [part for block in blocks for part in _hosts(ipaddress.ip_network(block))]
    last = [str(n.broadcast_address) for n in networks if n.num_addresses > 2]
    return [*last, *map(str, networks)]


def _hosts(block: _Block) -> Iterable[_Block]:
    """Without the addresses of no host: a block that begins with them would not be reached."""
    if isinstance(block, ipaddress.IPv4Network) and _NOWHERE.subnet_of(block):
        return block.address_exclude(_NOWHERE)
    return [block]


def _add(control: socket.socket, number: int, block: str) -> None:
    """Every address of an IPv4 block on the loopback is this network's own; IPv6: one address."""
    network = ipaddress.ip_network(block)
    if network.version == 6:
        _add_ipv6(network.network_address.packed, network.prefixlen)
        return
    # A name of its own, or it would replace the address before.
    name = INTERFACE + b":" + str(number).encode()
    # A block's first address names the block itself; its second is as good and always valid.
    first = network.network_address + (1 if network.num_addresses > 2 else 0)
    fcntl.ioctl(control, _SIOCSIFADDR, _with_address(name, first.packed))
    fcntl.ioctl(control, _SIOCSIFNETMASK, _with_address(name, network.netmask.packed))


def _with_address(name: bytes, packed: bytes) -> bytes:
    return struct.pack("16sHH4s16x", name, socket.AF_INET, 0, packed)


def _add_ipv6(packed: bytes, bits: int) -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as control:
        request = fcntl.ioctl(control, _SIOCGIFINDEX, struct.pack("16s24x", INTERFACE))
        index = struct.unpack_from("i", request, 16)[0]
        fcntl.ioctl(control, _SIOCSIFADDR, struct.pack("16sIi", packed, bits, index))


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        # The kernel makes the address valid in its own time, a millisecond or so from now.
        made.setsockopt(socket.IPPROTO_IPV6, _IPV6_FREEBIND, 1)
    made.bind((address, port))
    made.listen(BACKLOG)
    return made
