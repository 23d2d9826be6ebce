"""Streams and their triggers in the configuration's file, with every fault named."""

from __future__ import annotations

from pathlib import Path

import pytest

from microfaas import config
from microfaas.config.streams import StreamSettings
from microfaas.errors import ConfigError
from microfaas.triggers import table

HEAD = """
[streams.clicks]
source = { type = "tail", path = "logs/access.log" }
[functions.f]
[[functions.f.triggers]]
type = "stream"
stream = "clicks"
"""


def parse(folder: Path, text: str) -> config.Config:
    (folder / "microfaas.toml").write_text(text)
    return config.load(str(folder), table.settings())


def test_defaults_are_those_of_kinesis(tmp_path: Path) -> None:
    made = parse(tmp_path, HEAD)
    stream, [trigger] = made.streams["clicks"], made.triggers
    assert (stream.shards, stream.retention_s) == (1, 86400)
    assert stream.source is not None
    assert stream.source.path == str(tmp_path / "logs" / "access.log")
    settings = trigger.settings
    assert isinstance(settings, StreamSettings)
    assert (settings.batch_size, settings.retries_max, settings.window_s) == (100, -1, 0)
    assert (settings.parallelization, settings.starting_position) == (1, "LATEST")


def test_a_time_without_an_offset_is_in_utc(tmp_path: Path) -> None:
    text = 'starting_position = "AT_TIMESTAMP"\nstarting_at = 2023-11-14T22:13:20\n'
    [trigger] = parse(tmp_path, HEAD + text).triggers
    assert isinstance(trigger.settings, StreamSettings)
    assert trigger.settings.starting_ms == 1_700_000_000_000


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("batch_size = 0", "triggers[0].batch_size"),
        ("retries_max = -2", "triggers[0].retries_max"),
        ("record_age_s_max = 30", "record_age_s_max: must be -1, or 60 or more"),
        ('starting_position = "AT_TIMESTAMP"', 'goes with starting_position = "AT_TIMESTAMP"'),
        ("starting_at = 2026-01-01T00:00:00Z", 'goes with starting_position = "AT_TIMESTAMP"'),
        ('on_failure = "nowhere"', "on_failure: must be function:NAME[:QUALIFIER], queue:NAME"),
        ("parallelization = 2\ntumbling_window_s = 60", "must be 1 with tumbling_window_s"),
        ("filters = [{ data = 1 }]", "triggers[0].filters: Invalid filter pattern"),
        ("[streams.clicks2]\nshards = 65", "streams.clicks2.shards"),
        ("[streams.clicks2]\nretention_s = 60", "streams.clicks2.retention_s"),
        ('[streams."a b"]', "a name has 1 to 128 letters"),
        (
            '[[functions.f.triggers]]\ntype = "stream"\nstream = "clicks"',
            "reads the stream 'clicks' twice",
        ),
        (
            '[[functions.f.triggers]]\ntype = "stream"\nstream = "other"',
            "reads the stream 'other', which must be in [streams] too",
        ),
    ],
)
def test_what_is_refused(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(tmp_path, f"{HEAD}{text}\n")
    assert problem in str(caught.value)
