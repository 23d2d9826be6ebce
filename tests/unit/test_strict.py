"""Strict conversion: all faults at once, in words that say what would be right."""

from __future__ import annotations

import datetime
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from microfaas import strict
from microfaas.errors import Problem


class Leaf(msgspec.Struct, kw_only=True):
    path: Annotated[str, Meta(min_length=1)]
    write: bool = False


class Tree(msgspec.Struct, kw_only=True):
    size: Annotated[int, Meta(ge=1, le=10)] = 5
    ratio: Annotated[float, Meta(gt=0)] | None = None
    mode: Annotated[Literal["auto", "on", "off"], Meta(description="how")] = "auto"
    events: Annotated[list[Literal["created", "removed"]], Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: ["created"]
    )
    code: Annotated[str, Meta(pattern="^[0-9]{3}$")] = "000"
    names: dict[str, str] = msgspec.field(default_factory=dict)
    leaves: dict[str, Leaf] = msgspec.field(default_factory=dict)
    rows: list[Leaf] = msgspec.field(default_factory=list)
    anything: list[dict[str, Any]] = msgspec.field(default_factory=list)


def problems_of(table: object) -> list[str]:
    problems: list[Problem] = []
    made = strict.convert(table, Tree, "", problems)
    assert (made is None) == bool(problems)
    return [str(problem) for problem in problems]


def test_takes_what_is_right() -> None:
    problems: list[Problem] = []
    table = {
        "size": 3,
        "ratio": 1,
        "mode": "off",
        "events": ["removed"],
        "names": {"A": "b"},
        "leaves": {"x": {"path": "p"}},
        "rows": [{"path": "q", "write": True}],
        "anything": [{"a": datetime.date(2026, 1, 1)}],
    }
    tree = strict.convert(table, Tree, "", problems)
    assert not problems
    assert tree is not None
    assert (tree.ratio, tree.leaves["x"], tree.rows[0].write) == (1.0, Leaf(path="p"), True)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        ({"size": "3"}, "size: must be a whole number, not '3'"),
        ({"size": True}, "size: must be a whole number, not true"),
        ({"size": 3.5}, "size: must be a whole number, not 3.5"),
        ({"size": 0}, "size: must be a whole number >= 1, not 0"),
        ({"size": 10**5000}, "size: must be a whole number <= 10, not so large a number"),
        ({"ratio": "x"}, "ratio: must be a number, not 'x'"),
        ({"ratio": 0.0}, "ratio: must be a number > 0.0, not 0.0"),
        ({"ratio": float("nan")}, "ratio: must be a finite number, not nan"),
        ({"ratio": float("inf")}, "ratio: must be a finite number, not inf"),
        ({"ratio": 10**400}, "ratio: must be a smaller number, not so large a number"),
        ({"mode": "x"}, "mode: must be one of: auto, on, off, not 'x'"),
        ({"mode": 5}, "mode: must be one of: auto, on, off, not 5"),
        ({"events": []}, "events: must be a list of length >= 1, not an empty list"),
        ({"events": ["made"]}, "events[0]: must be one of: created, removed, not 'made'"),
        ({"events": 5}, "events: must be a list, not 5"),
        ({"code": "12"}, "code: must be text matching regex '^[0-9]{3}$', not '12'"),
        ({"code": "1\0"}, "code: must not contain a NUL character"),
        ({"code": datetime.date(2026, 1, 1)}, "code: must be text, not a date or time"),
        ({"names": {"a b": 1}}, 'names."a b": must be text, not 1'),
        ({"names": []}, "names: must be a table, not an empty list"),
        ({"leaves": {"x": {}}}, "leaves.x.path: is missing; it must be text"),
        ({"leaves": {"x": 5}}, "leaves.x: must be a table, not 5"),
        ({"rows": [{"path": ""}]}, "rows[0].path: must be text of length >= 1, not ''"),
        ({"sise": 3}, 'sise: is not a known key; did you mean "size"?'),
        ("text", ": must be a table, not 'text'"),
        ({"size": "x" * 500}, f"size: must be a whole number, not '{'x' * 60}…'"),
    ],
)
def test_says_what_is_wrong_and_what_would_be_right(table: object, problem: str) -> None:
    assert problems_of(table) == [problem]


def test_names_the_known_keys_when_none_is_near() -> None:
    assert problems_of({"qqq": 1}) == [
        "qqq: is not a known key; known are: "
        "anything, code, events, leaves, mode, names, ratio, rows, size"
    ]


def test_finds_all_faults_at_once() -> None:
    table = {
        "size": 0,
        "what": 1,
        "rows": [{"path": 1}, {"write": 2}],
        "names": {"a": 1, "b": "fine", "c": 2},
    }
    assert [text.split(":")[0] for text in problems_of(table)] == [
        *("what", "size", "names.a", "names.c"),
        *("rows[0].path", "rows[1].path", "rows[1].write"),
    ]


def test_salvage_puts_defaults_where_something_was_wrong() -> None:
    problems: list[Problem] = []
    table = {"size": 0, "mode": "on", "what": 1, "names": {"a": 1, "b": "fine"}}
    tree = strict.salvage(table, Tree, "here", problems)
    assert tree == Tree(mode="on", names={"b": "fine"})
    assert [problem.where for problem in problems] == ["here.what", "here.size", "here.names.a"]


def test_salvage_cannot_make_up_what_has_no_default() -> None:
    problems: list[Problem] = []
    assert strict.salvage({"write": True}, Leaf, "", problems) is None
    assert [problem.where for problem in problems] == ["path"]
