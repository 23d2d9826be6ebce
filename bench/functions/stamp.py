"""Appends one line for each dropped file: when the handler started (monotonic ns) and the key."""

from __future__ import annotations

import os
import time
from typing import Any


def handler(event: Any, context: Any) -> None:
    started_ns = time.monotonic_ns()
    key = event["Records"][0]["s3"]["object"]["key"]
    # One short write to an O_APPEND file: lines of concurrent instances do not mix. All are of
    # one length for equal names, so that the file's size tells how many there are.
    log = os.open(os.path.join(os.environ["OUT"], "stamps"), os.O_WRONLY | os.O_APPEND)
    os.write(log, f"{started_ns:020} {key}\n".encode())
    os.close(log)
