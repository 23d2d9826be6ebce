"""A steady load: connections that call, wait a little and call again, until the block ends."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from bench.client import AnswerError, Connection


@dataclass
class Calls:
    """What became of the calls of one phase."""

    took_us: list[float] = field(default_factory=list)
    failed: int = 0
    fault: str = ""

    def fail(self, error: Exception) -> None:
        self.failed += 1
        self.fault = self.fault or str(error)


@dataclass
class Load:
    """CALLS is whom the calls that end now belong to; FIRST_S says when an answer first came."""

    port: int
    path: str
    pause_s: float
    calls: Calls
    first_s: dict[bytes, float] = field(default_factory=dict)
    over: threading.Event = field(default_factory=threading.Event)

    def call_until_over(self) -> None:
        while not self.over.wait(self.pause_s):
            try:
                with Connection(self.port, self.path) as connection:
                    self._call(connection)
            except (AnswerError, OSError) as error:
                self.calls.fail(error)

    def _call(self, connection: Connection) -> None:
        while not self.over.wait(self.pause_s):
            start_s = time.perf_counter()
            answer = connection.call()
            end_s = time.perf_counter()
            self.calls.took_us.append((end_s - start_s) * 1e6)
            self.first_s.setdefault(answer, end_s)


@contextmanager
def calling(
    port: int, path: str, calls: Calls, *, connections: int, pause_s: float
) -> Iterator[Load]:
    load = Load(port, path, pause_s, calls)
    with ExitStack() as stack:
        for _ in range(connections):
            thread = threading.Thread(target=load.call_until_over)
            thread.start()
            stack.callback(thread.join)
        stack.callback(load.over.set)
        yield load
