"""What authorizers have said, for as long as it counts; bounded, the oldest use goes first."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import NamedTuple

import msgspec

from microfaas.model import MIB
from microfaas.payloads.authorizers import Authorizer

BYTES_MAX = 4 * MIB
# What an entry takes beside its result.
_OVERHEAD_BYTES = 400


class Subject(NamedTuple):
    """Whom an authorizer was asked about: who calls which API, by a hash of what tells that."""

    authorizer: Authorizer
    api: str
    digest: bytes


class Kept(NamedTuple):
    """A result, and until when it counts."""

    payload: bytes
    until_s: float


def subject(authorizer: Authorizer, api: str, values: list[str]) -> Subject | None:
    """None where nothing is kept: without sources, nobody is known again."""
    if not values or not authorizer.ttl_s:
        return None
    return Subject(authorizer, api, hashlib.sha256(msgspec.json.encode(values)).digest())


class KeptVerdicts:
    """Times are seconds of any clock that only goes forward."""

    def __init__(self, bytes_max: int = BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._kept: OrderedDict[Subject, Kept] = OrderedDict()

    def get(self, about: Subject, now_s: float) -> bytes | None:
        """A result that still counts."""
        kept = self._kept.get(about)
        if kept is None:
            return None
        if kept.until_s <= now_s:
            self._drop(about)
            return None
        self._kept.move_to_end(about)
        return kept.payload

    def put(self, about: Subject, payload: bytes, now_s: float) -> None:
        if about in self._kept:
            self._drop(about)
        self._kept[about] = Kept(payload, now_s + about.authorizer.ttl_s)
        self._bytes += len(payload) + _OVERHEAD_BYTES
        while self._bytes > self._bytes_max:
            self._drop(next(iter(self._kept)))

    def _drop(self, about: Subject) -> None:
        self._bytes -= len(self._kept.pop(about).payload) + _OVERHEAD_BYTES
