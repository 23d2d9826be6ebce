"""A template's text as plain data, and on which line each part of it stands.

YAML's short tags (`!Ref`, `!Sub`, …) become the long forms that JSON has. JSON is YAML enough.
"""

from __future__ import annotations

import os
from typing import Any

from microfaas.errors import ConfigError, Problem

# What CloudFormation takes of a template.
BYTES_MAX = 1024 * 1024
# Anchors can make much of little.
NODES_MAX = 200_000
EXTRA = "microfaas[sam]"

Path = tuple[str | int, ...]


class Document:
    """A template: `data`, and the line of each key and item by its path."""

    def __init__(self, source: str, data: dict[str, Any], lines: dict[Path, int]) -> None:
        self.source = source
        self.data = data
        self._name = os.path.basename(source)
        self._lines = lines

    def place(self, path: Path) -> str:
        """FILE:LINE of the part, or of the nearest one around it that the file has."""
        while path and path not in self._lines:
            path = path[:-1]
        return f"{self._name}:{self._lines[path]}" if path else self._name

    def place_of(self, resource: str, *inside: str | int) -> str:
        """The place of something in a resource; what the transform made is where it came from."""
        resources = self.data.get("Resources", {})
        if resource not in resources:
            # SAM names what it makes of a resource after it.
            sources = [known for known in resources if resource.startswith(known)]
            resource, inside = max(sources, key=len, default=""), ()
        return self.place(("Resources", resource, *inside))


def read(source: str) -> Document:
    """Read a template. Raises ConfigError when there is none, or it is no YAML."""
    name = os.path.basename(source)
    try:
        with open(source, encoding="utf-8") as file:
            text = file.read(BYTES_MAX + 1)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigError(source, [Problem(name, why)]) from None
    if len(text) > BYTES_MAX:
        what = f"is larger than {BYTES_MAX} characters, which CloudFormation does not take"
        raise ConfigError(source, [Problem(name, what)])
    return parse(text, source)


def parse(text: str, source: str) -> Document:
    """A template's text. Raises ConfigError."""
    try:
        import yaml

        from microfaas.templates.nodes import Reading
    except ImportError:
        raise absent(source) from None
    name = os.path.basename(source)
    if text.lstrip().startswith("{"):
        # JSON may be indented by tabs, which are never part of its texts.
        text = text.replace("\t", " ")
    try:
        reading = Reading(text, name)
        data = reading.data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = name if mark is None else f"{name}:{mark.line + 1}"
        raise ConfigError(source, [Problem(where, error.problem or "is not valid YAML")]) from None
    except (yaml.YAMLError, RecursionError) as error:
        problem = Problem(name, f"is not valid YAML: {type(error).__name__}: {error}")
        raise ConfigError(source, [problem]) from None
    problems = list(reading.problems)
    if not isinstance(data, dict) or not isinstance(data.get("Resources"), dict):
        problems.append(Problem(name, "must have a section Resources"))
    if problems:
        raise ConfigError(source, problems)
    return Document(source, data, reading.lines)


def absent(source: str) -> ConfigError:
    """What is told where the libraries for templates are not installed."""
    what = f'needs libraries that are not installed; pip install "{EXTRA}"'
    return ConfigError(source, [Problem(os.path.basename(source), what)])
