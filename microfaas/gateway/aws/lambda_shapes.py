"""Functions and aliases as Lambda's replies show them. Pure."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from microfaas.control import packing, revisions
from microfaas.control.making import whole_s
from microfaas.control.records import Alias, Edition
from microfaas.control.registry import Registry
from microfaas.gateway.aws.service import Params
from microfaas.model import LATEST, LogSettings, usual_log_group

_CREATING = {
    "State": "Pending",
    "StateReason": "The function is being created.",
    "StateReasonCode": "Creating",
}
_UPDATING = {
    "State": "Active",
    "LastUpdateStatus": "InProgress",
    "LastUpdateStatusReason": "The function is being created.",
    "LastUpdateStatusReasonCode": "Creating",
}
_SETTLED = {"State": "Active", "LastUpdateStatus": "Successful"}


class Shapes:
    """Makes the shapes; `layer_size` gives the bytes of a layer version's package by its ARN."""

    def __init__(self, registry: Registry, layer_size: Callable[[str], int]) -> None:
        self._registry = registry
        self._layer_size = layer_size

    def configuration(
        self, name: str, edition: Edition, qualifier: str, number: str, *, fresh: bool = False
    ) -> Params:
        """A FunctionConfiguration. `fresh`: it is the reply to what has just changed it, which AWS
        shows as being under way in any case."""
        settings = edition.settings
        in_progress = fresh or edition.settles_ms > time.time() * 1000
        layers = [{"Arn": arn, "CodeSize": self._layer_size(arn)} for arn in settings.layers]
        region = self._registry.address.region
        own = edition.description if number != LATEST else settings.description
        return {
            "FunctionName": name,
            "FunctionArn": self._registry.arn(name, "" if qualifier == LATEST else qualifier),
            "Runtime": settings.runtime,
            "Role": settings.role,
            "Handler": settings.handler,
            "CodeSize": edition.package.size,
            "CodeSha256": packing.shown_sha256(edition.package),
            "Description": own,
            "Timeout": whole_s(settings.timeout_s),
            "MemorySize": settings.memory_mb,
            "LastModified": modified(edition.changed_ms),
            "Version": number,
            "RevisionId": edition.revision if fresh else self._revision(name, number),
            "PackageType": "Zip",
            "Architectures": list(settings.architectures),
            "EphemeralStorage": {"Size": settings.tmp_mb},
            "LoggingConfig": _logging(name, settings.logs),
            "RuntimeVersionConfig": {"RuntimeVersionArn": runtime_arn(region, settings.runtime)},
            "Environment": _environment(edition),
            "Layers": layers or None,
            "DeadLetterConfig": _arn("TargetArn", settings.dead_letter),
            "TracingConfig": {"Mode": "PassThrough"},
            **_told(edition),
            **self._state(name, edition, number, in_progress),
        }

    def alias(self, name: str, called: str, alias: Alias) -> Params:
        """An AliasConfiguration."""
        weights = {"AdditionalVersionWeights": dict(alias.weights)} if alias.weights else None
        return {
            "AliasArn": self._registry.arn(name, called),
            "Name": called,
            "FunctionVersion": alias.version,
            "Description": alias.description,
            "RoutingConfig": weights,
            "RevisionId": revisions.of(self._registry, name, called),
        }

    def _revision(self, name: str, number: str) -> str:
        return revisions.of(self._registry, name, "" if number == LATEST else number)

    def _state(self, name: str, edition: Edition, number: str, in_progress: bool) -> Params:
        if why := self._registry.served.fault(name, number):
            return {"State": "Failed", "StateReason": why, "StateReasonCode": "InternalError"}
        if not in_progress:
            return _SETTLED
        return _CREATING if edition.created else _UPDATING


def modified(at_ms: int) -> str:
    """LastModified, as Lambda writes it."""
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at_ms % 1000:03d}+0000"


def runtime_arn(region: str, runtime: str) -> str:
    """The ARN of what a runtime's name means."""
    return f"arn:aws:lambda:{region}::runtime:{sha256(runtime.encode()).hexdigest()}"


def _logging(name: str, logs: LogSettings) -> Params:
    levels = {
        "ApplicationLogLevel": logs.application_level or None,
        "SystemLogLevel": logs.system_level or None,
    }
    return {"LogFormat": logs.format, **levels, "LogGroup": logs.group or usual_log_group(name)}


def _environment(edition: Edition) -> Params | None:
    variables = edition.settings.environment
    return None if variables is None else {"Variables": dict(variables)}


def _told(edition: Edition) -> dict[str, Any]:
    told = dict(edition.settings.told)
    told.pop("SourceKMSKeyArn", None)
    apply_on = told.get("SnapStart", {}).get("ApplyOn", "None")
    told["SnapStart"] = {"ApplyOn": apply_on, "OptimizationStatus": "Off"}
    if vpc := told.get("VpcConfig"):
        told["VpcConfig"] = {**vpc, "VpcId": ""}
    return told


def _arn(name: str, arn: str) -> Params | None:
    return {name: arn} if arn else None
