"""How events are seen through, from the configuration to the model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from urllib.parse import urlsplit

from microfaas import strict
from microfaas.config import qualifiers
from microfaas.config.reach import absolute
from microfaas.config.tables import FunctionTable
from microfaas.errors import Problem
from microfaas.model import MIB, Destination, EventSettings, Function
from microfaas.payloads.eventbridge import BUS

_NAMED = ("function", "queue", "topic", "bus")
KNOWN = (
    f"function:NAME[:QUALIFIER], queue:NAME, topic:NAME, bus:{BUS}, an http: or https: URL, or "
    "directory:PATH"
)


def event_settings(
    where: str, row: FunctionTable, root: str, problems: list[Problem]
) -> EventSettings:
    dead_letter = _destination(f"{where}.dead_letter", row.dead_letter, root, problems)
    if dead_letter is not None and dead_letter.kind not in ("queue", "topic"):
        problems.append(Problem(f"{where}.dead_letter", "must be queue:NAME or topic:NAME"))
    return EventSettings(
        retries_max=row.retries_max,
        retry_delay_s=row.retry_delay_s,
        age_s_max=row.event_age_s_max,
        messages_max=row.events_max,
        bytes_max=row.events_mb_max * MIB,
        on_success=_destination(f"{where}.on_success", row.on_success, root, problems),
        on_failure=_destination(f"{where}.on_failure", row.on_failure, root, problems),
        dead_letter=dead_letter,
    )


def check_destinations(functions: Sequence[Function], problems: list[Problem]) -> None:
    """Functions are those of the file; queues and topics may be made at any time."""
    names = {function.name for function in functions}
    for function in functions:
        for key in ("on_success", "on_failure"):
            to: Destination | None = getattr(function.events, key)
            name = to.name.partition(":")[0] if to is not None else ""
            if to is not None and to.kind == "function" and name not in names:
                where = strict.join(strict.join("functions", function.name), key)
                problems.append(Problem(where, f"there is no function {name}"))


def _destination(
    where: str, text: str | None, root: str, problems: list[Problem]
) -> Destination | None:
    if text is None:
        return None
    made = destination(text, root)
    if made is None:
        problems.append(Problem(where, f"must be {KNOWN}, not {strict.shown(text)}"))
    return made


def destination(text: str, root: str) -> Destination | None:
    """What `queue:NAME` and the like mean; None when it means nothing."""
    kind, _, name = text.partition(":")
    if kind in ("http", "https"):
        try:
            parts = urlsplit(text)
            return Destination("url", text) if parts.hostname and parts.port != 0 else None
        except ValueError:
            return None
    if kind == "directory" and name:
        return Destination("directory", absolute(root, os.path.expanduser(name)))
    function, colon, qualifier = name.partition(":")
    if kind == "function" and (not function or (colon and qualifiers.refused(qualifier))):
        return None
    if kind == "bus" and name != BUS:
        return None
    for known in _NAMED:
        if kind == known and name:
            return Destination(known, name)  # type: ignore[arg-type]
    return None
