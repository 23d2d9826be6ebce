"""`microfaas init`: a new project that works, with a test."""

from __future__ import annotations

import os
import re
from importlib import resources
from importlib.resources.abc import Traversable

import click

# The templates' names end so, or tools would take them for code of microfaas itself.
SUFFIX = ".template"
RUNTIMES = ("python",)
_EPILOG = """\
\b
Example:
  microfaas init hello
  cd hello
  microfaas run
"""


@click.command("init", epilog=_EPILOG)
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False))
@click.option(
    "--runtime",
    type=click.Choice(RUNTIMES),
    default=RUNTIMES[0],
    show_default=True,
    help="The function's language.",
)
def command(directory: str, runtime: str) -> None:
    """Make a project in DIR: one function, its test and its microfaas.toml.

    The function is called as the directory is. DIR must be empty or not exist.
    """
    if os.path.isdir(directory) and os.listdir(directory):
        raise click.BadParameter(f"{directory} is not empty.", param_hint="DIR")
    name = _function_name(directory)
    _copy(resources.files("microfaas.cli") / "templates" / runtime, directory, name)
    click.echo(f"Made the function {name} in {directory}. Now:")
    click.echo(f"  microfaas run {directory}")
    click.echo(f'  microfaas invoke {name} -d \'{{"name": "Ada"}}\'')
    click.echo(f"  cd {directory} && python3 -m unittest")


def _function_name(directory: str) -> str:
    name = os.path.basename(os.path.abspath(directory))
    return re.sub(r"[^a-zA-Z0-9_-]+", "-", name).strip("-")[:64] or "hello"


def _copy(source: Traversable, target: str, name: str) -> None:
    os.makedirs(target, exist_ok=True)
    for entry in source.iterdir():
        place = os.path.join(target, entry.name.removesuffix(SUFFIX))
        if entry.is_dir():
            _copy(entry, place, name)
        else:
            with open(place, "x", encoding="utf-8") as file:
                file.write(entry.read_text(encoding="utf-8").replace("@NAME@", name))
