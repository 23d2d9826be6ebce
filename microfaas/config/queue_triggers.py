"""Triggers that take messages out of queues: their settings, and what they ask of a queue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from microfaas.config.functions import Trigger
from microfaas.config.queues import NAME_PATTERN, NAME_RULE, QueueTable, is_fifo
from microfaas.config.tables import FunctionTable
from microfaas.errors import Problem
from microfaas.patterns import InvalidPattern, compile_filters

# AWS has the same rules.
PLAIN_BATCH_MAX = 10
WINDOW_S_LEAST = 1


class QueueSettings(msgspec.Struct, kw_only=True):
    """`type = "queue"`: messages of a queue, several to a call."""

    queue: Annotated[str, Meta(min_length=1, description="the queue's name")]
    batch_size: Annotated[
        int, Meta(ge=1, le=10000, description="messages of one call at most; FIFO: up to 10")
    ] = 10
    window_s: Annotated[
        int, Meta(ge=0, le=300, description="how long to gather messages for a call, seconds")
    ] = 0
    concurrency: Annotated[
        Annotated[int, Meta(ge=2, le=1000)] | None,
        Meta(description="calls at once; default as many as the function may have"),
    ] = None
    filters: Annotated[
        list[str | dict[str, Any]],
        Meta(
            description="patterns, as of event source mappings; a message that fits none of them "
            "is removed"
        ),
    ] = msgspec.field(default_factory=list)
    report_batch_item_failures: Annotated[
        bool, Meta(description="the function returns which messages failed; the rest is removed")
    ] = False

    def check(self, where: str, problems: list[Problem]) -> None:
        """Tell what no single key shows."""
        if not NAME_PATTERN.fullmatch(self.queue):
            problems.append(Problem(f"{where}.queue", f"a name has {NAME_RULE}"))
        elif is_fifo(self.queue) and self.batch_size > PLAIN_BATCH_MAX:
            what = f"must be at most {PLAIN_BATCH_MAX} for a FIFO queue, not {self.batch_size}"
            problems.append(Problem(f"{where}.batch_size", what))
        elif self.batch_size > PLAIN_BATCH_MAX and self.window_s < WINDOW_S_LEAST:
            what = f"must be at least {WINDOW_S_LEAST} where batch_size is over {PLAIN_BATCH_MAX}"
            problems.append(Problem(f"{where}.window_s", what))
        try:
            compile_filters(self.filters, "body")
        except InvalidPattern as error:
            problems.append(Problem(f"{where}.filters", str(error)))


def check_visibility(
    rows: Iterable[tuple[str, FunctionTable]],
    triggers: Iterable[Trigger],
    queues: Mapping[str, QueueTable],
    problems: list[Problem],
) -> None:
    """A message must not come back while a function may still be at it."""
    timeouts = {name: row.timeout_s for name, row in rows}
    for trigger in triggers:
        settings = trigger.settings
        if not isinstance(settings, QueueSettings) or settings.queue not in queues:
            continue
        hidden_s, timeout_s = (
            queues[settings.queue].visibility_timeout_s,
            timeouts[trigger.function],
        )
        if hidden_s < timeout_s:
            where = f"queues.{settings.queue}.visibility_timeout_s"
            what = (
                f"must be at least {timeout_s:g}, the timeout_s of the function "
                f"{trigger.function} that it triggers, not {hidden_s}"
            )
            problems.append(Problem(where, what))
