"""What the server has written down about events, read beside it."""

from __future__ import annotations

import sqlite3
from typing import NamedTuple

from tests.e2e.project import Project


class End(NamedTuple):
    """How an event ended, and the times (s) of its acceptance and its end."""

    status: str
    accepted_s: float
    finished_s: float


def ended(project: Project) -> dict[str, End]:
    """Those that have ended, by request id."""
    connection = sqlite3.connect(f"file:{project.data / 'microfaas.db'}?mode=ro", uri=True)
    try:
        rows = connection.execute(
            "SELECT request_id, status, accepted_ms, finished_ms FROM results"
        )
        return {name: End(status, at / 1000, end / 1000) for name, status, at, end in rows}
    finally:
        connection.close()
