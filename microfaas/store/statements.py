"""Reads the .sql files: the statements by name, and the schema's steps."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import resources

# The n-th file brings a database from version n-1 to n. Never edit one that was released.
SCHEMA_STEPS = (
    "schema.sql",
    "schema_secrets.sql",
    "schema_keys.sql",
    "schema_durable.sql",
    "schema_logs.sql",
)

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def load() -> Mapping[str, str]:
    """Every statement of `statements.sql` by its name."""
    parts = _NAME.split(_text("statements.sql"))[1:]
    return {name: _bare(body) for name, body in zip(parts[::2], parts[1::2], strict=True)}


def schema_step(version: int) -> str:
    """The script that leads to `version`."""
    return _text(SCHEMA_STEPS[version - 1])


def expand(statement: str, rows: Sequence[Sequence[object]]) -> str:
    """Put one "(?, ?, ...)" per row where the statement says ":rows"."""
    group = f"({','.join('?' * len(rows[0]))})"
    return statement.replace(":rows", ",".join([group] * len(rows)))


def _bare(body: str) -> str:
    lines = (line for line in body.splitlines() if not line.startswith("--"))
    return "\n".join(lines).strip().removesuffix(";")


def _text(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")
