"""A program under test: started on a port of its own, waited for, stopped."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass

START_S_MAX = 30
STOP_S_MAX = 20


class MissingError(Exception):
    """Something that a scenario needs is not here; the text says how to get it."""


class StartError(Exception):
    """A program did not come up; the text ends with what it said last."""


@dataclass(frozen=True)
class Endpoint:
    """Where to call, and whom."""

    port: int
    path: str
    pid: int


Starter = Callable[[], AbstractContextManager[Endpoint]]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def program(
    argv: Sequence[str],
    port: int,
    path: str,
    *,
    environment: Mapping[str, str] | None = None,
    folder: str | None = None,
) -> Iterator[Endpoint]:
    """Run ARGV until the block ends, from the moment when it listens on PORT."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            cwd=folder,
            start_new_session=True,
        )
        try:
            if not wait_until(lambda: listens(port) or process.poll() is not None, START_S_MAX):
                raise StartError(f"cannot start {argv[0]}: not listening after {START_S_MAX} s")
            if process.poll() is not None:
                log.seek(0)
                said = log.read().decode(errors="replace").strip()
                raise StartError(f"cannot start {argv[0]}: {said[-600:]}")
            yield Endpoint(port, path, process.pid)
        finally:
            stop(process)


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_S_MAX)
    # What it left behind, or itself: the session is its own, so this reaches nobody else.
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_until(true: Callable[[], bool], s_max: float) -> bool:
    """Poll until TRUE() or until the time is over; whether it became true."""
    deadline = time.monotonic() + s_max
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def open_all(
    stack: ExitStack, starters: Mapping[str, Starter]
) -> tuple[dict[str, Endpoint], list[str]]:
    """Start what can be started; for the rest, one note each."""
    endpoints, notes = {}, []
    for name, starter in starters.items():
        try:
            endpoints[name] = stack.enter_context(starter())
        except (MissingError, StartError) as error:
            notes.append(f"{name}: {error}")
    return endpoints, notes
