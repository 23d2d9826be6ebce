"""What calls a function by another name at a gateway: versions, aliases and URLs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from microfaas.cli.deployment.changes import Change, Changes, called, differing, path_of
from microfaas.model import LATEST

if TYPE_CHECKING:
    from microfaas.cli.deployment.wanted import Wanted
    from microfaas.templates.stack import FunctionUrl

_URLS = "2021-10-31"


def publish(changes: Changes, function: str) -> str:
    """The version that is as the function is now; a new one only where there is none yet.

    Empty when that cannot be known, in a dry run. Raises ClientError.
    """
    if changes.dry:
        return ""
    made = changes.client.rest("POST", path_of(function, "versions"), {})
    return str(made["Version"])


def point(changes: Changes, function: str, alias: str, version: str) -> None:
    """Have an alias mean a version. Raises ClientError."""
    there = changes.look(path_of(function, "aliases", quote(alias, safe="")))
    if there is None:
        told = {"Name": alias, "FunctionVersion": version}
        changes.make(
            Change("alias", f"{function}:{alias}", "created", shown(version)),
            lambda: changes.client.rest("POST", path_of(function, "aliases"), told),
        )
    elif version and there["FunctionVersion"] != version:
        path = path_of(function, "aliases", quote(alias, safe=""))
        changes.make(
            Change("alias", f"{function}:{alias}", "changed", shown(version)),
            lambda: changes.client.rest("PUT", path, {"FunctionVersion": version}),
        )


def missing(changes: Changes, wanted: Wanted, made: Collection[str]) -> list[str]:
    """What the triggers of a function call and is not there, beside the aliases that were `made`.
    Raises ClientError."""
    called = {str(table["qualifier"]) for table in wanted.triggers if "qualifier" in table}
    return [
        name
        for name in sorted(called.difference(made, [LATEST]))
        if changes.look(path_of(wanted.name, "configuration", qualifier=name)) is None
    ]


def open_url(changes: Changes, url: FunctionUrl) -> None:
    """A function URL as it is to be. Raises ClientError."""
    path = path_of(url.function, "url", version=_URLS, qualifier=url.qualifier)
    there = changes.look(path)
    name = called(url.function, url.qualifier)
    if there is None:
        made: dict[str, Any] = {}
        changes.make(
            Change("url", name, "created"),
            lambda: made.update(changes.client.rest("POST", path, url.settings)),
        )
        if made:
            changes.made[-1] = changes.made[-1]._replace(what=made["FunctionUrl"])
    elif differing(url.settings, there):
        changes.make(
            Change("url", name, "changed", there["FunctionUrl"]),
            lambda: changes.client.rest("PUT", path, url.settings),
        )


def permit(
    changes: Changes, function: str, settings: Mapping[str, object], qualifier: str = ""
) -> None:
    """A permission, by AddPermission's parameters, unless there is one by its name. Raises
    ClientError."""
    path = path_of(function, "policy", qualifier=qualifier)
    there = changes.look(path)
    statement = str(settings["StatementId"])
    if there is None or f'"{statement}"' not in there["Policy"]:
        changes.make(
            Change("permission", called(function, qualifier), "added"),
            lambda: changes.client.rest("POST", path, settings),
        )


def shown(version: str) -> str:
    """A version, as a change tells of it."""
    return f"version {version}" if version else "the next version"
