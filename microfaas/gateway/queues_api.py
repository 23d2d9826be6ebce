"""The control API's part about queues: looking into one without receiving anything."""

from __future__ import annotations

from microfaas.errors import InvalidRequest, ServiceError
from microfaas.gateway.invocations_api import Asked, Operation
from microfaas.gateway.reply import Reply, as_json
from microfaas.messaging.kept import Received, decode_kept
from microfaas.messaging.queues import Queues
from microfaas.store.messages import Message

LIMIT = 10
LIMIT_MAX = 1000


class QueuesApi:
    """Reads, and makes replies of what it finds."""

    def __init__(self, queues: Queues) -> None:
        self._queues = queues
        self.operations = (
            Operation("GET", "/queues/{id}/messages", "PeekQueue", None, self._peek),
        )

    def _look(self, name: str, limit: int) -> list[tuple[Message, str]]:
        try:
            return self._queues.look(name, limit)
        except ServiceError as error:
            raise InvalidRequest(f"cannot look into {name}: {error}", error.kind) from None

    async def _peek(self, asked: Asked) -> Reply:
        """What is in a queue, in the order in which it may be received."""
        asked.permit("receive", asked.id)
        text = asked.query.get("limit", str(LIMIT))
        if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= LIMIT_MAX):
            raise InvalidRequest(f"limit must be 1 to {LIMIT_MAX}, not {text[:20]}")
        rows = []
        for message, state in self._look(asked.id, int(text)):
            one = Received(message, decode_kept(message.attributes))
            rows.append(
                {
                    "id": one.id,
                    "state": state,
                    "body": message.body.decode(),
                    "attributes": one.system(),
                    "message_attributes": {
                        name: {"type": kind, "value": value if isinstance(value, str) else None}
                        for name, (kind, value) in one.attributes.items()
                    },
                }
            )
        return as_json({"messages": rows}, asked.request_id)
