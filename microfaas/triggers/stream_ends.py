"""How a stream's batches end: the function's call, what it says, what is told of failures."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from microfaas.config import Trigger
from microfaas.errors import FunctionNotFound, MachineError, MicrofaasError, TooManyRequests
from microfaas.invoke import new_request_id
from microfaas.model import Destination, Invocation, Outcome
from microfaas.payloads import batches, results
from microfaas.payloads.batches import Form, Given, Lost, Source
from microfaas.store import events
from microfaas.store.dead import DeadLetter
from microfaas.store.events import PREFIX, EventAttributes
from microfaas.store.messages import Batch
from microfaas.triggers.batching import Verdict
from microfaas.triggers.kind import Surroundings

RECORD_AGAIN_S = 1.0

_log = logging.getLogger("microfaas.triggers")


@dataclass(frozen=True, slots=True)
class Called:
    """A call and what came of it; no outcome: the function was not called."""

    request_id: str
    verdict: Verdict
    outcome: Outcome | None = None


class Calls:
    """Calls of one function with batches."""

    def __init__(self, trigger: Trigger, around: Surroundings, reports: bool) -> None:
        self._function = trigger.function
        self._qualifier = trigger.qualifier
        self._around = around
        self._reports = reports
        self._complaint = ""

    async def run(
        self, event: bytes, names: Sequence[str], windowed: bool, expired: bool
    ) -> Called:
        """`names` are the records' sequence numbers. What is `expired` is not run."""
        request_id = new_request_id()
        if expired:
            return Called(request_id, Verdict("expired"))
        invocation = Invocation(
            request_id=request_id,
            function=self._function,
            qualifier=self._qualifier,
            event=event,
        )
        try:
            outcome = await self._around.invoker.invoke(invocation)
        except (TooManyRequests, MachineError, FunctionNotFound) as error:
            self._around.report(False)
            self._complain(str(error))
            return Called(request_id, Verdict("refused"))
        self._around.report(outcome.ok)
        self._complaint = ""
        return Called(request_id, self._verdict(outcome, names, windowed), outcome)

    def _verdict(self, outcome: Outcome, names: Sequence[str], windowed: bool) -> Verdict:
        if not outcome.ok:
            return Verdict("failed")
        place = batches.first_failed(outcome.payload, names) if self._reports and names else None
        state = batches.state_in(outcome.payload) if windowed else None
        if place is None:
            return Verdict("ok", state=state)
        return Verdict("failed", place, state if place else None)

    def _complain(self, text: str) -> None:
        """Say it when it is news."""
        if text != self._complaint:
            _log.warning("%s: a batch must wait: %s", self._function, text)
        self._complaint = text


@dataclass(frozen=True, slots=True)
class Ended:
    """Why a batch was given up, after how many calls, and its event."""

    condition: str
    attempts: int
    called: Called
    event: bytes

    def of(self, event: bytes) -> Ended:
        """The same of a part of it."""
        return replace(self, event=event)


class Ends:
    """What a trigger tells of batches that were given up, as parts of batches of changes."""

    def __init__(
        self,
        trigger: Trigger,
        stream: str,
        form: Form,
        around: Surroundings,
        to: Destination | None,
    ) -> None:
        self._function = trigger.function
        self._qualifier = trigger.qualifier
        self._stream = stream
        self._form = form
        self._store = around.store
        self._destinations = around.destinations
        # As the mapping has it, so without $LATEST.
        self._arn = ":".join(
            filter(None, (around.address.arn(trigger.function), trigger.qualifier))
        )
        self._to = to

    def give_up(self, batch: Batch, source: Source, ended: Ended, records: Sequence[Given]) -> None:
        """Tell the destination, or keep the event as a dead letter."""
        _log.error(
            "%s: %d records of %s in %s are given up (%s)",
            self._function,
            len(records),
            source.shard_id,
            self._stream,
            ended.condition,
        )
        letter = self._letter(ended)
        if self._to is None or not records:
            batch.also("bury", [letter])
            return
        first, last = records[0], records[-1]
        lost = Lost(first.number, last.number, first.at_ms, last.at_ms, len(records))
        attempts = ended.attempts if ended.called.outcome is not None else ended.attempts - 1
        try:
            self._destinations.send(
                batch, self._to, self._record(source, ended, lost, max(0, attempts))
            )
        except MicrofaasError as error:
            _log.error("%s: cannot tell of a batch: %s", self._function, error)
            batch.also("bury", [letter])

    def skipped(self, batch: Batch, source: Source, names: tuple[str, str], count: int) -> None:
        """Records that the stream no longer has: there is nothing left to keep of them. `names`
        are the first one's and the last one's numbers."""
        _log.error(
            "%s: up to %d records of %s in %s were removed by age before they were read, "
            "%s to %s; raise the stream's retention_s, or make the function faster",
            self._function,
            count,
            source.shard_id,
            self._stream,
            *names,
        )
        if self._to is None:
            return
        now_ms = int(time.time() * 1000)
        lost = Lost(*names, now_ms, now_ms, count)
        ended = Ended("RecordAgeExceeded", 0, Called(new_request_id(), Verdict("expired")), b"")
        try:
            self._destinations.send(batch, self._to, self._record(source, ended, lost, 0))
        except MicrofaasError as error:
            _log.error("%s: cannot tell of records that went: %s", self._function, error)

    async def commit(self, batch: Batch) -> None:
        """Insist: what is not recorded would be done again after a restart."""
        while True:
            try:
                await self._store.commit(batch)
                return
            except TooManyRequests as full:
                # The destination has no room. The stream must not wait for that.
                _log.error("%s: %s", self._function, full)
                batch.also(
                    "bury",
                    [
                        self._overflown(draft.queue, draft.body, draft.attributes)
                        for draft in batch.drafts
                    ],
                )
                batch.drafts.clear()
            except MachineError as error:
                _log.error("cannot record a batch of %s: %s; trying again", self._stream, error)
                await asyncio.sleep(RECORD_AGAIN_S)

    def _record(self, source: Source, ended: Ended, lost: Lost, attempts: int) -> bytes:
        return batches.failure(
            form=self._form,
            at_ms=int(time.time() * 1000),
            request_id=ended.called.request_id,
            function_arn=self._arn,
            condition=ended.condition,
            attempts=attempts,
            outcome=ended.called.outcome,
            source=source,
            lost=lost,
        )

    def _letter(self, ended: Ended) -> DeadLetter:
        outcome, name = ended.called.outcome, f"stream:{self._stream}"
        payload = outcome.payload if outcome is not None else b"null"
        kind = results.error_of(payload)[0] if outcome is not None else ""
        return DeadLetter(
            int(time.time() * 1000),
            self._function,
            ended.called.request_id,
            name,
            ended.event,
            payload,
            ended.attempts,
            PREFIX + self._function,
            kind or ended.condition,
            events.encode_attributes(EventAttributes(qualifier=self._qualifier, source=name)),
        )

    def _overflown(self, queue: str, body: bytes, attributes: bytes) -> DeadLetter:
        return DeadLetter(
            int(time.time() * 1000),
            self._function,
            new_request_id(),
            f"stream:{self._stream}",
            body,
            b"null",
            0,
            queue,
            "QueueFull",
            attributes,
        )
