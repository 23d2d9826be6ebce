"""Appends one line for each event: when the handler started (monotonic ns), and its number."""

from __future__ import annotations

import os
import time
from typing import Any


def handler(event: Any, context: Any) -> None:
    started_ns = time.monotonic_ns()
    log = os.open(os.path.join(os.environ["OUT"], "stamps"), os.O_WRONLY | os.O_APPEND)
    os.write(log, f"{started_ns:020} {event['number']:08}\n".encode())
    os.close(log)
