"""The documentation says what the code does."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from microfaas import cli, config
from microfaas.triggers import table

ROOT = Path(__file__).parents[2]


def test_the_configuration_reference_is_current() -> None:
    check = [sys.executable, "-m", "docs.generate", "--check"]
    done = subprocess.run(check, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_configuration_example_can_be_used(tmp_path: Path) -> None:
    example = re.search(
        r"```toml\n(.*?)```", (ROOT / "docs/configuration.md").read_text(), re.DOTALL
    )
    assert example
    (tmp_path / "microfaas.toml").write_text(example[1])
    assert config.load(str(tmp_path), table.settings()).triggers


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_command_line_page_has_every_option(name: str) -> None:
    page = (ROOT / "docs/cli.md").read_text()
    section = re.search(rf"^## {name}\n(.*?)(^## |\Z)", page, re.DOTALL | re.MULTILINE)
    assert section
    command = cli.main.get_command(click.Context(cli.main), name)
    assert command
    parts = [*command.commands.values()] if isinstance(command, click.Group) else [command]
    for parameter in [parameter for part in parts for parameter in part.params]:
        for option in parameter.opts if isinstance(parameter, click.Option) else ():
            assert f"`{option}" in section[1]
