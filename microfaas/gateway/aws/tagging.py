"""Tags of resources: a dictionary here, and rows of Key and Value to several of AWS's services."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


def read(rows: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Tags of their rows; of a key that is there twice the last one counts."""
    return {row["Key"]: row["Value"] for row in rows}


def rows(tags: Mapping[str, str]) -> list[dict[str, Any]]:
    """The other way, in the order of the tags."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def without(tags: Mapping[str, str], keys: Iterable[str]) -> dict[str, str]:
    """Those that have none of the keys."""
    gone = set(keys)
    return {key: value for key, value in tags.items() if key not in gone}
