"""Every operation that botocore knows of Lambda, and those that are served of the services round
it, at one server: each reply is held against the model, status, headers, and all of its body."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable, Mapping
from typing import Any

import botocore.session
import pytest
from botocore import xform_name
from botocore.exceptions import ClientError

from docs.aws_models import EMPTY, SERVED
from tests.e2e.conforming import Replies, faults
from tests.e2e.control import client
from tests.e2e.lambda_steps import LAMBDA, NOT_SERVED, Step
from tests.e2e.other_steps import AROUND
from tests.e2e.project import Project
from tests.e2e.test_access import create as create_key

PATIENCE_S = 60.0
IN_USE = "ResourceInUseException"
CONFIG = """
auth = true
[queues.q]
[queues.lost]
[streams.s]
"""


def walked(service: Any, steps: Iterable[Step]) -> list[str]:
    """Take all the steps; what is wrong with the replies."""
    replies, answers, wrong = Replies(service), {}, []
    for step in steps:
        params = step.params(answers) if callable(step.params) else step.params
        code = _taken(service, step, params, answers)
        deadline = time.monotonic() + PATIENCE_S
        # A mapping that is still being changed is to be asked again.
        while code.startswith(IN_USE) and step.fault != IN_USE and time.monotonic() < deadline:
            time.sleep(0.05)
            code = _taken(service, step, params, answers)
        if code.partition(":")[0] != step.fault:
            wrong.append(f"{step.operation} {params}: {code or 'no fault'}")
    return wrong + replies.faults


def _taken(service: Any, step: Step, params: Mapping[str, Any], answers: dict[str, Any]) -> str:
    """What the operation is refused with; nothing when it is answered."""
    try:
        answer = getattr(service, xform_name(step.operation))(**params)
        answers[step.operation] = answer
        _read(answer)
    except ClientError as error:
        return f"{error.response['Error']['Code']}: {error.response['Error']['Message']}"
    return ""


def _read(answer: Mapping[str, Any]) -> None:
    """To the end of a stream, for its faults come with it; one has no end."""
    if "EventStream" in answer:
        events = [list(event) for event in answer["EventStream"]]
        assert events == [["PayloadChunk"], ["InvokeComplete"]]
    elif "responseStream" in answer:
        with contextlib.closing(answer["responseStream"]) as found:
            first, second = (list(event) for event, _ in zip(found, range(2), strict=False))
        assert (first, second) == (["sessionStart"], ["sessionUpdate"])
    elif "Payload" in answer:
        answer["Payload"].read()


def operations(service: str) -> set[str]:
    model = botocore.session.Session().get_service_model(service)
    return set(model.operation_names)


@pytest.fixture
def served(project: Project) -> Project:
    project.write("microfaas.toml", CONFIG)
    project.start()
    project.key = create_key(project, "admin")
    return project


def test_the_steps_leave_no_operation_out() -> None:
    assert {step.operation for step in LAMBDA} == operations("lambda")
    unserved = {step.operation for step in NOT_SERVED}
    assert not unserved & set(SERVED["lambda"].split())
    assert unserved >= EMPTY["lambda"].keys()
    for service, steps in AROUND.items():
        assert {step.operation for step in steps} == set(SERVED[service].split())


def test_lambda_answers_as_its_model_says(served: Project) -> None:
    assert walked(client(served), LAMBDA) == []


@pytest.mark.parametrize("service", AROUND)
def test_the_services_round_it_do(served: Project, service: str) -> None:
    assert walked(client(served, service), AROUND[service]) == []


REQUEST_ID = "01234567-89ab-cdef-0123-456789abcdef"
HEAD = {
    "x-amzn-RequestId": REQUEST_ID,
    "Date": "Sat, 28 Nov 2026 20:47:12 GMT",
    "Content-Type": "application/json",
}
ALIAS = {"Name": "live", "FunctionVersion": "1"}


@pytest.mark.parametrize(
    ("status", "head", "body", "what"),
    [
        (200, {}, ALIAS, ""),
        (201, {}, ALIAS, "the status ought to be"),
        (200, {"x-amzn-RequestId": "7"}, ALIAS, "x-amzn-RequestId is '7'"),
        (200, {"Date": "today"}, ALIAS, "Date is 'today'"),
        (200, {"Content-Type": "text/plain"}, ALIAS, "Content-Type is 'text/plain'"),
        (200, {}, {**ALIAS, "Colour": "red"}, ".Colour is not in AliasConfiguration"),
        (200, {}, {**ALIAS, "Description": None}, ".Description is None, not a string"),
        (200, {}, {**ALIAS, "Name": "7 or so"}, ".Name is '7 or so', not like"),
        (404, {"x-amzn-ErrorType": "Strange"}, {}, "the model has no error 'Strange'"),
        (404, {"x-amzn-ErrorType": "ResourceNotFoundException"}, {}, "there is no Message"),
    ],
)
def test_a_reply_is_found_wrong(status: int, head: dict[str, str], body: Any, what: str) -> None:
    model = botocore.session.Session().get_service_model("lambda").operation_model("GetAlias")
    reply = {"status_code": status, "headers": {**HEAD, **head}, "body": json.dumps(body).encode()}
    found = list(faults(model, reply))
    assert [each[: len(what)] for each in found] == ([what] if what else [])
