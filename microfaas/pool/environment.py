"""The environment variables of a function, as Lambda sets them. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from microfaas.model import Address, Function, LogSettings, Secret, Version
from microfaas.runtime.manifest import RUNTIME_DIR

TASK_ROOT = "/var/task"
LAYERS_ROOT = "/opt"
MOUNT_ROOT = "/mnt"
SECRETS_ROOT = "/run/secrets"

# AWS's services that are served here, as its SDKs spell them; all others are AWS's.
_SERVED = (
    "LAMBDA",
    "SQS",
    "SNS",
    "KINESIS",
    "EVENTBRIDGE",
    "SCHEDULER",
    "CLOUDWATCH_LOGS",
    "STS",
    "IAM",
)

_FIXED = {
    "LANG": "en_US.UTF-8",
    "TZ": ":UTC",
    "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
    "LD_LIBRARY_PATH": "/var/lang/lib:/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:"
    "/var/task/lib:/opt/lib",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "AWS_XRAY_CONTEXT_MISSING": "LOG_ERROR",
}


def variables(
    version: Version,
    address: Address,
    runtime: Mapping[str, str],
    *,
    secrets: Mapping[str, bytes],
    real_paths: Mapping[str, str],
) -> dict[str, str]:
    """Everything that is the same for all instances of a version.

    `secrets` are its secrets by name, `runtime` the language's variables. `real_paths` is empty
    where the function has a root of its own; else it maps `/var/task`, `/var/runtime` and each
    `/mnt/NAME` to the machine's directories.
    """
    function = version.function
    mounts = {mount.name: f"{MOUNT_ROOT}/{mount.name}" for mount in function.mounts}
    return {
        **_FIXED,
        **runtime,
        **function.environment,
        **{name: real_paths.get(path, path) for name, path in mounts.items()},
        **{secret.name: _secret(secret, secrets) for secret in function.secrets},
        **_platform(function, version, address),
        "LAMBDA_TASK_ROOT": real_paths.get(TASK_ROOT, TASK_ROOT),
        "LAMBDA_RUNTIME_DIR": real_paths.get(RUNTIME_DIR, RUNTIME_DIR),
    }


def of_instance(stream: str, provisioned: bool) -> dict[str, str]:
    """What is one instance's own."""
    return {
        "AWS_LAMBDA_LOG_STREAM_NAME": stream,
        "AWS_LAMBDA_INITIALIZATION_TYPE": _initialization_type(provisioned),
    }


def of_spare(runtime: Mapping[str, str]) -> dict[str, str]:
    """What is set before it is known which function it will be."""
    places = {"LAMBDA_TASK_ROOT": TASK_ROOT, "LAMBDA_RUNTIME_DIR": RUNTIME_DIR}
    return {**_FIXED, **runtime, **places}


def _secret(secret: Secret, secrets: Mapping[str, bytes]) -> str:
    if not secret.in_environment:
        return f"{SECRETS_ROOT}/{secret.name}"
    return secrets[secret.name].decode()


def _platform(function: Function, version: Version, address: Address) -> dict[str, str]:
    return {
        "_HANDLER": function.handler,
        "AWS_REGION": address.region,
        "AWS_DEFAULT_REGION": address.region,
        **{f"AWS_ENDPOINT_URL_{service}": address.endpoint_url for service in _SERVED},
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": version.number,
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function.limits.memory_mb),
        # Of those that it has instances for; those beyond are told otherwise.
        "AWS_LAMBDA_INITIALIZATION_TYPE": _initialization_type(version.provisioned),
        "AWS_LAMBDA_LOG_GROUP_NAME": function.log_group,
        **_log_format(function.logs),
        # Each instance has a stream of its own; this one is the zygote's.
        "AWS_LAMBDA_LOG_STREAM_NAME": "init",
    }


def _log_format(logs: LogSettings) -> dict[str, str]:
    """Runtimes take the absence for text."""
    if logs.format == "Text":
        return {}
    level = logs.application_level or "INFO"
    return {"AWS_LAMBDA_LOG_FORMAT": logs.format, "AWS_LAMBDA_LOG_LEVEL": level}


def _initialization_type(provisioned: bool) -> str:
    """How an instance, or what all are made from, came to be there."""
    return "provisioned-concurrency" if provisioned else "on-demand"
