"""`microfaas init`: a new project that works, with a test."""

from __future__ import annotations

import os
import re
import shlex
from importlib import resources
from importlib.resources.abc import Traversable

import click

_TEMPLATES = resources.files("microfaas.cli") / "templates"
# Files of the project end so, or tools would take them for code of microfaas itself.
_SUFFIX = ".template"
# What there is to do then, as commands for a shell.
_NEXT = "next.txt"
_SHEBANG = "#!"
_EPILOG = """\
\b
Examples:
  microfaas init hello
  microfaas init --runtime nodejs hello
"""


def runtimes() -> list[str]:
    """The languages that there are templates of."""
    return sorted(entry.name for entry in _TEMPLATES.iterdir() if entry.is_dir())


@click.command("init", epilog=_EPILOG)
@click.argument("directory", metavar="DIR", type=click.Path(file_okay=False))
@click.option(
    "--runtime",
    type=click.Choice(runtimes()),
    default="python",
    show_default=True,
    help="The function's language.",
)
def command(directory: str, runtime: str) -> None:
    """Make a project in DIR: one function, its test and its microfaas.toml.

    The function is called as the directory is. DIR must be empty or not exist. The commands that
    build, test, serve and call it are printed.
    """
    if os.path.isdir(directory) and os.listdir(directory):
        raise click.BadParameter(f"{directory} is not empty.", param_hint="DIR")
    template = _TEMPLATES / runtime
    values = {"@NAME@": _function_name(directory), "@DIR@": shlex.quote(directory)}
    _copy(template, directory, values)
    click.echo(f"Made the function {values['@NAME@']} in {directory}. Now:")
    for line in _filled(template / _NEXT, values).splitlines():
        click.echo(f"  {line}")


def _function_name(directory: str) -> str:
    name = os.path.basename(os.path.abspath(directory))
    return re.sub(r"[^a-zA-Z0-9_-]+", "-", name).strip("-")[:64] or "hello"


def _copy(source: Traversable, target: str, values: dict[str, str]) -> None:
    os.makedirs(target, exist_ok=True)
    for entry in source.iterdir():
        place = os.path.join(target, entry.name.removesuffix(_SUFFIX))
        if entry.is_dir():
            _copy(entry, place, values)
        elif entry.name.endswith(_SUFFIX):
            _write(place, _filled(entry, values))


def _write(place: str, text: str) -> None:
    with open(place, "x", encoding="utf-8") as file:
        file.write(text)
        # A wheel does not keep modes.
        if text.startswith(_SHEBANG):
            os.fchmod(file.fileno(), 0o755)


def _filled(template: Traversable, values: dict[str, str]) -> str:
    text = template.read_text(encoding="utf-8")
    for name, value in values.items():
        text = text.replace(name, value)
    return text
