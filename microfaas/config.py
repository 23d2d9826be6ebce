"""`microfaas.toml`: reading it, refusing what cannot work, and turning it into the model.

The structs below are the reference: their descriptions become `docs/configuration.md`.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from microfaas import strict
from microfaas.errors import ConfigError, Problem
from microfaas.model import Address, Function, Limits, Mount

FILE_NAME = "microfaas.toml"
NAME_PATTERN = re.compile(r"[a-zA-Z0-9-_]{1,64}")
HOST_PATTERN = re.compile(r"[A-Za-z0-9._:%-]{1,255}")
PORT_PATTERN = re.compile(r"[0-9]{1,5}")
ENVIRONMENT_PATTERN = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")

# Lambda's list: a function may not set what the platform sets.
RESERVED_ENVIRONMENT = re.compile(
    r"_HANDLER|_X_AMZN_TRACE_ID|AWS_(DEFAULT_)?REGION|AWS_EXECUTION_ENV"
    r"|AWS_LAMBDA_(FUNCTION_(NAME|MEMORY_SIZE|VERSION)|INITIALIZATION_TYPE|RUNTIME_API)"
    r"|AWS_LAMBDA_LOG_(GROUP|STREAM)_NAME|LAMBDA_(TASK_ROOT|RUNTIME_DIR)"
)

DEFAULTS = Limits()

TriggerKinds = Mapping[str, type[msgspec.Struct]]


class MountTable(msgspec.Struct, kw_only=True):
    """A directory that the function sees at `/mnt/NAME`; the variable NAME holds its path."""

    path: Annotated[str, Meta(min_length=1, description="the directory, relative to the file")]
    write: Annotated[bool, Meta(description="whether the function may write there")] = False


class FunctionTable(msgspec.Struct, kw_only=True):
    """One `[functions.NAME]` table."""

    handler: Annotated[
        str, Meta(min_length=1, max_length=128, description="`module.function`, as in Lambda")
    ] = "app.handler"
    runtime: Annotated[
        str, Meta(description="the language, with or without a version: `python`, `python3.12`")
    ] = "python"
    code: Annotated[
        str, Meta(min_length=1, description="a folder or .zip, relative to the file")
    ] = "."
    python: Annotated[
        str | None,
        Meta(
            description="an interpreter to use instead of the found one, such as a virtual "
            "environment's `.venv/bin/python`; its packages are then the function's"
        ),
    ] = None
    description: Annotated[str, Meta(max_length=256, description="a text for people")] = ""
    memory_mb: Annotated[
        int, Meta(ge=16, le=32768, description="memory of one instance, MiB; past it, it is killed")
    ] = DEFAULTS.memory_mb
    timeout_s: Annotated[
        float, Meta(gt=0, le=900, description="time for one invocation, seconds")
    ] = DEFAULTS.timeout_s
    init_timeout_s: Annotated[
        float, Meta(gt=0, le=900, description="time for loading the function's module, seconds")
    ] = DEFAULTS.init_timeout_s
    cpu: Annotated[
        Annotated[float, Meta(gt=0, le=1024)] | None,
        Meta(description="hard cap in CPUs; without it instances share by memory"),
    ] = DEFAULTS.cpu
    processes_max: Annotated[
        int, Meta(ge=1, le=32768, description="processes and threads of one instance")
    ] = DEFAULTS.processes_max
    files_max: Annotated[int, Meta(ge=32, le=1048576, description="open files of one process")] = (
        DEFAULTS.files_max
    )
    tmp_mb: Annotated[int, Meta(ge=1, le=10240, description="size of `/tmp`, MiB")] = (
        DEFAULTS.tmp_mb
    )
    concurrency_max: Annotated[
        int, Meta(ge=1, le=1000, description="instances that may run at once")
    ] = DEFAULTS.concurrency_max
    waiting_max: Annotated[
        int, Meta(ge=0, le=100000, description="calls that may wait for an instance; more get 429")
    ] = DEFAULTS.waiting_max
    waiting_s_max: Annotated[
        float, Meta(gt=0, le=900, description="how long a call may wait before it gets 429")
    ] = DEFAULTS.waiting_s_max
    idle_s_max: Annotated[
        float, Meta(ge=0, le=86400, description="an instance unused for so long is stopped")
    ] = DEFAULTS.idle_s_max
    ready_ahead: Annotated[
        int, Meta(ge=0, le=100, description="instances kept ready ahead of demand")
    ] = DEFAULTS.ready_ahead
    snapshot: Annotated[
        Literal["auto", "on", "off"],
        Meta(description="fork instances from a loaded module: where it is safe, always, never"),
    ] = "auto"
    isolation: Annotated[
        Literal["instance", "request"],
        Meta(description="`request` gives every invocation a fresh process"),
    ] = "instance"
    environment: Annotated[dict[str, str], Meta(description="environment variables")] = (
        msgspec.field(default_factory=dict)
    )
    mounts: Annotated[
        dict[str, MountTable], Meta(description="directories it sees, by variable name")
    ] = msgspec.field(default_factory=dict)
    triggers: Annotated[list[dict[str, Any]], Meta(description="what fires it")] = msgspec.field(
        default_factory=list
    )


class PricesTable(msgspec.Struct, kw_only=True):
    """`[prices]`: what `microfaas usage` reckons with. Defaults are AWS's for x86 in us-east-1."""

    gb_second: Annotated[float, Meta(ge=0, le=1e9, description="price of one GB-second")] = (
        0.0000166667
    )
    request: Annotated[float, Meta(ge=0, le=1e9, description="price of one invocation")] = 0.0000002
    currency: Annotated[str, Meta(description="printed behind amounts")] = "USD"


