"""Functions and their triggers: from tables to the model, with every fault named."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Annotated, Protocol, runtime_checkable

import msgspec
from msgspec import Meta

from microfaas import strict
from microfaas.config import qualifiers
from microfaas.config.events import event_settings
from microfaas.config.reach import (
    absolute,
    check_names_differ,
    check_variable,
    devices,
    mounts,
    network,
    secrets,
)
from microfaas.config.tables import FunctionTable
from microfaas.errors import Problem
from microfaas.model import MEMORY_MB_PER_CPU, Function, Limits, LogSettings, qualified

NAME_PATTERN = re.compile(r"[a-zA-Z0-9-_]{1,64}")

_SHARED_KEYS = ("qualifier",)

TriggerKinds = Mapping[str, type[msgspec.Struct]]


class Trigger(msgspec.Struct, frozen=True):
    """One trigger of one function; `settings` is the struct its kind declares.

    `qualifier` is the alias or version that it calls. `consumer` is what it is known by to a
    stream it reads; the empty one is made of the function's and the stream's names. `source` is
    the ARN of a queue or stream that is not of this machine.
    """

    function: str
    kind: str
    settings: msgspec.Struct
    qualifier: str = ""
    consumer: str = ""
    source: str = ""

    @property
    def called(self) -> str:
        """What it calls, as `NAME` or `NAME:QUALIFIER`."""
        return qualified(self.function, self.qualifier)


class TriggerTable(msgspec.Struct, kw_only=True):
    """The keys that triggers of every kind have."""

    qualifier: Annotated[
        str | None,
        Meta(
            description="the alias, or the version's number, that it calls; default the function "
            "as it is deployed"
        ),
    ] = None

    def check(self, where: str, problems: list[Problem]) -> None:
        """Whether it can be an alias or a version; there may be one later."""
        if self.qualifier is not None and (what := qualifiers.refused(self.qualifier)):
            problems.append(Problem(f"{where}.qualifier", what))


@runtime_checkable
class Checked(Protocol):
    """Settings that may be wrong in ways that no one key shows."""

    def check(self, where: str, problems: list[Problem]) -> None:
        """Tell what is wrong with them."""


@runtime_checkable
class Remembering(Protocol):
    """Settings of a kind that remembers what it has dealt with."""

    @property
    def remembered_by(self) -> str:
        """What that is known by; a function has one trigger of each."""


def function_tables(raw: object, problems: list[Problem]) -> dict[str, FunctionTable]:
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


def check_budget(
    budget_mb: int | None, functions: Mapping[str, FunctionTable], problems: list[Problem]
) -> None:
    """An instance that is larger than the whole budget could never start."""
    for name, row in functions.items():
        if budget_mb is not None and row.memory_mb > budget_mb:
            where = strict.join("functions", name)
            what = f"must be at most memory_budget_mb ({budget_mb}), not {row.memory_mb}"
            problems.append(Problem(f"{where}.memory_mb", what))


def make_function(name: str, row: FunctionTable, root: str, problems: list[Problem]) -> Function:
    where = strict.join("functions", name)
    code = _code(f"{where}.code", row.code, root, problems)
    layers = [
        _code(f"{where}.layers[{number}]", layer, root, problems)
        for number, layer in enumerate(row.layers)
    ]
    interpreter = row.interpreter and absolute(root, row.interpreter)
    if interpreter and not (os.path.isfile(interpreter) and os.access(interpreter, os.X_OK)):
        why = "cannot be run" if os.path.exists(interpreter) else "does not exist"
        what = f"must be an interpreter; {interpreter} {why}"
        problems.append(Problem(f"{where}.interpreter", what))
    for key in row.environment:
        check_variable(strict.join(f"{where}.environment", key), key, problems)
    check_names_differ(where, row, problems)
    shared = {field: getattr(row, field) for field in Limits.__struct_fields__}
    if row.cpu == "memory":
        shared["cpu"] = row.memory_mb / MEMORY_MB_PER_CPU
    return Function(
        name=name,
        runtime=row.runtime,
        # Which the usual one is, the language knows.
        handler=row.handler or "",
        code=code,
        limits=Limits(**shared),
        interpreter=interpreter,
        layers=tuple(layers),
        description=row.description,
        environment=row.environment,
        mounts=mounts(where, row.mounts, root, problems),
        secrets=secrets(where, row.secrets, root, problems),
        network=network(where, row, problems),
        devices=devices(where, row.devices, problems),
        snapshot=row.snapshot,
        isolation=row.isolation,
        recursive_loop=row.recursive_loop,
        events=event_settings(where, row, root, problems),
        logs=_logs(where, row, problems),
    )


def _logs(where: str, row: FunctionTable, problems: list[Problem]) -> LogSettings:
    group = row.log_group or ""
    if row.log_format == "JSON":
        return LogSettings(
            format="JSON",
            application_level=row.log_level or "INFO",
            system_level=row.system_log_level or "INFO",
            group=group,
        )
    for key in ("log_level", "system_log_level"):
        if getattr(row, key) is not None:
            problems.append(Problem(f"{where}.{key}", 'goes with log_format = "JSON" only'))
    return LogSettings(group=group)


def _code(where: str, path: str, root: str, problems: list[Problem]) -> str:
    code = absolute(root, path)
    if not (os.path.isdir(code) or (code.endswith(".zip") and os.path.isfile(code))):
        problems.append(Problem(where, f"must be a folder or a .zip file, not {code}"))
    return code


def make_triggers(
    name: str, row: FunctionTable, kinds: TriggerKinds, problems: list[Problem]
) -> list[Trigger]:
    made = []
    known: set[tuple[str, str]] = set()
    for number, raw in enumerate(row.triggers):
        where = f"{strict.join('functions', name)}.triggers[{number}]"
        table = dict(raw)
        kind = table.pop("type", None)
        if not isinstance(kind, str) or kind not in kinds:
            given = "is missing; it" if kind is None else f"is {strict.shown(kind)}; it"
            what = f"{given} must be one of: {', '.join(sorted(kinds))}"
            problems.append(Problem(f"{where}.type", what))
            continue
        before = len(problems)
        shared = {key: table.pop(key) for key in _SHARED_KEYS if key in table}
        every = strict.salvage(shared, TriggerTable, where, problems) or TriggerTable()
        every.check(where, problems)
        settings = strict.convert(table, kinds[kind], where, problems)
        if isinstance(settings, Checked):
            settings.check(where, problems)
        if isinstance(settings, Remembering):
            same = kind, settings.remembered_by
            if same in known:
                what = f"is a second one of {same[1]}, of which each thing is told once; make "
                problems.append(Problem(where, f"{what}it one trigger"))
            known.add(same)
        if settings is not None and len(problems) == before:
            made.append(Trigger(name, kind, settings, every.qualifier or ""))
    return made
