"""Starts the programs of `bench/floors/` and reads what they measured."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.endpoint import Endpoint, free_port, program

FLOORS = Path(__file__).parent / "floors"


@contextmanager
def echo(workers: int) -> Iterator[Endpoint]:
    port = free_port()
    argv = [sys.executable, str(FLOORS / "echo.py"), "--port", str(port), "--workers", str(workers)]
    with program(argv, port, "/") as endpoint:
        yield endpoint


def fork(count: int, *arguments: str, python: str = sys.executable) -> list[float]:
    """What `fork.py` prints: microseconds, or kB with `--memory`."""
    return figures("fork.py", count, *arguments, python=python)


def notice(count: int) -> list[float]:
    """What `notice.py` prints: microseconds."""
    return figures("notice.py", count)


def figures(name: str, count: int, *arguments: str, python: str = sys.executable) -> list[float]:
    argv = [python, str(FLOORS / name), "--count", str(count), *arguments]
    printed = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=120)
    numbers: list[float] = json.loads(printed.stdout)
    return numbers
