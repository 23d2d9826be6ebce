"""`microfaas schedules`: what is due when."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click

from microfaas.cli import output, project
from microfaas.timetable import InvalidSchedule, zone_named

_COLUMNS = ("SCHEDULE", "ORIGIN", "TARGET", "EXPRESSION", "ZONE", "LAST", "NEXT")
_EPILOG = """\
\b
Examples:
  microfaas schedules
  microfaas schedules --json | jq -r '.schedules[] | select(.next == null) | .name'

Times are those of the schedule's own zone. ORIGIN is file for triggers of microfaas.toml, and
rule or scheduler for what was made through EventBridge's API. Disabled ones are not listed.
"""


@click.command("schedules", epilog=_EPILOG)
@project.reaching
@click.option("--json", "as_json", is_flag=True, help="Print all there is to know as JSON.")
def command(
    endpoint_url: str | None, key_file: str | None, ca_file: str | None, as_json: bool
) -> None:
    """List the schedules, with their last and next times."""
    answer = project.reach(endpoint_url, key_file, ca_file).schedules()
    if as_json:
        output.show_json(answer)
    elif answer["schedules"]:
        output.show_table(_COLUMNS, [_row(schedule) for schedule in answer["schedules"]])
    else:
        click.echo("There are no schedules.", err=True)


def _row(schedule: dict[str, Any]) -> list[str]:
    zone = schedule["timezone"]
    return [
        schedule["name"],
        schedule["origin"],
        schedule["target"],
        schedule["expression"],
        zone,
        _shown(schedule["last"], zone),
        _shown(schedule["next"], zone),
    ]


def _shown(moment: str | None, zone: str) -> str:
    """A moment by the clock of a zone; by UTC's where this machine does not know the zone."""
    if moment is None:
        return "-"
    at = datetime.fromisoformat(moment)
    try:
        at = at.astimezone(zone_named(zone))
    except InvalidSchedule:
        return f"{at:%Y-%m-%d %H:%M:%S} UTC"
    return f"{at:%Y-%m-%d %H:%M:%S}"
