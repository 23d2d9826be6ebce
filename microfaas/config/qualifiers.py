"""What may stand for one of a function's versions: its number, or an alias."""

from __future__ import annotations

import re

from microfaas import strict

_PATTERN = re.compile(r"\$LATEST|[a-zA-Z0-9-_]{1,128}")


def refused(text: str) -> str:
    """What is wrong with an alias's or a version's name; empty when nothing is."""
    if _PATTERN.fullmatch(text):
        return ""
    wanted = "must be an alias or a version's number, of 1 to 128 letters, digits, hyphens and "
    return f"{wanted}underscores, not {strict.shown(text)}"
