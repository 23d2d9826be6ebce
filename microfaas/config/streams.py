"""Triggers of `type = "stream"`, and what is wrong with them or with streams."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from microfaas import strict
from microfaas.config.events import KNOWN, destination
from microfaas.config.functions import Trigger
from microfaas.config.reach import absolute
from microfaas.config.stream_tables import StreamTable
from microfaas.errors import Problem
from microfaas.patterns import InvalidPattern, compile_filters

NAME_PATTERN = re.compile(r"[a-zA-Z0-9_.-]{1,128}")
Start = Literal["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"]


class StreamSettings(msgspec.Struct, kw_only=True):
    """`type = "stream"`: the records of a `[streams.NAME]`, in batches."""

    stream: Annotated[str, Meta(min_length=1, description="the stream's name")]
    starting_position: Annotated[
        Start,
        Meta(description="where to begin when the trigger is new; later it goes on where it was"),
    ] = "LATEST"
    starting_at: Annotated[
        datetime | None, Meta(description="the time for AT_TIMESTAMP, such as 2026-11-24T12:00:00Z")
    ] = None
    batch_size: Annotated[int, Meta(ge=1, le=10000, description="records of a batch, at most")] = (
        100
    )
    window_s: Annotated[
        float, Meta(ge=0, le=300, description="how long to wait for a batch to fill up, seconds")
    ] = 0.0
    parallelization: Annotated[
        int,
        Meta(ge=1, le=10, description="batches of one shard at once; a key's stay in order"),
    ] = 1
    bisect_on_error: Annotated[
        bool, Meta(description="try the halves of a batch that failed, to find what it fails of")
    ] = False
    retries_max: Annotated[
        int, Meta(ge=-1, le=10000, description="how often a batch is tried again; -1: for ever")
    ] = -1
    record_age_s_max: Annotated[
        int, Meta(ge=-1, le=604800, description="older records are given up, seconds; -1: never")
    ] = -1
    on_failure: Annotated[
        str | None,
        Meta(
            description="where the record of a batch that was given up is sent, as a function's; "
            "without it the batch is kept as a dead letter"
        ),
    ] = None
    filters: Annotated[
        list[dict[str, Any]],
        Meta(description="patterns of records, `{ data = { … } }`; others are skipped"),
    ] = msgspec.field(default_factory=list)
    report_batch_item_failures: Annotated[
        bool, Meta(description="whether the result may name the records that failed")
    ] = False
    tumbling_window_s: Annotated[
        int, Meta(ge=0, le=900, description="length of the windows that pass a state on, seconds")
    ] = 0

    @property
    def starting_ms(self) -> int:
        """The time for AT_TIMESTAMP; without an offset it is in UTC."""
        if self.starting_at is None:
            return 0
        moment = self.starting_at
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)

    def check(self, where: str, problems: list[Problem]) -> None:
        """What no one key shows."""
        if (self.starting_position == "AT_TIMESTAMP") != (self.starting_at is not None):
            what = 'goes with starting_position = "AT_TIMESTAMP", and that needs it'
            problems.append(Problem(f"{where}.starting_at", what))
        if self.on_failure is not None and destination(self.on_failure, "/") is None:
            what = f"must be {KNOWN}, not {strict.shown(self.on_failure)}"
            problems.append(Problem(f"{where}.on_failure", what))
        if self.tumbling_window_s and self.parallelization > 1:
            what = "must be 1 with tumbling_window_s: a window is of a whole shard"
            problems.append(Problem(f"{where}.parallelization", what))
        if 0 <= self.record_age_s_max < 60:
            problems.append(Problem(f"{where}.record_age_s_max", "must be -1, or 60 or more"))
        try:
            compile_filters(self.filters, "data")
        except (InvalidPattern, TypeError) as error:
            problems.append(Problem(f"{where}.filters", str(error)))


def check_streams(
    tables: Mapping[str, StreamTable],
    readers: Mapping[str, list[StreamSettings]],
    problems: list[Problem],
) -> None:
    """The streams, and by function the triggers that read them."""
    for name in tables:
        if not NAME_PATTERN.fullmatch(name):
            what = "a name has 1 to 128 letters, digits, dots, hyphens and underscores"
            problems.append(Problem(strict.join("streams", name), what))
    for function, settings in readers.items():
        where = f"{strict.join('functions', function)}.triggers"
        names = [each.stream for each in settings]
        for name in dict.fromkeys(names):
            if name not in tables:
                what = f"reads the stream {strict.shown(name)}, which must be in [streams] too"
                problems.append(Problem(where, what))
            if names.count(name) > 1:
                what = f"reads the stream {strict.shown(name)} twice; once will do"
                problems.append(Problem(where, what))


def readers(triggers: Iterable[Trigger]) -> dict[str, list[StreamSettings]]:
    """Triggers that read streams, by function."""
    found: dict[str, list[StreamSettings]] = {}
    for trigger in triggers:
        if isinstance(trigger.settings, StreamSettings):
            found.setdefault(trigger.function, []).append(trigger.settings)
    return found


def settled(tables: Mapping[str, StreamTable], root: str) -> dict[str, StreamTable]:
    """With the files' paths made absolute."""
    return {name: _settled(table, root) for name, table in tables.items()}


def _settled(table: StreamTable, root: str) -> StreamTable:
    if table.source is None:
        return table
    path = absolute(root, os.path.expanduser(table.source.path))
    source = msgspec.structs.replace(table.source, path=path)
    return msgspec.structs.replace(table, source=source)
