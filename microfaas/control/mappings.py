"""Event source mappings: what is kept of them, and the states they go through.

Theory of operation. A mapping is on disk before anybody hears of it, with what it is to become;
then what runs is changed to that. So the state that is shown follows from two facts, what is kept
and whether what runs is still being changed, and a start after a crash only has to look at the
first. One that is deleted is kept until its triggers have ended what they had begun.

How a mapping's last call ended is written down when it is news, and not more often than once in
RECORD_EVERY_S for all of them: a power cut takes back no more than what that time has brought.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any, Literal, NoReturn, Protocol

import msgspec

from microfaas.control.table import Edit, Table
from microfaas.control.table import commit as commit_edits
from microfaas.errors import MachineError, ServiceError
from microfaas.model import Address
from microfaas.store.resources import Resources

KIND = "mapping"
RESULT_KIND = "mapping-result"
RECORD_AGAIN_S = 1.0
RECORD_EVERY_S = 1.0
Source = Literal["queue", "stream", "table"]
Transition = Literal["Creating", "Enabling", "Disabling", "Updating", "Deleting"]

_log = logging.getLogger("microfaas.mappings")


class EventSourceMapping(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A mapping. Names of sources and destinations are ARNs, -1 is "without limit".

    `told` is what AWS keeps of it and nobody asks here, by AWS's names.
    """

    function: str
    qualifier: str = ""
    source: str
    kind: Source
    enabled: bool = True
    batch_size: int
    window_s: int = 0
    filters: tuple[str, ...] = ()
    report_items: bool = False
    concurrency: int | None = None
    start: Literal["", "TRIM_HORIZON", "LATEST", "AT_TIMESTAMP"] = ""
    start_s: float | None = None
    parallelization: int = 1
    bisect: bool = False
    retries_max: int = -1
    age_s_max: int = -1
    tumbling_s: int = 0
    on_failure: str = ""
    tags: dict[str, str] = {}
    told: dict[str, Any] = {}
    changed_ms: int = 0
    settles_ms: int = 0
    transition: Transition = "Creating"


class Result(msgspec.Struct, frozen=True):
    """How the last call of a mapping's function ended."""

    well: bool


Changed = Callable[[EventSourceMapping], EventSourceMapping]


class Runs(Protocol):
    """What makes mappings run."""

    async def check(self, mapping: EventSourceMapping) -> None:
        """Raises ServiceError for a source that is not there, or cannot be read."""

    def run(self, name: str, mapping: EventSourceMapping | None) -> None:
        """This is what is to run of it from now on; None: nothing."""

    def changing(self, name: str) -> bool:
        """Whether what ran before is still at work."""

    async def settled(self, name: str) -> None:
        """Wait until it is not."""

    def went_well(self, name: str) -> bool | None:
        """How the function's last call ended; None when there was none in this run."""

    def listen(self, tell: Callable[[], None]) -> None:
        """This is to be told when last calls ended in another way than those before."""

    def forgotten(self, name: str) -> Sequence[Edit]:
        """How far it has come is not to be remembered."""


