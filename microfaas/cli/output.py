"""Results on stdout: tables for people, plain columns for pipes, JSON for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

import click

NO_STYLES: Mapping[str, str] = MappingProxyType({})


def show_json(value: object) -> None:
    click.echo(json.dumps(value, indent=2))


def show_table(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    right: Collection[str] = (),
    styles: Mapping[str, str] = NO_STYLES,
) -> None:
    """`right` names the columns of numbers; `styles` has the colours of certain cells."""
    if sys.stdout.isatty():
        _show_rich(columns, rows, right, styles)
    else:
        click.echo("\n".join(_aligned([columns, *rows], [name in right for name in columns])))


def _aligned(rows: Sequence[Sequence[str]], right: Sequence[bool]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if to_right else cell.ljust(width)
            for cell, width, to_right in zip(row, widths, right, strict=True)
        ).rstrip()
        for row in rows
    ]


def _show_rich(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    right: Collection[str],
    styles: Mapping[str, str],
) -> None:
    # Imported late: most output needs none of it.
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left")
    for row in rows:
        table.add_row(*(Text(cell, style=styles.get(cell, "")) for cell in row))
    Console().print(table)
