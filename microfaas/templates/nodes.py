"""YAML's nodes as plain data. Everything that knows the YAML library is here."""

from __future__ import annotations

from typing import Any

import yaml

from microfaas.errors import Problem
from microfaas.templates.document import NODES_MAX, Path

_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.SafeLoader):
    """Dates stay text: `2010-09-09` is a version in templates."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in rows if tag != _TIMESTAMP]
    for first, rows in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class Reading:
    """One text. `data` makes what is in it, and meanwhile notes `lines` and `problems`."""

    def __init__(self, text: str, name: str) -> None:
        self.lines: dict[Path, int] = {}
        self.problems: list[Problem] = []
        self._name = name
        self._loader = _Loader(text)
        self._nodes = 0

    def data(self) -> Any:
        """Raises yaml.YAMLError, and RecursionError where an anchor holds itself."""
        node = self._loader.get_single_node()
        return None if node is None else self._value(node, ())

    def _value(self, node: yaml.Node, path: Path) -> Any:
        self._nodes += 1
        if self._nodes > NODES_MAX:
            raise yaml.YAMLError(f"more than {NODES_MAX} values")
        if not node.tag.startswith("!"):
            return self._plain(node, path)
        name = node.tag[1:]
        value = self._plain(node, path)
        if name == "GetAtt" and isinstance(value, str):
            value = value.split(".", 1)
        return {name if name in ("Ref", "Condition") else f"Fn::{name}": value}

    def _plain(self, node: yaml.Node, path: Path) -> Any:
        """Its value without regard to a short tag."""
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self._item(item, (*path, at)) for at, item in enumerate(node.value)]
        if node.tag.startswith("!"):
            return node.value
        return self._loader.construct_object(node)

    def _item(self, node: yaml.Node, path: Path) -> Any:
        self.lines[path] = node.start_mark.line + 1
        return self._value(node, path)

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        # Before `<<` brings keys that may well be said again.
        self._refuse_doubles(node)
        self._loader.flatten_mapping(node)
        made: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(key_node.value)
            self.lines[(*path, key)] = key_node.start_mark.line + 1
            made[key] = self._value(value_node, (*path, key))
        return made

    def _refuse_doubles(self, node: yaml.MappingNode) -> None:
        seen = set()
        for key_node, _ in node.value:
            key = str(key_node.value)
            if key in seen:
                where = f"{self._name}:{key_node.start_mark.line + 1}"
                self.problems.append(Problem(where, f"has {key} a second time"))
            seen.add(key)
