"""Hands events over for as long as it is let, and remembers which of them were accepted."""

from __future__ import annotations

import http.client
import json
import threading
from types import TracebackType
from urllib.parse import urlsplit

THREADS = 4


class Load:
    """Events with ascending numbers; a number that was not accepted is not used again."""

    def __init__(self, function: str, padding: str = "") -> None:
        self.accepted: dict[int, str] = {}
        self.refusals: list[tuple[int, str]] = []
        self.url = ""
        self._function = function
        self._padding = padding
        self._next = 0
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def against(self, url: str) -> Load:
        """To be entered; ends when it is left, or the server has gone."""
        self.url = url
        return self

    def __enter__(self) -> Load:
        self._stopping.clear()
        self._threads = [threading.Thread(target=self._run) for _ in range(THREADS)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
        try:
            while not self._stopping.is_set():
                with self._lock:
                    number, self._next = self._next, self._next + 1
                self._post(connection, number)
        except (OSError, http.client.HTTPException):
            pass  # it was killed; what had no answer was not accepted, though it may have been
        finally:
            connection.close()

    def _post(self, connection: http.client.HTTPConnection, number: int) -> None:
        path = f"/2015-03-31/functions/{self._function}/invocations"
        body = json.dumps({"number": number, "padding": self._padding})
        connection.request("POST", path, body, {"X-Amz-Invocation-Type": "Event"})
        answer = connection.getresponse()
        text = answer.read().decode()
        with self._lock:
            if answer.status == 202:
                self.accepted[number] = answer.headers["x-amzn-RequestId"]
            else:
                self.refusals.append((answer.status, text))
