"""EventBridge Scheduler's operations, for the default group of schedules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from microfaas.errors import ServiceError
from microfaas.gateway.aws.service import Caller, Params, Service
from microfaas.messaging.scheduler import GROUP, Scheduler, Timed
from microfaas.messaging.targets import Target, is_json, place

PAGE = 100
# What is kept for whoever asks, and not acted on: functions have their own rules for retries.
_TOLD = ("Description", "KmsKeyArn")
_TARGET_TOLD = ("RoleArn", "RetryPolicy", "SqsParameters", "KinesisParameters")
_TARGET_KNOWN = {"Arn", "Input", "DeadLetterConfig", *_TARGET_TOLD}


class SchedulerApi:
    """One coroutine per operation."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def service(self) -> Service:
        return Service(
            "scheduler",
            {
                "CreateSchedule": self._create,
                "GetSchedule": self._get,
                "UpdateSchedule": self._update,
                "DeleteSchedule": self._delete,
                "ListSchedules": self._list,
            },
        )

    async def _create(self, _: Caller, params: Params) -> Params:
        _in_group(params)
        await self._scheduler.create(_timed(params))
        return {"ScheduleArn": self._scheduler.arn(params["Name"])}

    async def _get(self, _: Caller, params: Params) -> Params:
        _in_group(params)
        timed = self._scheduler.get(params["Name"])
        flexible = {"MaximumWindowInMinutes": timed.window_min} if timed.window_min else {}
        dates = {"StartDate": timed.start_s, "EndDate": timed.end_s}
        return {
            **self._summary(timed),
            **timed.told,
            **{name: at_s for name, at_s in dates.items() if at_s is not None},
            "ScheduleExpression": timed.expression,
            "ScheduleExpressionTimezone": timed.timezone,
            "FlexibleTimeWindow": {"Mode": "FLEXIBLE" if flexible else "OFF", **flexible},
            "ActionAfterCompletion": timed.after,
            "Target": _told_target(timed.target),
        }

    async def _update(self, _: Caller, params: Params) -> Params:
        _in_group(params)
        await self._scheduler.update(_timed(params))
        return {"ScheduleArn": self._scheduler.arn(params["Name"])}

    async def _delete(self, _: Caller, params: Params) -> Params:
        _in_group(params)
        await self._scheduler.delete(params["Name"])
        return {}

    async def _list(self, _: Caller, params: Params) -> Params:
        _in_group(params)
        prefix, after = params.get("NamePrefix", ""), params.get("NextToken", "")
        state = params.get("State")
        found = [
            timed
            for timed in self._scheduler.all()
            if timed.name.startswith(prefix) and timed.name > after and state in (None, timed.state)
        ]
        limit = params.get("MaxResults", PAGE)
        page = found[:limit]
        more = page[-1].name if len(found) > limit else None
        return {"Schedules": [self._summary(timed) for timed in page], "NextToken": more}

    def _summary(self, timed: Timed) -> Params:
        return {
            "Arn": self._scheduler.arn(timed.name),
            "Name": timed.name,
            "GroupName": GROUP,
            "State": timed.state,
            "CreationDate": timed.created_s,
            "LastModificationDate": timed.changed_s,
            "Target": {"Arn": timed.target.arn},
        }


def _refuse(text: str) -> NoReturn:
    raise ServiceError("ValidationException", text)


def _in_group(params: Params) -> None:
    """There is the default group alone. Raises ServiceError."""
    if (group := params.get("GroupName", GROUP)) != GROUP:
        raise ServiceError("ResourceNotFoundException", f"Schedule group {group} does not exist.")


def _timed(params: Params) -> Timed:
    """A schedule out of its parameters. Raises ServiceError for what it cannot be."""
    window = params["FlexibleTimeWindow"]
    if (window["Mode"] == "FLEXIBLE") != ("MaximumWindowInMinutes" in window):
        _refuse("MaximumWindowInMinutes goes with the Mode FLEXIBLE of FlexibleTimeWindow.")
    return Timed(
        name=params["Name"],
        expression=params["ScheduleExpression"],
        timezone=params.get("ScheduleExpressionTimezone", "UTC"),
        target=_target(params["Target"]),
        state=params.get("State", "ENABLED"),
        window_min=window.get("MaximumWindowInMinutes"),
        start_s=params.get("StartDate"),
        end_s=params.get("EndDate"),
        after=params.get("ActionAfterCompletion", "NONE"),
        told={key: params[key] for key in _TOLD if key in params},
    )


def _target(raw: Mapping[str, Any]) -> Target:
    if (to := place(raw["Arn"])) is None:
        reason = "it must be a function's, queue's, topic's or stream's"
        _refuse(f"Provided Arn is not in correct format: {reason}.")
    if unknown := sorted(raw.keys() - _TARGET_KNOWN):
        _refuse(f"{', '.join(unknown)} of a target: not served by microfaas.")
    given = raw.get("Input")
    if to.kind == "function" and given is not None and not is_json(given):
        _refuse("The Input of a function must be JSON.")
    keys = raw.get("SqsParameters", {}), raw.get("KinesisParameters", {})
    return Target(
        arn=raw["Arn"],
        input=given,
        group=keys[0].get("MessageGroupId", "") or keys[1].get("PartitionKey", ""),
        dead_letter=raw.get("DeadLetterConfig", {}).get("Arn", ""),
        told={key: raw[key] for key in _TARGET_TOLD if key in raw},
    )


def _told_target(target: Target) -> Params:
    told: Params = {"Arn": target.arn, **target.told}
    if target.input is not None:
        told["Input"] = target.input
    if target.dead_letter:
        told["DeadLetterConfig"] = {"Arn": target.dead_letter}
    return told
