"""What a scenario found out, and how it is shown: a table for people, JSON lines for machines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

HEADINGS = ("scenario", "median", "p99", "floor", "ratio", "target", "met?")


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table; what could not be measured is None and the note says why."""

    scenario: str
    unit: str
    target: str
    median: float | None = None
    p99: float | None = None
    floor: float | None = None
    met: bool | None = None
    note: str = ""
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def ratio(self) -> float | None:
        return divide(self.median, self.floor)


def divide(dividend: float | None, divisor: float | None) -> float | None:
    return dividend / divisor if dividend is not None and divisor else None


def middle(values: Sequence[float]) -> float | None:
    return median(values) if values else None


def p99(values: Sequence[float]) -> float | None:
    return sorted(values)[min(len(values) - 1, int(len(values) * 0.99))] if values else None


def at_most(value: float | None, limit: float | None) -> bool | None:
    """Whether a target is met; None while either side is unknown."""
    return None if value is None or limit is None else value <= limit


def at_least(value: float | None, limit: float | None) -> bool | None:
    return None if value is None or limit is None else value >= limit


def json_line(row: Row) -> str:
    return json.dumps(asdict(row) | {"ratio": row.ratio})


def table(rows: Iterable[Row]) -> str:
    """The rows in columns, each note on a line of its own below."""
    lines = [cells(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(HEADINGS, *lines, strict=True)]
    text = [align(HEADINGS, widths), "  ".join("─" * width for width in widths)]
    for row, line in zip(rows, lines, strict=True):
        text.append(align(line, widths))
        text += [f"    {note}" for note in row.note.splitlines()]
    return "\n".join(text)


def cells(row: Row) -> tuple[str, ...]:
    figures = (figure(value, row.unit) for value in (row.median, row.p99, row.floor))
    ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
    met = {True: "yes", False: "NO", None: "?" if row.target else ""}[row.met]
    return (row.scenario, *figures, ratio, row.target, met)


def figure(value: float | None, unit: str) -> str:
    if value is None:
        return "-"
    digits = 0 if value >= 1000 else 1 if value >= 10 else 2
    return f"{value:,.{digits}f} {unit}"


def align(line: Sequence[str], widths: Sequence[int]) -> str:
    """Figures to the right, words to the left."""
    padded = (
        cell.rjust(width) if 0 < column < 5 else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(line, widths, strict=True))
    )
    return "  ".join(padded).rstrip()
