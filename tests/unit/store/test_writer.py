"""How the writer merges jobs: in fewer steps, and as if they came one after another."""

from __future__ import annotations

import asyncio
from itertools import groupby, pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from microfaas.store.writer import Write, _Job, _merged

SHAPES = st.lists(st.sampled_from("ABC"), max_size=3)


def job(writes: list[Write]) -> _Job:
    loop = asyncio.new_event_loop()
    loop.close()
    return _Job(writes, loop, loop.create_future())


def merged(jobs: list[list[Write]]) -> list[tuple[str, list[Any]]]:
    return [(name, list(rows)) for name, rows in _merged([job(writes) for writes in jobs])]


def test_jobs_of_one_kind_are_done_statement_by_statement() -> None:
    jobs = [[("put", [(n, "put")]), ("remove", [(n, "remove")])] for n in range(3)]
    assert merged(jobs) == [
        ("put", [(0, "put"), (1, "put"), (2, "put")]),
        ("remove", [(0, "remove"), (1, "remove"), (2, "remove")]),
    ]


def test_a_job_of_another_kind_keeps_its_place() -> None:
    assert merged([[("put", [1])], [("remove", [1])], [("put", [2])], [("put", [3])]]) == [
        ("put", [1]),
        ("remove", [1]),
        ("put", [2, 3]),
    ]


def test_a_statement_without_rows_is_none() -> None:
    assert merged([[("put", [1]), ("remove", [])], [("put", [2])]]) == [("put", [1, 2])]
    assert merged([[("put", [])], []]) == []


@given(st.lists(SHAPES, max_size=12))
def test_however_they_are_merged_every_job_is_done_in_its_order(shapes: list[list[str]]) -> None:
    jobs: list[list[Write]] = [
        [(name, [(number, place)]) for place, name in enumerate(shape)]
        for number, shape in enumerate(shapes)
    ]
    steps = merged(jobs)
    rows = [row for _, rows in steps for row in rows]
    assert sorted(rows) == [(n, p) for n, shape in enumerate(shapes) for p in range(len(shape))]
    assert all(shapes[n][p] == name for name, rows in steps for n, p in rows)
    for number in range(len(shapes)):
        places = [place for n, place in rows if n == number]
        assert places == sorted(places)
    # What differs in kind is not interleaved, and what does not shares its steps.
    group_of = [n for n, (_, group) in enumerate(groupby(shapes)) for _ in group]
    assert sorted(rows, key=lambda row: group_of[row[0]]) == rows
    assert len(steps) == sum(len(kind) for kind, _ in groupby(shapes))
    for _, step in steps:
        assert all(one < other for one, other in pairwise(step))
