"""A function's configuration out of a request."""

from __future__ import annotations

import json
from typing import Any

import pytest

from microfaas.control.records import LogSettings
from microfaas.errors import ServiceError
from microfaas.gateway.aws.lambda_settings import changed, created

GIVEN: dict[str, Any] = {
    "Runtime": "python3.12",
    "Handler": "app.handler",
    "Role": "arn:aws:iam::123456789012:role/r",
}


def refusal(params: dict[str, Any], *, strict: bool = False) -> str:
    with pytest.raises(ServiceError) as caught:
        created(GIVEN | params, strict)
    assert caught.value.kind == "InvalidParameterValueException"
    return str(caught.value)


def test_what_is_not_said_is_lambdas_default() -> None:
    made = created(GIVEN, strict=True)
    assert (made.timeout_s, made.memory_mb, made.tmp_mb) == (3, 128, 512)
    assert (made.environment, made.layers, made.architectures) == (None, (), ("x86_64",))


def test_a_change_leaves_the_rest() -> None:
    old = created(
        {
            **GIVEN,
            "Environment": {"Variables": {"AA": "1"}},
            "Timeout": 9,
            "Architectures": ["arm64"],
            "TracingConfig": {"Mode": "Active"},
        },
        strict=True,
    )
    new = changed(old, {"FunctionName": "f", "MemorySize": 512}, strict=True)
    assert (new.memory_mb, new.timeout_s, new.environment) == (512, 9, {"AA": "1"})
    assert (new.architectures, new.told) == (("arm64",), {"TracingConfig": {"Mode": "Active"}})


def test_what_is_only_told_goes_when_nothing_is_given_for_it() -> None:
    kept: dict[str, Any] = {"KMSKeyArn": "arn:aws:kms:eu-west-1:123456789012:key/k"}
    old = created({**GIVEN, **kept, "TracingConfig": {"Mode": "Active"}}, strict=True)
    assert changed(old, {"TracingConfig": {}}, strict=True).told == kept
    assert changed(old, {"KMSKeyArn": "", "TracingConfig": {}}, strict=True).told == {}


@pytest.mark.parametrize("given", [{}, {"Variables": {}}])
def test_an_empty_environment_is_shown_as_one_at_first(given: dict[str, Any]) -> None:
    assert created({**GIVEN, "Environment": given}, strict=True).environment == {}


def test_an_environment_goes_with_its_last_variable() -> None:
    old = created({**GIVEN, "Environment": {"Variables": {"AA": "1"}}}, strict=True)
    assert changed(old, {"Environment": {}}, strict=True).environment == {"AA": "1"}
    assert changed(old, {"Environment": {"Variables": {}}}, strict=True).environment is None


def test_runtime_and_handler_must_be_there() -> None:
    with pytest.raises(ServiceError, match="mandatory"):
        created({"Role": GIVEN["Role"]}, strict=False)


@pytest.mark.parametrize(
    "runtime",
    ["java8", "go1.x", "provided", "ruby2.7", "nodejs14.x", "python3.7", "dotnetcore3.1"],
)
def test_strictly_what_is_deprecated_is_refused(runtime: str) -> None:
    assert refusal({"Runtime": runtime}, strict=True) == (
        f"The runtime parameter of {runtime} is no longer supported for creating or updating AWS "
        "Lambda functions. We recommend you use a supported runtime while creating or updating "
        "functions."
    )
    assert created({**GIVEN, "Runtime": runtime}, strict=False).runtime == runtime


@pytest.mark.parametrize("runtime", ["PYTHON3.9", "non-existent-runtime", "bash"])
def test_strictly_what_is_unknown_is_refused(runtime: str) -> None:
    told = refusal({"Runtime": runtime}, strict=True)
    assert told.startswith(f"Value {runtime} at 'runtime' failed to satisfy constraint: Member ")
    assert told.endswith("] or be a valid ARN")


@pytest.mark.parametrize(
    "runtime", ["python3.9", "nodejs18.x", "java8.al2", "ruby3.4", "dotnet8", "provided.al2023"]
)
def test_strictly_what_is_supported_is_taken(runtime: str) -> None:
    assert created({**GIVEN, "Runtime": runtime}, strict=True).runtime == runtime


@pytest.mark.parametrize(
    "name",
    ["_HANDLER", "AWS_REGION", "AWS_LAMBDA_FUNCTION_NAME", "LAMBDA_TASK_ROOT", "AWS_ACCESS_KEY"],
)
def test_reserved_variables_are_refused(name: str) -> None:
    told = refusal({"Environment": {"Variables": {"FINE": "1", name: "x"}}})
    assert told.endswith(f"Reserved keys used in this request: {name}")


def test_variables_that_may_be_set_are_taken() -> None:
    variables = {"PYTHONPATH": "/a", "TZ": "UTC", "AWS_LAMBDA_EXEC_WRAPPER": "/opt/w", "PATH": "/"}
    assert (
        created({**GIVEN, "Environment": {"Variables": variables}}, True).environment == variables
    )


def test_what_no_process_can_be_started_with_is_refused() -> None:
    assert "NUL" in refusal({"Handler": "app\0.handler"})
    assert refusal({"Environment": {"Variables": {"AA": "1", "BB": "a\0b"}}}) == (
        "Environment variables must not contain a NUL character: BB"
    )


@pytest.mark.parametrize(("length", "fits"), [(4096 - len('{"AA":""}'), True), (4088, False)])
def test_the_environment_has_four_kilobytes_in_all(length: int, fits: bool) -> None:
    variables = {"AA": "x" * length}
    if fits:
        assert created({**GIVEN, "Environment": {"Variables": variables}}, True).environment
    else:
        measured = json.dumps(variables, separators=(",", ":"))
        assert refusal({"Environment": {"Variables": variables}}) == (
            "Lambda was unable to configure your environment variables because the environment "
            f"variables you have provided exceeded the 4KB limit. String measured: {measured}"
        )


def test_the_log_format_decides_what_else_may_be_said() -> None:
    made = created({**GIVEN, "LoggingConfig": {"LogFormat": "JSON", "LogGroup": "mine"}}, True)
    assert made.logs == LogSettings(
        format="JSON", application_level="INFO", system_level="INFO", group="mine"
    )
    text = changed(made, {"LoggingConfig": {"LogFormat": "Text"}}, True)
    assert text.logs == LogSettings(group="mine")
    told = refusal({"LoggingConfig": {"LogFormat": "Text", "SystemLogLevel": "WARN"}})
    assert told == "SystemLogLevel can be set for the LogFormat JSON only."


@pytest.mark.parametrize("name", ["FileSystemConfigs", "DurableConfig", "CapacityProviderConfig"])
def test_what_would_be_missed_is_refused(name: str) -> None:
    assert refusal({name: {"a": 1}}).startswith(f"{name}: microfaas has no ")


def test_images_are_refused() -> None:
    assert "no images" in refusal({"PackageType": "Image"})


def test_a_dead_letter_goes_to_a_queue_or_topic() -> None:
    arn = "arn:aws:sqs:us-east-1:123456789012:dead"
    made = created({**GIVEN, "DeadLetterConfig": {"TargetArn": arn}}, True)
    assert made.dead_letter == arn
    assert changed(made, {"DeadLetterConfig": {"TargetArn": ""}}, True).dead_letter == ""
    assert "no queue's or topic's" in refusal({"DeadLetterConfig": {"TargetArn": "arn:aws:s3:::b"}})
