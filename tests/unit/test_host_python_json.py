"""The Python host where a function asks for its log as JSON."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from host_world import Host

Printed = Callable[..., list[str]]

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@pytest.fixture
def printed(tmp_path: Path) -> Iterator[Printed]:
    """What a function prints when it is called once, as request `one`."""
    hosts: list[Host] = []

    def run(body: str, level: str = "INFO") -> list[str]:
        (tmp_path / "code").mkdir()
        head = "import logging\nlog = logging.getLogger('shop')\ndef handler(event, context):\n"
        (tmp_path / "code" / "app.py").write_text(head + textwrap.indent(body, "    "))
        settings = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": level}
        hosts.append(Host(tmp_path, "app.handler", environment=settings))
        assert hosts[-1].load()["kind"] == "loaded"
        instance = hosts[-1].instance()
        instance.invoke(request_id="one")
        return instance.printed().splitlines()

    yield run
    for host in hosts:
        host.close()


def record(line: str) -> dict[str, Any]:
    """A record without its time, which must be one."""
    found: dict[str, Any] = json.loads(line)
    assert STAMP.fullmatch(found.pop("timestamp"))
    return found


def test_a_record_is_an_object(printed: Printed) -> None:
    (line,) = printed("log.warning('%s left', 2)")
    wanted = {"level": "WARNING", "message": "2 left", "logger": "shop", "requestId": "one"}
    assert record(line) == wanted


def test_a_record_may_span_lines_and_is_one(printed: Printed) -> None:
    (line,) = printed(r"log.error('a\nb é')")
    assert record(line)["message"] == "a\nb é"
    assert "é" in line


def test_an_object_stays_one(printed: Printed) -> None:
    (line,) = printed("log.info({'order': 7, 'of': {1}})")
    assert record(line)["message"] == {"order": 7, "of": "{1}"}


def test_what_is_given_besides_is_beside_it(printed: Printed) -> None:
    (line,) = printed("log.info('paid', extra={'order': 7, 'level': 'mine'})")
    assert (record(line)["order"], record(line)["level"]) == (7, "INFO")


def test_an_exception_is_told_in_fields(printed: Printed) -> None:
    code = "try:\n    1 / 0\nexcept ZeroDivisionError:\n    log.exception('no way')"
    (line,) = printed(code)
    found = record(line)
    assert (found["errorType"], found["errorMessage"]) == ("ZeroDivisionError", "division by zero")
    assert found["message"] == "no way"
    assert "1 / 0" in found["stackTrace"][0]
    assert re.fullmatch(r".*/app\.py:handler:\d+", found["location"])


@pytest.mark.parametrize(
    ("level", "kept"),
    [
        ("TRACE", ["debug", "info", "warning"]),
        ("INFO", ["info", "warning"]),
        ("WARN", ["warning"]),
        ("FATAL", []),
    ],
)
def test_the_level_says_what_is_kept(printed: Printed, level: str, kept: list[str]) -> None:
    lines = printed("for name in ('debug', 'info', 'warning'): getattr(log, name)(name)", level)
    assert [record(line)["message"] for line in lines] == kept


def test_what_is_printed_stays_as_it_is(printed: Printed) -> None:
    assert printed("print('plain')") == ["plain"]


def test_a_failure_is_an_object(printed: Printed) -> None:
    (line,) = printed("raise ValueError('bad\\nidea')", level="FATAL")
    found = record(line)
    assert "raise ValueError" in found.pop("stackTrace")[0]
    assert found == {
        "level": "ERROR",
        "errorMessage": "bad\nidea",
        "errorType": "ValueError",
        "requestId": "one",
    }
