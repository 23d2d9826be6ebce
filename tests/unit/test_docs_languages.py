"""The page about languages says what the manifests say, and its configurations can be used."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from microfaas import config
from microfaas.runtime import Runtimes
from microfaas.runtime.manifest import Manifest, asked_version, read_all

PAGE = (Path(__file__).parents[2] / "docs/languages.md").read_text()
ROWS = re.findall(r"^\| \[[^]]+\]\(#[^)]+\) \| (.+) \| (.+) \|$", PAGE, re.MULTILINE)
TABLES = [one for one in re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL) if "[functions" in one]


def row(manifest: Manifest) -> tuple[str, str]:
    (found,) = [row for row in ROWS if row[0].startswith(f"`{manifest.name}`")]
    return found[0], found[1]


@pytest.mark.parametrize("manifest", read_all().values(), ids=lambda one: one.name)
def test_the_table_has_every_runtime_as_it_is(manifest: Manifest) -> None:
    names, handlers = row(manifest)
    for name in re.findall(r"`([^`]+)`", names):
        assert Runtimes().manifest(name)
    if oldest := re.search(r" from ([0-9.]+)", names):
        assert oldest[1] == manifest.oldest
    for handler in re.findall(r": `([^`]+)`", handlers):
        assert handler == manifest.handler_default


def test_no_language_is_forgotten() -> None:
    assert len(ROWS) == len(read_all())
    assert asked_version(read_all()["nodejs"], "nodejs24.x") == "24"


@pytest.mark.parametrize("table", TABLES)
def test_the_configurations_can_be_used(tmp_path: Path, table: str) -> None:
    for name in re.findall(r"code = \"(.+)\"", table) + re.findall(r"\"(layers/.+?)\"", table):
        (tmp_path / name).mkdir(parents=True)
    for name in re.findall(r"interpreter = \"(.+)\"", table):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).symlink_to(sys.executable)
    (tmp_path / "microfaas.toml").write_text(table)
    for function in config.load(str(tmp_path), {}).functions:
        assert Runtimes().complete(function)
