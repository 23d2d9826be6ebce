"""Canaries of a deployment: a share of an alias's calls first; the gateway watches what becomes of
it, and the deployment waits to be told."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from urllib.parse import quote

import click

from microfaas.cli.deployment import aliases
from microfaas.cli.deployment.changes import Change, Changes, called, path_of
from microfaas.client import Client
from microfaas.errors import MicrofaasError

POLL_S = 0.5
_SHARE = re.compile(r"(\d{1,2}(?:\.\d{1,4})?)%")


class Canary(NamedTuple):
    """How a new version is tried: its share of the calls, for how long, and what ends it early."""

    share: float
    for_s: int
    rules: tuple[str, ...]


class Trial(NamedTuple):
    """A version that is to be tried under an alias, and the one that the alias means before."""

    function: str
    alias: str
    version: str
    before: str


class StillTried(MicrofaasError):
    """An alias is being tried already."""

    def __init__(self, function: str, alias: str, version: str) -> None:
        tried = f"{called(function, alias)} still tries version {version}"
        super().__init__(f"cannot begin a canary: {tried}")


def share(ctx: click.Context, param: click.Parameter, value: str | None) -> float | None:
    """The option's value as a number below one: 10%."""
    if value is None:
        return None
    match = _SHARE.fullmatch(value)
    if match is None or not float(match[1]):
        raise click.BadParameter(f"{value!r} is no share such as 10% or 0.5%.")
    return float(match[1]) / 100


def check(changes: Changes, functions: Iterable[str], alias: str) -> None:
    """Raises StillTried for a function whose alias tries a version already, and ClientError."""
    for function in functions:
        last = changes.look(_path(function, alias))
        if last is not None and last["state"] == "running":
            raise StillTried(function, alias, last["version"])


def trial(changes: Changes, function: str, alias: str, version: str) -> Trial | None:
    """A version to be tried under an alias; None where there is nothing to try it against, and it
    is pointed to at once. Raises ClientError."""
    there = changes.look(_alias_path(function, alias))
    if there is None or there["FunctionVersion"] == version:
        aliases.point(changes, function, alias, version)
        return None
    return Trial(function, alias, version, there["FunctionVersion"])


def begin(changes: Changes, trials: Iterable[Trial], canary: Canary) -> None:
    """Begin all of them or, where one is refused, none. Raises ClientError."""
    begun: list[Trial] = []
    try:
        for each in trials:
            _begin(changes, each, canary)
            begun.append(each)
    except BaseException:
        with contextlib.suppress(MicrofaasError):  # what was wrong first is told
            for each in begun:
                _undo(changes, each)
        raise


def _begin(changes: Changes, trial: Trial, canary: Canary) -> None:
    wanted = {
        "alias": trial.alias,
        "version": trial.version,
        "share": canary.share,
        "for_s": canary.for_s,
        "rollback_on": list(canary.rules),
    }
    told = f"{canary.share * 100:g}% to {aliases.shown(trial.version)}"
    changes.make(
        Change("alias", called(trial.function, trial.alias), "canary", told),
        lambda: changes.client.rest("POST", _path(trial.function), wanted),
    )


def _undo(changes: Changes, trial: Trial) -> None:
    """All calls go to the version before: the gateway then gives the canary up."""
    told = {"FunctionVersion": trial.before, "RoutingConfig": {"AdditionalVersionWeights": {}}}
    changes.make(
        Change("alias", called(trial.function, trial.alias), "undone", aliases.shown(trial.before)),
        lambda: changes.client.rest("PUT", _alias_path(trial.function, trial.alias), told),
    )


def follow(
    client: Client, begun: Iterable[Trial], tell: Callable[[str], None]
) -> list[dict[str, Any]]:
    """Wait until all canaries have ended, and tell of each; how they ended. Raises ClientError.

    Who stops waiting leaves them to the gateway.
    """
    ended = []
    for function, alias, *_ in begun:
        path = _path(function, alias)
        while (found := client.rest("GET", path))["state"] == "running":
            time.sleep(POLL_S)
        why = f": {found['why']}" if found["why"] else ""
        calls = f"{found['errors']} of {found['calls']} calls failed"
        tell(f"{function}:{alias} version {found['version']} {found['state']}{why} ({calls})")
        ended.append({"function": function, "name": alias, **found})
    return ended


def _path(function: str, alias: str = "") -> str:
    path = f"/_microfaas/v1/functions/{quote(function, safe='')}/rollouts"
    return f"{path}?alias={quote(alias, safe='')}" if alias else path


def _alias_path(function: str, alias: str) -> str:
    return path_of(function, "aliases", quote(alias, safe=""))
