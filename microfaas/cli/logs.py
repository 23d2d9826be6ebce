"""`microfaas logs`: what a function has printed, with Lambda's START, END and REPORT lines."""

from __future__ import annotations

import glob
import json
import os
import sys
from collections import deque
from collections.abc import Iterable

import click

from microfaas import log
from microfaas.cli import exits, project
from microfaas.config import NAME_PATTERN
from microfaas.log import Entry

LINES = 100
_EPILOG = """\
\b
Examples:
  microfaas logs hello
  microfaas logs hello -f -n 10
  microfaas logs hello --request-id 8f5c6e0a-...
  microfaas logs hello --json -n 1000 | jq -r 'select(.text | test("ERROR")).time'

A line has the time (UTC), the instance, and what it printed. The files are read directly: the
server need not run.
"""


@click.command("logs", epilog=_EPILOG)
@click.argument("name")
@click.option("-f", "--follow", is_flag=True, help="Go on with new lines until Ctrl-C.")
@click.option(
    "-n", "--lines", type=click.IntRange(min=0), default=LINES, show_default=True, help="How many."
)
@click.option("--request-id", metavar="ID", help="Only the lines of one request.")
@click.option("--data", metavar="DIR", help="The server's data directory.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object per line.")
def command(
    name: str,
    follow: bool,
    lines: int,
    request_id: str | None,
    data: str | None,
    as_json: bool,
) -> None:
    """Print the last lines that the function NAME has logged."""
    if not NAME_PATTERN.fullmatch(name):
        raise click.BadParameter(f"{name!r} is no function's name.", param_hint="NAME")
    path = log.path_of(project.data_dir(data), name)
    if not follow and not os.path.exists(path):
        exits.fail(_missing(name, path), exits.PERMANENT)
    found: Iterable[Entry] = log.entries(_lines(path, follow, lines, bool(request_id)))
    if request_id:
        found = log.of_request(found, request_id)
        found = found if follow else deque(found, maxlen=lines)
    for entry in found:
        click.echo(_text(entry, as_json))


def _lines(path: str, follow: bool, lines: int, all_kept: bool) -> Iterable[str]:
    """One request's lines may be anywhere, so for one all that is kept is looked through."""
    count = sys.maxsize if all_kept else lines
    return log.follow(path, count) if follow else log.tail(path, count)


def _text(entry: Entry, as_json: bool) -> str:
    if as_json:
        return json.dumps(entry._asdict())
    if not entry.time:
        return entry.text
    return f"{click.style(f'{entry.time} {entry.instance}', dim=True)}\t{entry.text}"


def _missing(name: str, path: str) -> str:
    directory = os.path.dirname(path)
    names = sorted(
        os.path.basename(found).removesuffix(".log") for found in glob.glob(f"{directory}/*.log")
    )
    hint = f"logs there are of: {', '.join(names)}" if names else "there are no logs"
    return f"cannot find a log of {name} in {directory}: {hint}"
