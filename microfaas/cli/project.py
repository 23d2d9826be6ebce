"""What the project in the current directory says about its server, for commands that need one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import Any

import click

from microfaas import client, config, strict
from microfaas.client import Client
from microfaas.config import FILE_NAME, ConfigTable
from microfaas.errors import ConfigError, Problem
from microfaas.store import db
from microfaas.store.db import Database

ENDPOINT_VARIABLE = "MICROFAAS_ENDPOINT_URL"
KEY_VARIABLE = "MICROFAAS_KEY"
CA_VARIABLE = "MICROFAAS_CA_FILE"

_REACHING = (
    click.option("--endpoint-url", metavar="URL", help="Where microfaas is."),
    click.option("--key-file", metavar="FILE", help="A file with the key, ID.SECRET."),
    click.option("--ca-file", metavar="FILE", help="Who vouches for its certificate, as PEM."),
)


def settings() -> ConfigTable:
    """The top level of ./microfaas.toml, or the defaults where there is none."""
    if not os.path.exists(FILE_NAME):
        return ConfigTable()
    problems: list[Problem] = []
    # The functions are the server's to judge.
    table = {key: value for key, value in config.read(FILE_NAME).items() if key != "functions"}
    made = strict.convert(table, ConfigTable, "", problems)
    if made is None:
        raise ConfigError(FILE_NAME, problems)
    return made


def endpoint_url(given: str | None) -> str:
    """Where the server is: as told, by the environment, by the project, or the default."""
    told = given or os.environ.get(ENDPOINT_VARIABLE)
    if told:
        return told
    if not os.path.exists(FILE_NAME):
        return client.DEFAULT_URL
    problems: list[Problem] = []
    table = settings()
    host, port = config.split_listen(table.listen, problems)
    if problems:
        raise ConfigError(FILE_NAME, problems)
    return config.endpoint_url(host, port, secure=table.tls.certificate is not None)


def reaching(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a command that talks to a server; they are `reach`'s parameters."""
    for option in reversed(_REACHING):
        command = option(command)
    return command


def reach(url: str | None, key_file: str | None, ca_file: str | None) -> Client:
    """A client of the server; what no option says, the environment may."""
    key = _key_in(key_file) if key_file else os.environ.get(KEY_VARIABLE, "")
    return Client(
        endpoint_url(url), key=key, ca_file=ca_file or os.environ.get(CA_VARIABLE) or None
    )


def _key_in(path: str) -> str:
    """The key in a file: its only line, or what `keys create` printed for the variable."""
    with open(path, encoding="utf-8", errors="replace") as file:
        lines = file.read().split()
    assignment = f"{KEY_VARIABLE}="
    named = [line.removeprefix(assignment) for line in lines if line.startswith(assignment)]
    return (named or lines or [" "])[0]


def data_dir(given: str | None) -> str:
    """The server's data directory."""
    return os.path.abspath(given or os.path.expanduser(settings().data))


@contextlib.contextmanager
def database(directory: str) -> Iterator[Database]:
    """The database of a data directory, open for writing; a server may have it open as well."""
    opened = Database(os.path.join(directory, db.FILE_NAME))
    opened.open()
    try:
        yield opened
    finally:
        opened.close()
