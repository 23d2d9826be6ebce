"""Queues: what may stand in a `[queues.NAME]` table, and what it comes to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from microfaas import strict
from microfaas.errors import Problem
from microfaas.model import MIB

NAME_PATTERN = re.compile(r"[a-zA-Z0-9_-]{1,80}|[a-zA-Z0-9_-]{1,75}\.fifo")
NAME_RULE = "1 to 80 letters, digits, hyphens and underscores; a FIFO queue's ends in .fifo"
FIFO_SUFFIX = ".fifo"


class QueueTable(msgspec.Struct, frozen=True, kw_only=True):
    """One `[queues.NAME]` table; a FIFO queue's name ends in `.fifo`."""

    fifo: Annotated[
        bool | None,
        Meta(description="keep order within groups of messages; default by the name"),
    ] = None
    content_based_deduplication: Annotated[
        bool,
        Meta(description="FIFO: a body's hash is its deduplication id when none is given"),
    ] = False
    visibility_timeout_s: Annotated[
        int,
        Meta(ge=0, le=43200, description="nobody else gets a received message for so long, s"),
    ] = 30
    delay_s: Annotated[
        int, Meta(ge=0, le=900, description="time before a message may be received, seconds")
    ] = 0
    retention_s: Annotated[
        int,
        Meta(ge=60, le=1209600, description="older messages become dead letters, seconds"),
    ] = 345600
    receive_wait_s: Annotated[
        int, Meta(ge=0, le=20, description="how long a receive waits for a message, seconds")
    ] = 0
    message_bytes_max: Annotated[
        int, Meta(ge=1024, le=MIB, description="bytes of a message with its attributes")
    ] = MIB
    dead_letter_queue: Annotated[
        str, Meta(description="the queue for what was received more than `receives_max` times")
    ] = ""
    receives_max: Annotated[
        int, Meta(ge=1, le=1000, description="how often a message is received before that")
    ] = 10
    messages_max: Annotated[
        int, Meta(ge=1, le=100000000, description="messages that it may hold; more are refused")
    ] = 1_000_000
    mb_max: Annotated[
        int, Meta(ge=1, le=1048576, description="what they may take of the disk, MiB")
    ] = 1024


def queue_tables(raw: object, problems: list[Problem]) -> dict[str, QueueTable]:
    """The file's queues, each with its faults named."""
    if not isinstance(raw, Mapping):
        problems.append(Problem("queues", "must be a table of tables"))
        return {}
    made = {}
    for name, row in raw.items():
        where = strict.join("queues", name)
        table = strict.convert(row, QueueTable, where, problems)
        if not NAME_PATTERN.fullmatch(name):
            problems.append(Problem(where, f"a name has {NAME_RULE}"))
        elif table is not None:
            made[name] = _settled(where, name, table, problems)
    for name, table in made.items():
        _check_dead_letter(strict.join("queues", name), name, table, made, problems)
    return made


def is_fifo(name: str) -> bool:
    return name.endswith(FIFO_SUFFIX)


def _settled(where: str, name: str, table: QueueTable, problems: list[Problem]) -> QueueTable:
    fifo = is_fifo(name) if table.fifo is None else table.fifo
    if fifo != is_fifo(name):
        what = f"a FIFO queue's name, and no other's, ends in {FIFO_SUFFIX}"
        problems.append(Problem(f"{where}.fifo", what))
    if table.content_based_deduplication and not fifo:
        what = "is for FIFO queues alone"
        problems.append(Problem(f"{where}.content_based_deduplication", what))
    return msgspec.structs.replace(table, fifo=fifo)


def _check_dead_letter(
    where: str,
    name: str,
    table: QueueTable,
    made: Mapping[str, QueueTable],
    problems: list[Problem],
) -> None:
    target = table.dead_letter_queue
    if not target:
        return
    if target not in made:
        what = f"is {strict.shown(target)}, which must be in [queues] too"
    elif target == name:
        what = "must be another queue"
    elif is_fifo(target) != is_fifo(name):
        what = "must be of the same kind: FIFO for a FIFO queue, and not for another"
    else:
        return
    problems.append(Problem(f"{where}.dead_letter_queue", what))
