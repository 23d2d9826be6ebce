"""What fires functions besides messages and requests: schedules, rules and files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from microfaas.templates.mapping import (
    Resource,
    Scene,
    add_trigger,
    as_table,
    number,
    service_of,
    without_none,
)
from microfaas.templates.references import function_of
from microfaas.templates.stack import bucket_path

_WHOLE = "is not had here: the function gets the whole event"
_FILE_EVENTS = {"s3:ObjectCreated:": "created", "s3:ObjectRemoved:": "removed"}


def rule(scene: Scene, resource: Resource) -> None:
    """AWS::Events::Rule."""
    given = resource.properties
    if given.get("EventBusName", "default") != "default":
        scene.fault(resource, "EventBusName: there is the default bus alone")
    enabled = given.get("State", "ENABLED") != "DISABLED"
    for target in given.get("Targets") or []:
        found = Resource(resource.id, resource.name, target)
        if service_of(str(target.get("Arn", ""))) != "lambda":
            scene.fault(resource, f"its target {target.get('Arn')} is no function; let one send on")
            continue
        scene.refuse(found, ("InputTransformer", "InputPath"), _WHOLE)
        if (expression := given.get("ScheduleExpression")) is not None:
            schedule = {"expression": expression, "name": resource.name, "input": _input(target)}
            off = {} if enabled else {"enabled": False}
            scene.trigger(found, "Arn", {"type": "schedule", **schedule, **off})
        if (pattern := given.get("EventPattern")) is not None and enabled:
            scene.refuse(found, ("Input",), _WHOLE)
            event = {"type": "event", "pattern": as_table(pattern), "name": resource.name}
            scene.trigger(found, "Arn", event)


def schedule(scene: Scene, resource: Resource) -> None:
    """AWS::Scheduler::Schedule."""
    given = resource.properties
    target = given.get("Target") or {}
    window = given.get("FlexibleTimeWindow") or {}
    minutes = number(window.get("MaximumWindowInMinutes"))
    if service_of(str(target.get("Arn", ""))) != "lambda":
        scene.fault(resource, f"its target {target.get('Arn')} is no function; let one send on")
        return
    table = {
        "type": "schedule",
        "expression": given.get("ScheduleExpression"),
        "name": resource.name,
        "timezone": given.get("ScheduleExpressionTimezone"),
        "start": given.get("StartDate"),
        "end": given.get("EndDate"),
        "jitter_s": minutes * 60 if isinstance(minutes, int) else None,
        "enabled": False if given.get("State") == "DISABLED" else None,
        "input": _input(target),
    }
    scene.trigger(Resource(resource.id, resource.name, target), "Arn", table)


def bucket(scene: Scene, resource: Resource) -> None:
    """AWS::S3::Bucket: a folder, and who is told of its files."""
    scene.stack.buckets.append(resource.name)
    given = resource.properties.get("NotificationConfiguration") or {}
    configuration = Resource(resource.id, resource.name, given)
    others = ("QueueConfigurations", "TopicConfigurations", "EventBridgeConfiguration")
    scene.refuse(configuration, others, "is not had here: files fire functions, and these send on")
    for row in given.get("LambdaConfigurations") or []:
        found = Resource(resource.id, resource.name, row)
        function = scene.function(found, "Function")
        event = str(row.get("Event", ""))
        kind = next((kind for known, kind in _FILE_EVENTS.items() if event.startswith(known)), None)
        if kind is None:
            scene.fault(resource, f"{event} does not happen to files; they are created and removed")
        elif function is not None:
            rules = {**dict(_key_rules(row)), "qualifier": scene.qualifier(found, "Function")}
            _watch(function, resource.name, kind, without_none(rules))
            name, _ = function_of(str(row["Function"]))
            shown = {f"BUCKET_{resource.id.upper()}": {"path": bucket_path(resource.name)}}
            scene.stack.mounts.setdefault(name, {}).update(shown)


def _watch(function: dict[str, Any], bucket: str, kind: str, rules: Mapping[str, str]) -> None:
    """Several notifications about the same keys are one trigger."""
    same = {"type": "bucket", "path": bucket_path(bucket), "bucket": bucket, **rules}
    for trigger in function.get("triggers", []):
        if {key: value for key, value in trigger.items() if key != "events"} == same:
            if kind not in trigger["events"]:
                trigger["events"].append(kind)
            return
    add_trigger(function, {**same, "events": [kind]})


def _key_rules(row: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    key = (row.get("Filter") or {}).get("S3Key") or {}
    for rule in key.get("Rules") or []:
        yield str(rule.get("Name", "")).lower(), str(rule.get("Value", ""))


def _input(target: Mapping[str, Any]) -> Any:
    """What the function gets in place of the event; JSON where it is some."""
    text = target.get("Input")
    made = as_table(text)
    return text if made is None else made
