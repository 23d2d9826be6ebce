"""Triggers of kind "schedule" and "event": what is taken, and how faults are told."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from microfaas.config import parse
from microfaas.config.schedules import EventSettings, ScheduleSettings
from microfaas.errors import ConfigError
from microfaas.triggers import schedule, table
from microfaas.triggers.event import rules


def load(folder: Path, *triggers: str) -> list[object]:
    text = "[functions.f]\n" + "".join(
        f"[[functions.f.triggers]]\n{trigger}\n" for trigger in triggers
    )
    source = str(folder / "microfaas.toml")
    config = parse(tomllib.loads(text), source, table.settings())
    return [trigger.settings for trigger in config.triggers]


def problems(folder: Path, *triggers: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(folder, *triggers)
    return str(caught.value)


def test_a_schedule_with_everything(tmp_path: Path) -> None:
    [settings] = load(
        tmp_path,
        'type = "schedule"\nexpression = "30 2 * * *"\ntimezone = "Europe/Berlin"\njitter_s = 60\n'
        'overlap = "queue"\nmisfire = "all"\nruns_max = 5\nname = "nightly"\nenabled = false\n'
        "start = 2026-07-01T00:00:00\nend = 2026-12-31T00:00:00Z\ninput = { a = [1, 2.5, true] }",
    )
    assert isinstance(settings, ScheduleSettings)
    # The start by Berlin's clock, the end by its own offset.
    assert settings.moment_ms(settings.start) == 1_782_856_800_000
    assert settings.moment_ms(settings.end) == 1_798_675_200_000


def test_an_event_with_its_abbreviations(tmp_path: Path) -> None:
    [settings] = load(
        tmp_path,
        'type = "event"\nsource = "shop"\ndetail_type = "placed"\n'
        "pattern = { detail = { n = [1] } }",
    )
    assert isinstance(settings, EventSettings)
    assert settings.whole == {"source": ["shop"], "detail-type": ["placed"], "detail": {"n": [1]}}


@pytest.mark.parametrize(
    ("trigger", "told"),
    [
        ('expression = "rate(5 minute)"', "triggers[0].expression: cannot read the schedule"),
        ('expression = "@daily"\ntimezone = "Europe/Berln"', "did you mean 'Europe/Berlin'?"),
        ('expression = "@daily"\nend = 2026-01-01\n', "triggers[0].end: must be"),
        (
            'expression = "@daily"\nstart = 2026-01-02T00:00:00\nend = 2026-01-01T00:00:00',
            "triggers[0].end: must be later than start",
        ),
        ('expression = "@daily"\ninput = { a = [2026-01-01] }', "input.a[0]: is a date or time"),
        ('expression = "@daily"\ninput = [nan]', "input[0]: must be a finite number"),
        ('expression = "@daily"\njitter_s = 100000', "triggers[0].jitter_s: must be"),
        ('expression = "@daily"\noverlap = "drop"', "skip, queue, parallel"),
        ("", "triggers[0].expression: is missing"),
    ],
)
def test_faults_of_schedules(tmp_path: Path, trigger: str, told: str) -> None:
    assert told in problems(tmp_path, f'type = "schedule"\n{trigger}')


@pytest.mark.parametrize(
    ("trigger", "told"),
    [
        ("", "triggers[0].pattern: is missing; or give a source"),
        ('pattern = { source = "x" }', "Event pattern is not valid"),
        ("pattern = { detail = { at = [2026-01-01] } }", "pattern.detail.at[0]: is a date or time"),
        ('source = "x"\npattern = { source = ["y"] }', "source: stands in the pattern too"),
    ],
)
def test_faults_of_events(tmp_path: Path, trigger: str, told: str) -> None:
    assert told in problems(tmp_path, f'type = "event"\n{trigger}')


def test_two_schedules_of_a_function_differ(tmp_path: Path) -> None:
    twice = ['type = "schedule"\nexpression = "@daily"'] * 2
    assert "functions.f.triggers: has two schedules '@daily UTC'" in problems(tmp_path, *twice)
    assert len(load(tmp_path, twice[0], twice[1] + '\nname = "b"')) == 2


def test_what_is_gone_from_the_file_is_forgotten(tmp_path: Path) -> None:
    text = (
        '[functions.f]\n[[functions.f.triggers]]\ntype = "schedule"\nexpression = "@daily"\n'
        '[[functions.f.triggers]]\ntype = "schedule"\nexpression = "@weekly"\nenabled = false\n'
    )
    config = parse(tomllib.loads(text), str(tmp_path / "microfaas.toml"), table.settings())
    keys = ["file:f:@daily UTC", "file:f:@weekly UTC", "file:g:x", "rule:f"]
    assert schedule.gone(keys, config.triggers) == ["file:f:@weekly UTC", "file:g:x"]


def test_event_triggers_are_rules(tmp_path: Path) -> None:
    text = '[functions.f]\n[[functions.f.triggers]]\ntype = "event"\nsource = "shop"\nname = "r"\n'
    config = parse(tomllib.loads(text), str(tmp_path / "microfaas.toml"), table.settings())
    [rule] = rules(config.triggers)
    assert (rule.name, rule.pattern) == ("r", '{"source": ["shop"]}')
    assert [target.arn for target in rule.targets] == ["f"]
