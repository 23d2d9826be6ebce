"""The queues there are: those of the configuration's file, and those made through the API."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from microfaas.config.queues import NAME_PATTERN, QueueTable, is_fifo
from microfaas.errors import ServiceError
from microfaas.messaging.kept import PREFIX
from microfaas.messaging.line import Line
from microfaas.model import MIB
from microfaas.store.messages import Batch, MessageStore
from microfaas.store.resources import Resource, Resources

KIND = "queue"
QUEUES_MAX = 10_000

_log = logging.getLogger("microfaas.messaging")


class Definition(msgspec.Struct, frozen=True, kw_only=True):
    """A queue as it is kept when it was made through the API. `told` are attributes that are
    only told again."""

    settings: QueueTable
    changed_ms: int
    tags: dict[str, str] = {}
    told: dict[str, str] = {}


@dataclass(slots=True)
class Queue:
    """One queue. `declared`: it stands in the file, and cannot be changed but there."""

    name: str
    number: int
    definition: Definition
    made_ms: int
    declared: bool
    line: Line = field(default_factory=Line)

    @property
    def settings(self) -> QueueTable:
        return self.definition.settings

    @property
    def fifo(self) -> bool:
        return is_fifo(self.name)


class Directory:
    """Queues by their names."""

    def __init__(
        self, store: MessageStore, resources: Resources, declared: Mapping[str, QueueTable]
    ) -> None:
        self._store = store
        self._resources = resources
        self._queues: dict[str, Queue] = {}
        now_ms = int(time.time() * 1000)
        for resource in resources.all(KIND):
            if resource.name not in declared:
                definition = msgspec.json.decode(resource.settings, type=Definition)
                self._add(resource.name, definition, resource.at_ms, declared=False)
        for name, table in declared.items():
            self._add(name, Definition(settings=table, changed_ms=now_ms), now_ms, declared=True)
        self._tell_of_strays()

    def __contains__(self, name: str) -> bool:
        return name in self._queues

    def all(self) -> list[Queue]:
        """All of them, by name."""
        return [self._queues[name] for name in sorted(self._queues)]

    def get(self, name: str) -> Queue:
        """Raises ServiceError when there is none."""
        queue = self._queues.get(name)
        if queue is None:
            raise ServiceError("QueueDoesNotExist", "The specified queue does not exist.")
        return queue

    async def create(self, name: str, definition: Definition) -> Queue:
        """Make one. Raises ServiceError when its name cannot be, MachineError."""
        if not NAME_PATTERN.fullmatch(name):
            raise ServiceError(
                "InvalidParameterValue",
                "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in "
                "length; a FIFO queue's name ends in .fifo",
            )
        if len(self._queues) >= QUEUES_MAX:
            raise ServiceError("OverLimit", f"There may be at most {QUEUES_MAX} queues.")
        self.check_target(name, definition.settings)
        resource = self._resource(name, int(time.time() * 1000), definition)
        batch = Batch()
        batch.also(*self._resources.stored(KIND, resource))
        await self._store.commit(batch)
        if name in self._queues:  # made by somebody else meanwhile, in the same way
            return self._queues[name]
        return self._add(name, definition, resource.at_ms, declared=False)

    async def change(self, queue: Queue, definition: Definition) -> None:
        """Raises ServiceError for a queue of the file, MachineError."""
        self.check_free(queue)
        self.check_target(queue.name, definition.settings)
        batch = Batch()
        resource = self._resource(queue.name, queue.made_ms, definition)
        batch.also(*self._resources.stored(KIND, resource))
        await self._store.commit(batch)
        queue.definition = definition
        self._bound(queue)

    def forget(self, queue: Queue) -> None:
        """From now on nobody finds it."""
        self._queues.pop(queue.name, None)

    def restore(self, queue: Queue) -> None:
        """It could not be deleted after all."""
        self._queues[queue.name] = queue

    async def removed(self, queue: Queue) -> None:
        """It will not be there after a restart either."""
        batch = Batch()
        batch.also(*self._resources.removed(KIND, queue.name))
        await self._store.commit(batch)
        self._store.unlisten(PREFIX + queue.name)

    def check_free(self, queue: Queue) -> None:
        """Raises ServiceError for a queue that only the file's owner may change."""
        if queue.declared:
            raise ServiceError(
                "UnsupportedOperation",
                f"The queue {queue.name} stands in microfaas.toml, [queues.{queue.name}]: change "
                "it there, and restart microfaas.",
            )

    def check_target(self, name: str, settings: QueueTable) -> None:
        """Raises ServiceError when what a queue cannot deal with has nowhere to go."""
        target = settings.dead_letter_queue
        if target and (target not in self._queues or is_fifo(target) != is_fifo(name)):
            raise ServiceError(
                "InvalidParameterValue",
                f"Value {target} for parameter RedrivePolicy is invalid. Reason: Dead letter "
                "target does not exist, or is not of the same kind of queue.",
            )

    def _add(self, name: str, definition: Definition, made_ms: int, *, declared: bool) -> Queue:
        number = self._store.depth(PREFIX + name).number
        queue = self._queues[name] = Queue(name, number, definition, made_ms, declared)
        self._bound(queue)
        self._store.listen(PREFIX + name, queue.line.told)
        return queue

    def _bound(self, queue: Queue) -> None:
        settings = queue.settings
        self._store.bound(PREFIX + queue.name, settings.messages_max, settings.mb_max * MIB)

    def _resource(self, name: str, made_ms: int, definition: Definition) -> Resource:
        return Resource(name, made_ms, msgspec.json.encode(definition))

    def _tell_of_strays(self) -> None:
        for depth in self._store.depths():
            name = depth.name.removeprefix(PREFIX)
            if depth.name.startswith(PREFIX) and depth.messages and name not in self._queues:
                _log.warning(
                    "%d messages wait in the queue %s, which is not in microfaas.toml any more; "
                    "put it back, or make it through the API, to receive them",
                    depth.messages,
                    name,
                )
