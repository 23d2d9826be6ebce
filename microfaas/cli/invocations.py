"""`microfaas invocations`: the events that wait, run and have ended."""

from __future__ import annotations

from typing import Any

import click

from microfaas.cli import output, project
from microfaas.dispatch.history import LIMIT_MAX, STATUSES

LIMIT = 20
_COLUMNS = ("REQUEST", "FUNCTION", "STATUS", "ACCEPTED", "ATTEMPTS", "NEXT ATTEMPT", "SOURCE")
_STYLES = {"ok": "green", "error": "red", "expired": "red", "timeout": "red", "memory": "red"}
_EPILOG = """\
\b
Examples:
  microfaas invocations
  microfaas invocations report --status waiting
  microfaas invocations --status error --json | jq -r '.invocations[].request_id'

These are the events that nobody waited for: of "microfaas invoke --async", and of triggers. The
newest come first.
"""


@click.command("invocations", epilog=_EPILOG)
@click.argument("name", required=False)
@click.option(
    "--status", type=click.Choice(STATUSES), metavar="STATUS", help=f"Of: {', '.join(STATUSES)}."
)
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(1, LIMIT_MAX),
    default=LIMIT,
    show_default=True,
    help="How many.",
)
@project.reaching
@click.option("--json", "as_json", is_flag=True, help="Print all there is to know as JSON.")
def command(
    name: str | None,
    status: str | None,
    limit: int,
    endpoint_url: str | None,
    key_file: str | None,
    ca_file: str | None,
    as_json: bool,
) -> None:
    """List the events of all functions, or of the function NAME."""
    client = project.reach(endpoint_url, key_file, ca_file)
    answer = client.invocations(name, status, limit)
    if as_json:
        output.show_json(answer)
    elif answer["invocations"]:
        rows = [_row(row) for row in answer["invocations"]]
        output.show_table(_COLUMNS, rows, right=("ATTEMPTS",), styles=_STYLES)
    else:
        click.echo("There are no such events.", err=True)


def _row(row: dict[str, Any]) -> list[str]:
    return [
        row["request_id"],
        row["function"],
        row["status"],
        row["accepted_at"],
        str(row["attempts"]),
        row["next_attempt_at"] or "-",
        row["source"] or "-",
    ]
