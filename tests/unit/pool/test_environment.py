"""The environment variables of a function."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microfaas.model import Address, Function, Limits, Mount, Version
from microfaas.pool.environment import variables

ADDRESS = Address(region="eu-west-3", endpoint_url="http://127.0.0.1:9000")
REAL = {"/var/task": "/data/code", "/var/runtime": "/host", "/mnt/PHOTOS": "/home/photos"}
NAMES = st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]*", fullmatch=True)


def version(**fields: Any) -> Version:
    function = Function(
        **{"name": "f", "runtime": "python", "handler": "app.go", "code": "", **fields},
        limits=Limits(memory_mb=256),
    )
    return Version(function=function, code_dir="/data/code", code_sha256="")


def made(real: dict[str, str] | None = None, **fields: Any) -> dict[str, str]:
    return variables(
        version(**fields), ADDRESS, {"RUNTIME": "r"}, secrets={}, real_paths=real or {}
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("_HANDLER", "app.go"),
        ("AWS_REGION", "eu-west-3"),
        ("AWS_DEFAULT_REGION", "eu-west-3"),
        ("AWS_LAMBDA_FUNCTION_NAME", "f"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/f"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "init"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        *(
            (f"AWS_ENDPOINT_URL_{service}", "http://127.0.0.1:9000")
            for service in ("LAMBDA", "SQS", "SNS", "KINESIS", "EVENTBRIDGE", "SCHEDULER")
        ),
        *(
            (f"AWS_ENDPOINT_URL_{service}", "http://127.0.0.1:9000")
            for service in ("CLOUDWATCH_LOGS", "STS", "IAM")
        ),
        ("LAMBDA_TASK_ROOT", "/var/task"),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
        ("TZ", ":UTC"),
        ("RUNTIME", "r"),
    ],
)
def test_the_platform_sets_what_lambda_sets(name: str, value: str) -> None:
    assert made()[name] == value


def test_a_function_may_replace_what_is_fixed() -> None:
    assert made(environment={"TZ": "Europe/Paris"})["TZ"] == "Europe/Paris"


def test_a_function_may_replace_what_the_runtime_sets() -> None:
    assert made(environment={"RUNTIME": "mine"})["RUNTIME"] == "mine"


@given(st.dictionaries(NAMES, st.text()))
def test_a_function_cannot_replace_what_the_platform_sets(environment: dict[str, str]) -> None:
    plain, own = made(), made(environment=environment)
    reserved = [name for name in plain if name.startswith(("AWS_LAMBDA_F", "LAMBDA_", "_HANDLER"))]
    assert {name: own[name] for name in reserved} == {name: plain[name] for name in reserved}


@given(st.dictionaries(NAMES, st.text()))
def test_every_other_variable_of_a_function_is_there(environment: dict[str, str]) -> None:
    own = made(environment=environment)
    assert own.keys() >= environment.keys()


def test_a_mount_is_told_where_it_is_shown() -> None:
    assert made(mounts=(Mount("PHOTOS", "/home/photos"),))["PHOTOS"] == "/mnt/PHOTOS"


def test_without_a_root_of_its_own_a_function_is_told_the_real_paths() -> None:
    own = made(REAL, mounts=(Mount("PHOTOS", "/home/photos"),))
    assert own["LAMBDA_TASK_ROOT"] == "/data/code"
    assert own["LAMBDA_RUNTIME_DIR"] == "/host"
    assert own["PHOTOS"] == "/home/photos"
