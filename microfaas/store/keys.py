"""Access keys: making, listing and revoking them, and knowing them when they come back.

A key is an id and a secret. The secret derives from the machine's key and the id; the database
has only its hash. So whoever steals the database has no key that opens anything, and yet AWS's
signatures, which need the secret itself, can be verified.

Functions have keys too, which need no row: id and secret derive from the function's name, and
they are good as long as the function is served.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import secrets
import string
import time
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from microfaas import scopes
from microfaas.errors import ConfigError, InvalidRequest
from microfaas.scopes import Scopes
from microfaas.store.db import Database
from microfaas.store.functions import Functions
from microfaas.store.machine_key import MachineKey

PREFIX = "MFK"
FUNCTION_PREFIX = "MFF"
ID_CHARS = 20
SECRET_CHARS = 40
NAME_CHARS_MAX = 64
# All of them are read again whenever one may have changed.
KEYS_MAX = 1000
DAY_MS = 86_400_000
_BASE32 = string.ascii_uppercase + "234567"
_FUNCTION_SCOPES = "invoke,send,receive,read"

_log = logging.getLogger("microfaas.store")


class KeyRow(NamedTuple):
    """What the database has of a key. Times are milliseconds since 1970."""

    id: str
    name: str
    secret_sha256: bytes
    scopes: str
    created_ms: int
    expires_ms: int | None
    revoked_ms: int | None
    rate_per_s: float | None
    used_day: int | None

    def state(self, now_ms: int) -> str:
        """`live`, `expired` or `revoked`."""
        if self.revoked_ms is not None:
            return "revoked"
        return "expired" if self.expires_ms is not None and now_ms >= self.expires_ms else "live"


class Key(msgspec.Struct, frozen=True):
    """A key that may open something, as the gateway needs it. `token` is a function's alone."""

    id: str
    secret_sha256: bytes
    scopes: Scopes
    expires_ms: int | None = None
    rate_per_s: float | None = None
    token: str = ""


class Keys:
    """The keys in the database."""

    def __init__(self, db: Database, machine_key: MachineKey) -> None:
        self._db = db
        self._machine_key = machine_key

    async def create(
        self, name: str, allow: Scopes, *, expires_s: float | None, rate_per_s: float | None
    ) -> tuple[KeyRow, str]:
        """A new key and its secret. Raises InvalidRequest."""
        if len(name) > NAME_CHARS_MAX or not name.isprintable():
            raise InvalidRequest(
                f"cannot make the key: a name has up to {NAME_CHARS_MAX} printable characters"
            )
        if sum(row.revoked_ms is None for row in rows(self._db)) >= KEYS_MAX:
            raise InvalidRequest(f"cannot make the key: there are {KEYS_MAX} already; revoke some")
        key_id = PREFIX + "".join(secrets.choice(_BASE32) for _ in range(ID_CHARS - len(PREFIX)))
        secret = secret_of(self._machine_key, key_id)
        now_ms = int(time.time() * 1000)
        row = KeyRow(
            id=key_id,
            name=name,
            secret_sha256=digest(secret),
            scopes=str(allow),
            created_ms=now_ms,
            expires_ms=None if expires_s is None else now_ms + int(expires_s * 1000),
            revoked_ms=None,
            rate_per_s=rate_per_s,
            used_day=None,
        )
        await self._db.write("add_access_key", [row])
        return row, secret


def rows(db: Database) -> list[KeyRow]:
    """All keys there ever were, the oldest first."""
    return [KeyRow(*row) for row in db.read("access_keys", {})]


async def revoke(db: Database, key_id: str) -> bool:
    """Let a key open nothing any more; False when there is no such key, or not any more."""
    known = any(row.id == key_id and row.revoked_ms is None for row in rows(db))
    await db.write("revoke_access_key", [{"id": key_id, "at_ms": int(time.time() * 1000)}])
    return known


def secret_of(machine_key: MachineKey, key_id: str) -> str:
    """The secret that belongs to an id."""
    return _text(machine_key.derive("access-key", key_id.encode()))[:SECRET_CHARS]


