"""EventBridge's operations over the rules of the default bus."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import msgspec

from microfaas.errors import ServiceError
from microfaas.gateway.aws import tagging
from microfaas.gateway.aws.service import Caller, Params, Service
from microfaas.messaging import rules as book
from microfaas.messaging.rules import BUS, Rule, Rules
from microfaas.messaging.targets import Target, is_json, place
from microfaas.model import Address
from microfaas.payloads import eventbridge
from microfaas.payloads.eventbridge import Occurrence

PAGE = 100
ENTRIES_BYTES_MAX = 1024 * 1024
# What is kept of a target for whoever asks, and not acted on: functions have their own rules.
_TOLD = ("RoleArn", "RetryPolicy", "SqsParameters", "KinesisParameters")
_KNOWN = {"Id", "Arn", "Input", "InputPath", "InputTransformer", "DeadLetterConfig", *_TOLD}
# In an event for TestEventPattern.
_FIELDS = ("id", "account", "source", "time", "region", "resources", "detail-type")


class EventsApi:
    """One coroutine per operation."""

    def __init__(self, rules: Rules, address: Address) -> None:
        self._rules = rules
        self._bus_arn = eventbridge.bus_arn(address)

    def service(self) -> Service:
        return Service(
            "events",
            {
                "PutEvents": self._put_events,
                "PutRule": self._put_rule,
                "DeleteRule": self._delete_rule,
                "DescribeRule": self._describe_rule,
                "ListRules": self._list_rules,
                "EnableRule": self._enable_rule,
                "DisableRule": self._disable_rule,
                "PutTargets": self._put_targets,
                "RemoveTargets": self._remove_targets,
                "ListTargetsByRule": self._list_targets,
                "TagResource": self._tag,
                "UntagResource": self._untag,
                "ListTagsForResource": self._tags,
                "TestEventPattern": self._test_pattern,
                "ListEventBuses": self._list_buses,
                "DescribeEventBus": self._describe_bus,
            },
        )

    async def _put_events(self, caller: Caller, params: Params) -> Params:
        entries = params["Entries"]
        if sum(map(_size, entries)) > ENTRIES_BYTES_MAX:
            _refuse("Total size of the entries in the request is over the limit.")
        results: list[Params] = []
        taken: list[Occurrence] = []
        for entry in entries:
            if (fault := _fault(entry)) is not None:
                results.append({"ErrorCode": fault[0], "ErrorMessage": fault[1]})
                continue
            taken.append(_occurrence(entry))
            results.append({"EventId": taken[-1].id})
        await self._rules.publish(taken, caller.trace_id)
        return {"FailedEntryCount": len(results) - len(taken), "Entries": results}

    async def _put_rule(self, _: Caller, params: Params) -> Params:
        _on_bus(params)
        rule = Rule(
            name=params["Name"],
            description=params.get("Description", ""),
            pattern=params.get("EventPattern", ""),
            expression=params.get("ScheduleExpression", ""),
            state=params.get("State", "ENABLED"),
            role=params.get("RoleArn", ""),
            tags=tagging.read(params.get("Tags", ())),
        )
        await self._rules.put(rule)
        return {"RuleArn": self._rules.arn(rule.name)}

    async def _delete_rule(self, _: Caller, params: Params) -> Params:
        _on_bus(params)
        await self._rules.delete(params["Name"])
        return {}

    async def _describe_rule(self, _: Caller, params: Params) -> Params:
        _on_bus(params)
        return self._told(self._rules.get(params["Name"]))

    async def _list_rules(self, _: Caller, params: Params) -> Params:
        _on_bus(params)
        prefix = params.get("NamePrefix", "")
        rules = [rule for rule in self._rules.all() if rule.name.startswith(prefix)]
        page, more = _page(rules, params)
        return {"Rules": [self._told(rule) for rule in page], "NextToken": more}

    async def _enable_rule(self, _: Caller, params: Params) -> Params:
        _on_bus(params)
        await self._rules.switch(params["Name"], "ENABLED")
        return {}

    async def _disable_rule(self, _: Caller, params: Params) -> Params:
        _on_bus(params)
        await self._rules.switch(params["Name"], "DISABLED")
        return {}

    async def _put_targets(self, _: Caller, params: Params) -> Params:
        _on_bus(params)
        targets = [_target(raw) for raw in params["Targets"]]
        await self._rules.put_targets(params["Rule"], targets)
        return {"FailedEntryCount": 0, "FailedEntries": []}

    async def _remove_targets(self, _: Caller, params: Params) -> Params:
        _on_bus(params)
        await self._rules.remove_targets(params["Rule"], params["Ids"])
        return {"FailedEntryCount": 0, "FailedEntries": []}

    async def _list_targets(self, _: Caller, params: Params) -> Params:
        _on_bus(params)
        page, more = _page(self._rules.get(params["Rule"]).targets, params)
        return {"Targets": [_told_target(target) for target in page], "NextToken": more}

    async def _tag(self, _: Caller, params: Params) -> Params:
        await self._rules.tag(
            self._of_arn(params["ResourceARN"]).name, tagging.read(params["Tags"])
        )
        return {}

    async def _untag(self, _: Caller, params: Params) -> Params:
        await self._rules.tag(self._of_arn(params["ResourceARN"]).name, {}, params["TagKeys"])
        return {}

    async def _tags(self, _: Caller, params: Params) -> Params:
        return {"Tags": tagging.rows(self._of_arn(params["ResourceARN"]).tags)}

    def _of_arn(self, arn: str) -> Rule:
        """The rule of an ARN, which may name the bus. Raises ServiceError."""
        name = arn.rpartition("/")[2]
        if arn not in (self._rules.arn(name), self._rules.arn(f"{BUS}/{name}")):
            raise ServiceError("ResourceNotFoundException", f"There is no rule {arn}.")
        return self._rules.get(name)

    async def _test_pattern(self, _: Caller, params: Params) -> Params:
        pattern = book.compiled(params["EventPattern"])
        try:
            event = msgspec.json.decode(params["Event"])
        except (msgspec.DecodeError, RecursionError):
            event = None
        if not isinstance(event, dict):
            _refuse("Parameter Event is not valid.")
        for name in _FIELDS:
            if name not in event:
                _refuse(f"Parameter Event is not valid. Reason: it must have the field {name}.")
        return {"Result": pattern.matches(event)}

    async def _list_buses(self, _: Caller, params: Params) -> Params:
        buses = [{"Name": BUS, "Arn": self._bus_arn}]
        return {"EventBuses": buses if BUS.startswith(params.get("NamePrefix", "")) else []}

    async def _describe_bus(self, _: Caller, params: Params) -> Params:
        _on_bus({"EventBusName": params.get("Name", BUS)})
        return {"Name": BUS, "Arn": self._bus_arn}

    def _told(self, rule: Rule) -> Params:
        optional = {
            "Description": rule.description,
            "EventPattern": rule.pattern,
            "ScheduleExpression": rule.expression,
            "RoleArn": rule.role,
        }
        return {
            "Name": rule.name,
            "Arn": self._rules.arn(rule.name),
            "State": rule.state,
            "EventBusName": BUS,
            **{name: text for name, text in optional.items() if text},
        }


def _refuse(text: str) -> NoReturn:
    raise ServiceError("ValidationException", text)


def _on_bus(params: Params) -> None:
    """There is the default bus alone. Raises ServiceError."""
    name = params.get("EventBusName", BUS).rpartition("event-bus/")[2]
    if name != BUS:
        raise ServiceError("ResourceNotFoundException", f"Event bus {name} does not exist.")


def _page(things: Iterable[Any], params: Params) -> tuple[list[Any], str | None]:
    """As many as fit, from where the last page ended, and where the next one begins."""
    whole = list(things)
    try:
        start = int(params.get("NextToken", "0"))
    except ValueError:
        _refuse("Parameter NextToken is not valid.")
    end = start + params.get("Limit", PAGE)
    return whole[start:end], str(end) if end < len(whole) else None


def _size(entry: Mapping[str, Any]) -> int:
    """An entry's size as AWS reckons it."""
    texts = [entry.get(name, "") for name in ("Source", "DetailType", "Detail")]
    size = sum(len(text.encode()) for text in [*texts, *entry.get("Resources", ())])
    return size + (14 if "Time" in entry else 0)


