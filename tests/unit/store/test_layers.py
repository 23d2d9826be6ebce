"""Layers, put one over the other."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import pytest

from microfaas.errors import ConfigError
from microfaas.store import layers
from microfaas.store.code import CodeStore


@pytest.fixture
def code(tmp_path: Path) -> CodeStore:
    return CodeStore(str(tmp_path / "copies"))


def layer(folder: Path, **files: str) -> str:
    for name, text in files.items():
        path = folder / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(folder)


def merged(code: CodeStore, tmp_path: Path, *sources: str) -> dict[str, str]:
    """What is in the copy: texts by path, and links as they are."""
    folder, _ = layers.merge(code, sources, str(tmp_path))
    found = {}
    for path in Path(folder).rglob("*"):
        if path.is_symlink():
            found[str(path.relative_to(folder))] = f"-> {os.readlink(path)}"
        elif path.is_file():
            found[str(path.relative_to(folder))] = path.read_text()
    return found


def test_one_is_as_it_is(code: CodeStore, tmp_path: Path) -> None:
    assert merged(code, tmp_path, layer(tmp_path / "a", x="1")) == {"x": "1"}


def test_several_are_seen_together(code: CodeStore, tmp_path: Path) -> None:
    a, b = layer(tmp_path / "a", d__x="1"), layer(tmp_path / "b", d__y="2", z="3")
    assert merged(code, tmp_path, a, b) == {"d/x": "1", "d/y": "2", "z": "3"}


def test_the_later_lies_over_the_earlier(code: CodeStore, tmp_path: Path) -> None:
    a, b = layer(tmp_path / "a", x="1", y="1"), layer(tmp_path / "b", x="2")
    assert merged(code, tmp_path, a, b) == {"x": "2", "y": "1"}
    assert merged(code, tmp_path, b, a) == {"x": "1", "y": "1"}


def test_a_file_over_a_folder_and_a_folder_over_a_file(code: CodeStore, tmp_path: Path) -> None:
    a, b = layer(tmp_path / "a", x__y="1", z="1"), layer(tmp_path / "b", x="2", z__y="2")
    assert merged(code, tmp_path, a, b) == {"x": "2", "z/y": "2"}


def test_a_link_over_a_file_and_a_file_over_a_link(code: CodeStore, tmp_path: Path) -> None:
    a, b = layer(tmp_path / "a", x="1", y="1"), layer(tmp_path / "b", w="2", x="2")
    os.symlink("w", tmp_path / "b" / "y")
    assert merged(code, tmp_path, a, b) == {"w": "2", "x": "2", "y": "-> w"}
    assert merged(code, tmp_path, b, a) == {"w": "2", "x": "1", "y": "1"}


def test_an_archive_is_a_layer(code: CodeStore, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("d/x", "1")
    sources = [str(tmp_path / "a.zip"), layer(tmp_path / "b", d__y="2")]
    assert merged(code, tmp_path, *sources) == {"d/x": "1", "d/y": "2"}


def test_modes_are_kept(code: CodeStore, tmp_path: Path) -> None:
    a, b = layer(tmp_path / "a", x="1"), layer(tmp_path / "b", run="2")
    (tmp_path / "b" / "run").chmod(0o755)
    folder, _ = layers.merge(code, [a, b], str(tmp_path))
    assert os.access(f"{folder}/run", os.X_OK)
    assert not os.stat(f"{folder}/x").st_mode & 0o111


def test_what_cannot_be_taken_is_told_by_its_layer(code: CodeStore, tmp_path: Path) -> None:
    (tmp_path / "b.zip").write_text("no archive")
    with pytest.raises(ConfigError, match=r"b\.zip"):
        layers.merge(code, [layer(tmp_path / "a", x="1"), str(tmp_path / "b.zip")], str(tmp_path))


def test_nothing_is_left_beside_the_copy(code: CodeStore, tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    layers.merge(code, [layer(tmp_path / "a", x="1"), layer(tmp_path / "b", y="1")], str(scratch))
    assert list(scratch.iterdir()) == []
