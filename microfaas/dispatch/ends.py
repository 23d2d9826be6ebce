"""What an attempt to run an event leads to: its end or another attempt, as one batch."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable

import msgspec

from microfaas import lineage
from microfaas.dispatch.destinations import Destinations
from microfaas.dispatch.retry import Condition, Policy, Step, decide
from microfaas.errors import MicrofaasError
from microfaas.model import LATEST, Address, EventSettings, Outcome
from microfaas.payloads import results as records
from microfaas.store import events
from microfaas.store.dead import DeadLetter
from microfaas.store.events import PREFIX, EventAttributes
from microfaas.store.messages import Batch, Draft, Message, MessageStore
from microfaas.store.results import (
    HISTORY_MAX,
    PAYLOAD_BYTES_MAX,
    Attempt,
    Result,
    encode_history,
)

_log = logging.getLogger("microfaas.dispatch")


class Rules:
    """How one function's events are to be seen through."""

    def __init__(self, function: str, settings: EventSettings) -> None:
        self.function = function
        self.settings = settings
        self.policy = Policy(settings.retries_max, settings.retry_delay_s, settings.age_s_max)


class Ends:
    """Makes the batches; committing them is its caller's."""

    def __init__(
        self,
        store: MessageStore,
        destinations: Destinations,
        address: Address,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._destinations = destinations
        self._address = address
        self._clock = clock

    def age_s(self, message: Message) -> float:
        """How long ago it was accepted."""
        return self._store.age_s(message)

    def conclude(
        self,
        rules: Rules,
        message: Message,
        attributes: EventAttributes,
        outcome: Outcome | None,
        over: Condition | None = None,
    ) -> Batch:
        """What an attempt leads to, as one batch. `over` is the condition under which it was not
        even tried."""
        attempts = message.attempts + (outcome is not None)
        if over is not None:
            step = Step("bury", condition=over)
        else:
            ok = outcome.ok if outcome is not None else None
            age_s, chance = self.age_s(message), random.random()
            step = decide(rules.policy, attempts, attributes.refusals, ok, age_s, chance)
        if step.action == "retry":
            return self._retried(message, attributes, outcome, attempts, step.delay_s)
        status = outcome.status.value if outcome is not None else "expired"
        payload = outcome.payload if outcome is not None else b"null"
        batch = self.ended(message, status, payload, attempts)
        if step.action == "done":
            self._send(batch, rules, message, outcome, "Success", attempts)
        else:
            _log.error(
                "%s: event %s given up after %d attempts (%s): %s",
                rules.function,
                message.uuid,
                attempts,
                step.condition,
                payload[:500].decode(errors="replace"),
            )
            self._send(batch, rules, message, outcome, step.condition, attempts)
        return batch

    def ended(
        self, message: Message, status: str, payload: bytes, attempts: int | None = None
    ) -> Batch:
        """Its removal, and its result."""
        attributes = events.decode_attributes(message.attributes)
        result = Result(
            message.id,
            message.uuid,
            self._store.name(message).removeprefix(PREFIX),
            attributes.qualifier,
            attributes.source,
            status,
            message.at_ms,
            int(self._clock() * 1000),
            message.attempts if attempts is None else attempts,
            encode_history(attributes.history) if attributes.history else b"",
            payload[:PAYLOAD_BYTES_MAX],
        )
        batch = Batch()
        batch.remove(message)
        batch.also("record_results", [result])
        return batch

    def _retried(
        self,
        message: Message,
        attributes: EventAttributes,
        outcome: Outcome | None,
        attempts: int,
        delay_s: float,
    ) -> Batch:
        if outcome is None:
            changed = msgspec.structs.replace(attributes, refusals=attributes.refusals + 1)
        else:
            history = [*attributes.history, self._tried(outcome)][-HISTORY_MAX:]
            changed = msgspec.structs.replace(attributes, refusals=0, history=history)
        batch = Batch()
        due_ms = self._store.now_ms() + int(delay_s * 1000)
        batch.reschedule(message, due_ms, attempts, events.encode_attributes(changed))
        return batch

    def _tried(self, outcome: Outcome) -> Attempt:
        error = records.error_of(outcome.payload)[0] or outcome.error_type
        wall_ms = round(outcome.wall_s * 1000, 3)
        return Attempt(int(self._clock() * 1000), outcome.status.value, wall_ms, error)

    def _send(
        self,
        batch: Batch,
        rules: Rules,
        message: Message,
        outcome: Outcome | None,
        condition: str,
        attempts: int,
    ) -> None:
        """Tell those who want to know; what nobody takes when it failed becomes a dead letter."""
        settings, ok = rules.settings, condition == "Success"
        to = settings.on_success if ok else settings.on_failure
        if ok and to is None:
            return
        trace_id, again = self._trace(rules, message)
        if again and condition == "RecursiveInvocation":
            # Its record came back too: to tell of that would be the same loop.
            batch.also("bury", [self._letter(rules, message, outcome, condition, attempts)])
            return
        try:
            if to is not None:
                record = records.record(
                    at_ms=int(self._clock() * 1000),
                    request_id=message.uuid,
                    function_arn=f"{self._address.arn(rules.function)}:{_qualifier(message)}",
                    condition=condition,
                    attempts=attempts,
                    event=message.body,
                    outcome=outcome,
                )
                self._destinations.send(batch, to, record, trace_id=trace_id)
            if settings.dead_letter is not None and not ok:
                kept = records.dead_letter_attributes(message.uuid, outcome, condition)
                dead = settings.dead_letter
                self._destinations.send(batch, dead, message.body, kept, trace_id)
            elif to is None and not ok:
                batch.also("bury", [self._letter(rules, message, outcome, condition, attempts)])
        except MicrofaasError as error:
            _log.error("%s: cannot tell of event %s: %s", rules.function, message.uuid, error)
            batch.also("bury", [self._letter(rules, message, outcome, condition, attempts)])

    def _trace(self, rules: Rules, message: Message) -> tuple[str, bool]:
        """The trace that the function was given, for what its end gives rise to; and whether it
        was refused already for what led here."""
        attributes = events.decode_attributes(message.attributes)
        function = lineage.hash_of(self._address.arn(rules.function))
        before = events.trace_of(message, attributes)
        passes = lineage.passes(before, function)
        return lineage.extended(before, function), passes > lineage.PASSES_MAX

    def _letter(
        self, rules: Rules, message: Message, outcome: Outcome | None, why: str, attempts: int
    ) -> DeadLetter:
        payload = outcome.payload if outcome is not None else b"null"
        kind = records.error_of(payload)[0] if outcome is not None else ""
        attributes = events.decode_attributes(message.attributes)
        fresh = msgspec.structs.replace(attributes, refusals=0, history=[])
        return DeadLetter(
            int(self._clock() * 1000),
            rules.function,
            message.uuid,
            attributes.source,
            message.body,
            payload,
            attempts,
            PREFIX + rules.function,
            kind or why,
            events.encode_attributes(fresh),
        )

    def overflown(self, rules: Rules, draft: Draft, message: Message) -> DeadLetter:
        return DeadLetter(
            int(self._clock() * 1000),
            rules.function,
            message.uuid,
            "destination",
            draft.body,
            b"null",
            0,
            draft.queue,
            "QueueFull",
            draft.attributes,
        )


def _qualifier(message: Message) -> str:
    return events.decode_attributes(message.attributes).qualifier or LATEST
