"""Schedules by the real server: on time, through kills, and as they are listed."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import time
from datetime import UTC, datetime, timedelta

from microfaas.timetable import MISFIRE_GRACE_S
from tests.e2e.noted import APP, FUNCTION, Noted, moment, schedule
from tests.e2e.project import BIN, Project, until


def test_a_schedule_fires_events_as_eventbridge_makes_them(project: Project) -> None:
    noted = Noted(project, schedule('name = "tick"'))
    until(lambda: len(noted.events()) >= 3, "three ticks")
    event = noted.events()[0]
    assert event.keys() == {
        "version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"
    }  # fmt: skip
    assert event["source"] == "aws.events"
    assert event["detail-type"] == "Scheduled Event"
    assert event["resources"] == ["arn:aws:events:us-east-1:123456789012:rule/tick"]
    assert event["detail"] == {}


def test_kills_between_ticks_lose_and_double_nothing(project: Project) -> None:
    noted = Noted(project, schedule())
    for round_ in range(6):
        count = len(noted.events())
        until(lambda count=count: len(noted.events()) > count, "another tick")
        time.sleep(0.17 * round_)
        project.kill()
        project.start()
    last = len(noted.events())
    until(lambda: len(noted.events()) >= last + 2, "two more ticks")
    assert project.stop() == 0
    seconds = sorted(moment(event) for event in noted.events())
    assert len(seconds) >= 8
    # All downtimes were shorter than what counts as a misfire: each second has its tick.
    assert (seconds[-1] - seconds[0]).total_seconds() + 1 == len(seconds)
    assert len(set(seconds)) == len(seconds)


def test_what_was_missed_follows_the_misfire_policy(project: Project) -> None:
    noted = Noted(project, schedule('misfire = "skip"'))
    until(noted.events, "a tick")
    project.kill()
    before = {moment(event) for event in noted.events()}
    # As long as the server was down, as far as it can tell.
    database = project.data / "microfaas.db"
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE schedules SET last_ms = last_ms - 600000")
    project.start()
    until(lambda: len(noted.events()) > len(before) + 1, "ticks")
    assert project.stop() == 0
    fresh = {moment(event) for event in noted.events()} - before
    oldest = min(before) - timedelta(seconds=MISFIRE_GRACE_S + 1)
    assert min(fresh) > oldest


def test_input_replaces_the_event(project: Project) -> None:
    told = 'input = { at = "<aws.scheduler.scheduled-time>", list = [1, true] }'
    noted = Noted(project, schedule(told))
    until(noted.events, "a tick")
    event = noted.events()[0]
    assert event.keys() == {"at", "list"}
    assert event["list"] == [1, True]
    assert datetime.fromisoformat(event["at"]) <= datetime.now(UTC)


def test_a_broken_schedule_is_refused_by_name(project: Project) -> None:
    project.write("app.py", APP)
    project.write(
        "microfaas.toml",
        FUNCTION.replace("mounts", "# mounts")
        + '[[functions.app.triggers]]\ntype = "schedule"\nexpression = "rate(1 fortnight)"\n'
        + '[[functions.app.triggers]]\ntype = "event"\npattern = { source = "x" }\n',
    )
    done = subprocess.run([BIN / "microfaas", "run", project.root], capture_output=True, text=True)
    assert done.returncode == 2
    assert "functions.app.triggers[0].expression: cannot read the schedule" in done.stderr
    assert "functions.app.triggers[1].pattern: Event pattern is not valid" in done.stderr


def test_the_list_of_schedules(project: Project) -> None:
    noted = Noted(project, schedule('name = "tick"\ntimezone = "Europe/Berlin"'))
    until(noted.events, "a tick")
    noted.client("events").put_rule(Name="r", ScheduleExpression="rate(1 day)")
    rows = json.loads(project.cli("schedules", "--json").stdout)["schedules"]
    rule, tick = rows
    assert (rule["name"], rule["origin"], rule["last"]) == ("r", "rule", None)
    assert (tick["name"], tick["origin"], tick["target"]) == ("tick", "file", "function:app")
    assert tick["last"] < tick["next"]
    table = project.cli("schedules").stdout.decode().splitlines()
    assert table[0].split()[:4] == ["SCHEDULE", "ORIGIN", "TARGET", "EXPRESSION"]
    assert "Europe/Berlin" in table[2]
