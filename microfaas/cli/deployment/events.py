"""How events are seen through at a gateway: retries, age and destinations."""

from __future__ import annotations

from typing import Any

from microfaas.cli.deployment.changes import Change, Changes, called, differing, path_of
from microfaas.cli.deployment.wanted import Wanted


def see_through(changes: Changes, wanted: Wanted, alias: str = "") -> None:
    """Set what a function's events, or those of its alias, are to have. Raises ClientError."""
    told = wanted.events
    if told is None:
        return
    path = path_of(wanted.name, "event-invoke-config", version="2019-09-25", qualifier=alias)
    there = changes.look(path)
    if there is None or differing(told, _comparable(there)):
        did = "created" if there is None else "changed"
        changes.make(
            Change("event settings", called(wanted.name, alias), did, ", ".join(told)),
            lambda: changes.client.rest("PUT", path, told),
        )


def _comparable(there: dict[str, Any]) -> dict[str, Any]:
    """What GetFunctionEventInvokeConfig tells, without destinations that lead nowhere."""
    ends = there.get("DestinationConfig", {})
    return {**there, "DestinationConfig": {key: end for key, end in ends.items() if end}}
