"""How streams name things: shards, hash ranges, sequence numbers, iterators. Pure."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import NamedTuple

import msgspec

from microfaas.errors import ServiceError

HASHES = 1 << 128
SHARDS_MAX = 64
# 56 digits, as Kinesis's: two that never change, the shard's number on disk, the record's own.
_LEAD, _SHARD_DIGITS, _OWN_DIGITS = "49", 10, 44
ITERATOR_S = 300
_SIGNATURE_BYTES = 16


def shard_id(index: int) -> str:
    return f"shardId-{index:012d}"


def shard_index(name: str) -> int | None:
    """Which shard it is; None when it is not the id of any."""
    digits = name.removeprefix("shardId-")
    index = int(digits) if len(digits) == 12 and digits.isdecimal() else -1
    return index if index >= 0 and shard_id(index) == name else None


def hash_range(index: int, shards: int) -> tuple[int, int]:
    """The first and the last hash key of a shard; all of them together are all there are."""
    return HASHES * index // shards, HASHES * (index + 1) // shards - 1


def hash_of(partition_key: str) -> int:
    """Where a partition key falls, as Kinesis has it."""
    digest = hashlib.md5(partition_key.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest, "big")


def shard_of(hash_key: int, shards: int) -> int:
    """Which shard has it in its range."""
    index = hash_key * shards // HASHES
    # Ranges are rounded down, so its begin may belong to the next.
    return index + (index + 1 < shards and hash_key >= hash_range(index + 1, shards)[0])


def lane_of(partition_key: str, lanes: int) -> int:
    """Which of a shard's lanes works at a key; another part of the hash than shards go by."""
    return hash_of(partition_key) % lanes if lanes > 1 else 0


def sequence_number(shard: int, sequence: int) -> str:
    """A record's number as callers see it; it grows within a shard."""
    return f"{_LEAD}{shard:0{_SHARD_DIGITS}d}{sequence:0{_OWN_DIGITS}d}"


def sequence_of(number: str, shard: int) -> int | None:
    """The number within the shard; None when it is of another one, or of none."""
    lead = f"{_LEAD}{shard:0{_SHARD_DIGITS}d}"
    if len(number) != len(lead) + _OWN_DIGITS or not number.startswith(lead):
        return None
    own = int(number[len(lead) :]) if number.isdecimal() else 1 << 63
    return own if own < 1 << 63 else None


class Place(NamedTuple):
    """What an iterator stands for: behind which record of a shard, and when it was given."""

    shard: int
    after: int
    given_ms: int


def iterator(place: Place, secret: bytes) -> str:
    """A place as callers get it: nothing that they could make themselves."""
    body = msgspec.msgpack.encode(place)
    return base64.urlsafe_b64encode(_sign(body, secret) + body).decode()


def place_of(text: str, secret: bytes, now_ms: int) -> Place:
    """Raises ServiceError for an iterator that is none, or is too old."""
    try:
        signed = base64.urlsafe_b64decode(text)
        signature, body = signed[:_SIGNATURE_BYTES], signed[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, _sign(body, secret)):
            raise ValueError
        place = msgspec.msgpack.decode(body, type=Place)
    except ValueError:
        raise ServiceError("InvalidArgumentException", "Invalid ShardIterator.") from None
    if now_ms - place.given_ms > ITERATOR_S * 1000:
        raise ServiceError(
            "ExpiredIteratorException",
            f"Iterator expired. It was given {(now_ms - place.given_ms) // 1000} s ago; use it "
            f"within {ITERATOR_S} s, or ask for a new one.",
        )
    return place


def _sign(body: bytes, secret: bytes) -> bytes:
    return hmac.digest(secret, body, "sha256")[:_SIGNATURE_BYTES]
