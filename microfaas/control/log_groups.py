"""Log groups: those that functions print into, those that clients make, and how long they keep."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, NoReturn

import msgspec

from microfaas.control.function_logs import FunctionLogs
from microfaas.control.log_pages import Event, Page, Range, Source, Stop, make_page
from microfaas.control.records import LogGroup, LogStream
from microfaas.control.table import Table, commit
from microfaas.errors import MachineError, ServiceError
from microfaas.log.index import PLACES_PER_MS
from microfaas.store.log_events import LogEvents
from microfaas.store.resources import Resources

GROUPS_MAX = 1000
STREAMS_MAX = 10_000
DAY_MS = 86_400_000
SWEEP_S = 3600.0
# Each takes a thread, and a processor while it looks.
READERS_MAX = 2
_ID_MAX = (1 << 63) - 1

_log = logging.getLogger("microfaas.log")


class GroupInfo(NamedTuple):
    """What is told of a group."""

    name: str
    created_ms: int
    retention_days: int | None
    stored_bytes: int
    told: Mapping[str, str]


class StreamInfo(NamedTuple):
    """What is told of a stream. Of one that has no events, the times are None."""

    name: str
    created_ms: int
    first_ms: int | None = None
    last_ms: int | None = None
    came_ms: int | None = None


class LogGroups:
    """Every operation names a group, and raises ServiceError when there is no such group."""

    def __init__(self, resources: Resources, events: LogEvents, functions: FunctionLogs) -> None:
        self._resources = resources
        self._events = events
        self._functions = functions
        self._groups = Table(resources, "log-group", LogGroup)
        self._streams = Table(resources, "log-stream", LogStream)
        self._tells: list[Callable[[str, str, Sequence[tuple[int, str]]], None]] = []
        self._readers = asyncio.Semaphore(READERS_MAX)

    def open(self) -> None:
        """Read what is on disk. Raises MachineError."""
        self._groups.open()
        self._streams.open()

    async def run(self) -> None:
        """Remove what is past its time, for ever."""
        while True:
            try:
                await self.sweep()
            except MachineError as error:
                _log.error("%s; events of logs that are too old stay for now", error)
            await asyncio.sleep(SWEEP_S)

    async def sweep(self) -> None:
        """Remove what is past its time. Raises MachineError."""
        printed = self._functions.groups()
        for name, group in list(self._groups.all()):
            if group.retention_days is not None:
                before_ms = _now_ms() - group.retention_days * DAY_MS
                self._functions.prune(printed.get(name, ()), before_ms)
                await self._events.expire(name, before_ms)

    def names(self) -> list[str]:
        """All groups, in their order."""
        return sorted({*self._functions.groups(), *(name for name, _ in self._groups.all())})

    def info(self, name: str) -> GroupInfo:
        """What is told of a group."""
        group = self._groups.get(name)
        size, since_ms = self._functions.stored(self._printing(name))
        if group is None:
            return GroupInfo(name, since_ms, None, size, {})
        size += self._events.size_of(name)
        return GroupInfo(name, group.created_ms, group.retention_days, size, group.told)

    async def create(self, name: str, tags: Mapping[str, str], told: Mapping[str, str]) -> None:
        """Raises ServiceError, MachineError."""
        if self._exists(name):
            text = "The specified log group already exists"
            raise ServiceError("ResourceAlreadyExistsException", text)
        if len(self._groups) >= GROUPS_MAX:
            raise ServiceError("LimitExceededException", f"There are {GROUPS_MAX} groups already.")
        await self._put(name, LogGroup(created_ms=_now_ms(), tags=dict(tags), told=dict(told)))

    async def delete(self, name: str) -> None:
        """With all that is in it; a function that goes on printing has it made anew."""
        self.need(name)
        self._functions.empty(self._printing(name))
        await self._events.remove_group(name)
        edits = self._streams.remove_all(f"{name}:")
        if name in self._groups:
            edits.append(self._groups.remove(name))
        await commit(self._resources, edits)

    async def keep_for(self, name: str, days: int | None) -> None:
        """How long its events are shown; older ones are removed. None: as long as can be."""
        self.need(name)
        await self._change(name, retention_days=days)
        await self.sweep()

    def tags(self, name: str) -> Mapping[str, str]:
        self.need(name)
        group = self._groups.get(name)
        return group.tags if group is not None else {}

    async def tag(self, name: str, tags: Mapping[str, str]) -> None:
        """These are all it has from now on."""
        self.need(name)
        await self._change(name, tags=dict(tags))

    async def streams(self, name: str) -> list[StreamInfo]:
        """All streams of a group, in no order."""
        self.need(name)
        functions, oldest_ms = self._printing(name), self._oldest_ms(name)
        async with self._readers:
            spans = await asyncio.to_thread(self._functions.streams, functions)
        found = {
            stream: StreamInfo(stream, span.first_ms, span.first_ms, span.last_ms, span.last_ms)
            for stream, span in spans.items()
            if span.last_ms >= oldest_ms
        }
        for place, made in self._streams.all(f"{name}:"):
            stream = _stream_of(place)
            found[stream] = StreamInfo(stream, made.created_ms)
        for total in self._events.totals(name):
            if total.stream in found:
                found[total.stream] = found[total.stream]._replace(
                    first_ms=total.first_ms, last_ms=total.last_ms, came_ms=total.came_ms
                )
        return list(found.values())

    async def create_stream(self, name: str, stream: str) -> None:
        """Raises ServiceError, MachineError."""
        if stream in {each.name for each in await self.streams(name)}:
            text = "The specified log stream already exists"
            raise ServiceError("ResourceAlreadyExistsException", text)
        if len(self._streams) >= STREAMS_MAX:
            text = f"There are {STREAMS_MAX} streams already."
            raise ServiceError("LimitExceededException", text)
        if name not in self._groups:
            await self._change(name)
        await commit(self._resources, [self._streams.put(f"{name}:{stream}", LogStream(_now_ms()))])

    async def delete_stream(self, name: str, stream: str) -> None:
        """Raises ServiceError, also for a function's, whose lines stand among others."""
        self.need(name)
        if f"{name}:{stream}" not in self._streams:
            if stream in {each.name for each in await self.streams(name)}:
                text = "A function's stream cannot be deleted alone: delete its group."
                raise ServiceError("OperationAbortedException", text)
            _no_stream()
        await self._events.remove_stream(name, stream)
        await commit(self._resources, [self._streams.remove(f"{name}:{stream}")])

    async def put(self, name: str, stream: str, events: Sequence[tuple[int, str]]) -> None:
        """Add events, times and messages, to a stream that was made. Raises ServiceError, …"""
        self.need(name)
        if f"{name}:{stream}" not in self._streams:
            _no_stream()
        if events:
            await self._events.put(name, stream, events)
            for tell in list(self._tells):
                tell(name, stream, events)

    @contextlib.contextmanager
    def told(self, tell: Callable[[str, str, Sequence[tuple[int, str]]], None]) -> Iterator[None]:
        """Meanwhile this is told what is put: group, stream, times and messages."""
        self._tells.append(tell)
        try:
            yield
        finally:
            self._tells.remove(tell)

    def oldest_ms(self, name: str) -> int:
        """Events before this are past their time."""
        self.need(name)
        return self._oldest_ms(name)

    async def page(
        self,
        name: str,
        within: Range,
        limit: int,
        *,
        streams: Iterable[str] = (),
        prefix: str = "",
        accepts: Callable[[str], bool] = lambda _: True,
        backward: bool = False,
    ) -> Page:
        """Events of all streams; of some, all of which there must be; or of those with a prefix.

        Raises ServiceError.
        """
        named = frozenset(streams)
        if named and not named <= {each.name for each in await self.streams(name)}:
            _no_stream()
        oldest = self.oldest_ms(name) * PLACES_PER_MS
        within = Range(max(within.start, oldest), within.end)
        chosen = _chosen(named, prefix)
        stored = self._stored(name, within, named, chosen, accepts, backward=backward)
        functions = self._printing(name)

        def made() -> Page:
            printed = self._functions.sources(functions, within, chosen, accepts, backward=backward)
            return make_page([*printed, stored], within, limit, backward=backward)

        async with self._readers:
            return await asyncio.to_thread(made)

    def need(self, name: str) -> None:
        """Raises ServiceError unless there is such a group."""
        if not self._exists(name):
            text = "The specified log group does not exist."
            raise ServiceError("ResourceNotFoundException", text)

    def _stored(
        self,
        name: str,
        within: Range,
        named: frozenset[str],
        chosen: Callable[[str], bool] | None,
        accepts: Callable[[str], bool],
        *,
        backward: bool,
    ) -> Source:
        """What clients have put, as far as one page may take."""
        if name not in self._groups:
            return iter(())
        only = next(iter(named)) if len(named) == 1 else None
        start, end = _row_at(within.start), _row_at(within.end)
        rows, more = self._events.page(name, only, start, end, backward=backward)

        def found() -> Iterator[Event | Stop]:  # in a thread: patterns may take their time
            for row in rows:
                place = row.at_ms * PLACES_PER_MS + row.id
                if (chosen is None or chosen(row.stream)) and accepts(row.message):
                    yield Event(place, row.at_ms, row.stream, row.message, row.came_ms)
            if more:
                yield Stop(place - 1 if backward else place + 1)

        return found()

    def _printing(self, name: str) -> Sequence[str]:
        return self._functions.groups().get(name, ())

    def _exists(self, name: str) -> bool:
        return name in self._groups or bool(self._printing(name))

    def _oldest_ms(self, name: str) -> int:
        group = self._groups.get(name)
        if group is None or group.retention_days is None:
            return 0
        return _now_ms() - group.retention_days * DAY_MS

    async def _change(self, name: str, **changes: object) -> None:
        """Set something of a group; from then on there is a record of it."""
        group = self._groups.get(name) or LogGroup(created_ms=self.info(name).created_ms)
        await self._put(name, msgspec.structs.replace(group, **changes))

    async def _put(self, name: str, group: LogGroup) -> None:
        await commit(self._resources, [self._groups.put(name, group)])


def _chosen(named: frozenset[str], prefix: str) -> Callable[[str], bool] | None:
    if named:
        return named.__contains__
    return (lambda stream: stream.startswith(prefix)) if prefix else None


def _row_at(place: int) -> tuple[int, int]:
    """A place as the time and number of a stored event; functions' lines have longer numbers."""
    at_ms, number = divmod(place, PLACES_PER_MS)
    return at_ms, min(number, _ID_MAX)


def _stream_of(place: str) -> str:
    """No name of a group has a colon."""
    return place.partition(":")[2]


def _no_stream() -> NoReturn:
    raise ServiceError("ResourceNotFoundException", "The specified log stream does not exist.")


def _now_ms() -> int:
    return int(time.time() * 1000)
