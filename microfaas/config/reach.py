"""What a function may reach besides its code: variables, mounts, secrets, devices, the network."""

from __future__ import annotations

import ipaddress
import itertools
import os
import re
import stat
from collections.abc import Mapping

from microfaas import strict
from microfaas.config.tables import FunctionTable, MountTable, SecretTable
from microfaas.errors import Problem
from microfaas.model import Egress, Mount, Network, Secret

ENVIRONMENT_PATTERN = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
# Lambda's list: a function may not set what the platform sets.
RESERVED_ENVIRONMENT = re.compile(
    r"_HANDLER|_X_AMZN_TRACE_ID|AWS_(DEFAULT_)?REGION|AWS_EXECUTION_ENV"
    r"|AWS_LAMBDA_(FUNCTION_(NAME|MEMORY_SIZE|VERSION)|INITIALIZATION_TYPE|RUNTIME_API)"
    r"|AWS_LAMBDA_LOG_(GROUP|STREAM)_NAME|LAMBDA_(TASK_ROOT|RUNTIME_DIR)"
)
# RFC 1123, and underscores, which local names often have.
_HOST_LABEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,62}")
HOST_CHARS_MAX = 253
EGRESS_MAX = 64


def absolute(root: str, path: str) -> str:
    """A path of the file's, which is meant from where the file is."""
    return os.path.normpath(os.path.join(root, os.path.expanduser(path)))


def check_variable(where: str, name: str, problems: list[Problem]) -> None:
    """A name that a function may have in its environment."""
    if not ENVIRONMENT_PATTERN.fullmatch(name):
        problems.append(Problem(where, "a variable's name has letters, digits and underscores"))
    if RESERVED_ENVIRONMENT.fullmatch(name):
        problems.append(Problem(where, "is set by the platform and cannot be chosen"))


def check_names_differ(where: str, row: FunctionTable, problems: list[Problem]) -> None:
    """Variables, mounts and secrets all become variables: none may hide another."""
    tables = {"environment": [*row.environment], "mounts": [*row.mounts], "secrets": [*row.secrets]}
    for (first, one), (second, other) in itertools.combinations(tables.items(), 2):
        for key in [key for key in one if key in other]:
            what = f"is one of its {second} too, and would hide it"
            problems.append(Problem(f"{where}.{first}.{key}", what))


def mounts(
    where: str, tables: Mapping[str, MountTable], root: str, problems: list[Problem]
) -> tuple[Mount, ...]:
    made = []
    for name, table in tables.items():
        place = strict.join(f"{where}.mounts", name)
        check_variable(place, name, problems)
        source = absolute(root, table.path)
        if not os.path.isdir(source):
            problems.append(Problem(f"{place}.path", f"must be a directory, not {source}"))
        made.append(Mount(name=name, source=source, write=table.write))
    return tuple(made)


def secrets(
    where: str, tables: Mapping[str, SecretTable], root: str, problems: list[Problem]
) -> tuple[Secret, ...]:
    """Where each secret comes from; the secrets themselves are read when they are needed."""
    made = []
    for name, table in tables.items():
        place = strict.join(f"{where}.secrets", name)
        check_variable(place, name, problems)
        path = table.file and absolute(root, table.file)
        if path and not os.path.isfile(path):
            problems.append(Problem(f"{place}.file", f"must be a file, not {path}"))
        given = [path, table.credential, table.stored]
        if len([source for source in given if source]) != 1:
            problems.append(Problem(place, "needs exactly one of: file, credential, stored"))
        in_environment = table.shown_as == "environment"
        made.append(Secret(name, path, table.credential, table.stored, in_environment))
    return tuple(made)


def devices(where: str, paths: list[str], problems: list[Problem]) -> tuple[str, ...]:
    for number, path in enumerate(paths):
        place = f"{where}.devices[{number}]"
        if not path.startswith("/dev/") or os.path.normpath(path) != path:
            problems.append(Problem(place, f"must be a path below /dev, not {strict.shown(path)}"))
        elif not _is_device(path):
            problems.append(Problem(place, f"{path} is not a device of this machine"))
    return tuple(paths)


def _is_device(path: str) -> bool:
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISBLK(mode)


def network(where: str, row: FunctionTable, problems: list[Problem]) -> Network:
    place = f"{where}.network"
    match row.network:
        case "host" | "loopback" | "none" as kind:
            return Network(kind=kind, endpoint=row.endpoint)
        case str() as other:
            what = "must be host, loopback, none or a list of HOST:PORT"
            problems.append(Problem(place, f"{what}, not {strict.shown(other)}"))
            return Network()
    if len(row.network) > EGRESS_MAX:
        problems.append(Problem(place, f"must have at most {EGRESS_MAX} entries"))
    allowed = [
        egress
        for number, text in enumerate(row.network)
        if (egress := _egress(f"{place}[{number}]", text, problems)) is not None
    ]
    return Network(kind="allowed", allowed=tuple(allowed), endpoint=row.endpoint)


def _egress(place: str, text: str, problems: list[Problem]) -> Egress | None:
    """`HOST:PORT`, `ADDRESS:PORT`, `ADDRESS/BITS:PORT` or `ADDRESS/BITS`; IPv6 in brackets."""
    host, _, port = (text, "", "0") if "/" in text.rpartition(":")[2] else text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    any_port = port == "0" and host == text
    if not (host and port.isdecimal() and (any_port or 0 < int(port[:6]) < 65536)):
        what = "must be HOST:PORT, ADDRESS/BITS:PORT or ADDRESS/BITS, with a port of 1 to 65535"
        problems.append(Problem(place, f"{what}, not {strict.shown(text)}"))
        return None
    try:
        block = ipaddress.ip_network(host)
    except ValueError:
        if len(host) > HOST_CHARS_MAX or not all(map(_HOST_LABEL.fullmatch, host.split("."))):
            what = "names no host, address or block of addresses (with its host bits zero)"
            problems.append(Problem(place, f"{strict.shown(host)} {what}"))
            return None
        return Egress(host, int(port))
    if block.is_loopback or block.prefixlen == 0:
        what = "is the function's own loopback" if block.is_loopback else "is everything"
        problems.append(Problem(place, f'{strict.shown(host)} {what}; use network = "host"'))
        return None
    if block.is_multicast or block.is_unspecified or _is_mapped(block):
        problems.append(Problem(place, f"{strict.shown(host)} cannot be connected to by TCP"))
        return None
    if block.version == 6 and (block.num_addresses > 1 or any_port):
        problems.append(Problem(place, "of IPv6 only single addresses with a port can be allowed"))
        return None
    return Egress(host, int(port), block=True)


def _is_mapped(block: ipaddress.IPv4Network | ipaddress.IPv6Network) -> bool:
    """IPv6's way to write an IPv4 address; it is to be written as one."""
    return getattr(block.network_address, "ipv4_mapped", None) is not None
