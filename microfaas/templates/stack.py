"""What a template comes to: tables as `microfaas.toml` has them, and what these have no key for."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import msgspec

# Buckets are folders here, beside the template.
BUCKETS_DIR = "buckets"
INLINE_DIR = ".microfaas/inline"


class Alias(msgspec.Struct, frozen=True):
    """A name for a function's newest version."""

    function: str
    name: str


class FunctionUrl(msgspec.Struct, frozen=True, kw_only=True):
    """A function URL, by the API's own names; `qualifier` is an alias or empty."""

    function: str
    qualifier: str
    settings: dict[str, Any]


class Permission(msgspec.Struct, frozen=True, kw_only=True):
    """Who may call a function by its URL: the parameters of AddPermission."""

    function: str
    qualifier: str
    settings: dict[str, Any]


class SourceMapping(msgspec.Struct, frozen=True):
    """A function that reads a queue, stream or table elsewhere: CreateEventSourceMapping's
    parameters."""

    function: str
    settings: dict[str, Any]


class Inline(msgspec.Struct, frozen=True):
    """Code that stands in the template, and the file it becomes."""

    path: str
    text: str


class Stack(msgspec.Struct, kw_only=True):
    """A template, resolved. Paths are relative to `root`, the template's folder.

    `settings` has by function what only the API has keys for, `layers` the folders of layers by
    name, `mounts` by function the buckets that it is to see where the template is served.
    """

    root: str
    functions: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    queues: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    topics: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    streams: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    buckets: list[str] = msgspec.field(default_factory=list)
    mounts: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    layers: dict[str, str] = msgspec.field(default_factory=dict)
    aliases: list[Alias] = msgspec.field(default_factory=list)
    urls: list[FunctionUrl] = msgspec.field(default_factory=list)
    mappings: list[SourceMapping] = msgspec.field(default_factory=list)
    permissions: list[Permission] = msgspec.field(default_factory=list)
    inline: list[Inline] = msgspec.field(default_factory=list)
    settings: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)

    def table(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The whole as `config.parse` takes it; `settings` are the file's other top-level keys."""
        return {
            **settings,
            "functions": self.functions,
            "queues": self.queues,
            "topics": self.topics,
            "streams": self.streams,
        }

    def served(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """As `table`, with the buckets' folders for the functions that hear of their files."""
        table = self.table(settings)
        seeing = {
            name: {**table["functions"][name], "mounts": m} for name, m in self.mounts.items()
        }
        return {**table, "functions": {**table["functions"], **seeing}}

    def make_buckets(self) -> None:
        """Make the folders of its buckets."""
        for name in self.buckets:
            os.makedirs(os.path.join(self.root, bucket_path(name)), exist_ok=True)

    def write_code(self) -> None:
        """Make the files of code that stands in the template."""
        for code in self.inline:
            path = os.path.join(self.root, code.path)
            os.makedirs(os.path.dirname(path), exist_ok=True)
            # Unchanged it stays untouched, for whoever serves it watches.
            if _read(path) != code.text:
                with open(path, "w", encoding="utf-8") as file:
                    file.write(code.text)


def bucket_path(name: str) -> str:
    return f"./{BUCKETS_DIR}/{name}"


def _read(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return None
