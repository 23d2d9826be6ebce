"""Landlock, the second layer: what the mounts allow already, allowed once more by the kernel.

It also knows two things that mounts and namespaces do not: it keeps a process from signalling
others of its user, and from abstract Unix sockets, which belong to the network namespace.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from microfaas.linux import syscalls as sys

EXECUTE = 1 << 0
WRITE_FILE = 1 << 1
READ_FILE = 1 << 2
READ_DIR = 1 << 3
MAKE_CHAR = 1 << 6
MAKE_BLOCK = 1 << 11
REFER = 1 << 13
TRUNCATE = 1 << 14
IOCTL_DEV = 1 << 15
SCOPE_ABSTRACT_SOCKETS = 1 << 0
SCOPE_SIGNALS = 1 << 1

# The accesses that each version of the interface knows.
_KNOWN = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1}
_KNOWN_NOW = (1 << 16) - 1
SCOPES_SINCE = 6
READ = EXECUTE | READ_FILE | READ_DIR
DEVICES = MAKE_CHAR | MAKE_BLOCK


def ruleset(writable: Iterable[str]) -> int:
    """A rule set for one instance, as a descriptor: read everything, write only there."""
    version = sys.landlock_version()
    known = _KNOWN.get(version, _KNOWN_NOW)
    rules = sys.landlock_create_ruleset(known, _scopes(version))
    try:
        _allow(rules, "/", READ & known)
        for path in ("/proc", "/dev"):
            _allow(rules, path, (READ | WRITE_FILE | TRUNCATE | IOCTL_DEV) & known)
        for path in writable:
            _allow(rules, path, known & ~DEVICES)
    except BaseException:
        os.close(rules)
        raise
    return rules


def restrict_instance(writable: Iterable[str]) -> None:
    """Hold a process that is an instance from its start to an instance's rules."""
    rules = ruleset(writable)
    sys.landlock_restrict_self(rules)
    os.close(rules)


def restrict_zygote() -> None:
    """Hold a process, before any code of the function's runs, to what all its instances are.

    Where it may write is for the instances' own rules, since their /tmp does not exist yet; but
    nothing may be moved between directories unless each set of rules allows it.
    """
    version = sys.landlock_version()
    refer = REFER if version > 1 else 0
    rules = sys.landlock_create_ruleset(DEVICES | refer, _scopes(version))
    if refer:
        _allow(rules, "/", refer)
    sys.landlock_restrict_self(rules)
    os.close(rules)


def _scopes(version: int) -> int:
    return SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS if version >= SCOPES_SINCE else 0


def _allow(rules: int, path: str, accesses: int) -> None:
    directory = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        sys.landlock_allow(rules, directory, accesses)
    finally:
        os.close(directory)
