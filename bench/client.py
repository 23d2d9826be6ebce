"""A keep-alive HTTP/1.1 client on a bare socket, so that the client is little of what is timed."""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Sequence

EVENT = b'{"message":"hello!"}'  # 20 bytes
ANSWER_S_MAX = 60


class AnswerError(Exception):
    """The answer was not the 200 of a function that succeeded."""


def invoke_path(function: str) -> str:
    return f"/2015-03-31/functions/{function}/invocations"


class Connection:
    """One connection that sends one request again and again.

    SPIN: ask for the answer without sleeping, so that waking the client up is not in the time.
    """

    def __init__(self, port: int, path: str, body: bytes = EVENT, *, spin: bool = False) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_S_MAX)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.flags = socket.MSG_DONTWAIT if spin else 0
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self.request = head.encode() + body

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *failure: object) -> None:
        self.socket.close()

    def send(self) -> None:
        self.socket.sendall(self.request)

    def receive(self) -> bytes:
        """The whole body of the next answer."""
        data = self._more(b"")
        while (end := data.find(b"\r\n\r\n")) < 0:
            data = self._more(data)
        head = data[:end].lower()
        size = content_length(head)
        while len(data) < end + 4 + size:
            data = self._more(data)
        body = data[end + 4 :]
        if not head.startswith(b"http/1.1 200") or b"x-amz-function-error" in head:
            raise AnswerError(f"cannot invoke: {data[:400].decode(errors='replace')}")
        return body

    def _more(self, data: bytes) -> bytes:
        while (part := self._part()) is None:
            pass
        if not part:
            raise AnswerError(f"cannot invoke: connection closed after {data[:200]!r}")
        return data + part

    def _part(self) -> bytes | None:
        try:
            return self.socket.recv(65536, self.flags)
        except BlockingIOError:
            return None

    def call(self) -> bytes:
        self.send()
        return self.receive()

    def timed_us(self) -> float:
        start = time.perf_counter_ns()
        self.call()
        return (time.perf_counter_ns() - start) / 1000


def content_length(head: bytes) -> int:
    _, found, rest = head.partition(b"content-length:")
    if not found:
        raise AnswerError(f"cannot read an answer without Content-Length: {head[:200]!r}")
    return int(rest.split(b"\r\n", 1)[0])


def timings_us(
    port: int,
    path: str,
    count: int,
    *,
    body: bytes = EVENT,
    pause_s: float = 0,
    warm_up: int = 1,
    spin: bool = False,
) -> list[float]:
    """Time COUNT calls over one connection; the first WARM_UP more are not counted."""
    timings = []
    with Connection(port, path, body, spin=spin) as connection:
        for number in range(warm_up + count):
            if pause_s:
                time.sleep(pause_s)
            took = connection.timed_us()
            if number >= warm_up:
                timings.append(took)
    return timings


class Volley:
    """Many connections, opened ahead, that call at the same moment."""

    def __init__(self, port: int, path: str, body: bytes, count: int) -> None:
        self.connections: Sequence[Connection] = [
            Connection(port, path, body) for _ in range(count)
        ]

    def __enter__(self) -> Volley:
        return self

    def __exit__(self, *failure: object) -> None:
        for connection in self.connections:
            connection.socket.close()

    def fire_us(self) -> float:
        """Send everything, then read the answers in the order they come; the time it all took."""
        with selectors.DefaultSelector() as selector:
            for connection in self.connections:
                selector.register(connection.socket, selectors.EVENT_READ, connection)
            start = time.perf_counter_ns()
            for connection in self.connections:
                connection.send()
            while selector.get_map():
                ready = selector.select(ANSWER_S_MAX)
                if not ready:
                    raise AnswerError(f"cannot invoke: no answer in {ANSWER_S_MAX} s")
                for key, _ in ready:
                    key.data.receive()
                    selector.unregister(key.fileobj)
            return (time.perf_counter_ns() - start) / 1000
