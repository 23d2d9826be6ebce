"""The platform's lines as JSON, and what levels leave of them; as text they are in test_output."""

from __future__ import annotations

import json
from typing import Any

import pytest

from microfaas.model import LogSettings, Status, Usage
from microfaas.pool.platform_lines import TEXT, Ending, Form, Runtime, form_of

NOW_S = 1_795_473_060.123
TIME = "2026-11-23T22:31:00.123Z"
RUNTIME = Runtime("python", "3.12", "f", "$LATEST", provisioned=False)
USAGE = Usage(wall_ms=1.2345, billed_ms=2, memory_mb=17, init_ms=80.0)
OK = Ending()
TIMEOUT = Ending(Status.TIMEOUT, "Sandbox.Timedout")
METRICS = {
    "durationMs": 1.234,
    "billedDurationMs": 2,
    "memorySizeMB": 128,
    "maxMemoryUsedMB": 17,
    "initDurationMs": 80.0,
}


def form(level: str = "") -> Form:
    return form_of(LogSettings(format="JSON", system_level=level))


def kinds(made: Form, ending: Ending) -> list[str]:
    texts = [
        made.init_start(NOW_S, RUNTIME),
        made.start(NOW_S, "id", "$LATEST"),
        made.end(NOW_S, "id", USAGE, 128, ending),
        made.dropping(1),
        made.dropped(NOW_S, 5),
    ]
    lines = "\n".join(filter(None, texts)).split("\n")
    return [json.loads(line)["type"].removeprefix("platform.") for line in lines]


def record(line: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(line)
    assert found["time"] == TIME
    return found["record"]  # type: ignore[no-any-return]


def test_text_is_what_a_function_has_that_asks_for_nothing() -> None:
    assert form_of(LogSettings()) is TEXT


def test_a_start_is_a_record() -> None:
    line = form().start(NOW_S, "id", "7")
    wanted = '{"requestId":"id","version":"7"}'
    assert line == f'{{"time":"{TIME}","type":"platform.start","record":{wanted}}}'


def test_an_initialisation_is_a_record() -> None:
    line = form().init_start(NOW_S, RUNTIME)
    assert record(line) == {
        "initializationType": "on-demand",
        "phase": "init",
        "runtimeVersion": "python:3.12",
        "functionName": "f",
        "functionVersion": "$LATEST",
    }


def test_a_report_has_the_metrics() -> None:
    line = form().end(NOW_S, "id", USAGE, 128, OK)
    assert record(line) == {"requestId": "id", "metrics": METRICS, "status": "success"}


@pytest.mark.parametrize(
    ("ending", "told"),
    [
        (TIMEOUT, {"status": "timeout", "errorType": "Sandbox.Timedout"}),
        (Ending(Status.ERROR), {"status": "error"}),
        (
            Ending(Status.EXIT, "Runtime.ExitError"),
            {"status": "error", "errorType": "Runtime.ExitError"},
        ),
    ],
)
def test_a_report_says_how_it_went(ending: Ending, told: dict[str, str]) -> None:
    for line in form().end(NOW_S, "id", USAGE, 128, ending).split("\n"):
        found = record(line)
        assert {key: found[key] for key in found if key in ("status", "errorType")} == told


def test_what_was_not_kept_is_counted() -> None:
    line = form("WARN").dropped(NOW_S, 5)
    assert record(line)["droppedBytes"] == 5


@pytest.mark.parametrize(
    ("level", "ending", "kept"),
    [
        ("DEBUG", OK, "initStart start runtimeDone report logsDropped"),
        ("", OK, "initStart start report logsDropped"),
        ("WARN", OK, "logsDropped"),
        ("WARN", TIMEOUT, "runtimeDone report logsDropped"),
    ],
)
def test_levels_leave_records_out(level: str, ending: Ending, kept: str) -> None:
    assert kinds(form(level), ending) == kept.split()
