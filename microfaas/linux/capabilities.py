"""Capabilities: having none, and no way to get any."""

from __future__ import annotations

import errno

from microfaas.linux import syscalls as sys

# The kernel has some forty; it refuses numbers that it does not know.
CAPABILITIES_MAX = 64


def unbind() -> None:
    """Empty the bounding set, so that no program brings any back. Needs CAP_SETPCAP."""
    for number in range(CAPABILITIES_MAX):
        try:
            sys.prctl(sys.PR_CAPBSET_DROP, number)
        except OSError as error:
            if error.errno == errno.EINVAL:
                return
            raise


def drop() -> None:
    """Give up those held now."""
    sys.prctl(sys.PR_CAP_AMBIENT, sys.PR_CAP_AMBIENT_CLEAR_ALL)
    sys.clear_capabilities()
