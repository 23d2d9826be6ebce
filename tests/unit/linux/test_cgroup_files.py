"""Control files, with ordinary directories in the place of cgroups."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from microfaas.linux import cgroup_files
from microfaas.linux.cgroup import tree_name

STAT = "usage_usec 123\nuser_usec 100\nusage 7\n\n"


@pytest.mark.parametrize(
    ("name", "value"),
    [("usage_usec", 123), ("user_usec", 100), ("usage", 7), ("user", 0), ("123", 0)],
)
def test_a_field_is_the_number_behind_its_whole_name(name: str, value: int) -> None:
    assert cgroup_files.field(STAT, name) == value


def test_a_field_of_an_empty_file_is_0() -> None:
    assert cgroup_files.field("", "usage") == 0


@given(
    st.dictionaries(st.from_regex(r"[a-z_]+", fullmatch=True), st.integers(0, 2**63), min_size=1)
)
def test_every_field_is_found(fields: dict[str, int]) -> None:
    text = "".join(f"{name} {value}\n" for name, value in fields.items())
    assert {name: cgroup_files.field(text, name) for name in fields} == fields


def test_a_control_file_is_never_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        cgroup_files.write(str(tmp_path / "memory.max"), "1")


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "memory.max"
    path.touch()
    cgroup_files.write(str(path), "12")
    assert cgroup_files.read(str(path)) == "12"


def test_what_is_removed_is_gone(tmp_path: Path) -> None:
    group = tmp_path / "group"
    group.mkdir()
    assert cgroup_files.remove(str(group))
    assert not group.exists()


def test_what_is_gone_is_removed(tmp_path: Path) -> None:
    assert cgroup_files.remove(str(tmp_path / "group"))


def test_what_is_in_use_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "group" / "member").mkdir(parents=True)
    assert not cgroup_files.remove(str(tmp_path / "group"))


def test_children_are_the_directories_right_below(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "tasks").touch()
    assert cgroup_files.children(str(tmp_path)) == [str(tmp_path / "a")]


def test_what_is_gone_has_no_children(tmp_path: Path) -> None:
    assert cgroup_files.children(str(tmp_path / "group")) == []


def test_sweeping_removes_trees_and_what_is_below(tmp_path: Path) -> None:
    trees = [tmp_path / "v1", tmp_path / "v2"]
    for tree in trees:
        (tree / "group").mkdir(parents=True)
    cgroup_files.sweep([*map(str, trees), str(tmp_path / "missing")])
    assert os.listdir(tmp_path) == []


def test_a_tree_is_named_after_its_data_directory() -> None:
    assert tree_name("/data") == tree_name("/data")
    assert tree_name("/data") != tree_name("/other")
