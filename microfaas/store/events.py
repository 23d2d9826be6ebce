"""Events of functions as messages: what is kept beside the event itself."""

from __future__ import annotations

import msgspec

from microfaas import lineage
from microfaas.store.messages import Draft, Message
from microfaas.store.results import Attempt

PREFIX = "function:"


class EventAttributes(msgspec.Struct, frozen=True, array_like=True):
    """Kept with an event. `source` tells what produced it; empty for a call."""

    qualifier: str = ""
    trace_id: str = ""
    source: str = ""
    refusals: int = 0
    history: list[Attempt] = []


_encode = msgspec.msgpack.Encoder().encode
decode_attributes = msgspec.msgpack.Decoder(EventAttributes).decode


def encode_attributes(attributes: EventAttributes) -> bytes:
    return _encode(attributes)


def trace_of(message: Message, attributes: EventAttributes) -> str:
    """What an event is run for: what it came with, or else one trace for all attempts."""
    return attributes.trace_id or lineage.new_trace_id(message.uuid, message.at_ms / 1000)


def draft(
    function: str,
    event: bytes,
    *,
    qualifier: str = "",
    trace_id: str = "",
    source: str = "",
    delay_ms: int = 0,
) -> Draft:
    """An event of a function, to be put into a batch."""
    kept = _encode(EventAttributes(qualifier, trace_id, source))
    return Draft(PREFIX + function, event, kept, delay_ms)
