"""What a project wants of a gateway, in the words of AWS's API. Pure, but for the languages' usual
handlers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from microfaas import strict
from microfaas.cli.source import Source
from microfaas.config import Config
from microfaas.errors import ConfigError, Problem
from microfaas.gateway.aws import model
from microfaas.gateway.aws.lambda_settings import DEPRECATED
from microfaas.model import Address, Destination, EventSettings, Function
from microfaas.payloads.eventbridge import bus_arn
from microfaas.runtime import Runtimes

# The keys of a function that the API has a place for.
_DEPLOYABLE = frozenset(
    (
        "code",
        "concurrency_max",
        "dead_letter",
        "description",
        "environment",
        "event_age_s_max",
        "handler",
        "layers",
        "log_format",
        "log_group",
        "log_level",
        "memory_mb",
        "on_failure",
        "on_success",
        "recursive_loop",
        "retries_max",
        "runtime",
        "system_log_level",
        "timeout_s",
        "tmp_mb",
        "triggers",
    )
)
_RETRIES_MAX = 2
_SERVICES = {"function": "lambda", "queue": "sqs", "topic": "sns", "bus": "events"}
# Of all that the template has for the API alone, what a new function is given and keeps.
_AT_BIRTH = ("Architectures",)


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A function as it is to be.

    `settings` are CreateFunction's parameters but for code and layers, and `born` those that
    cannot be changed. `events` are those of PutFunctionEventInvokeConfig, None where nothing is
    said, `recursive_loop` is empty there. `layers` are folders or .zip files, `triggers` tables of
    `microfaas.toml`.
    """

    name: str
    code: str
    layers: tuple[str, ...]
    settings: dict[str, Any]
    born: dict[str, Any]
    events: dict[str, Any] | None
    concurrency: int | None
    recursive_loop: str
    triggers: list[dict[str, Any]]


def functions(source: Source, chosen: Iterable[str]) -> list[Wanted]:
    """All functions, or those chosen by their names. Raises ConfigError with every problem."""
    problems: list[Problem] = []
    names = {function.name for function in source.config.functions}
    chosen = [*chosen]
    for name in chosen:
        if name not in names:
            problems.append(Problem("--function", f"there is no {name}; there is {_told(names)}"))
    runtimes = Runtimes()
    made = [
        _function(source, function, runtimes, problems)
        for function in source.config.functions
        if not chosen or function.name in chosen
    ]
    if problems:
        raise ConfigError(source.config.source or "the project", problems)
    return made


def arn(address: Address, to: Destination) -> str:
    """The ARN of a function, queue, topic or bus there."""
    if to.kind == "function":
        return address.arn(to.name)
    if to.kind == "bus":
        return bus_arn(address)
    return f"arn:aws:{_SERVICES[to.kind]}:{address.region}:{address.account_id}:{to.name}"


def _function(
    source: Source, function: Function, runtimes: Runtimes, problems: list[Problem]
) -> Wanted:
    row: Mapping[str, Any] = source.table["functions"][function.name]
    where = strict.join("functions", function.name)
    _check(where, row, function, problems)
    told = source.stack.settings.get(function.name, {}) if source.stack is not None else {}
    address = source.config.address
    role = f"arn:aws:iam::{address.account_id}:role/microfaas"
    limits = function.limits
    to = function.events.dead_letter
    return Wanted(
        name=function.name,
        code=function.code,
        layers=function.layers,
        settings={
            "Runtime": _runtime(where, function.runtime, problems),
            "Handler": function.handler or runtimes.manifest(function.runtime)[0].handler_default,
            "Description": function.description,
            "Timeout": int(limits.timeout_s),
            "MemorySize": limits.memory_mb,
            "EphemeralStorage": {"Size": limits.tmp_mb},
            "Environment": {"Variables": function.environment},
            "DeadLetterConfig": {"TargetArn": "" if to is None else arn(address, to)},
            "LoggingConfig": _logging(function),
            **{key: value for key, value in told.items() if key not in _AT_BIRTH},
        },
        born={"Role": role, **{key: told[key] for key in _AT_BIRTH if key in told}},
        events=_events(row, function.events, address),
        concurrency=limits.concurrency_max if "concurrency_max" in row else None,
        recursive_loop=function.recursive_loop.title() if "recursive_loop" in row else "",
        triggers=msgspec.to_builtins(row.get("triggers", [])),
    )


def _logging(function: Function) -> dict[str, str]:
    """Lambda's LoggingConfig; levels go with JSON."""
    logs = function.logs
    told = {"LogFormat": logs.format, "LogGroup": function.log_group}
    if logs.format == "Text":
        return told
    levels = {"ApplicationLogLevel": logs.application_level, "SystemLogLevel": logs.system_level}
    return told | levels


def _runtime(where: str, runtime: str, problems: list[Problem]) -> str:
    """Lambda's name of a runtime. A language without a version is its newest there."""
    enum = model.load("lambda").shape("Runtime").enum
    known = [name for name in enum if not DEPRECATED.fullmatch(name)]
    if runtime in known:
        return runtime
    versions = {
        name: [int(part) for part in re.findall(r"\d+", name)]
        for name in known
        if re.fullmatch(rf"{re.escape(runtime)}[\d.].*", name)
    }
    if not versions:
        what = f"must be a runtime that Lambda has to be deployed, not {strict.shown(runtime)}; "
        what += "a program that is built deploys as provided.al2023"
        problems.append(Problem(f"{where}.runtime", what))
        return runtime
    return max(versions, key=versions.__getitem__)


def _check(where: str, row: Mapping[str, Any], function: Function, problems: list[Problem]) -> None:
    """What the API has no place for."""
    for key in row:
        if key not in _DEPLOYABLE:
            what = "cannot be deployed, since Lambda's API has no such setting; leave it out, or "
            what += "serve the function on the machine itself by microfaas run"
            problems.append(Problem(f"{where}.{key}", what))
    if function.limits.timeout_s != int(function.limits.timeout_s):
        what = f"must be whole seconds to be deployed, not {function.limits.timeout_s:g}"
        problems.append(Problem(f"{where}.timeout_s", what))
    if function.events.retries_max > _RETRIES_MAX:
        what = f"must be at most {_RETRIES_MAX} to be deployed, not {function.events.retries_max}"
        problems.append(Problem(f"{where}.retries_max", what))
    for key in ("on_success", "on_failure"):
        to: Destination | None = getattr(function.events, key)
        if to is not None and to.kind not in _SERVICES:
            what = "must be a function, queue, topic or bus to be deployed"
            problems.append(Problem(f"{where}.{key}", what))


def _events(
    row: Mapping[str, Any], events: EventSettings, address: Address
) -> dict[str, Any] | None:
    made: dict[str, Any] = {}
    if "retries_max" in row:
        made["MaximumRetryAttempts"] = events.retries_max
    if "event_age_s_max" in row:
        made["MaximumEventAgeInSeconds"] = int(events.age_s_max)
    ends = {"OnSuccess": events.on_success, "OnFailure": events.on_failure}
    to = {
        key: {"Destination": arn(address, end)}
        for key, end in ends.items()
        if end is not None and end.kind in _SERVICES
    }
    if to:
        made["DestinationConfig"] = to
    return made or None


def _told(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def check_resources(config: Config) -> None:
    """Raises ConfigError for what of queues and streams cannot be deployed."""
    problems = [
        Problem(f"{strict.join('streams', name)}.source", "cannot be deployed: it is a file there")
        for name, table in config.streams.items()
        if table.source is not None
    ]
    if problems:
        raise ConfigError(config.source or "the project", problems)
