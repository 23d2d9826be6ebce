"""Sleeps for the event's `seconds`: an instance kept busy without work."""

from __future__ import annotations

import time
from typing import Any


def handler(event: Any, context: Any) -> Any:
    time.sleep(event["seconds"])
    return event
