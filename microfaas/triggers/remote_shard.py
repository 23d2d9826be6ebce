"""One shard of a stream elsewhere: it is read ahead into a bounded buffer that its lanes work at.

Records leave the buffer once all lanes have passed them; while it is full nothing more is read.
Where to read on after a start is behind the lane that has come the least far.
"""

from __future__ import annotations

import asyncio
import bisect
import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from microfaas.errors import MachineError, MicrofaasError, ServiceError
from microfaas.model import MIB, Address
from microfaas.payloads.batches import Source
from microfaas.remote.endpoints import Endpoint
from microfaas.store.messages import Batch
from microfaas.store.streams import Change
from microfaas.triggers import batching
from microfaas.triggers.batching import Progress
from microfaas.triggers.kind import Surroundings
from microfaas.triggers.remote_book import Book, ShardRow
from microfaas.triggers.remote_dialects import Dialect, Listed
from microfaas.triggers.shards import Numbered, pause

PAGE_RECORDS = 1_000
# More than the largest batch, so that one can always be formed.
BUFFER_RECORDS_MAX = 20_000
BUFFER_BYTES_MAX = 16 * MIB
AGAIN_S = 1.0
AGAIN_S_MAX = 30.0

_log = logging.getLogger("microfaas.triggers")


class RemoteShard:
    """One shard, being read. `fresh`: it was never read before this run."""

    def __init__(
        self,
        listed: Listed,
        row: ShardRow,
        arn: str,
        dialect: Dialect,
        book: Book,
        around: Surroundings,
        finish: Callable[[], None],
        *,
        fresh: bool,
    ) -> None:
        _, _, _, region, account_id, _ = arn.split(":", 5)
        self.source = Source(Address(region=region, account_id=account_id), arn, listed.id)
        self.listeners: list[Callable[[], None]] = []
        self.listed = listed
        self._row = row
        self._fresh = fresh
        self._arn = arn
        self._dialect = dialect
        self._book = book
        self._around = around
        self._finish = finish
        self._buffer: list[Numbered] = []
        self._bytes = 0
        self._passed: list[int] = []
        self._last = 0
        self._ended = False
        self._room = asyncio.Event()
        # When the last read began that brought all there was; and told of each.
        self._read_ms = 0
        self._read = asyncio.Event()
        self._complaint = ""

    # What the lanes ask for.

    def opening(self, lanes: int) -> tuple[list[Progress], list[Change]]:
        id = self.listed.id
        progresses = batching.starts(self._book.lanes(id), lanes, 0)
        self._passed = [each.after for each in progresses]
        self._last = min(self._passed)
        changes: list[Change] = [
            self._book.put(id, self._row),
            *self._book.lanes_dropped(id, lanes),
        ]
        rows = enumerate(progresses)
        changes += [self._book.reached(id, lane, lanes, each) for lane, each in rows]
        return progresses, changes

    def read(self, after: int, limit: int, bytes_max: int | None = None) -> Iterator[Numbered]:
        first = bisect.bisect_right(self._buffer, after, key=_sequence)
        size = 0
        for record in self._buffer[first : first + min(limit, len(self._buffer))]:
            if size and bytes_max is not None and size + _bytes(record) > bytes_max:
                return
            size += _bytes(record)
            yield record

    async def sealed(self, at_ms: int) -> None:
        while self._read_ms < at_ms and not self._ended and not self._around.stopping.is_set():
            self._read.clear()
            await self._read.wait()

    def passed(self, lane: int, after: int) -> None:
        self._passed[lane] = after
        done = bisect.bisect_right(self._buffer, min(self._passed), key=_sequence)
        if done:
            self._bytes -= sum(map(_bytes, self._buffer[:done]))
            del self._buffer[:done]
            self._room.set()

    def reached(self, lane: int, lanes: int, progress: Progress) -> Change:
        return self._book.reached(self.listed.id, lane, lanes, progress)

    def trimmed(self) -> int:
        """That records went unread is found out by who reads ahead."""
        return 0

    def number(self, sequence: int) -> str:
        return str(sequence)

    def is_over(self, after: int) -> bool:
        return self._ended and (not self._buffer or self._buffer[-1].sequence <= after)

    async def finished(self) -> None:
        """Its children may be worked at from now on."""
        batch = Batch()
        over = self._book.put(self.listed.id, ShardRow(over=True))
        for change in (over, *self._book.lanes_dropped(self.listed.id)):
            batch.also(*change)
        while not self._around.stopping.is_set():
            try:
                await self._around.store.commit(batch)
                break
            except MachineError as error:
                self._complain(error)
                await pause(self._around.stopping, AGAIN_S)
        self._finish()

    # Reading ahead.

    async def run(self) -> None:
        iterator, again_s = "", AGAIN_S
        while not self._ended:
            try:
                iterator = iterator or await self._iterator()
                iterator = await self._fetch(iterator)
                again_s, self._complaint = AGAIN_S, ""
            except MicrofaasError as error:
                iterator = ""
                if not self._goes_on(error):
                    self._complain(error)
                    await pause(self._around.stopping, again_s)
                    again_s = min(2 * again_s, AGAIN_S_MAX)
            while self._is_full():
                self._room.clear()
                await self._room.wait()

    def _is_full(self) -> bool:
        return len(self._buffer) >= BUFFER_RECORDS_MAX or self._bytes >= BUFFER_BYTES_MAX

    async def _iterator(self) -> str:
        params = {**self._dialect.stream(self._arn), "ShardId": self.listed.id, **self._place()}
        answer = await self._call("GetShardIterator", params)
        return str(answer["ShardIterator"])

    def _place(self) -> dict[str, Any]:
        """Where to read on."""
        if self._last:
            return {
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                self._dialect.behind: str(self._last),
            }
        if self._row.start == "LATEST" and self._fresh:
            return {"ShardIteratorType": "LATEST"}
        if self._row.since_ms and self._dialect.has_times:
            at_s = self._row.since_ms / 1000
            return {"ShardIteratorType": "AT_TIMESTAMP", "Timestamp": at_s}
        return {"ShardIteratorType": "TRIM_HORIZON"}

    async def _fetch(self, iterator: str) -> str:
        """Read one page; gives where the next one is, empty at the end."""
        began_ms = int(time.time() * 1000)
        asked = {"ShardIterator": iterator, "Limit": PAGE_RECORDS}
        answer = await self._call("GetRecords", asked)
        self._take([self._dialect.given(each) for each in answer.get("Records") or []])
        self._fresh = False
        following = answer.get("NextShardIterator") or ""
        ending = self.listed.ending
        self._ended = not following or (ending is not None and self._last >= ending)
        if self._ended or not answer.get("Records"):
            self._read_ms = began_ms
            self._read.set()
        for listener in tuple(self.listeners):
            listener()
        if not answer.get("Records") and not self._ended:
            await pause(self._around.stopping, self._dialect.poll_s)
        return following

    def _take(self, records: Sequence[Any]) -> None:
        # Tables' times are whole seconds.
        since_ms = 0 if self._dialect.has_times else self._row.since_ms // 1000 * 1000
        for given in records:
            record = Numbered(int(given.number), given)
            self._last = max(self._last, record.sequence)
            if given.at_ms >= since_ms:
                self._buffer.append(record)
                self._bytes += _bytes(record)

    def _goes_on(self, error: MicrofaasError) -> bool:
        """Whether it is enough to ask for another iterator."""
        kind = error.kind if isinstance(error, ServiceError) else ""
        if kind == "TrimmedDataAccessException":
            _log.error(
                "records of %s in %s were removed by age before they were read; make the function "
                "faster",
                self.listed.id,
                self._arn,
            )
            self._last, self._row = 0, ShardRow()
        return kind in ("ExpiredIteratorException", "TrimmedDataAccessException")

    async def _call(self, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        endpoint = endpoint_of(self._arn, self._around)
        return await self._around.calls(endpoint, self._dialect.service, operation, params)

    def _complain(self, error: MicrofaasError) -> None:
        """One line per outage."""
        if str(error) != self._complaint:
            self._complaint = str(error)
            _log.error("cannot read %s of %s: %s", self.listed.id, self._arn, error)


def endpoint_of(arn: str, around: Surroundings) -> Endpoint:
    """Where a stream is. Raises MachineError when nobody said."""
    endpoint = around.endpoints.find(arn)
    if endpoint is None:
        raise MachineError(f"no endpoint is said for {arn} in [endpoints]")
    return endpoint


def _sequence(record: Numbered) -> int:
    return record.sequence


def _bytes(record: Numbered) -> int:
    return len(record.given.key) + len(record.given.data)
