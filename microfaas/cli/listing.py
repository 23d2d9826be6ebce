"""`microfaas list`: what a running server serves."""

from __future__ import annotations

from typing import Any

import click

from microfaas.cli import output, project

_COLUMNS = (
    "FUNCTION",
    "FROM",
    "STATE",
    "RUNTIME",
    "HANDLER",
    "MEMORY",
    "TIMEOUT",
    "AT ONCE",
    "BUSY",
    "IDLE",
)
_EPILOG = """\
\b
Examples:
  microfaas list
  microfaas list --json | jq -r '.functions[].name'
"""


@click.command("list", epilog=_EPILOG)
@project.reaching
@click.option("--json", "as_json", is_flag=True, help="Print all there is to know as JSON.")
def command(
    endpoint_url: str | None, key_file: str | None, ca_file: str | None, as_json: bool
) -> None:
    """List the functions, with their limits and instances, and why some cannot be served."""
    answer = project.reach(endpoint_url, key_file, ca_file).functions()
    if as_json:
        output.show_json(answer)
        return
    rows = [_row(function) for function in answer["functions"]]
    output.show_table(_COLUMNS, rows, right=_COLUMNS[5:])
    for function in answer["functions"]:
        _show_faults(function)


def _row(function: dict[str, Any]) -> list[str]:
    states = [instance["state"] for instance in function["instances"]]
    return [
        function["name"],
        function["origin"],
        function["state"],
        function["runtime"],
        function["handler"],
        f"{function['memory_mb']} MB",
        f"{function['timeout_s']:g} s",
        str(function["concurrency_max"]),
        str(states.count("busy")),
        str(states.count("idle")),
    ]


def _show_faults(function: dict[str, Any]) -> None:
    if function["reason"]:
        click.echo(f"{function['name']} cannot be served: {function['reason']}", err=True)
    for number, why in function["failed_versions"].items():
        click.echo(f"{function['name']}:{number} cannot be served: {why}", err=True)
