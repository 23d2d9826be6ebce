"""`[queues]` and the triggers that refer to them: what is refused, and where it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from microfaas import config
from microfaas.errors import ConfigError
from microfaas.triggers import table


def parse(tmp_path: Path, tables: dict[str, Any]) -> config.Config:
    (tmp_path / "app.py").write_text("")
    return config.parse(tables, str(tmp_path / "microfaas.toml"), table.settings())


def problems(tmp_path: Path, tables: dict[str, Any]) -> list[str]:
    with pytest.raises(ConfigError) as refused:
        parse(tmp_path, tables)
    return [problem.where for problem in refused.value.problems]


def test_defaults_are_awss(tmp_path: Path) -> None:
    made = parse(tmp_path, {"queues": {"q": {}, "f.fifo": {}}}).queues
    assert (made["q"].fifo, made["f.fifo"].fifo) == (False, True)
    assert made["q"].visibility_timeout_s == 30
    assert made["q"].retention_s == 4 * 86400


@pytest.mark.parametrize(
    ("queues", "where"),
    [
        ({"a b": {}}, 'queues."a b"'),
        ({"q": {"fifo": True}}, "queues.q.fifo"),
        ({"q.fifo": {"fifo": False}}, 'queues."q.fifo".fifo'),
        ({"q": {"content_based_deduplication": True}}, "queues.q.content_based_deduplication"),
        ({"q": {"dead_letter_queue": "none"}}, "queues.q.dead_letter_queue"),
        ({"q": {"dead_letter_queue": "q"}}, "queues.q.dead_letter_queue"),
        (
            {"q": {"dead_letter_queue": "d.fifo"}, "d.fifo": {}},
            "queues.q.dead_letter_queue",
        ),
        ({"q": {"visibility_timeout_s": 43201}}, "queues.q.visibility_timeout_s"),
        ({"q": {"visibility": 1}}, "queues.q.visibility"),
    ],
)
def test_what_cannot_be_is_named(tmp_path: Path, queues: dict[str, Any], where: str) -> None:
    assert problems(tmp_path, {"queues": queues}) == [where]


def test_messages_stay_hidden_for_as_long_as_the_function_may_run(tmp_path: Path) -> None:
    function = {"timeout_s": 31, "triggers": [{"type": "queue", "queue": "q"}]}
    tables = {"queues": {"q": {}}, "functions": {"f": function}}
    assert problems(tmp_path, tables) == ["queues.q.visibility_timeout_s"]
    tables["queues"]["q"]["visibility_timeout_s"] = 31
    assert len(parse(tmp_path, tables).triggers) == 1
