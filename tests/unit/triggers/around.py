"""What a trigger under test is given to work with."""

from __future__ import annotations

import dataclasses
from typing import Any

from microfaas.triggers.kind import Surroundings


def surroundings(**given: Any) -> Surroundings:
    """Those given; what other kinds of triggers work with is not there."""
    fields = dataclasses.fields(Surroundings)
    needed = [each.name for each in fields if each.default is dataclasses.MISSING]
    return Surroundings(**{**dict.fromkeys(needed), **given})
