"""Talking to a host over bare pipes, as the supervisor would."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from microfaas.wire.frames import FrameReader, Message, encode

PATIENCE_S = 60.0
# Moves the descriptors to 3, 4 and 5, whatever numbers they came with.
_LAUNCH = """
import fcntl, os, sys
given, argv = sys.argv[1].split(","), sys.argv[2:]
given = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 100) for fd in given]
for target, fd in enumerate(given, 3):
    os.dup2(fd, target)
os.closerange(3 + len(given), 200)
os.execv(argv[0], argv)
"""


def wait_readable(fd: int) -> None:
    readable, _, _ = select.select([fd], [], [], PATIENCE_S)
    assert readable, "the host says nothing"


def launch(
    argv: Sequence[str],
    given: Sequence[int],
    log: Path,
    environment: Mapping[str, str],
    directory: Path | None = None,
) -> subprocess.Popen[bytes]:
    """Start a host that has the descriptors `given` as 3 and up, and prints into a file."""
    with log.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-S", "-c", _LAUNCH, ",".join(map(str, given)), *argv],
            pass_fds=given,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            env=environment,
            cwd=directory,
        )


@dataclass
class Conversation:
    """The supervisor's ends of one process's two pipes, and the file it prints to."""

    requests: int
    replies: int
    log: Path
    reader: FrameReader = field(default_factory=FrameReader)
    arrived: deque[Message] = field(default_factory=deque)

    @classmethod
    def opened(cls, log: Path) -> tuple[Conversation, list[int]]:
        """A new one, and the host's ends of its pipes."""
        requests_read, requests_write = os.pipe()
        replies_read, replies_write = os.pipe()
        return cls(requests_write, replies_read, log), [requests_read, replies_write]

    def send(self, kind: str, **fields: Any) -> None:
        rest = memoryview(encode({"kind": kind, **fields}))
        while rest:
            rest = rest[os.write(self.requests, rest) :]

    def receive(self) -> Message:
        while not self.arrived:
            wait_readable(self.replies)
            data = os.read(self.replies, 1 << 20)
            assert data, f"the host has hung up: {self.printed()}"
            self.arrived += self.reader.feed(data)
        return self.arrived.popleft()

    def ended(self) -> bool:
        """Whether it has hung up without another word; waits for it."""
        wait_readable(self.replies)
        return not self.arrived and os.read(self.replies, 1) == b""

    def invoke(self, event: bytes = b"{}", request_id: str = "id", **fields: Any) -> Message:
        wanted = {"id": request_id, "event": event, "deadline_ms": 0, "arn": "arn:f", **fields}
        self.send("invoke", **wanted)
        return self.receive()

    def result(self, event: bytes = b"{}", **fields: Any) -> bytes:
        """The payload of a success."""
        message = self.invoke(event, **fields)
        assert message["kind"] == "result", message
        payload: bytes = message["payload"]
        return payload

    def printed(self) -> str:
        return self.log.read_text(errors="replace")

    def hang_up(self) -> None:
        for name in ("requests", "replies"):
            if (fd := getattr(self, name)) >= 0:
                os.close(fd)
                setattr(self, name, -1)


def error_of(message: Message) -> dict[str, Any]:
    """The error object of a reply that is an error."""
    assert message["kind"] == "error", message
    fields: dict[str, Any] = json.loads(message["payload"])
    assert fields["errorType"] == message["type"]
    return fields


def trace_ids_leak_bytes(talk: Conversation) -> int:
    """What many trace ids, each another one, add to the memory of a host whose function returns
    its resident pages when the event is `true`."""

    def pages(count: int) -> int:
        for number in range(count):
            talk.result(trace_id=f"Root=1-{number:08x}-{'0' * 400}")
        return int(talk.result(b"true", trace_id="last"))

    before = pages(4000)
    return (pages(20_000) - before) * os.sysconf("SC_PAGE_SIZE")


# If each were kept it would be 8 MB; heaps grow and shrink, on a busy machine by some five.
LEAK_BYTES_MAX = 6_500_000
