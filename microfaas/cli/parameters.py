"""Parameters as options take them: NAME=VALUE."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click


def parameters(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option that gives a template's parameters, as `parameter`."""
    return click.option(
        "--parameter",
        metavar="NAME=VALUE",
        multiple=True,
        callback=_pairs,
        help="A value for a template's parameter; may be repeated.",
    )(command)


def _pairs(ctx: click.Context, param: click.Parameter, told: tuple[str, ...]) -> dict[str, str]:
    pairs = {}
    for text in told:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE.")
        pairs[name] = value
    return pairs
