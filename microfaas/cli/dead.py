"""`microfaas dead`: the events that were given up on, and what is to become of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from microfaas.cli import durations, exits, output, project
from microfaas.client import Client
from microfaas.dispatch.letters import LIMIT_MAX

LIMIT = 20
_COLUMNS = ("ID", "FUNCTION", "ERROR", "ATTEMPTS", "DIED", "SOURCE", "REQUEST")
_EPILOG = """\
\b
Examples:
  microfaas dead list
  microfaas dead show 17
  microfaas dead redrive 17 18
  microfaas dead redrive --function report --error TimeoutError
  microfaas dead purge --older-than 30d

A letter that is sent again becomes a new event, with a request id of its own.
"""
_choosing = (
    click.option("--function", metavar="NAME", help="Only those of a function."),
    click.option("--error", metavar="TYPE", help="Only those that failed with this type of error."),
    click.option(
        "--older-than",
        metavar="DURATION",
        callback=durations.seconds,
        help="Only those that died 12h, 30d … ago or before.",
    ),
)
_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _chosen(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that choose letters."""
    for option in reversed(_choosing):
        command = option(command)
    return command


@click.group("dead", epilog=_EPILOG)
def command() -> None:
    """List dead letters, show one, send some again, or throw them away."""


@command.command("list")
@_chosen
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(1, LIMIT_MAX),
    default=LIMIT,
    show_default=True,
    help="How many.",
)
@project.reaching
@_json
def list_(
    function: str | None,
    error: str | None,
    older_than: int | None,
    limit: int,
    endpoint_url: str | None,
    key_file: str | None,
    ca_file: str | None,
    as_json: bool,
) -> None:
    """List them, the newest first."""
    client = project.reach(endpoint_url, key_file, ca_file)
    answer = client.dead_letters(function, error, older_than, limit)
    if as_json:
        output.show_json(answer)
    elif answer["dead_letters"]:
        rows = [_row(row) for row in answer["dead_letters"]]
        output.show_table(_COLUMNS, rows, right=("ID", "ATTEMPTS"))
    else:
        click.echo("There are no such dead letters.", err=True)


@command.command("show")
@click.argument("id_", metavar="ID")
@project.reaching
@_json
def show(
    id_: str, endpoint_url: str | None, key_file: str | None, ca_file: str | None, as_json: bool
) -> None:
    """Print the event of one, by its number or its request's id; what it failed of to stderr."""
    letter = project.reach(endpoint_url, key_file, ca_file).dead_letter(id_)
    if as_json:
        output.show_json(letter)
        return
    for name in ("id", "request_id", "function", "source", "attempts", "died_at", "error"):
        click.echo(f"{name}: {letter[name]}", err=True)
    click.echo(f"result: {letter['payload']}", err=True)
    click.echo(letter["event"])


def _deciding(command: Callable[..., Any]) -> Callable[..., Any]:
    """What a command takes that does something about letters."""
    ids = click.argument("ids", metavar="[ID]...", nargs=-1)
    every = click.option("--all", "every", is_flag=True, help="All there are.")
    return ids(_chosen(every(project.reaching(_json(command)))))


@command.command("redrive")
@_deciding
def redrive(**given: Any) -> None:
    """Send them again: the events wait where they did before."""
    _decide(Client.redrive, "redriven", **given)


@command.command("purge")
@_deciding
def purge(**given: Any) -> None:
    """Throw them away for good."""
    _decide(Client.purge, "purged", **given)


def _decide(
    act: Callable[..., dict[str, Any]],
    word: str,
    *,
    endpoint_url: str | None,
    key_file: str | None,
    ca_file: str | None,
    as_json: bool,
    **which: Any,
) -> None:
    """Do it with the letters that are meant, and tell how many they were."""
    chosen = _selection(**which)
    done = act(project.reach(endpoint_url, key_file, ca_file), **chosen)
    if as_json:
        output.show_json(done)
    else:
        click.echo(f"{word}: {done[word]}", err=True)
    if done["left"]:
        exits.fail(f"left as they were: {done['left']}; {done['why']}", exits.TEMPORARY)


def _selection(
    ids: tuple[str, ...],
    function: str | None,
    error: str | None,
    older_than: int | None,
    every: bool,
) -> dict[str, Any]:
    fitting = {"function": function, "error": error, "older_than_s": older_than}
    given = {name: value for name, value in fitting.items() if value is not None}
    if sum((bool(ids), bool(given), every)) != 1:
        raise click.UsageError(
            "Say which: by their ids, by --function, --error and --older-than, or --all."
        )
    return {"ids": list(ids)} if ids else given or {"all": True}


def _row(row: dict[str, Any]) -> list[str]:
    return [
        str(row["id"]),
        row["function"],
        row["error"] or "-",
        str(row["attempts"]),
        row["died_at"],
        row["source"] or "-",
        row["request_id"],
    ]