class ConfigTable(msgspec.Struct, kw_only=True):
    """The file's top level."""

    listen: Annotated[str, Meta(description="HOST:PORT of the gateway")] = "127.0.0.1:9000"
    data: Annotated[
        str,
        Meta(min_length=1, description="directory of logs, store and code, relative to the file"),
    ] = ".microfaas"
    memory_budget_mb: Annotated[
        Annotated[int, Meta(ge=64, le=16777216)] | None,
        Meta(description="memory for all instances, MiB; default three quarters of the machine's"),
    ] = None
    region: Annotated[
        str, Meta(pattern=r"^[a-z]{2}(-[a-z]+)+-[0-9]\Z", description="region in ARNs and events")
    ] = "us-east-1"
    account_id: Annotated[str, Meta(pattern=r"^[0-9]{12}\Z", description="account in ARNs")] = (
        "123456789012"
    )
    log_mb_max: Annotated[
        int, Meta(ge=1, le=10240, description="size at which a function's log is rotated, MiB")
    ] = 10
    log_files_max: Annotated[
        int, Meta(ge=1, le=100, description="rotated files kept per function")
    ] = 5
    drain_s_max: Annotated[
        float, Meta(ge=0, le=900, description="time for running invocations when stopping")
    ] = 10.0
    prices: Annotated[PricesTable, Meta(description="what usage costs")] = msgspec.field(
        default_factory=PricesTable
    )
    functions: Annotated[dict[str, FunctionTable], Meta(description="the functions, by name")] = (
        msgspec.field(default_factory=dict)
    )


class Trigger(msgspec.Struct, frozen=True):
    """One trigger of one function; `settings` is the struct its kind declares."""

    function: str
    kind: str
    settings: msgspec.Struct


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
    functions = _function_tables(top.pop("functions", {}), problems)
    settings = strict.salvage(top, ConfigTable, "", problems) or ConfigTable()
    root = os.path.dirname(os.path.abspath(source))
    host, port = split_listen(listen or settings.listen, problems)
    # What the command line names is meant from where the user stands.
    data_dir = os.path.abspath(data) if data else _path(root, settings.data)
    if os.path.exists(data_dir) and not os.path.isdir(data_dir):
        problems.append(Problem("data", f"must be a directory, not the file {data_dir}"))
    _check_budget(settings.memory_budget_mb, functions, problems)
    rows = functions.items()
    made = [_function(name, row, root, problems) for name, row in rows]
    triggers = [t for name, row in rows for t in _triggers(name, row, trigger_kinds, problems)]
    if problems:
        raise ConfigError(source, problems)
    return Config(
        root=root,
        source=os.path.abspath(source),
        host=host,
        port=port,
        data=data_dir,
        memory_budget_mb=settings.memory_budget_mb,
        address=Address(
            region=settings.region,
            account_id=settings.account_id,
            endpoint_url=f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}",
        ),
        functions=tuple(made),
        triggers=tuple(triggers),
        prices=settings.prices,
        log_mb_max=settings.log_mb_max,
        log_files_max=settings.log_files_max,
        drain_s_max=settings.drain_s_max,
    )


def split_listen(listen: str, problems: list[Problem]) -> tuple[str, int]:
    """HOST:PORT, [IPV6]:PORT or PORT, as host and port."""
    host, _, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") or "127.0.0.1"
    if HOST_PATTERN.fullmatch(host) and PORT_PATTERN.fullmatch(port) and int(port) < 65536:
        return host, int(port)
    wanted = "must be HOST:PORT with a port of 0 to 65535"
    problems.append(Problem("listen", f"{wanted}, not {strict.shown(listen)}"))
    return "127.0.0.1", 0


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


