"""Results that come as a stream of events, in AWS's JSON protocol. No I/O.

The first message is the rest of the result, which SDKs wait for before they hand the stream out.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any, NamedTuple

from microfaas.gateway import eventstream
from microfaas.gateway.aws import json_form
from microfaas.gateway.aws.model import Model, Operation
from microfaas.gateway.aws.service import Events
from microfaas.gateway.reply import Reply

_INITIAL = "initial-response"


class Streamed(NamedTuple):
    """A reply whose body comes by and by. The messages are to be closed, however far they got."""

    reply: Reply
    messages: AsyncGenerator[bytes, None]


def begun(model: Model, called: Operation, value: dict[str, Any], head: str) -> Streamed:
    """The reply of an operation whose result has a stream."""
    rest = dict(value)
    events: Events = rest.pop(model.stream_of(called.output))
    first = json_form.write(model, called.output, rest)
    reply = Reply(called.status, head + eventstream.CONTENT_TYPE, b"")
    return Streamed(reply, _messages(model, called.output, first, events))


async def _messages(
    model: Model, output: str, first: bytes, events: Events
) -> AsyncGenerator[bytes, None]:
    content_type = f"application/x-amz-json-{model.json_version}"
    async with contextlib.aclosing(events):
        yield eventstream.event(_INITIAL, content_type, first)
        shape = model.shape(model.shape(output).members[model.stream_of(output)].shape)
        async for kind, members in events:
            payload = json_form.write(model, shape.members[kind].shape, members)
            if kind in model.errors:
                yield eventstream.exception(kind, content_type, payload)
                return
            yield eventstream.event(kind, content_type, payload)
