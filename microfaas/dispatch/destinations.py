"""Where outcomes go: a destination's name becomes messages in a batch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from microfaas.model import Destination
from microfaas.store import events
from microfaas.store.messages import Batch, Draft

OUTBOX_PREFIX = "outbox:"
Attributes = Mapping[str, tuple[str, str]]

# Puts a body, with message attributes as name → (type, value) and a trace, where a name says.
Sink = Callable[[Batch, str, bytes, Attributes, str], None]


class Destinations:
    """Each kind of destination has a sink that knows its form of message."""

    def __init__(self, sinks: Mapping[str, Sink]) -> None:
        """`sinks` are those of queues, topics and the bus, which know who listens to them."""
        self._sinks: Mapping[str, Sink] = {
            "function": _to_function,
            "url": _to_outbox,
            "directory": _to_outbox,
            **sinks,
        }

    def send(
        self,
        batch: Batch,
        to: Destination,
        body: bytes,
        attributes: Attributes | None = None,
        trace_id: str = "",
    ) -> None:
        """Have the body sent as part of the batch. Raises MicrofaasError where there is no such
        place any more."""
        self._sinks[to.kind](batch, to.name, body, attributes or {}, trace_id)


def _to_function(batch: Batch, name: str, body: bytes, _: Attributes, trace_id: str) -> None:
    name, _sep, qualifier = name.partition(":")
    batch.put(
        events.draft(name, body, qualifier=qualifier, trace_id=trace_id, source="destination")
    )


def _to_outbox(batch: Batch, name: str, body: bytes, _: Attributes, trace_id: str) -> None:
    batch.put(Draft(OUTBOX_PREFIX + name, body, trace_id.encode()))
