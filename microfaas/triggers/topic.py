"""A function that is subscribed to a topic: the trigger kind "topic".

It is a subscription and nothing else: each message that is published becomes an event in the
function's queue, in the publication's own commit.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from microfaas.config import Trigger
from microfaas.triggers.kind import Surroundings


class TopicSettings(msgspec.Struct, kw_only=True):
    """`type = "topic"`: what is published to a topic of `[topics.NAME]`."""

    topic: Annotated[str, Meta(min_length=1, description="the topic's name")]
    filter: Annotated[
        dict[str, Any] | None, Meta(description="SNS's filter policy: only what it lets through")
    ] = None
    filter_scope: Annotated[
        Literal["MessageAttributes", "MessageBody"],
        Meta(description="what the filter is applied to"),
    ] = "MessageAttributes"


async def run(_: Trigger, around: Surroundings) -> None:
    """There is nothing to be done beside what publications do."""
    await around.stopping.wait()
