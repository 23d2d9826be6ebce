"""What is done about dead letters: they are looked at, sent again, or thrown away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import msgspec

from microfaas import lineage
from microfaas.dispatch.events import Events
from microfaas.errors import InvalidRequest, QueueFull
from microfaas.messaging import kept
from microfaas.store import events
from microfaas.store.dead import PAGE, Buried, DeadLetter, DeadLetters
from microfaas.store.events import PREFIX, EventAttributes
from microfaas.store.messages import Batch, Draft, MessageStore

IDS_MAX = 1000
LIMIT_MAX = 1000


class Selection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which letters are meant: some by their ids, all that fit, or really all."""

    ids: list[str] = []
    function: str | None = None
    error: str | None = None
    older_than_s: float | None = None
    all: bool = False


class Done(NamedTuple):
    """How many were dealt with, how many could not be, and why the last of these."""

    number: int
    left: int = 0
    why: str = ""


class Letters:
    """Chooses letters, and does the same with each, some at a time."""

    def __init__(
        self,
        store: MessageStore,
        dead: DeadLetters,
        running: Events,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._dead = dead
        self._events = running
        self._clock = clock
        # Two at once would send the same letter twice.
        self._lock = asyncio.Lock()

    def recent(self, chosen: Selection, limit: int) -> list[Buried]:
        """The newest first, without their events."""
        return self._dead.heads(
            chosen.function,
            chosen.error,
            limit=max(1, min(limit, LIMIT_MAX)),
            **self._older(chosen),
        )

    def find(self, name: str) -> Buried:
        """By its number or its request's id. Raises InvalidRequest."""
        if (buried := self._dead.find(name)) is None:
            raise InvalidRequest(
                f"cannot find dead letter {name}: there is none of that number or request; it may "
                "have been sent again, or thrown away",
                kind="ResourceNotFoundException",
            )
        return buried

    async def redrive(self, chosen: Selection) -> Done:
        """Put them back into the queues they failed in, as new events, and remove them in the
        same commit. Raises InvalidRequest, QueueFull, MachineError."""
        count = left = 0
        why = ""
        async with self._lock:
            for page in self._pages(chosen):
                batch, sent = Batch(), []
                for buried in page:
                    if fault := self._fault(buried.letter):
                        left, why = left + 1, fault
                        continue
                    batch.put(_again(buried.letter))
                    sent.append((buried.id,))
                batch.also("remove_dead_letters", sent)
                try:
                    await self._store.commit(batch)
                except QueueFull as full:
                    if not count:
                        raise
                    return Done(count, left + len(sent), str(full))
                count += len(sent)
        return Done(count, left, why)

    async def purge(self, chosen: Selection) -> Done:
        """Forget them for good. Raises InvalidRequest, MachineError."""
        count = 0
        async with self._lock:
            for page in self._pages(chosen):
                await self._dead.remove([buried.id for buried in page])
                count += len(page)
        return Done(count)

    def _pages(self, chosen: Selection) -> Iterator[Sequence[Buried]]:
        """What is chosen, the newest first; what dies meanwhile is not among them."""
        if not (chosen.all or chosen.ids or chosen.function or chosen.error) and (
            chosen.older_than_s is None
        ):
            raise InvalidRequest(
                "cannot tell which dead letters: name ids, function, error, older_than_s or all"
            )
        if len(chosen.ids) > IDS_MAX:
            raise InvalidRequest(f"{len(chosen.ids)} ids are too many; at most {IDS_MAX}")
        if chosen.ids:
            # All must be there before anything happens.
            for number in dict.fromkeys(self.find(name).id for name in chosen.ids):
                yield [self.find(str(number))]
            return
        page: Sequence[Buried] = self._dead.heads(limit=1)
        before_id = page[0].id + 1 if page else 0
        while page := self._dead.page(
            chosen.function, chosen.error, before_id=before_id, limit=PAGE, **self._older(chosen)
        ):
            before_id = page[-1].id
            yield page

    def _older(self, chosen: Selection) -> dict[str, int]:
        if chosen.older_than_s is None:
            return {}
        return {"before_ms": int((self._clock() - chosen.older_than_s) * 1000)}

    def _fault(self, letter: DeadLetter) -> str:
        """Why one cannot be sent again."""
        name = letter.queue.removeprefix(PREFIX)
        if letter.queue.startswith(PREFIX) and not self._events.serves(name):
            return f"function {name} is not served here any more"
        return "" if letter.queue else "it is not known where it came from"


def _again(letter: DeadLetter) -> Draft:
    """A letter as what it was before; an event tells from which letter it comes."""
    if letter.queue.startswith(kept.PREFIX):
        return kept.revived(letter.queue, letter.event, letter.attributes)
    if not letter.queue.startswith(PREFIX):
        return Draft(letter.queue, letter.event, letter.attributes)
    old = EventAttributes()
    if letter.attributes:
        old = events.decode_attributes(letter.attributes)
    source = f"dead letter of {letter.request_id}"
    trace_id = lineage.begun_anew(old.trace_id)
    fresh = msgspec.structs.replace(old, trace_id=trace_id, source=source, refusals=0, history=[])
    return Draft(letter.queue, letter.event, events.encode_attributes(fresh))
