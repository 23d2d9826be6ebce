"""How far a trigger has come in a stream elsewhere, as it is kept among the resources.

Numbers there have up to 56 digits, which is why they are text here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

import msgspec

from microfaas.store.resources import Change, Resource, Resources
from microfaas.store.streams import Checkpoint
from microfaas.triggers import batching
from microfaas.triggers.batching import Progress

SHARDS, LANES = "remote-shard", "remote-lane"
Start = Literal["TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"]


class ShardRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a shard was begun, and whether all of it is dealt with. `since_ms`: what came before
    is not asked for."""

    start: Start = "TRIM_HORIZON"
    since_ms: int = 0
    over: bool = False


class LaneRow(msgspec.Struct, frozen=True):
    """How far one lane has come."""

    lane: int
    lanes: int
    after: str
    state: bytes


class Book:
    """What is kept for one consumer."""

    def __init__(self, resources: Resources, consumer: str) -> None:
        """Raises MachineError."""
        self._resources = resources
        self._prefix = f"{consumer}|"
        self.shards: dict[str, ShardRow] = {
            name: msgspec.json.decode(settings, type=ShardRow)
            for name, settings in self._rows(SHARDS)
        }

    @property
    def begun(self) -> bool:
        """Whether the trigger has ever found the stream."""
        return "" in self.shards

    def put(self, shard: str, row: ShardRow) -> Change:
        """For a batch; the empty name stands for the stream."""
        self.shards[shard] = row
        return self._stored(SHARDS, shard, msgspec.json.encode(row))

    def lanes(self, shard: str) -> list[Checkpoint]:
        """How far a shard's lanes have come."""
        found = []
        for name, settings in self._rows(LANES):
            if name.rpartition("|")[0] == shard:
                row = msgspec.json.decode(settings, type=LaneRow)
                found.append(Checkpoint(0, row.lane, row.lanes, int(row.after), row.state))
        return found

    def reached(self, shard: str, lane: int, lanes: int, progress: Progress) -> Change:
        """For a batch."""
        kept = batching.checkpoint(0, lane, lanes, progress)
        row = LaneRow(lane, lanes, str(kept.sequence), kept.state)
        return self._stored(LANES, f"{shard}|{lane}", msgspec.json.encode(row))

    def lanes_dropped(self, shard: str, first: int = 0) -> list[Change]:
        """From a lane on there are none any more; for a batch."""
        kept = [each.lane for each in self.lanes(shard) if each.lane >= first]
        return [self._resources.removed(LANES, f"{self._prefix}{shard}|{lane}") for lane in kept]

    def dropped(self, shard: str) -> list[Change]:
        """Nothing is kept of a shard any more; for a batch."""
        self.shards.pop(shard, None)
        return [
            self._resources.removed(SHARDS, self._prefix + shard),
            *self.lanes_dropped(shard),
        ]

    def forgotten(self) -> list[Change]:
        """Nothing is kept at all; for a batch."""
        return [change for shard in list(self.shards) for change in self.dropped(shard)]

    def _rows(self, kind: str) -> Sequence[tuple[str, bytes]]:
        prefix = self._prefix
        rows = self._resources.all(kind)
        return [(r.name[len(prefix) :], r.settings) for r in rows if r.name.startswith(prefix)]

    def _stored(self, kind: str, name: str, settings: bytes) -> Change:
        row = Resource(self._prefix + name, int(time.time() * 1000), settings)
        return self._resources.stored(kind, row)
