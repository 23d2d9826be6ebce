"""A function's configuration out of a request's parameters, with Lambda's rules beyond the model's.
Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from microfaas.control.records import Settings
from microfaas.control.refusal import refuse
from microfaas.gateway.aws import model
from microfaas.gateway.aws.service import Params
from microfaas.model import LogSettings

ENVIRONMENT_BYTES_MAX = 4096
# Kept for whoever asks. Nothing here is encrypted by KMS, traced by X-Ray or in a VPC.
_TOLD = ("KMSKeyArn", "TracingConfig", "VpcConfig", "SnapStart", "SourceKMSKeyArn")
# What a function would miss if it were passed over in silence.
_UNSERVED = {
    "CapacityProviderConfig": "capacity providers",
    "DurableConfig": "durable executions",
    "FileSystemConfigs": "EFS or S3 file systems; mount a directory in microfaas.toml instead",
    "TenancyConfig": "tenant isolation",
}
_RESERVED = re.compile(
    r"_HANDLER|_X_AMZN_TRACE_ID|AWS_DEFAULT_REGION|AWS_REGION|AWS_EXECUTION_ENV"
    r"|AWS_LAMBDA_FUNCTION_(NAME|MEMORY_SIZE|VERSION)|AWS_LAMBDA_INITIALIZATION_TYPE"
    r"|AWS_LAMBDA_LOG_(GROUP|STREAM)_NAME|AWS_ACCESS_KEY|AWS_ACCESS_KEY_ID|AWS_SECRET_ACCESS_KEY"
    r"|AWS_SESSION_TOKEN|AWS_LAMBDA_RUNTIME_API|LAMBDA_TASK_ROOT|LAMBDA_RUNTIME_DIR"
)
# Those that AWS has and creates no function for any more.
DEPRECATED = re.compile(
    r"java8|go1\.x|provided|ruby2\.[57]|nodejs([468]\.10|4\.3|4\.3-edge|1[0246]\.x|6\.10|8\.10)?"
    r"|python(2\.7|3\.[678])|dotnetcore[123]\.[01]|dotnet[567]"
)
_DEAD_LETTER = re.compile(r"arn:aws[\w-]*:(sqs|sns):[\w-]+:\d{12}:[\w.-]+")


def created(params: Params, strict: bool) -> Settings:
    """Of a new function. Raises ServiceError."""
    if params.get("PackageType") == "Image":
        refuse("microfaas runs deployment packages of PackageType Zip, and no images.")
    if "Runtime" not in params or "Handler" not in params:
        refuse(
            "Runtime and Handler are mandatory parameters for functions created with deployment "
            "packages."
        )
    blank = Settings(runtime="", handler="", role=params["Role"])
    settings = changed(blank, params, strict)
    architectures = tuple(params.get("Architectures", settings.architectures))
    # A new function shows one that was given, though it is empty.
    shown: dict[str, str] | None = {} if "Environment" in params else None
    return msgspec.structs.replace(
        settings, architectures=architectures, environment=settings.environment or shown
    )


def changed(old: Settings, params: Params, strict: bool) -> Settings:
    """What a configuration is with these parameters. Raises ServiceError."""
    for name, what in _UNSERVED.items():
        if params.get(name):
            refuse(f"{name}: microfaas has no {what}.")
    if "Runtime" in params:
        _check_runtime(params["Runtime"], strict)
    # Without variables nothing is said of those that there are.
    variables = params.get("Environment", {}).get("Variables")
    if variables is not None:
        _check_environment(variables)
    if "\0" in params.get("Handler", ""):
        refuse("The Handler must not contain a NUL character.")
    given: dict[str, Any] = {
        field: params[name]
        for name, field in (
            ("Runtime", "runtime"),
            ("Handler", "handler"),
            ("Role", "role"),
            ("Description", "description"),
            ("Timeout", "timeout_s"),
            ("MemorySize", "memory_mb"),
        )
        if name in params
    }
    if variables is not None:
        given["environment"] = variables or None
    if "EphemeralStorage" in params:
        given["tmp_mb"] = params["EphemeralStorage"]["Size"]
    if "Layers" in params:
        given["layers"] = tuple(params["Layers"])
    if "DeadLetterConfig" in params:
        given["dead_letter"] = _dead_letter(params["DeadLetterConfig"].get("TargetArn", ""))
    if "LoggingConfig" in params:
        given["logs"] = _logs(old.logs, params["LoggingConfig"])
    told = {**old.told, **{name: params[name] for name in _TOLD if name in params}}
    # What is given as nothing is how it is taken away.
    told = {name: value for name, value in told.items() if value}
    return msgspec.structs.replace(old, **given, told=told)


def _check_runtime(runtime: str, strict: bool) -> None:
    """Where it is not strict, any runtime that is here will do."""
    if not strict:
        return
    if DEPRECATED.fullmatch(runtime):
        refuse(
            f"The runtime parameter of {runtime} is no longer supported for creating or updating "
            "AWS Lambda functions. We recommend you use a supported runtime while creating or "
            "updating functions."
        )
    known = model.load("lambda").shape("Runtime").enum
    if runtime not in known:
        refuse(
            f"Value {runtime} at 'runtime' failed to satisfy constraint: Member must satisfy enum "
            f"value set: [{', '.join(known)}] or be a valid ARN"
        )


def _check_environment(variables: Mapping[str, str]) -> None:
    if reserved := [name for name in variables if _RESERVED.fullmatch(name)]:
        refuse(
            "Lambda was unable to configure your environment variables because the environment "
            "variables you have provided contains reserved keys that are currently not supported "
            f"for modification. Reserved keys used in this request: {', '.join(reserved)}"
        )
    if broken := [name for name, value in variables.items() if "\0" in value]:
        # No process could be started with it.
        refuse(f"Environment variables must not contain a NUL character: {', '.join(broken)}")
    measured = json.dumps(variables, separators=(",", ":"), ensure_ascii=False)
    if len(measured.encode()) > ENVIRONMENT_BYTES_MAX:
        refuse(
            "Lambda was unable to configure your environment variables because the environment "
            "variables you have provided exceeded the 4KB limit. String measured: " + measured
        )


def _dead_letter(arn: str) -> str:
    if arn and not _DEAD_LETTER.fullmatch(arn):
        refuse(f"The provided target ARN {arn} is no queue's or topic's.")
    return arn


def _logs(old: LogSettings, given: Mapping[str, Any]) -> LogSettings:
    log_format = given.get("LogFormat", old.format)
    levels = ("ApplicationLogLevel", "SystemLogLevel")
    if log_format == "Text":
        if wrong := [name for name in levels if name in given]:
            refuse(f"{_and(wrong)} can be set for the LogFormat JSON only.")
        return LogSettings(group=given.get("LogGroup", old.group))
    return LogSettings(
        format="JSON",
        application_level=given.get("ApplicationLogLevel", old.application_level or "INFO"),
        system_level=given.get("SystemLogLevel", old.system_level or "INFO"),
        group=given.get("LogGroup", old.group),
    )


def _and(names: Iterable[str]) -> str:
    return " and ".join(names)
