"""Triggers that were put through microfaas's own API: the tables of a file, kept on disk."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from microfaas.config import FunctionTable, Trigger
from microfaas.config.functions import make_triggers
from microfaas.control.table import Edit, Table, commit
from microfaas.errors import Problem
from microfaas.store.resources import Resources
from microfaas.triggers import table

KIND = "triggers"

_log = logging.getLogger("microfaas.triggers")


class Tables(msgspec.Struct, frozen=True):
    """The triggers of one function, as they would stand in `microfaas.toml`."""

    triggers: list[dict[str, Any]]


class Deployed:
    """All of them, by their functions."""

    def __init__(self, resources: Resources) -> None:
        """Raises MachineError."""
        self._resources = resources
        self._table = Table(resources, KIND, Tables)
        self._table.open()

    def functions(self) -> list[str]:
        """Those that have any."""
        return [name for name, _ in self._table.all()]

    def tables(self, function: str) -> list[dict[str, Any]]:
        """A function's, as they were put."""
        kept = self._table.get(function)
        return kept.triggers if kept is not None else []

    def triggers(self, function: str) -> list[Trigger]:
        """A function's; what this version of microfaas does not understand is logged."""
        problems: list[Problem] = []
        made = triggers_of(function, self.tables(function), problems)
        for problem in problems:
            _log.error("a deployed trigger is passed over: %s", problem)
        return made

    def all(self) -> list[Trigger]:
        return [each for function in self.functions() for each in self.triggers(function)]

    async def put(self, triggers: Mapping[str, Sequence[dict[str, Any]]]) -> None:
        """Keep these, by their functions, in place of those before. Raises MachineError."""
        await commit(self._resources, [self._edit(*each) for each in triggers.items()])

    def _edit(self, function: str, tables: Sequence[dict[str, Any]]) -> Edit:
        kept = Tables(list(tables))
        return self._table.put(function, kept) if tables else self._table.remove(function)


def triggers_of(
    function: str, tables: Sequence[dict[str, Any]], problems: list[Problem]
) -> list[Trigger]:
    """As the file's are made."""
    row = FunctionTable(triggers=list(tables))
    return make_triggers(function, row, table.settings(), problems)
