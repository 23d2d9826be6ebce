"""A template in a temporary folder, loaded."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

from microfaas import templates
from microfaas.model import Address
from microfaas.templates import Stack

ADDRESS = Address(region="eu-central-1", account_id="111122223333", endpoint_url="http://here:9000")
SAM = "Transform: AWS::Serverless-2016-10-31\n"

Load = Callable[..., Stack]


def loader(folder: Path) -> Load:
    def load(text: str, *, aliases: bool = False, **given: str) -> Stack:
        file = folder / "template.yaml"
        file.write_text(textwrap.dedent(text))
        return templates.load(str(file), given, ADDRESS, aliases=aliases)

    return load


def sam(resources: str) -> str:
    """A SAM template of these resources, which begin on its line 3."""
    return f"{SAM}Resources:\n{textwrap.indent(textwrap.dedent(resources), '  ')}"
