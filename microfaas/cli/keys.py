"""`microfaas keys`: the keys that callers of the gateway need when it asks for one."""

from __future__ import annotations

import asyncio
import os
import time

import click

from microfaas import audit, log, scopes
from microfaas.audit import Audit
from microfaas.cli import durations, exits, output, project
from microfaas.store import db, keys, machine_key
from microfaas.store.db import Database
from microfaas.store.keys import DAY_MS, KeyRow, Keys
from microfaas.store.machine_key import MachineKey

RATE_MAX = 1e6
_COLUMNS = ("ID", "NAME", "ALLOWS", "STATE", "EXPIRES", "RATE", "LAST USED")
_EPILOG = """\
\b
Examples:
  microfaas keys create shop --allow invoke:order,read --expires 90d --rate 50
  export $(microfaas keys create laptop --allow admin)
  microfaas keys list
  microfaas keys revoke MFK2ZV6QWJH5N3TXE7RA

A running server knows a new or a revoked key within a second; none need run.
"""
_CREATED = """\
The secret is shown this once. For AWS clients the two are access key id and secret access key;
together, as in MICROFAAS_KEY, they are a bearer token."""
_data = click.option("--data", metavar="DIR", help="The server's data directory.")


def _rate(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    # click's FloatRange lets NaN pass.
    if value is not None and not 0 < value <= RATE_MAX:
        raise click.BadParameter(f"must be more than 0 and at most {RATE_MAX:g}.")
    return value


@click.group("keys", epilog=_EPILOG)
def command() -> None:
    """Make, list and revoke the keys that callers of the gateway need."""


@command.command("create")
@click.argument("name", default="")
@click.option(
    "--allow", metavar="SCOPES", required=True, help=f"What it is for, of: {scopes.KNOWN}."
)
@click.option("--expires", metavar="DURATION", callback=durations.seconds, help="After 12h, 90d …")
@click.option(
    "--rate",
    type=float,
    callback=_rate,
    metavar="NUMBER",
    help="Requests per second it is good for.",
)
@_data
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def create(
    name: str,
    allow: str,
    expires: int | None,
    rate: float | None,
    data: str | None,
    as_json: bool,
) -> None:
    """Make a key, called NAME in lists, and print its id and its secret."""
    allowed = scopes.parse(allow, "--allow")
    directory = project.data_dir(data)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    with project.database(directory) as database:
        key = MachineKey.load(os.path.join(directory, machine_key.FILE_NAME))
        made = Keys(database, key).create(name, allowed, expires_s=expires, rate_per_s=rate)
        row, secret = asyncio.run(made)
    Audit(directory).record(
        "keys create", row.id, who=audit.user(), name=name, allow=row.scopes, expires=_expires(row)
    )
    if as_json:
        output.show_json({**_as_table(row), "secret": secret})
        return
    click.echo(f"AWS_ACCESS_KEY_ID={row.id}")
    click.echo(f"AWS_SECRET_ACCESS_KEY={secret}")
    click.echo(f"MICROFAAS_KEY={row.id}.{secret}")
    click.echo(_CREATED, err=True)


@command.command("list")
@_data
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(data: str | None, as_json: bool) -> None:
    """List all keys there ever were, without their secrets."""
    database = Database.reader(os.path.join(project.data_dir(data), db.FILE_NAME))
    try:
        rows = keys.rows(database)
    finally:
        database.close()
    if as_json:
        output.show_json({"keys": [_as_table(row) for row in rows]})
    elif rows:
        output.show_table(_COLUMNS, [_cells(row) for row in rows], right=("RATE",))
    else:
        click.echo("There is no key.", err=True)


@command.command("revoke")
@click.argument("key_id", metavar="ID")
@_data
def revoke(key_id: str, data: str | None) -> None:
    """Let the key ID open nothing any more, for good."""
    directory = project.data_dir(data)
    # To look for it must not make a data directory where there is none.
    known = os.path.exists(os.path.join(directory, db.FILE_NAME))
    if known:
        with project.database(directory) as database:
            known = asyncio.run(keys.revoke(database, key_id))
        result = "ok" if known else "unknown key"
        Audit(directory).record("keys revoke", key_id, who=audit.user(), result=result)
    if not known:
        exits.fail(f"cannot revoke {key_id}: there is no such key in use", exits.PERMANENT)
    click.echo(f"The key {key_id} is revoked.", err=True)


def _as_table(row: KeyRow) -> dict[str, object]:
    return {
        "id": row.id,
        "name": row.name,
        "allow": row.scopes.split(","),
        "state": row.state(int(time.time() * 1000)),
        "created_at": log.stamp(row.created_ms / 1000),
        "expires_at": _expires(row),
        "rate_per_s": row.rate_per_s,
        "last_used": _day(row.used_day),
    }


def _cells(row: KeyRow) -> list[str]:
    table = _as_table(row)
    return [
        row.id,
        row.name or "-",
        row.scopes,
        str(table["state"]),
        str(table["expires_at"] or "never"),
        "-" if row.rate_per_s is None else f"{row.rate_per_s:g}/s",
        str(table["last_used"] or "never"),
    ]


def _expires(row: KeyRow) -> str | None:
    return None if row.expires_ms is None else log.stamp(row.expires_ms / 1000)


def _day(day: int | None) -> str | None:
    return None if day is None else log.stamp(day * DAY_MS / 1000)[:10]
