"""The command `schedules`."""

from __future__ import annotations

import json
from typing import Any

from cli_world import Served, run

ROW: dict[str, Any] = {
    "name": "nightly",
    "origin": "file",
    "target": "function:report",
    "expression": "30 2 * * *",
    "timezone": "Europe/Berlin",
    "last": None,
    "next": "2027-03-28T01:00:00+00:00",
}


def test_times_are_those_of_the_schedules_zone(served: Served) -> None:
    served.answers["v1"] = (200, {}, json.dumps({"schedules": [ROW]}).encode())
    result = run("schedules")
    assert result.exit_code == 0, result.output
    columns, row = result.stdout.splitlines()
    assert columns.split() == ["SCHEDULE", "ORIGIN", "TARGET", "EXPRESSION", "ZONE", "LAST", "NEXT"]
    assert row.endswith("Europe/Berlin  -     2027-03-28 03:00:00")


def test_a_zone_that_is_not_known_here_is_shown_as_utc(served: Served) -> None:
    row = ROW | {"timezone": "Moon/Base"}
    served.answers["v1"] = (200, {}, json.dumps({"schedules": [row]}).encode())
    assert "2027-03-28 01:00:00 UTC" in run("schedules").stdout


def test_json_has_all_of_it(served: Served) -> None:
    served.answers["v1"] = (200, {}, json.dumps({"schedules": [ROW]}).encode())
    assert json.loads(run("schedules", "--json").stdout) == {"schedules": [ROW]}


def test_there_may_be_none(served: Served) -> None:
    served.answers["v1"] = (200, {}, b'{"schedules": []}')
    result = run("schedules")
    assert (result.stdout, result.stderr) == ("", "There are no schedules.\n")
