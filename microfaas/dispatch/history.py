"""What waits, runs and has ended: events told of while they are seen through, and afterwards."""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from microfaas.dispatch.events import Events
from microfaas.errors import InvalidRequest
from microfaas.model import Status
from microfaas.store import events
from microfaas.store.events import PREFIX
from microfaas.store.messages import Message, MessageStore
from microfaas.store.results import PAYLOAD_BYTES_MAX, RESULTS_DAYS, Attempt, Result, Results

WAITING, RUNNING = "waiting", "running"
STATUSES = (WAITING, RUNNING, *(status.value for status in Status), "expired", "cancelled")
LIMIT_MAX = 1000
WAIT_S_MAX = 60.0


class Record(NamedTuple):
    """What is known of an event. `payload` is there once it has ended, unless in lists."""

    id: int
    request_id: str
    function: str
    qualifier: str
    source: str
    status: str
    accepted_ms: int
    finished_ms: int | None
    attempts: int
    next_ms: int | None
    history: list[Attempt]
    payload: bytes | None = None
    truncated: bool = False

    @property
    def ended(self) -> bool:
        return self.finished_ms is not None


class History:
    """Asks the queues, what runs, and the results."""

    def __init__(self, store: MessageStore, running: Events, results: Results) -> None:
        self._store = store
        self._events = running
        self._results = results
        self._waits: set[asyncio.Timeout] = set()
        self._closed = False

    def recent(self, function: str | None, status: str | None, limit: int) -> list[Record]:
        """The newest first, of one function or of all, of one status or of all.

        Raises InvalidRequest where there is no such status.
        """
        if status is not None and status not in STATUSES:
            raise InvalidRequest(f"{status!r} is no status; known are: {', '.join(STATUSES)}")
        limit = max(1, min(limit, LIMIT_MAX))
        found: list[Record] = []
        if status in (None, RUNNING):
            found += [self._waiting(message) for message in self._events.running()]
        if status in (None, WAITING):
            for depth in self._store.depths():
                if depth.name.startswith(PREFIX) and depth.messages:
                    newest = self._store.newest(depth.name, limit)
                    waits = (m for m in newest if not self._events.is_running(m))
                    found += [self._waiting(message) for message in waits]
        if status not in (WAITING, RUNNING):
            results = self._results.recent(function, limit, status)
            found += [_ended(result, whole=False) for result in results]
        # What ended meanwhile was found twice: its result is what holds.
        once = {one.id: one for one in found}.values()
        chosen = [one for one in once if function is None or one.function == function]
        return sorted(chosen, key=lambda one: -one.id)[:limit]

    def find(self, request_id: str) -> Record:
        """Raises InvalidRequest where nothing is known of it."""
        if (message := self._store.find(request_id)) is not None and self._is_event(message):
            return self._waiting(message)
        if (result := self._results.find(request_id)) is not None:
            return _ended(result, whole=True)
        raise InvalidRequest(
            f"cannot find an event of request {request_id}: it was not accepted here, or it ended "
            f"long ago; results are kept for {RESULTS_DAYS} days at most",
            kind="ResourceNotFoundException",
        )

    async def wait(self, request_id: str, wait_s: float) -> Record:
        """The same, but not before it has ended or that time is over."""
        message = self._store.find(request_id)
        # Asked later: what is committed meanwhile, in another thread, has a result then.
        record = self.find(request_id)
        if record.ended or message is None or self._closed:
            return record
        try:
            async with asyncio.timeout(max(0.0, min(wait_s, WAIT_S_MAX))) as limit:
                self._waits.add(limit)
                await self._events.ended(message)
        except TimeoutError:
            pass
        finally:
            self._waits.discard(limit)
        return self.find(request_id)

    async def cancel(self, request_id: str) -> Record:
        """Have an event not run, or no longer. Raises InvalidRequest when it has ended."""
        message = self._store.find(request_id)
        known = self.find(request_id)
        if not known.ended and message is not None and await self._events.cancel(message):
            return self.find(request_id)
        raise InvalidRequest(
            f"cannot cancel request {request_id}: it has ended as {self.find(request_id).status}",
            kind="ResourceConflictException",
        )

    def close(self) -> None:
        """Let nobody wait any more."""
        self._closed = True
        now_s = asyncio.get_running_loop().time()
        for limit in self._waits:
            limit.reschedule(now_s)

    def _is_event(self, message: Message) -> bool:
        return self._store.name(message).startswith(PREFIX)

    def _waiting(self, message: Message) -> Record:
        attributes = events.decode_attributes(message.attributes)
        running = self._events.is_running(message)
        return Record(
            message.id,
            message.uuid,
            self._store.name(message).removeprefix(PREFIX),
            attributes.qualifier,
            attributes.source,
            RUNNING if running else WAITING,
            message.at_ms,
            None,
            message.attempts,
            message.due_ms or None if not running else None,
            attributes.history,
        )


def _ended(result: Result, whole: bool) -> Record:
    return Record(
        result.id,
        result.request_id,
        result.function,
        result.qualifier,
        result.source,
        result.status,
        result.accepted_ms,
        result.finished_ms,
        result.attempts,
        None,
        result.tries,
        result.payload if whole else None,
        len(result.payload) >= PAYLOAD_BYTES_MAX,
    )
