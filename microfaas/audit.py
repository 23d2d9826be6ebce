"""The audit log: who did what to this installation, one JSON object per line.

Commands and the server write to the same file, so each record is appended, and the file rotated,
under a lock of the directory's. A record that cannot be written is told in microfaas's own log;
what it is about goes on.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import pwd
import time
from collections.abc import Iterator

from microfaas.log import LogFile, stamp
from microfaas.model import MIB

FILE_NAME = "audit.log"
FILE_BYTES_MAX = 1 * MIB
FILES_KEPT = 4
VALUE_CHARS_MAX = 200

_log = logging.getLogger("microfaas.audit")


class Audit:
    """The audit log of one data directory."""

    def __init__(self, data_dir: str) -> None:
        self._directory = data_dir
        path = os.path.join(data_dir, FILE_NAME)
        self._file = LogFile(path, FILE_BYTES_MAX, FILES_KEPT, mode=0o600)

    def record(
        self,
        action: str,
        on: str,
        *,
        who: str,
        result: str = "ok",
        peer: str = "",
        **details: object,
    ) -> None:
        """Append a record; it is in the file when this returns. Never raises.

        `who` is a key's id, `system`, or `user()`; `peer` the address a request came from.
        """
        fields = {"who": who, "peer": peer, "action": action, "on": on, "result": result, **details}
        entry: dict[str, object] = {"at": stamp(time.time())}
        entry |= {name: _short(value) for name, value in fields.items() if value not in ("", None)}
        try:
            with _locked(self._directory):
                self._file.write(json.dumps(entry).encode() + b"\n")
                self._file.close()
        except OSError as error:
            _log.error("cannot record %s of %s: %s", action, on, error.strerror or error)


def user() -> str:
    """Who runs this command: the login name, and behind sudo the one who called it."""
    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    caller = os.environ.get("SUDO_USER", "") if uid == 0 else ""
    return f"user:{name} (sudo by {caller})" if caller else f"user:{name}"


@contextlib.contextmanager
def _locked(directory: str) -> Iterator[None]:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _short(value: object) -> object:
    """What came over the network may be long."""
    if isinstance(value, str) and len(value) > VALUE_CHARS_MAX:
        return f"{value[:VALUE_CHARS_MAX]}…"
    return value
