"""Functions' secrets: the sealed store of named ones, and reading what a function is given.

Values pass through here as bytes and are kept nowhere: not in an attribute, an error or a log.
What lies in the database was encrypted with the machine key, under the secret's own name, so that
one secret cannot be passed off as another by whoever can only write to the file.
"""

from __future__ import annotations

import logging
import os
import re
import stat
import time
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from microfaas.errors import InvalidRequest, MachineError
from microfaas.model import Secret
from microfaas.store.db import Database
from microfaas.store.machine_key import MachineKey

SECRET_BYTES_MAX = 64 * 1024
NAME_PATTERN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}")
# Where systemd puts a service's credentials.
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"

_log = logging.getLogger("microfaas.store")


class StoredSecret(NamedTuple):
    """What may be told of a secret."""

    name: str
    at_ms: int


class Values(dict[str, bytes]):
    """Secrets by the name of their variable; printed, it shows the names alone."""

    def __repr__(self) -> str:
        return f"<values of {', '.join(self) or 'no secret'}>"


class SecretStore:
    """Named secrets, sealed with the machine's key."""

    def __init__(self, db: Database, key: MachineKey) -> None:
        self._db = db
        self._key = key

    async def set(self, name: str, value: bytes) -> None:
        """Keep it, in place of the one of that name. Raises InvalidRequest for an unfit one."""
        if not NAME_PATTERN.fullmatch(name):
            raise InvalidRequest(
                f"cannot store the secret {name!r}: a name has 1 to 128 letters, digits and _ . / -"
            )
        if fault := _fault_of(value):
            raise InvalidRequest(f"cannot store the secret {name}: it {fault}")
        row = (name, self._key.seal(value, _label(name)), int(time.time() * 1000))
        await self._db.write("set_secret", [row])

    def find(self, name: str) -> bytes | None:
        """Its value; None when there is no such secret. Raises MachineError."""
        rows = self._db.read("secret", {"name": name})
        return self._key.open(rows[0][0], _label(name)) if rows else None


async def remove(db: Database, name: str) -> bool:
    """Forget it; False when there was none of that name."""
    known = bool(db.read("secret", {"name": name}))
    await db.write("remove_secret", [{"name": name}])
    return known


def names(db: Database) -> list[StoredSecret]:
    """All that are stored, by name."""
    return [StoredSecret(*row) for row in db.read("secrets", {})]


def read_secrets(
    secrets: Iterable[Secret], store: SecretStore, environ: Mapping[str, str]
) -> Values:
    """Each secret's bytes by its name, from its file, from systemd or from the store.

    `environ` is the server's own. Raises MachineError that names the secret and its source, for
    one that is missing, unreadable, too large, or of no use as a variable. Blocking, but short.
    """
    return Values({secret.name: _read(secret, store, environ) for secret in secrets})


def _read(secret: Secret, store: SecretStore, environ: Mapping[str, str]) -> bytes:
    if secret.file is not None:
        source = f"the file {secret.file}"
        value = _from_file(secret.name, source, secret.file)
    elif secret.credential is not None:
        source = f"the credential {secret.credential}"
        value = _from_credential(secret.name, source, secret.credential, environ)
    else:
        source = f"the stored secret {secret.stored}"
        value = _from_store(secret.name, source, secret.stored or "", store)
    fault = _fault_of(value)
    if secret.in_environment:
        # Editors and `echo` end a file with a newline that is no part of the secret.
        value = value.removesuffix(b"\n")
        fault = fault or _fault_of(value)
        if b"\0" in value:
            fault = "has a NUL byte, which no variable can hold"
        elif not _is_text(value):
            fault = "is not UTF-8; give it as a file"
    if fault:
        raise _unusable(secret.name, source, f"it {fault}")
    return value


def _from_file(name: str, source: str, path: str) -> bytes:
    try:
        # Without blocking: in the place of a file somebody may have put a pipe.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(fd, "rb") as file:
            mode = os.fstat(fd).st_mode
            if not stat.S_ISREG(mode):
                raise _unusable(name, source, "it is not a file")
            value = file.read(SECRET_BYTES_MAX + 1)
    except OSError as error:
        raise _unusable(name, source, error.strerror or str(error)) from None
    if mode & stat.S_IROTH:
        _log.warning("the secret %s: everybody can read %s; chmod o-r it", name, source)
    return value


def _from_credential(name: str, source: str, credential: str, environ: Mapping[str, str]) -> bytes:
    directory = environ.get(CREDENTIALS_VARIABLE)
    if not directory:
        hint = f'systemd passes none; give the service "LoadCredential={credential}:PATH"'
        raise _unusable(name, source, hint)
    return _from_file(name, source, os.path.join(directory, credential))


def _from_store(name: str, source: str, stored: str, store: SecretStore) -> bytes:
    try:
        value = store.find(stored)
    except MachineError as error:
        raise _unusable(name, source, str(error)) from None
    if value is None:
        raise _unusable(name, source, f'there is none; use "microfaas secrets set {stored}"')
    return value


def _fault_of(value: bytes) -> str:
    """What is wrong with a value whatever it is for."""
    if not value:
        return "is empty"
    return f"is larger than {SECRET_BYTES_MAX} bytes" if len(value) > SECRET_BYTES_MAX else ""


def _unusable(name: str, source: str, why: str) -> MachineError:
    return MachineError(f"cannot use {source} as the secret {name}: {why}")


def _label(name: str) -> str:
    return f"the secret {name}"


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
