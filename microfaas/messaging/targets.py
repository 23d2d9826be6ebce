"""Targets of rules and schedules: where they are, what they are sent, and what if they are gone."""

from __future__ import annotations

import json
import logging
import re
import time
import uuid
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import msgspec

from microfaas.errors import FunctionNotFound, MicrofaasError
from microfaas.model import LATEST
from microfaas.payloads import eventbridge
from microfaas.store import events
from microfaas.store.dead import DeadLetter
from microfaas.store.events import EventAttributes
from microfaas.store.messages import Batch

_LAMBDA = re.compile(r"arn:aws[\w-]*:lambda:[\w-]+:\d{12}:function:([\w-]{1,64})(?::([\w$-]+))?")
_OTHER = re.compile(
    r"arn:aws[\w-]*:(?P<kind>sqs|sns|kinesis):[\w-]+:\d{12}:(?P<name>(?:stream/)?[\w.-]{1,256})"
)
_FUNCTION = re.compile(r"([\w-]{1,64})(?::([\w$-]{1,128}))?")

Kind = Literal["function", "queue", "topic", "stream"]
_KINDS: Mapping[str, Kind] = MappingProxyType({"sqs": "queue", "sns": "topic", "kinesis": "stream"})

_log = logging.getLogger("microfaas.schedules")


class Place(NamedTuple):
    """Where something is sent. `group` is for queues that keep order, and for a stream the
    partition key; `trace_id` is of what it comes from."""

    kind: Kind
    name: str
    qualifier: str = ""
    group: str = ""
    trace_id: str = ""


# Whether a function, and what qualifier of it, may be called for what has an ARN (first).
Permits = Callable[[str, str, str], bool]
# Puts a body where a place says, as part of a batch. Raises MicrofaasError where there is none.
Send = Callable[[Batch, Place, bytes], None]


class Target(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rule's or schedule's target. `told` is what AWS keeps of it and nobody asks here."""

    arn: str
    id: str = ""
    input: str | None = None
    input_path: str | None = None
    paths: dict[str, str] = {}
    template: str | None = None
    group: str = ""
    # Where in the event a stream's partition key is.
    group_path: str = ""
    dead_letter: str = ""
    told: dict[str, Any] = {}

    def body(self, event: dict[str, Any], rule: tuple[str, str]) -> bytes:
        """What it is sent for an event; `rule` is the rule's ARN and name."""
        if self.input is not None:
            return self.input.encode()
        if self.template is not None:
            return eventbridge.transformed(event, self.paths, self.template, rule)
        if self.input_path is not None:
            found = eventbridge.at_path(event, self.input_path)
            return eventbridge.encode(None if found is eventbridge.MISSING else found)
        return eventbridge.encode(event)


def place(arn: str, group: str = "") -> Place | None:
    """Where an ARN, or a function's `NAME` or `NAME:QUALIFIER`, leads; None when nothing of that
    kind is served."""
    if match := _LAMBDA.fullmatch(arn):
        return Place("function", match[1], match[2] or "")
    if match := _OTHER.fullmatch(arn):
        is_stream = match["name"].startswith("stream/")
        if is_stream != (match["kind"] == "kinesis"):
            return None
        return Place(_KINDS[match["kind"]], match["name"].removeprefix("stream/"), "", group)
    match = _FUNCTION.fullmatch(arn)
    return Place("function", match[1], match[2] or "") if match else None


class Targets:
    """Sends to targets. What cannot be sent goes to the target's dead-letter queue, else it
    becomes a dead letter here."""

    def __init__(
        self,
        sends: Mapping[Kind, Send],
        serves: Callable[[str], bool],
        permits: Permits,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`sends` are for all kinds but functions; `serves` tells whether there is a function of a
        name, `permits` whether a rule may call it."""
        self._sends = sends
        self._permits = permits
        self._serves = serves
        self._clock = clock

    def send(
        self,
        batch: Batch,
        target: Target,
        body: bytes,
        event: object,
        source: str,
        rule: str = "",
        trace_id: str = "",
    ) -> None:
        """Send a body as part of a batch. `event` is what it was made of, and `source` what made
        it; `rule` is the ARN of what needs a function's permission, if anything does."""
        to = place(target.arn, self._group(target, event))
        try:
            if to is None:
                raise MicrofaasError(f"nothing of that kind is served: {target.arn}")
            to = to._replace(trace_id=trace_id)
            self._put(batch, to, body, source, rule)
        except MicrofaasError as error:
            _log.error("%s: cannot send to %s: %s", source, target.arn, error)
            self._bury(batch, target, to, body, source, str(error))

    def _put(self, batch: Batch, to: Place, body: bytes, source: str, rule: str) -> None:
        if to.kind == "function":
            if not self._serves(to.name):
                raise FunctionNotFound(to.name, to.qualifier or LATEST)
            if rule and not self._permits(rule, to.name, to.qualifier):
                raise not_permitted(rule, to.name)
            batch.put(
                events.draft(
                    *(to.name, body),
                    qualifier=to.qualifier,
                    trace_id=to.trace_id,
                    source=source,
                )
            )
        else:
            self._send(batch, to, body)

    def _send(self, batch: Batch, to: Place, body: bytes) -> None:
        if to.kind not in self._sends:
            raise MicrofaasError(f"nothing can be sent to a {to.kind} from here")
        self._sends[to.kind](batch, to, body)

    def _group(self, target: Target, event: object) -> str:
        if not target.group_path:
            return target.group
        found = eventbridge.at_path(event, target.group_path)
        return found if isinstance(found, str) else json.dumps(found, default=str)

    def _bury(
        self, batch: Batch, target: Target, to: Place | None, body: bytes, source: str, why: str
    ) -> None:
        if target.dead_letter and (dead := place(target.dead_letter)) is not None:
            try:
                traced = dead if to is None else dead._replace(trace_id=to.trace_id)
                return self._send(batch, traced, body)
            except MicrofaasError as error:
                _log.error("%s: nor to %s: %s", source, target.dead_letter, error)
        function = to.name if to is not None and to.kind == "function" else ""
        attributes = EventAttributes(qualifier=to.qualifier if to else "", source=source)
        letter = DeadLetter(
            int(self._clock() * 1000),
            function,
            str(uuid.uuid4()),
            source,
            body,
            msgspec.json.encode(why),
            0,
            f"{events.PREFIX}{function}" if function else "",
            "Undeliverable",
            events.encode_attributes(attributes),
        )
        return batch.also("bury", [letter])


def not_permitted(source: str, function: str) -> MicrofaasError:
    """The error for a function that does not let something call it, by that thing's ARN."""
    return MicrofaasError(
        f"the policy of the function {function} does not permit {source} to call it: "
        "add a permission with that SourceArn"
    )


def is_json(text: str) -> bool:
    """Whether a target's input is."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