def digest(secret: str) -> bytes:
    """What is kept of a secret."""
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).digest()


def function_credentials(machine_key: MachineKey, name: str) -> tuple[str, str, str]:
    """(access key id, secret, session token) for a function's environment."""
    key_id = function_key_id(name)
    token = _text(machine_key.derive("session-token", key_id.encode()))
    return key_id, secret_of(machine_key, key_id), token


def function_key_id(name: str) -> str:
    """The id of a function's own key."""
    hashed = base64.b32encode(hashlib.sha256(name.encode()).digest()).decode()
    return FUNCTION_PREFIX + hashed[: ID_CHARS - len(FUNCTION_PREFIX)]


def _text(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode().rstrip("=")


class KeyRing:
    """The keys that may open something, in memory: those in the database and the functions'."""

    def __init__(self, db: Database, machine_key: MachineKey, functions: Functions) -> None:
        self._db = db
        self._machine_key = machine_key
        self._functions = functions
        self._rows: list[KeyRow] = []
        self._keys: Mapping[str, Key] = {}
        self._function_names: list[str] = []
        self._function_keys: Mapping[str, Key] = {}
        self._used: set[str] = set()
        self._noted: dict[str, int | None] = {}

    def __len__(self) -> int:
        """How many keys there are beside the functions'."""
        return len(self._keys)

    def find(self, key_id: str) -> Key | None:
        """The key of that id; the same object as long as nothing about it changes."""
        if key_id.startswith(FUNCTION_PREFIX):
            self._follow_functions()
            return self._function_keys.get(key_id)
        return self._keys.get(key_id)

    def note_use(self, key: Key) -> None:
        """The key was used, and by somebody who has it."""
        if key.id in self._keys:  # a function's has no row
            self._used.add(key.id)

    def secret(self, key: Key) -> str:
        """A key's secret, derived again."""
        return secret_of(self._machine_key, key.id)

    def refresh(self) -> None:
        """See what was created or revoked meanwhile, perhaps by a command. Raises MachineError."""
        found = [KeyRow(*row) for row in self._db.read("live_access_keys", {})]
        if found == self._rows:
            return
        old = {row.id: row for row in self._rows}
        keys = {}
        for row in found:
            key = self._keys.get(row.id) if _same(old.get(row.id), row) else _key(row)
            if key is not None:
                keys[row.id] = key
        self._keys, self._rows = keys, found
        self._noted = {row.id: row.used_day for row in found}

    async def note_uses(self) -> None:
        """Record the day of their last use of the keys that were used. Raises MachineError."""
        used, self._used = self._used, set()
        today = int(time.time() * 1000) // DAY_MS
        fresh = [key_id for key_id in used if self._noted.get(key_id) != today]
        if fresh:
            await self._db.write("note_access_key_used", [{"id": i, "day": today} for i in fresh])

    def _follow_functions(self) -> None:
        """Make the functions' keys anew when there are others than before."""
        names = [version.function.name for version in self._functions.all()]
        if names != self._function_names:
            made = [self._function_key(name) for name in names]
            self._function_keys = {key.id: key for key in made}
            self._function_names = names

    def _function_key(self, name: str) -> Key:
        key_id, secret, token = function_credentials(self._machine_key, name)
        return Key(key_id, digest(secret), scopes.parse(_FUNCTION_SCOPES), token=token)


def _same(old: KeyRow | None, new: KeyRow) -> bool:
    """Whether a key is what it was; the day of its use does not count."""
    return old is not None and old._replace(used_day=new.used_day) == new


def _key(row: KeyRow) -> Key | None:
    """None for one that a newer microfaas made for what this one does not know."""
    try:
        allow = scopes.parse(row.scopes, f"the key {row.id}")
    except ConfigError as error:
        _log.error("%s; it opens nothing", error)
        return None
    return Key(row.id, row.secret_sha256, allow, row.expires_ms, row.rate_per_s)