def _fault(entry: Mapping[str, Any]) -> tuple[str, str] | None:
    """What is wrong with an entry: AWS's code and text."""
    for name in ("Source", "DetailType", "Detail"):
        if not entry.get(name):
            text = f"Parameter {name} is not valid. Reason: {name} is a required argument."
            return "InvalidArgument", text
    if entry["Source"].startswith("aws."):
        return "NotAuthorizedForSourceException", "Not authorized for the source."
    if (bus := entry.get("EventBusName", BUS).rpartition("event-bus/")[2]) != BUS:
        return "ResourceNotFoundException", f"Event bus {bus} does not exist."
    if not isinstance(_detail(entry), dict):
        return "MalformedDetail", "Detail is malformed."
    return None


def _detail(entry: Mapping[str, Any]) -> object:
    try:
        return msgspec.json.decode(entry["Detail"])
    except (msgspec.DecodeError, RecursionError, ValueError):
        return None


def _occurrence(entry: Mapping[str, Any]) -> Occurrence:
    return Occurrence(
        id=str(uuid.uuid4()),
        at_ms=int(entry.get("Time", time.time()) * 1000),
        source=entry["Source"],
        detail_type=entry["DetailType"],
        detail=_detail(entry),
        resources=tuple(entry.get("Resources", ())),
    )


