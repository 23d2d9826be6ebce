"""Packet redirection in a network of a function's own: whole blocks of addresses, every port.

One nftables rule per block: TCP that leaves for it comes to a port of the loopback instead, where
the supervisor learns from the kernel whom it was meant for. Spoken to the kernel directly, in one
netlink batch, for the `nft` program is on few small machines.
"""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import struct
from collections.abc import Iterable, Sequence

NETLINK_NETFILTER = 12
_TABLE = b"microfaas\0"
_CHAIN = b"out\0"
_ANSWER_BYTES = 65536

_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NFTABLES = 10
_NEW_TABLE, _NEW_CHAIN, _NEW_RULE = 0, 3, 6
_REQUEST, _ACK, _CREATE, _APPEND = 0x1, 0x4, 0x400, 0x800
_ERROR = 2
_NESTED = 0x8000
_HOOK_LOCAL_OUT, _PRIORITY_DNAT = 3, -100
_NETWORK_HEADER, _IPV4_DESTINATION = 1, 16
_L4_PROTOCOL = 16
_REGISTER = 1


def redirect(blocks: Sequence[str], port: int) -> None:
    """Have TCP to any address of the IPv4 blocks arrive at a port of 127.0.0.1.

    Needs CAP_NET_ADMIN in the network. Raises OSError where the kernel has no nftables.
    """
    messages = [
        _message(_NEW_TABLE, _attribute(1, _TABLE)),
        _message(
            _NEW_CHAIN,
            _attribute(1, _TABLE)
            + _attribute(3, _CHAIN)
            + _nested(4, _number(1, _HOOK_LOCAL_OUT) + _number(2, _PRIORITY_DNAT))
            + _attribute(7, b"nat\0"),
        ),
        *(_message(_NEW_RULE, _rule(block, port)) for block in blocks),
    ]
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as kernel:
        kernel.bind((0, 0))
        kernel.send(_batch(messages))
        for _ in messages:
            _check(kernel.recv(_ANSWER_BYTES))


def _batch(messages: Iterable[tuple[int, bytes]]) -> bytes:
    header = struct.pack("!BBH", 0, 0, _NFTABLES)
    whole = _packed(_BATCH_BEGIN, _REQUEST, header, 0)
    for number, (kind, body) in enumerate(messages, 1):
        flags = _REQUEST | _ACK | _CREATE | _APPEND
        whole += _packed(_NFTABLES << 8 | kind, flags, body, number)
    return whole + _packed(_BATCH_END, _REQUEST, header, 0)


def _packed(kind: int, flags: int, body: bytes, sequence: int) -> bytes:
    return struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, 0) + body


def _message(kind: int, attributes: bytes) -> tuple[int, bytes]:
    return kind, struct.pack("!BBH", socket.AF_INET, 0, 0) + attributes


def _rule(block: str, port: int) -> bytes:
    network = ipaddress.IPv4Network(block)
    expressions = [
        _expression(b"meta", _number(1, _REGISTER) + _number(2, _L4_PROTOCOL)),
        _equals(bytes([socket.IPPROTO_TCP])),
        _expression(
            b"payload",
            _number(1, _REGISTER)
            + _number(2, _NETWORK_HEADER)
            + _number(3, _IPV4_DESTINATION)
            + _number(4, 4),
        ),
        _expression(
            b"bitwise",
            _number(1, _REGISTER)
            + _number(2, _REGISTER)
            + _number(3, 4)
            + _value(4, network.netmask.packed)
            + _value(5, bytes(4)),
        ),
        _equals(network.network_address.packed),
        _expression(b"immediate", _number(1, _REGISTER) + _value(2, struct.pack("!H", port))),
        _expression(b"redir", _number(1, _REGISTER)),
    ]
    return _attribute(1, _TABLE) + _attribute(2, _CHAIN) + _nested(4, b"".join(expressions))


def _equals(value: bytes) -> bytes:
    return _expression(b"cmp", _number(1, _REGISTER) + _number(2, 0) + _value(3, value))


def _expression(name: bytes, data: bytes) -> bytes:
    return _nested(1, _attribute(1, name + b"\0") + _nested(2, data))


def _value(kind: int, value: bytes) -> bytes:
    return _nested(kind, _attribute(1, value))


def _number(kind: int, value: int) -> bytes:
    return _attribute(kind, struct.pack("!i", value))


def _nested(kind: int, attributes: bytes) -> bytes:
    return _attribute(kind | _NESTED, attributes)


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _check(answer: bytes) -> None:
    """Every message in a datagram must be an acknowledgement."""
    while answer:
        length, kind = struct.unpack_from("=IH", answer)
        if kind == _ERROR:
            code = -struct.unpack_from("=i", answer, 16)[0]
            if code:
                hint = "the kernel needs nftables with NAT, or the list the ports"
                raise OSError(code, f"cannot redirect packets: {os.strerror(code)}; {hint}")
        answer = answer[(length + 3) & ~3 :]
        if not length:
            raise OSError(errno.EPROTO, "cannot redirect packets: the kernel answers nonsense")
