"""Event source mappings at a gateway: what functions read that is not there itself."""

from __future__ import annotations

from urllib.parse import urlencode

from microfaas.cli.deployment.changes import Change, Changes, differing
from microfaas.templates.stack import SourceMapping

_PATH = "/2015-03-31/event-source-mappings"
# A mapping's for good; the rest can be changed.
_FIXED = ("EventSourceArn", "StartingPosition", "StartingPositionTimestamp", "Tags")
# Told in other words than asked for.
_TOLD_OTHERWISE = ("Enabled", "FunctionName")


def read(changes: Changes, mapping: SourceMapping) -> None:
    """Have a function read its source, as it is to. Raises ClientError."""
    settings, source = mapping.settings, mapping.settings["EventSourceArn"]
    query = urlencode({"FunctionName": settings["FunctionName"], "EventSourceArn": source})
    known = (changes.look(f"{_PATH}?{query}") or {}).get("EventSourceMappings", [])
    if not known:
        changes.make(
            Change("mapping", mapping.function, "created", source),
            lambda: changes.client.rest("POST", _PATH, settings),
        )
        return
    left = (*_FIXED, *_TOLD_OTHERWISE)
    wanted = {key: value for key, value in settings.items() if key not in left}
    if changed := differing(wanted, known[0]):
        changes.make(
            Change("mapping", mapping.function, "changed", ", ".join(changed)),
            lambda: changes.client.rest("PUT", f"{_PATH}/{known[0]['UUID']}", changed),
        )
