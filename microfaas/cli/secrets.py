"""`microfaas secrets`: what functions are given under `stored`, encrypted in the data directory."""

from __future__ import annotations

import asyncio
import os
import sys

import click

from microfaas import audit, log
from microfaas.audit import Audit
from microfaas.cli import exits, output, project
from microfaas.store import db, machine_key, secrets
from microfaas.store.db import Database
from microfaas.store.machine_key import MachineKey
from microfaas.store.secrets import SECRET_BYTES_MAX, SecretStore

_EPILOG = """\
\b
Examples:
  microfaas secrets set db-password             asks for it, unseen
  microfaas secrets set api-key < api-key.txt
  microfaas secrets list

\b
In microfaas.toml:
  [functions.report.secrets]
  DB_PASSWORD = { stored = "db-password" }

The server need not run. A function that runs keeps what it has; the next zygote gets the new one.
"""
_data = click.option("--data", metavar="DIR", help="The server's data directory.")


@click.group("secrets", epilog=_EPILOG)
def command() -> None:
    """Keep secrets for functions, encrypted with this machine's key."""


@command.command("set", context_settings={"allow_extra_args": True})
@click.argument("name")
@_data
@click.pass_context
def set_(ctx: click.Context, name: str, data: str | None) -> None:
    """Store the secret NAME, in place of what it was.

    Its value comes from stdin, every byte of it, or is asked for on a terminal. It may have up to
    64 KiB.
    """
    if ctx.args:
        raise click.UsageError("Others can see arguments: give the value on stdin.")
    value = _value(name)
    directory = project.data_dir(data)
    with project.database(directory) as database:
        key = MachineKey.load(os.path.join(directory, machine_key.FILE_NAME))
        asyncio.run(SecretStore(database, key).set(name, value))
    Audit(directory).record("secrets set", name, who=audit.user())
    click.echo(f"The secret {name} is stored in {database.path}.", err=True)


@command.command("list")
@_data
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(data: str | None, as_json: bool) -> None:
    """List the names of the secrets, and when each was set; never their values."""
    database = Database.reader(_path(data))
    try:
        found = secrets.names(database)
    finally:
        database.close()
    rows = [(secret.name, log.stamp(secret.at_ms / 1000)) for secret in found]
    if as_json:
        output.show_json({"secrets": [{"name": name, "set_at": at} for name, at in rows]})
    else:
        output.show_table(("SECRET", "SET AT"), rows)


@command.command("rm")
@click.argument("name")
@_data
def rm(name: str, data: str | None) -> None:
    """Forget the secret NAME."""
    # To look for it must not make a data directory where there is none.
    known = os.path.exists(_path(data))
    if known:
        directory = project.data_dir(data)
        with project.database(directory) as database:
            known = asyncio.run(secrets.remove(database, name))
        Audit(directory).record("secrets rm", name, who=audit.user())
    if not known:
        exits.fail(f"cannot forget the secret {name}: there is none of that name", exits.PERMANENT)


def _value(name: str) -> bytes:
    if sys.stdin.isatty():
        typed: str = click.prompt(f"Value of {name}", hide_input=True, confirmation_prompt=True)
        return typed.encode()
    # One byte more shows that it is too large; the rest need not be read for that.
    return sys.stdin.buffer.read(SECRET_BYTES_MAX + 1)


def _path(data: str | None) -> str:
    return os.path.join(project.data_dir(data), db.FILE_NAME)
