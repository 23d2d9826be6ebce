"""Canaries of a deployment: a share of an alias's calls first; the gateway watches what becomes of
it, and the deployment waits to be told."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import quote

import click

from microfaas.cli.deployment import aliases
from microfaas.cli.deployment.changes import Change, Changes, path_of
from microfaas.client import Client

POLL_S = 0.5
_SHARE = re.compile(r"(\d{1,2}(?:\.\d{1,4})?)%")


class Canary(NamedTuple):
    """How a new version is tried: its share of the calls, for how long, and what ends it early."""

    share: float
    for_s: int
    rules: tuple[str, ...]


def share(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """The option's value as a number below one: 10%."""
    if value is None:
        return None
    match = _SHARE.fullmatch(value)
    if match is None or not float(match[1]):
        raise click.BadParameter(f"{value!r} is no share such as 10% or 0.5%.")
    return float(match[1]) / 100


def begin(changes: Changes, function: str, alias: str, version: str, canary: Canary) -> bool:
    """Try a version under an alias; False where there is nothing to try it against, and it is
    pointed to at once. Raises ClientError."""
    there = changes.look(path_of(function, "aliases", quote(alias, safe="")))
    if there is None or there["FunctionVersion"] == version:
        aliases.point(changes, function, alias, version)
        return False
    wanted = {
        "alias": alias,
        "version": version,
        "share": canary.share,
        "for_s": canary.for_s,
        "rollback_on": list(canary.rules),
    }
    told = f"{canary.share * 100:g}% to {aliases.shown(version)}"
    changes.make(
        Change("alias", f"{function}:{alias}", "canary", told),
        lambda: changes.client.rest("POST", _path(function), wanted),
    )
    return not changes.dry


def follow(
    client: Client, begun: Iterable[tuple[str, str]], tell: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Wait until all canaries have ended, and tell of each; how they ended. Raises ClientError.

    Who stops waiting leaves them to the gateway.
    """
    ended = []
    for function, alias in begun:
        path = f"{_path(function)}?alias={quote(alias, safe='')}"
        while (found := client.rest("GET", path))["state"] == "running":
            time.sleep(POLL_S)
        why = f": {found['why']}" if found["why"] else ""
        calls = f"{found['errors']} of {found['calls']} calls failed"
        tell(f"{function}:{alias} version {found['version']} {found['state']}{why} ({calls})")
        ended.append({"function": function, "name": alias, **found})
    return ended


def _path(function: str) -> str:
    return f"/_microfaas/v1/functions/{quote(function, safe='')}/rollouts"