def _target(raw: Mapping[str, Any]) -> Target:
    """A target out of its parameters. Raises ServiceError for what it cannot be."""
    arn, name = raw["Arn"], raw["Id"]
    if (to := place(arn)) is None:
        reason = "it must be a function's, queue's, topic's or stream's, or a function's name"
        _refuse(f"Parameter {arn} is not valid. Reason: {reason}.")
    if unknown := sorted(raw.keys() - _KNOWN):
        _refuse(f"Parameter {', '.join(unknown)} of target {name} is not served by microfaas.")
    transformer = raw.get("InputTransformer", {})
    if len(raw.keys() & {"Input", "InputPath", "InputTransformer"}) > 1:
        text = "Only one of Input, InputPath, or InputTransformer must be provided"
        _refuse(f"{text} for target {name}.")
    if "Input" in raw and not is_json(raw["Input"]):
        _refuse(f"JSON syntax error in input for target {name}.")
    for path in [*transformer.get("InputPathsMap", {}).values(), raw.get("InputPath", "$")]:
        if not eventbridge.is_path(path):
            _refuse(f"Invalid InputPath for target {name}: {path} is no path such as $.detail.id.")
    return Target(
        id=name,
        arn=arn,
        input=raw.get("Input"),
        input_path=raw.get("InputPath"),
        paths=transformer.get("InputPathsMap", {}),
        template=transformer.get("InputTemplate"),
        group=raw.get("SqsParameters", {}).get("MessageGroupId", ""),
        group_path=_group_path(raw, "$.id" if to.kind == "stream" else ""),
        dead_letter=raw.get("DeadLetterConfig", {}).get("Arn", ""),
        told={key: raw[key] for key in _TOLD if key in raw},
    )


def _group_path(raw: Mapping[str, Any], default: str) -> str:
    path: str = raw.get("KinesisParameters", {}).get("PartitionKeyPath", default)
    if path and not eventbridge.is_path(path):
        _refuse(f"Invalid PartitionKeyPath for target {raw['Id']}: {path} is no path.")
    return path


def _told_target(target: Target) -> Params:
    told = {"Id": target.id, "Arn": target.arn, **target.told}
    if target.input is not None:
        told["Input"] = target.input
    if target.input_path is not None:
        told["InputPath"] = target.input_path
    if target.template is not None:
        paths = {"InputPathsMap": target.paths} if target.paths else {}
        told["InputTransformer"] = {**paths, "InputTemplate": target.template}
    if target.dead_letter:
        told["DeadLetterConfig"] = {"Arn": target.dead_letter}
    return told
