"""`microfaas.toml`: reading it, refusing what cannot work, and turning it into the model."""

from __future__ import annotations

import os
import re
import tomllib
from typing import Any, NamedTuple

import msgspec

from microfaas import strict
from microfaas.config.api import ApiTable
from microfaas.config.endpoints import EndpointTable, endpoint_tables
from microfaas.config.events import check_destinations
from microfaas.config.functions import (
    NAME_PATTERN,
    Trigger,
    TriggerKinds,
    check_budget,
    function_tables,
    make_function,
    make_triggers,
)
from microfaas.config.http import check_authorizers, check_routes
from microfaas.config.queue_triggers import check_visibility
from microfaas.config.queues import QueueTable, queue_tables
from microfaas.config.reach import absolute
from microfaas.config.schedules import check_names
from microfaas.config.stream_tables import StreamTable
from microfaas.config.streams import check_streams, readers, settled
from microfaas.config.tables import (
    ConfigTable,
    FunctionTable,
    MountTable,
    PricesTable,
    RequestsTable,
    TlsFiles,
    TlsTable,
)
from microfaas.config.topic_tables import TopicTable
from microfaas.config.topics import Declared, Smtp, check_topics, smtp
from microfaas.errors import ConfigError, Problem
from microfaas.model import Address, Function

__all__ = [
    "FILE_NAME",
    "NAME_PATTERN",
    "ApiTable",
    "Config",
    "ConfigTable",
    "FunctionTable",
    "MountTable",
    "PricesTable",
    "QueueTable",
    "RequestsTable",
    "StreamTable",
    "TlsFiles",
    "Trigger",
    "endpoint_url",
    "load",
    "parse",
    "read",
    "split_listen",
]

FILE_NAME = "microfaas.toml"
HOST_PATTERN = re.compile(r"[A-Za-z0-9._:%-]{1,255}")
PORT_PATTERN = re.compile(r"[0-9]{1,5}")


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """A whole configuration, checked, with absolute paths."""

    root: str
    source: str | None
    host: str
    port: int
    data: str
    memory_budget_mb: int | None
    address: Address
    functions: tuple[Function, ...]
    triggers: tuple[Trigger, ...]
    prices: PricesTable
    log_mb_max: int
    log_files_max: int
    drain_s_max: float
    sandbox_off: tuple[str, ...] = ()
    require_enforced: bool = False
    auth: bool = False
    # Of the command line alone: nobody is asked for a key, wherever the gateway listens.
    insecure: bool = False
    tls: TlsFiles | None = None
    api: ApiTable = ApiTable()
    requests: RequestsTable = msgspec.field(default_factory=RequestsTable)
    http_prefix: str = "/http"
    queues: dict[str, QueueTable] = {}
    topics: dict[str, TopicTable] = {}
    subscriptions: tuple[Declared, ...] = ()
    streams: dict[str, StreamTable] = {}
    smtp: Smtp | None = None
    endpoints: dict[str, EndpointTable] = {}


def load(
    path: str, trigger_kinds: TriggerKinds, *, listen: str | None = None, data: str | None = None
) -> Config:
    """Read PATH: a project folder, a .toml file, or a bare `FILE.py:HANDLER`.

    Raises ConfigError with every problem found.
    """
    if bare := re.fullmatch(r"(.+\.py):(\w+)", path):
        return _bare(bare[1], bare[2], trigger_kinds, listen, data)
    source = os.path.join(path, FILE_NAME) if os.path.isdir(path) else path
    return parse(read(source), source, trigger_kinds, listen=listen, data=data)


