"""Access keys: what the database has of them, and what the gateway knows of them and when."""

from __future__ import annotations

import hmac
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from microfaas import scopes
from microfaas.errors import InvalidRequest
from microfaas.model import Function, Limits, Version
from microfaas.store import keys
from microfaas.store.db import Database
from microfaas.store.functions import Functions
from microfaas.store.keys import KeyRing, KeyRow, Keys, digest, function_credentials
from microfaas.store.machine_key import MachineKey

MACHINE_KEY = MachineKey(b"k" * 32)
ALLOW = scopes.parse("invoke:order,read")


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = Database(str(tmp_path / "store.db"))
    database.open()
    yield database
    database.close()


async def make(db: Database, **options: float | None) -> tuple[KeyRow, str]:
    chosen = {"expires_s": None, "rate_per_s": None, **options}
    return await Keys(db, MACHINE_KEY).create("shop", ALLOW, **chosen)


def ring(db: Database, *names: str) -> KeyRing:
    made = KeyRing(db, MACHINE_KEY, serving(*names))
    made.refresh()
    return made


def serving(*names: str) -> Functions:
    functions = Functions()
    for name in names:
        function = Function(name=name, runtime="python", handler="", code="", limits=Limits())
        functions.put(Version(function=function, code_dir="", code_sha256=""))
    return functions


async def test_a_key_looks_as_aws_keys_do(db: Database) -> None:
    row, secret = await make(db)
    assert re.fullmatch(r"MFK[A-Z2-7]{17}", row.id)
    assert re.fullmatch(r"[A-Za-z0-9_-]{40}", secret)
    assert (await make(db))[0].id != row.id


async def test_a_stolen_database_has_no_secret(db: Database) -> None:
    row, secret = await make(db)
    assert keys.rows(db) == [row]
    with sqlite3.connect(db.path) as connection:
        assert secret not in "\n".join(connection.iterdump())
    assert secret.encode() not in Path(db.path).read_bytes()
    assert row.secret_sha256 == digest(secret)
    assert keys.secret_of(MachineKey(b"x" * 32), row.id) != secret


async def test_the_ring_knows_what_was_made_before_and_after(db: Database) -> None:
    first, secret = await make(db, rate_per_s=5.0)
    known = ring(db)
    second, _ = await make(db, expires_s=60)
    key = known.find(first.id)
    assert key is not None
    assert known.secret(key) == secret
    assert (key.rate_per_s, key.expires_ms, key.scopes) == (5.0, None, ALLOW)
    assert known.find(second.id) is None
    known.refresh()
    later = known.find(second.id)
    assert later is not None
    assert later.expires_ms == second.created_ms + 60_000
    # Nothing about the first has changed, so whoever has checked it need not do it again.
    assert known.find(first.id) is key
    assert len(known) == 2


async def test_a_revoked_key_opens_nothing(db: Database) -> None:
    row, _ = await make(db)
    known = ring(db)
    assert await keys.revoke(db, row.id)
    assert not await keys.revoke(db, row.id)
    assert not await keys.revoke(db, "MFKNOBODY")
    known.refresh()
    assert known.find(row.id) is None
    (kept,) = keys.rows(db)
    assert kept.state(0) == "revoked"


async def test_the_day_of_the_last_use_is_noted_once(db: Database) -> None:
    row, _ = await make(db)
    known = ring(db)
    key = known.find(row.id)
    assert key is not None
    await known.note_uses()
    assert keys.rows(db)[0].used_day is None
    known.note_use(key)
    await known.note_uses()
    day = keys.rows(db)[0].used_day
    assert day is not None
    assert day > 20_000
    known.refresh()
    assert known.find(row.id) is key


async def test_a_function_has_a_key_as_long_as_it_is_served(db: Database) -> None:
    key_id, secret, token = function_credentials(MACHINE_KEY, "order")
    assert re.fullmatch(r"MFF[A-Z2-7]{17}", key_id)
    assert ring(db).find(key_id) is None
    known = ring(db, "order", "pay")
    key = known.find(key_id)
    assert key is not None
    assert hmac.compare_digest(key.secret_sha256, digest(secret))
    assert (known.secret(key), key.token) == (secret, token)
    assert key.scopes.allow("invoke", "pay")
    assert key.scopes.allow("read")
    assert not key.scopes.allow("admin")
    assert known.find(key_id) is key
    assert function_credentials(MACHINE_KEY, "pay")[0] != key_id


async def test_a_function_that_comes_later_has_a_key_too(db: Database) -> None:
    functions = serving("order")
    known = KeyRing(db, MACHINE_KEY, functions)
    pay = function_credentials(MACHINE_KEY, "pay")[0]
    assert known.find(pay) is None
    functions.put(serving("pay").resolve("pay"))
    assert known.find(pay) is not None


async def test_a_key_for_what_is_not_known_opens_nothing(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    row, _ = await make(db)
    await db.write("add_access_key", [row._replace(id="MFKNEWER", scopes="deploy:order")])
    known = ring(db)
    assert known.find("MFKNEWER") is None
    assert known.find(row.id) is not None
    assert "deploy:order: is no scope" in caplog.text


@pytest.mark.parametrize("name", ["x" * 65, "a\nb"])
async def test_an_unfit_name_is_refused(db: Database, name: str) -> None:
    with pytest.raises(InvalidRequest, match="printable"):
        await Keys(db, MACHINE_KEY).create(name, ALLOW, expires_s=None, rate_per_s=None)


async def test_there_is_an_end_to_keys(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "KEYS_MAX", 1)
    row, _ = await make(db)
    with pytest.raises(InvalidRequest, match="revoke some"):
        await make(db)
    await keys.revoke(db, row.id)
    await make(db)


@pytest.mark.parametrize(
    ("row", "state"),
    [
        ((None, None), "live"),
        ((100, None), "expired"),
        ((101, None), "live"),
        ((101, 1), "revoked"),
    ],
)
def test_states(row: tuple[int | None, int | None], state: str) -> None:
    expires_ms, revoked_ms = row
    made = KeyRow("id", "", b"", "read", 0, expires_ms, revoked_ms, None, None)
    assert made.state(100) == state
