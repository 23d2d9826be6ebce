"""Durations as options take them: a number with a unit."""

from __future__ import annotations

import re
from types import MappingProxyType

import click

_UNITS_S = MappingProxyType({"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800})


def seconds(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """The option's value in seconds: 90s, 30m, 12h, 1d, 2w."""
    if value is None:
        return None
    match = re.fullmatch(r"([0-9]{1,6})([smhdw])", value)
    if match is None:
        raise click.BadParameter(f"{value!r} is no duration such as 30m, 12h, 1d or 2w.")
    return int(match[1]) * _UNITS_S[match[2]]