def read(source: str) -> dict[str, Any]:
    """The file as plain data. Raises ConfigError when there is none, or no TOML in it."""
    name = os.path.basename(source)
    if name.endswith(".py"):
        raise ConfigError(source, [Problem(name, f"name the handler too: {source}:HANDLER")])
    try:
        with open(source, "rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        hint = 'no such file; make one with "microfaas init", or name a FILE.py:HANDLER'
        raise ConfigError(source, [Problem(name, hint)]) from None
    except OSError as error:
        problem = Problem(name, error.strerror or str(error))
    except (ValueError, RecursionError) as error:
        # TOMLDecodeError, UnicodeDecodeError, and an integer of thousands of digits.
        problem = Problem(name, f"is not valid TOML: {error}")
    raise ConfigError(source, [problem])


def parse(
    table: dict[str, Any],
    source: str,
    trigger_kinds: TriggerKinds,
    *,
    listen: str | None = None,
    data: str | None = None,
) -> Config:
    """Turn a parsed file into a Config; `listen` and `data` from the command line win."""
    problems: list[Problem] = []
    top = dict(table)
    functions = function_tables(top.pop("functions", {}), problems)
    queues = queue_tables(top.pop("queues", {}), problems)
    endpoints = endpoint_tables(top.pop("endpoints", {}), problems)
    settings = strict.salvage(top, ConfigTable, "", problems) or ConfigTable()
    root = os.path.dirname(os.path.abspath(source))
    place = _place(settings, root, listen, data, problems)
    check_budget(settings.memory_budget_mb, functions, problems)
    made = [make_function(name, row, root, problems) for name, row in functions.items()]
    check_destinations(made, problems)
    happens = _happenings(settings, root, functions, queues, trigger_kinds, problems)
    if problems:
        raise ConfigError(source, problems)
    return Config(
        root=root,
        source=os.path.abspath(source),
        host=place.host,
        port=place.port,
        data=place.data,
        tls=place.tls,
        memory_budget_mb=settings.memory_budget_mb,
        address=Address(
            region=settings.region,
            account_id=settings.account_id,
            endpoint_url=endpoint_url(place.host, place.port, secure=place.tls is not None),
        ),
        functions=tuple(made),
        triggers=happens.triggers,
        prices=settings.prices,
        log_mb_max=settings.log_mb_max,
        log_files_max=settings.log_files_max,
        drain_s_max=settings.drain_s_max,
        sandbox_off=tuple(settings.sandbox_off),
        auth=settings.auth,
        api=settings.api,
        requests=settings.requests,
        http_prefix=settings.http_prefix,
        queues=queues,
        topics=settings.topics,
        subscriptions=happens.subscriptions,
        streams=happens.streams,
        smtp=happens.smtp,
        endpoints=endpoints,
    )


class _Place(NamedTuple):
    """Where it listens and keeps its data."""

    host: str
    port: int
    data: str
    tls: TlsFiles | None


def _place(
    settings: ConfigTable, root: str, listen: str | None, data: str | None, problems: list[Problem]
) -> _Place:
    host, port = split_listen(listen or settings.listen, problems)
    # What the command line names is meant from where the user stands.
    data_dir = os.path.abspath(data) if data else absolute(root, settings.data)
    if os.path.exists(data_dir) and not os.path.isdir(data_dir):
        problems.append(Problem("data", f"must be a directory, not the file {data_dir}"))
    return _Place(host, port, data_dir, _tls_files(settings.tls, root, problems))


class _Happenings(NamedTuple):
    """What fires functions, and where it comes from."""

    triggers: tuple[Trigger, ...]
    subscriptions: tuple[Declared, ...]
    streams: dict[str, StreamTable]
    smtp: Smtp | None


def _happenings(
    settings: ConfigTable,
    root: str,
    functions: dict[str, FunctionTable],
    queues: dict[str, QueueTable],
    kinds: TriggerKinds,
    problems: list[Problem],
) -> _Happenings:
    """Triggers with the topics and streams that they name, checked against each other."""
    rows = functions.items()
    triggers = [t for name, row in rows for t in make_triggers(name, row, kinds, problems)]
    check_visibility(rows, triggers, queues, problems)
    check_names(triggers, problems)
    check_routes(triggers, problems)
    check_authorizers(triggers, set(functions), problems)
    subscriptions = check_topics(settings.topics, problems)
    streams = settled(settings.streams, root)
    check_streams(streams, readers(triggers), problems)
    emails = any(each.protocol == "email" for each in subscriptions)
    mail = smtp(settings.smtp, root, emails, problems)
    return _Happenings(tuple(triggers), tuple(subscriptions), streams, mail)


def split_listen(listen: str, problems: list[Problem]) -> tuple[str, int]:
    """HOST:PORT, [IPV6]:PORT or PORT, as host and port."""
    host, _, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    if HOST_PATTERN.fullmatch(host) and PORT_PATTERN.fullmatch(port) and int(port) < 65536:
        return host, int(port)
    wanted = "must be HOST:PORT with a port of 0 to 65535"
    problems.append(Problem("listen", f"{wanted}, not {strict.shown(listen)}"))
    return "127.0.0.1", 0


def endpoint_url(host: str, port: int, *, secure: bool) -> str:
    """The URL of a gateway; who listens on every address is found on the loopback one."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    scheme = "https" if secure else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _tls_files(table: TlsTable, root: str, problems: list[Problem]) -> TlsFiles | None:
    if table.certificate is None and table.key is None:
        return None
    if not table.certificate or not table.key:
        problems.append(Problem("tls", "needs both certificate and key"))
        return None
    files = TlsFiles(absolute(root, table.certificate), absolute(root, table.key))
    for name, path in (("certificate", files.certificate), ("key", files.key)):
        if not os.path.isfile(path):
            problems.append(Problem(f"tls.{name}", f"must be a file, not {path}"))
    return files


def _bare(
    file: str, handler: str, kinds: TriggerKinds, listen: str | None, data: str | None
) -> Config:
    """A configuration for one handler file that has none."""
    if not os.path.isfile(file):
        raise ConfigError(file, [Problem(os.path.basename(file), "no such file")])
    stem = os.path.basename(file).removesuffix(".py")
    name = re.sub(r"[^a-zA-Z0-9-_]", "-", stem)[:64]
    table = {"functions": {name: {"handler": f"{stem}.{handler}"}}}
    source = os.path.join(os.path.dirname(os.path.abspath(file)), FILE_NAME)
    config = parse(table, source, kinds, listen=listen, data=data)
    return msgspec.structs.replace(config, source=None)
