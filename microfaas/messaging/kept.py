"""What is kept with a message in a queue beside its body, and what its receivers hold: handles."""

from __future__ import annotations

import base64
import binascii
import os
import struct
from typing import NamedTuple

import msgspec

from microfaas import lineage
from microfaas.config.queues import is_fifo
from microfaas.payloads.sqs import MessageAttributes
from microfaas.store.messages import Draft, Message

PREFIX = "queue:"
TOKEN_BYTES = 16
_HANDLE = struct.Struct(f">QI{TOKEN_BYTES}s")


class Kept(msgspec.Struct, frozen=True, array_like=True):
    """In the store's `attributes`; values are bytes, text's too. `message_id` and `sent_ms` are
    set once a message has moved from one queue to another, where its row is a new one."""

    attributes: dict[str, tuple[str, bytes]] = {}
    sender: str = ""
    trace: str = ""
    group: str = ""
    deduplication_id: str = ""
    message_id: str = ""
    sent_ms: int = 0
    # The queue it was given up in, while it is in that one's dead letter queue.
    origin: str = ""
    first_ms: int = 0
    token: bytes = b""


_encode = msgspec.msgpack.Encoder().encode
decode_kept = msgspec.msgpack.Decoder(Kept).decode


def encode_kept(kept: Kept) -> bytes:
    return _encode(kept)


def is_binary(kind: str) -> bool:
    """Whether a type of attributes has bytes for values, not text."""
    return kind.partition(".")[0] == "Binary"


def in_bytes(attributes: MessageAttributes) -> dict[str, tuple[str, bytes]]:
    """Attributes as they are kept."""
    return {
        name: (kind, value.encode() if isinstance(value, str) else value)
        for name, (kind, value) in attributes.items()
    }


class Handle(NamedTuple):
    """A receipt handle: which row, of which queue, and what only its last receiver knows."""

    number: int
    queue: int
    token: bytes

    def __str__(self) -> str:
        return base64.urlsafe_b64encode(_HANDLE.pack(*self)).decode()


def read_handle(text: str) -> Handle | None:
    """None for what is no receipt handle."""
    try:
        raw = base64.b64decode(text, altchars=b"-_", validate=True)
        return Handle(*_HANDLE.unpack(raw))
    except (binascii.Error, ValueError, struct.error):
        return None


def new_token() -> bytes:
    return os.urandom(TOKEN_BYTES)


class Received(NamedTuple):
    """A message that was received, as it is on disk now."""

    message: Message
    kept: Kept

    @property
    def id(self) -> str:
        return self.kept.message_id or self.message.uuid

    @property
    def handle(self) -> str:
        return str(Handle(self.message.id, self.message.queue, self.kept.token))

    def system(self) -> dict[str, str]:
        """SQS's own attributes of it."""
        kept = self.kept
        told = {
            "ApproximateReceiveCount": str(self.message.attempts),
            "SentTimestamp": str(kept.sent_ms or self.message.at_ms),
            "SenderId": kept.sender,
            "ApproximateFirstReceiveTimestamp": str(kept.first_ms),
        }
        if self.message.group is not None:
            told["SequenceNumber"] = sequence_number(self.message.id)
        optional = {
            "MessageGroupId": kept.group,
            "MessageDeduplicationId": kept.deduplication_id,
            "AWSTraceHeader": kept.trace,
            "DeadLetterQueueSourceArn": kept.origin,
        }
        return told | {name: value for name, value in optional.items() if value}

    @property
    def attributes(self) -> MessageAttributes:
        return {
            name: (kind, value if is_binary(kind) else value.decode())
            for name, (kind, value) in self.kept.attributes.items()
        }


def sequence_number(number: int) -> str:
    """Of a FIFO queue: as many digits as AWS's, so that they compare as text too."""
    return f"{number:020d}"


def revived(queue: str, body: bytes, attributes: bytes) -> Draft:
    """The draft of a dead letter that goes back to where it was, by the store's name of that."""
    group = (decode_kept(attributes).group or queue) if is_fifo(queue) else None
    if lineage.MARK.encode() in attributes:
        attributes = encode_kept(_begun_anew(decode_kept(attributes)))
    return Draft(queue, body, attributes, group=group)


def transferred(message: Message, to: str, origin: str, grouped: bool) -> Draft:
    """The same message for another queue; `origin` is the one it was given up in, or empty when
    somebody moves it."""
    kept = decode_kept(message.attributes)
    if not origin:
        kept = _begun_anew(kept)
    moved = msgspec.structs.replace(
        kept,
        message_id=kept.message_id or message.uuid,
        sent_ms=kept.sent_ms or message.at_ms,
        origin=origin,
        first_ms=0,
        token=b"",
    )
    group = (kept.group or message.uuid) if grouped else None
    return Draft(PREFIX + to, message.body, encode_kept(moved), group=group)


def _begun_anew(kept: Kept) -> Kept:
    """What somebody sends again is not refused for where it went before."""
    return msgspec.structs.replace(kept, trace=lineage.begun_anew(kept.trace))
