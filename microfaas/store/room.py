"""Whether the disk has room for more than what was accepted before."""

from __future__ import annotations

import os
import time

from microfaas.errors import MachineError
from microfaas.model import MIB

# Below this much free space nothing new is accepted, so that what is there can be dealt with:
# to remove a message takes space for a moment.
DISK_RESERVE_BYTES = 64 * MIB
DISK_RESERVE_SHARE = 0.05
DISK_LOOK_S = 0.5


class Room:
    """The space beside a file, looked at now and then."""

    def __init__(self, path: str) -> None:
        self._directory = os.path.dirname(os.path.abspath(path))
        self._next_look_s = 0.0
        self._error: str | None = None

    def check(self) -> None:
        """Raises MachineError when there is too little."""
        now_s = time.monotonic()
        if now_s >= self._next_look_s:
            self._next_look_s = now_s + DISK_LOOK_S
            self._error = self._look()
        if self._error is not None:
            raise MachineError(self._error)

    def _look(self) -> str | None:
        status = os.statvfs(self._directory)
        free = status.f_bavail * status.f_frsize
        reserve = min(
            DISK_RESERVE_BYTES, int(status.f_blocks * status.f_frsize * DISK_RESERVE_SHARE)
        )
        if free >= reserve:
            return None
        return (
            f"cannot accept more: {self._directory} has {free // MIB} MiB of free space, and the "
            f"last {reserve // MIB} MiB are kept for what was accepted before; free some space"
        )