class Mappings:
    """All event source mappings, by their UUIDs."""

    def __init__(
        self,
        resources: Resources,
        runs: Runs,
        address: Address,
        tasks: asyncio.TaskGroup,
        settle_ms: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`settle_ms` is for how long a change is shown as in progress, at least."""
        self._resources = resources
        self._runs = runs
        self._address = address
        self._tasks = tasks
        self._settle_ms = settle_ms
        self._clock = clock
        self._table = Table(resources, KIND, EventSourceMapping)
        self._results = Table(resources, RESULT_KIND, Result)
        # Whether there is something to write down of them, and whether somebody is at it.
        self._news = self._noting = False
        self._changing = asyncio.Lock()

    def open(self) -> None:
        """Go on where the last run ended. Raises MachineError."""
        self._table.open()
        self._results.open()
        self._runs.listen(self._heard)
        for name, mapping in self._table.all():
            if mapping.transition == "Deleting":
                self._tasks.create_task(self._forget(name, mapping))
            elif mapping.enabled:
                self._runs.run(name, mapping)

    def arn(self, name: str) -> str:
        address = self._address
        where = f"{address.region}:{address.account_id}"
        return f"arn:aws:lambda:{where}:event-source-mapping:{name}"

    def all(self) -> Iterator[tuple[str, EventSourceMapping]]:
        """In the order of their UUIDs."""
        return self._table.all()

    def get(self, name: str) -> EventSourceMapping:
        """Raises ServiceError."""
        mapping = self._table.get(name)
        if mapping is None:
            text = "The resource you requested does not exist."
            raise ServiceError("ResourceNotFoundException", text)
        return mapping

    def state(self, name: str, mapping: EventSourceMapping) -> str:
        """As AWS calls it."""
        if mapping.transition == "Deleting" or self._in_progress(name, mapping):
            return mapping.transition
        return "Enabled" if mapping.enabled else "Disabled"

    def went_well(self, name: str) -> bool | None:
        """How the function's last call ended; None when there was none yet."""
        latest, kept = self._runs.went_well(name), self._results.get(name)
        return kept.well if latest is None and kept is not None else latest

    async def close(self) -> None:
        """Nothing runs any more: what its last calls came to is written down."""
        try:
            await self._record_results()
        except MachineError as error:
            _log.error("cannot record how mappings' last calls ended: %s", error)

    async def create(self, mapping: EventSourceMapping) -> tuple[str, EventSourceMapping]:
        """Raises ServiceError, MachineError."""
        await self._runs.check(mapping)
        async with self._changing:
            self._refuse_second(mapping)
            name = str(uuid.uuid4())
            return name, await self._keep(name, mapping, "Creating")

    async def update(self, name: str, change: Changed) -> EventSourceMapping:
        """Raises ServiceError, MachineError, and what `change` does."""
        async with self._changing:
            before = self._settled(name, "update")
            mapping = change(before)
            transition: Transition = "Updating"
            if mapping.enabled != before.enabled:
                transition = "Enabling" if mapping.enabled else "Disabling"
            return await self._keep(name, mapping, transition)

    async def delete(self, name: str) -> EventSourceMapping:
        """It ends what it has begun, and then is no more. Raises ServiceError, MachineError."""
        async with self._changing:
            mapping = await self._keep(name, self._settled(name, "delete"), "Deleting")
            self._tasks.create_task(self._forget(name, mapping))
            return mapping

    def tags(self, name: str) -> Mapping[str, str]:
        """Raises ServiceError."""
        return self._tagged(name).tags

    async def tag(self, name: str, tags: Mapping[str, str], removed: Collection[str] = ()) -> None:
        """Set and remove tags. Raises ServiceError, MachineError."""
        async with self._changing:
            mapping = self._tagged(name)
            left = {key: mapping.tags[key] for key in mapping.tags if key not in removed}
            await self._commit(name, msgspec.structs.replace(mapping, tags={**left, **tags}))

    def _tagged(self, name: str) -> EventSourceMapping:
        mapping = self._table.get(name)
        if mapping is None:
            text = f"Event source mapping not found: {self.arn(name)}"
            raise ServiceError("ResourceNotFoundException", text)
        return mapping

    def _settled(self, name: str, verb: str) -> EventSourceMapping:
        """One that may be changed now. Raises ServiceError."""
        mapping = self.get(name)
        if mapping.transition == "Deleting" or self._in_progress(name, mapping):
            text = f"Cannot {verb} the event source mapping because it is in use."
            raise ServiceError("ResourceInUseException", text)
        return mapping

    def _in_progress(self, name: str, mapping: EventSourceMapping) -> bool:
        return self._clock() * 1000 < mapping.settles_ms or self._runs.changing(name)

    async def _keep(
        self, name: str, mapping: EventSourceMapping, transition: Transition
    ) -> EventSourceMapping:
        now_ms = int(self._clock() * 1000)
        kept = msgspec.structs.replace(
            mapping,
            transition=transition,
            changed_ms=now_ms,
            settles_ms=now_ms + self._settle_ms,
        )
        await self._commit(name, kept)
        runs = kept.enabled and transition != "Deleting"
        self._runs.run(name, kept if runs else None)
        return kept

    async def _commit(self, name: str, mapping: EventSourceMapping) -> None:
        await commit_edits(self._resources, [self._table.put(name, mapping)])

    def _refuse_second(self, mapping: EventSourceMapping) -> None:
        """Raises ServiceError when the function has this source already."""
        for name, each in self._table.all():
            same = (each.source, each.function, each.qualifier)
            if same == (mapping.source, mapping.function, mapping.qualifier):
                _refuse_as_second(each, name)

    async def _forget(self, name: str, mapping: EventSourceMapping) -> None:
        """Once it has ended what it had begun, and was shown for long enough."""
        await self._runs.settled(name)
        await asyncio.sleep(max(0.0, mapping.settles_ms / 1000 - self._clock()))
        edits = [self._table.remove(name), *self._runs.forgotten(name)]
        edits.append(self._results.remove(name))
        while True:
            try:
                async with self._changing:
                    return await commit_edits(self._resources, edits)
            except MachineError as error:
                _log.error("cannot forget the mapping %s: %s; trying again", name, error)
                await asyncio.sleep(RECORD_AGAIN_S)

    def _heard(self) -> None:
        self._news = True
        if not self._noting:
            self._noting = True
            self._tasks.create_task(self._note_results())

    async def _note_results(self) -> None:
        """As long as there is news."""
        while self._news:
            self._news = False
            try:
                await self._record_results()
            except MachineError as error:
                _log.error("cannot record how mappings' last calls ended: %s", error)
                self._news = True
            await asyncio.sleep(RECORD_EVERY_S)
        self._noting = False

    async def _record_results(self) -> None:
        async with self._changing:
            edits = []
            for name, mapping in self._table.all():
                latest = self._runs.went_well(name)
                # Of queues it is not told.
                if mapping.kind != "queue" and latest is not None:
                    result = Result(latest)
                    if result != self._results.get(name):
                        edits.append(self._results.put(name, result))
            if edits:
                await commit_edits(self._resources, edits)


def _refuse_as_second(mapping: EventSourceMapping, name: str) -> NoReturn:
    arn, function = mapping.source, mapping.function
    if mapping.kind == "queue":
        text = (
            f'An event source mapping with SQS arn (" {arn} ") and function (" {function} ") '
            f"already exists. Please update or delete the existing mapping with UUID {name}"
        )
    else:
        text = (
            f'The event source arn (" {arn} ") and function (" {function} ") provided mapping '
            f"already exists. Please update or delete the existing mapping with UUID {name}"
        )
    raise ServiceError("ResourceConflictException", text)
