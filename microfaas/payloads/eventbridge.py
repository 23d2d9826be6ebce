"""EventBridge's events: of schedules, of the bus, and what targets make of them. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from microfaas.model import Address

# Scheduler's own words in a target's input, which it replaces.
_SCHEDULER_WORD = re.compile(r"<aws\.scheduler\.([a-z-]+)>")
_PLACEHOLDER = re.compile(r"<([A-Za-z0-9_.-]+)>")
_STEP = re.compile(r"[A-Za-z0-9_-]+(\[[0-9]+\])?")
_BUS_ARN = re.compile(r"arn:aws[\w-]*:events:[\w-]+:\d{12}:event-bus/([\w./-]{1,256})")
MISSING = object()
# The one bus there is.
BUS = "default"


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """A moment a schedule was due at, and the id of what is made of it."""

    at_ms: int
    id: str


class Occurrence(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody put on the bus."""

    id: str
    at_ms: int
    source: str
    detail_type: str
    detail: Any
    resources: tuple[str, ...] = ()


def bus_arn(address: Address) -> str:
    return f"arn:aws:events:{address.region}:{address.account_id}:event-bus/{BUS}"


def bus_in(arn: str) -> str | None:
    """A bus by its ARN, as a name; None for anything else's."""
    match = _BUS_ARN.fullmatch(arn)
    return match[1] if match else None


def rule_arn(address: Address, name: str) -> str:
    return f"arn:aws:events:{address.region}:{address.account_id}:rule/{name}"


def schedule_arn(address: Address, name: str, group: str = "default") -> str:
    return f"arn:aws:scheduler:{address.region}:{address.account_id}:schedule/{group}/{name}"


def event(address: Address, occurrence: Occurrence) -> dict[str, Any]:
    """An event as the bus carries it."""
    return {
        "version": "0",
        "id": occurrence.id,
        "detail-type": occurrence.detail_type,
        "source": occurrence.source,
        "account": address.account_id,
        "time": second(occurrence.at_ms),
        "region": address.region,
        "resources": list(occurrence.resources),
        "detail": occurrence.detail,
    }


def of_end(address: Address, end_id: str, at_ms: int, record: Mapping[str, Any]) -> Occurrence:
    """What a destination on the bus is told of an invocation, by the record of its end."""
    asked = record["requestContext"]
    how = "Success" if asked["condition"] == "Success" else "Failure"
    return Occurrence(
        id=end_id,
        at_ms=at_ms,
        source="lambda",
        detail_type=f"Lambda Function Invocation Result - {how}",
        detail=record,
        resources=(bus_arn(address), asked["functionArn"]),
    )


def of_rule(address: Address, arn: str, tick: Tick) -> dict[str, Any]:
    """The event of a rule that has a schedule."""
    return _of_tick(address, arn, tick, "aws.events", {})


def of_schedule(address: Address, arn: str, tick: Tick) -> dict[str, Any]:
    """The event of EventBridge Scheduler's, where a target has no input; `detail` is text there."""
    return _of_tick(address, arn, tick, "aws.scheduler", "{}")


def _of_tick(address: Address, arn: str, tick: Tick, source: str, detail: object) -> dict[str, Any]:
    occurrence = Occurrence(
        id=tick.id,
        at_ms=tick.at_ms,
        source=source,
        detail_type="Scheduled Event",
        detail=detail,
        resources=(arn,),
    )
    return event(address, occurrence)


def filled(text: str, arn: str, tick: Tick) -> str:
    """A target's input with Scheduler's words replaced; words it does not know stay.

    An event keeps its text through all attempts, and so its attempt number is that of the first.
    """
    words = {
        "schedule-arn": arn,
        "scheduled-time": second(tick.at_ms),
        "execution-id": tick.id,
        "attempt-number": "1",
    }
    return _SCHEDULER_WORD.sub(lambda match: words.get(match[1], match[0]), text)


def second(at_ms: int) -> str:
    """A moment as events tell it, to the second."""
    return datetime.fromtimestamp(at_ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def encode(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def is_path(path: str) -> bool:
    """Whether it is of the JSON paths that EventBridge takes: `$`, `$.detail.items[0].name`."""
    if path == "$":
        return True
    return path.startswith("$.") and all(_STEP.fullmatch(step) for step in path[2:].split("."))


def at_path(value: Any, path: str) -> Any:
    """What is there in an event; MISSING when nothing is."""
    for step in path[2:].split(".") if path != "$" else ():
        name, _, index = step.rstrip("]").partition("[")
        value = value.get(name, MISSING) if isinstance(value, Mapping) else MISSING
        if index:
            inside = isinstance(value, list) and int(index) < len(value)
            value = value[int(index)] if inside else MISSING
    return value


def transformed(
    event: Mapping[str, Any], paths: Mapping[str, str], template: str, rule: tuple[str, str]
) -> bytes:
    """A template with its placeholders filled from an event; `rule` is the rule's ARN and name.

    Within quotes a placeholder becomes text, outside of them JSON. What an event has not becomes
    nothing within quotes, and null outside. A template of JSON gives compact JSON; one that is
    none but text gives a string.
    """
    values = {name: at_path(event, path) for name, path in paths.items()}
    values["aws.events.rule-arn"], values["aws.events.rule-name"] = rule
    values["aws.events.event"] = {k: v for k, v in event.items() if k != "detail"}
    values["aws.events.event.json"] = dict(event)
    values["aws.events.event.ingestion-time"] = event.get("time", "")
    if template.lstrip()[:1] not in ('"', "{", "["):
        shown = {name: _text(value) for name, value in values.items()}
        return encode(_PLACEHOLDER.sub(lambda match: shown.get(match[1], match[0]), template))
    made = _filled_template(template, values)
    try:
        return encode(json.loads(made))
    except (ValueError, RecursionError):
        return made.encode()


def _filled_template(template: str, values: Mapping[str, Any]) -> str:
    """Filled piece by piece; whether a piece begins within quotes is followed on the way."""
    parts: list[str] = []
    quoted, end = False, 0
    for match in _PLACEHOLDER.finditer(template):
        before = template[end : match.start()]
        quoted ^= _quotes(before) % 2 == 1
        parts.append(before)
        known = match[1] in values
        parts.append(_shown(values[match[1]], quoted) if known else match[0])
        end = match.end()
    return "".join(parts) + template[end:]


def _quotes(text: str) -> int:
    """How many quotes of JSON there are, escaped ones not counted."""
    return re.sub(r"\\.", "", text, flags=re.DOTALL).count('"')


def _shown(value: Any, quoted: bool) -> str:
    if quoted:
        return json.dumps(_text(value), ensure_ascii=False)[1:-1]
    return "null" if value is MISSING else encode(value).decode()


def _text(value: Any) -> str:
    if value is MISSING:
        return ""
    return value if isinstance(value, str) else encode(value).decode()
