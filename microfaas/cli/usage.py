"""`microfaas usage`: what the functions took, and what it would cost."""

from __future__ import annotations

import os
import time

import click

from microfaas.cli import durations, output, project
from microfaas.config import PricesTable
from microfaas.store import db, usage
from microfaas.store.db import Database
from microfaas.store.usage import Total

_COLUMNS = ("FUNCTION", "INVOCATIONS", "ERRORS", "BILLED", "GB-SECONDS", "CPU", "PEAK", "PRICE")
_EPILOG = """\
\b
Examples:
  microfaas usage
  microfaas usage thumbnail --since 1d
  microfaas usage --json | jq .price

GB-seconds are billed time times the memory that the function may take, as on AWS; prices are
set in the [prices] table of microfaas.toml.
"""


@click.command("usage", epilog=_EPILOG)
@click.argument("name", required=False)
@click.option(
    "--since", metavar="DURATION", callback=durations.seconds, help="Only the last 12h, 1d, 2w …"
)
@click.option("--data", metavar="DIR", help="The server's data directory.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(name: str | None, since: int | None, data: str | None, as_json: bool) -> None:
    """Print what each function took since ever, or only the function NAME."""
    since_ms = None if since is None else int((time.time() - since) * 1000)
    prices = project.settings().prices
    database = Database.reader(os.path.join(project.data_dir(data), db.FILE_NAME))
    try:
        totals = usage.totals(database, since_ms, name)
    finally:
        database.close()
    if as_json:
        output.show_json(_as_table(totals, prices, since_ms))
    elif totals:
        _show(totals, prices)
    else:
        click.echo("No invocation is recorded for that.", err=True)


def price(total: Total, prices: PricesTable) -> float:
    """What it costs."""
    return total.gb_seconds * prices.gb_second + total.invocations * prices.request


def _as_table(totals: list[Total], prices: PricesTable, since_ms: int | None) -> dict[str, object]:
    return {
        "since_ms": since_ms,
        "currency": prices.currency,
        "price": sum(price(total, prices) for total in totals),
        "functions": [{**total._asdict(), "price": price(total, prices)} for total in totals],
    }


def _show(totals: list[Total], prices: PricesTable) -> None:
    rows = [_row(total, prices) for total in totals]
    if len(totals) > 1:
        rows.append(_row(_sum(totals), prices))
    output.show_table(_COLUMNS, rows, right=_COLUMNS[1:])


def _sum(totals: list[Total]) -> Total:
    _, *columns = zip(*totals, strict=True)
    whole = Total("in all", *map(sum, columns))
    return whole._replace(peak_mb=max(total.peak_mb for total in totals))


def _row(total: Total, prices: PricesTable) -> list[str]:
    return [
        total.function,
        str(total.invocations),
        str(total.errors),
        f"{total.billed_ms / 1000:.3f} s",
        f"{total.gb_seconds:.3f}",
        f"{total.cpu_ms / 1000:.3f} s",
        f"{total.peak_mb} MB",
        f"{price(total, prices):.6f} {prices.currency}",
    ]
