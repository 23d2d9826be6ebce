"""The echo floor: httptools in front of forked workers, without routing, limits or isolation.

Every FaaS that runs functions in processes pays at least this: parse a request, hand the body to
a process, wait for its answer, write a response. One worker serves one request at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
from collections import deque
from typing import cast

import httptools
import msgpack
import uvloop

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
PIPE_SIZE = 65536


def pack(message: dict[str, object]) -> bytes:
    body: bytes = msgpack.packb(message)
    return len(body).to_bytes(4, "big") + body


def serve(requests: int, answers: int) -> None:
    """The worker: a blocking loop that decodes, calls the handler (identity) and encodes."""
    with os.fdopen(requests, "rb") as source:
        while head := source.read(4):
            message = msgpack.unpackb(source.read(int.from_bytes(head, "big")))
            result = json.dumps(json.loads(message["event"])).encode()
            os.write(answers, pack({"id": message["id"], "payload": result}))


class Worker:
    """A forked process with a pipe each way; made before the event loop exists."""

    def __init__(self, others: list[Worker]) -> None:
        requests, self.requests = os.pipe()
        self.answers, answers = os.pipe()
        self.pending = bytearray()
        self.transport: asyncio.Transport | None = None
        self.pid = os.fork()
        if self.pid == 0:
            # A pipe end kept open by a sibling would never read as closed.
            for other in [*others, self]:
                os.close(other.requests)
                os.close(other.answers)
            serve(requests, answers)
            os._exit(0)
        os.close(requests)
        os.close(answers)
        os.set_blocking(self.answers, False)


class Crew:
    """The workers that are free, and the requests that wait for one."""

    def __init__(self, workers: list[Worker]) -> None:
        self.workers = workers
        self.free = deque(workers)
        self.waiting: deque[tuple[bytes, asyncio.Transport]] = deque()
        self.count = 0

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        for worker in self.workers:
            loop.add_reader(worker.answers, self.answered, worker)

    def submit(self, body: bytes, transport: asyncio.Transport) -> None:
        if self.free:
            self.start(self.free.popleft(), body, transport)
        else:
            self.waiting.append((body, transport))

    def start(self, worker: Worker, body: bytes, transport: asyncio.Transport) -> None:
        self.count += 1
        worker.transport = transport
        os.write(worker.requests, pack({"id": self.count, "event": body}))

    def answered(self, worker: Worker) -> None:
        worker.pending += os.read(worker.answers, PIPE_SIZE)
        size = int.from_bytes(worker.pending[:4], "big")
        if len(worker.pending) < 4 + size:
            return
        payload = msgpack.unpackb(worker.pending[4 : 4 + size])["payload"]
        del worker.pending[: 4 + size]
        # A client may have gone in the meantime; the worker is free all the same.
        if worker.transport is not None and not worker.transport.is_closing():
            worker.transport.write(HEAD % len(payload) + payload)
        if self.waiting:
            self.start(worker, *self.waiting.popleft())
        else:
            self.free.append(worker)


class Echo(asyncio.Protocol):
    """One connection; keep-alive only, no pipelining."""

    def __init__(self, crew: Crew) -> None:
        self.crew = crew
        self.parser = httptools.HttpRequestParser(self)
        self.body = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are not asyncio's by inheritance.
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self.parser.feed_data(data)

    def on_message_begin(self) -> None:
        self.body = b""

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.crew.submit(self.body, self.transport)


async def run(crew: Crew, port: int) -> None:
    loop = asyncio.get_running_loop()
    crew.listen(loop)
    stopped = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopped.set)
    await loop.create_server(lambda: Echo(crew), "127.0.0.1", port)
    await stopped.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    workers: list[Worker] = []
    for _ in range(arguments.workers):
        workers.append(Worker(workers))
    uvloop.run(run(Crew(workers), arguments.port))
    for worker in workers:
        os.close(worker.requests)
        os.waitpid(worker.pid, 0)


if __name__ == "__main__":
    main()