def _function_tables(raw: object, problems: list[Problem]) -> dict[str, FunctionTable]:
    """Each function by itself, so that a fault in one does not hide the others'."""
    if not isinstance(raw, Mapping):
        problems.append(Problem("functions", "must be a table of tables"))
        return {}
    tables = {}
    for name, row in raw.items():
        where = strict.join("functions", name)
        if not NAME_PATTERN.fullmatch(name):
            what = "a name has 1 to 64 letters, digits, hyphens and underscores"
            problems.append(Problem(where, what))
        made = strict.salvage(row, FunctionTable, where, problems)
        if made is not None:
            tables[name] = made
    return tables


def _check_budget(
    budget_mb: int | None, functions: Mapping[str, FunctionTable], problems: list[Problem]
) -> None:
    """An instance that is larger than the whole budget could never start."""
    for name, row in functions.items():
        if budget_mb is not None and row.memory_mb > budget_mb:
            where = strict.join("functions", name)
            what = f"must be at most memory_budget_mb ({budget_mb}), not {row.memory_mb}"
            problems.append(Problem(f"{where}.memory_mb", what))


def _function(name: str, row: FunctionTable, root: str, problems: list[Problem]) -> Function:
    where = strict.join("functions", name)
    code = _path(root, row.code)
    if not (os.path.isdir(code) or (code.endswith(".zip") and os.path.isfile(code))):
        problems.append(Problem(f"{where}.code", f"must be a folder or a .zip file, not {code}"))
    python = row.python and _path(root, row.python)
    if python and not (os.path.isfile(python) and os.access(python, os.X_OK)):
        why = "cannot be run" if os.path.exists(python) else "does not exist"
        problems.append(Problem(f"{where}.python", f"must be an interpreter; {python} {why}"))
    module, _, attribute = row.handler.rpartition(".")
    if row.runtime.startswith("python") and not (module and attribute.isidentifier()):
        what = f"must be MODULE.FUNCTION, not {strict.shown(row.handler)}"
        problems.append(Problem(f"{where}.handler", what))
    for key in row.environment:
        _check_variable(strict.join(f"{where}.environment", key), key, problems)
        if key in row.mounts:
            what = "is a mount's name too, and would hide its path"
            problems.append(Problem(f"{where}.environment.{key}", what))
    mounts = [_mount(where, key, mount, root, problems) for key, mount in row.mounts.items()]
    shared = {field: getattr(row, field) for field in Limits.__struct_fields__}
    return Function(
        name=name,
        runtime=row.runtime,
        handler=row.handler,
        code=code,
        limits=Limits(**shared),
        python=python,
        description=row.description,
        environment=row.environment,
        mounts=tuple(mounts),
        snapshot=row.snapshot,
        isolation=row.isolation,
    )


def _mount(where: str, name: str, mount: MountTable, root: str, problems: list[Problem]) -> Mount:
    place = strict.join(f"{where}.mounts", name)
    _check_variable(place, name, problems)
    source = _path(root, mount.path)
    if not os.path.isdir(source):
        problems.append(Problem(f"{place}.path", f"must be a directory, not {source}"))
    return Mount(name=name, source=source, write=mount.write)


def _path(root: str, path: str) -> str:
    """A path of the file's, which is meant from where the file is."""
    return os.path.normpath(os.path.join(root, os.path.expanduser(path)))


def _check_variable(where: str, name: str, problems: list[Problem]) -> None:
    if not ENVIRONMENT_PATTERN.fullmatch(name):
        problems.append(Problem(where, "a variable's name has letters, digits and underscores"))
    if RESERVED_ENVIRONMENT.fullmatch(name):
        problems.append(Problem(where, "is set by the platform and cannot be chosen"))


def _triggers(
    name: str, row: FunctionTable, kinds: TriggerKinds, problems: list[Problem]
) -> list[Trigger]:
    made = []
    for number, raw in enumerate(row.triggers):
        where = f"{strict.join('functions', name)}.triggers[{number}]"
        table = dict(raw)
        kind = table.pop("type", None)
        if not isinstance(kind, str) or kind not in kinds:
            given = "is missing; it" if kind is None else f"is {strict.shown(kind)}; it"
            what = f"{given} must be one of: {', '.join(sorted(kinds))}"
            problems.append(Problem(f"{where}.type", what))
            continue
        settings = strict.convert(table, kinds[kind], where, problems)
        if settings is not None:
            made.append(Trigger(name, kind, settings))
    return made
