"""What the project in the current directory says about its server, for commands that need one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from microfaas import client, config, strict
from microfaas.config import FILE_NAME, ConfigTable
from microfaas.errors import ConfigError, Problem
from microfaas.store import db
from microfaas.store.db import Database

ENDPOINT_VARIABLE = "MICROFAAS_ENDPOINT_URL"


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
