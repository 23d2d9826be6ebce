"""What of a spare is settled when it starts."""

from __future__ import annotations

import msgspec


class Footing(msgspec.Struct, frozen=True, kw_only=True):
    """What of a spare is settled when it starts: it can become any function that has the same."""

    runtime: str
    interpreter: str | None
    memory_mb: int
    tmp_mb: int
    files_max: int
    processes_max: int
