"""The Python host as a process of its own, spoken to as the supervisor would, without a nursery."""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from microfaas.model import Address, Function, Limits, Version
from microfaas.pool.environment import variables
from microfaas.runtime import Runtimes
from microfaas.wire.frames import FrameReader, Message, decode_body, encode, encode_body

PATIENCE_S = 60.0
# Moves the descriptors to 3, 4 and 5, whatever numbers they came with.
LAUNCH = """
import fcntl, os, sys
given = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 100) for fd in sys.argv[1:4]]
for fd, target in zip(given, (3, 4, 5)):
    os.dup2(fd, target)
os.closerange(6, 200)
os.execv(sys.argv[4], sys.argv[4:])
"""


def wait_readable(fd: int) -> None:
    readable, _, _ = select.select([fd], [], [], PATIENCE_S)
    assert readable, "the host says nothing"


@dataclass
class Conversation:
    """The supervisor's ends of one process's two pipes, and the file it prints to."""

    requests: int
    replies: int
    log: Path
    reader: FrameReader = field(default_factory=FrameReader)
    arrived: deque[Message] = field(default_factory=deque)

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


class Host:
    """A zygote that was started with the code in a folder."""

    def __init__(self, folder: Path, handler: str) -> None:
        self.folder = folder
        self.handler = handler
        self.instances: list[Conversation] = []
        requests_read, requests_write = os.pipe()
        replies_read, replies_write = os.pipe()
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.talk = Conversation(requests_write, replies_read, folder / "zygote.log")
        given = [requests_read, replies_write, theirs.fileno()]
        self.process = self._start(given)
        theirs.close()
        os.close(requests_read)
        os.close(replies_write)

    def _start(self, given: list[int]) -> subprocess.Popen[bytes]:
        runtime = Runtimes().find("python", None)
        function = Function(
            name="f", runtime="python", handler=self.handler, code="", limits=Limits()
        )
        version = Version(function=function, code_dir="", code_sha256="")
        code = {"/var/task": str(self.folder / "code")}
        environment = variables(
            version, Address(), runtime.environment(), secrets={}, real_paths=code
        )
        argv = runtime.argv(runtime.host_dir, runtime.libraries_dir)
        with self.talk.log.open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-S", "-c", LAUNCH, *map(str, given), *argv],
                pass_fds=given,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
            )

    def load(self, snapshot: str = "auto") -> Message:
        """Its answer to `init`."""
        assert self.talk.receive()["kind"] == "ready"
        self.talk.send("init", handler=self.handler, snapshot=snapshot)
        return self.talk.receive()

    def spawn(self, **environment: str) -> Conversation:
        """A new instance, which has not spoken yet."""
        number = len(self.instances)
        requests_read, requests_write = os.pipe()
        replies_read, replies_write = os.pipe()
        log = self.folder / f"instance-{number}.log"
        made = Conversation(requests_write, replies_read, log)
        self.instances.append(made)
        request = {
            "kind": "spawn",
            "id": str(number),
            "fds": ["requests", "replies", "log"],
            "tmp_shown": [],
            "env": environment,
        }
        with log.open("wb") as file:
            given = [requests_read, replies_write, file.fileno()]
            socket.send_fds(self.control, [encode_body(request)], given)
        os.close(requests_read)
        os.close(replies_write)
        spawned, pidfds = self.hear()
        assert (spawned["kind"], spawned["id"]) == ("spawned", str(number))
        os.close(pidfds[0])
        return made

    def hear(self) -> tuple[Message, list[int]]:
        """The next message from the control socket, with its descriptors."""
        wait_readable(self.control.fileno())
        data, fds, _, _ = socket.recv_fds(self.control, 1 << 16, 1)
        return decode_body(data), fds

    def instance(self, **environment: str) -> Conversation:
        """A new instance that is ready."""
        made = self.spawn(**environment)
        assert made.receive()["kind"] == "ready"
        return made

    def close(self) -> None:
        for conversation in (self.talk, *self.instances):
            conversation.hang_up()
        self.control.close()
        self.process.kill()
        self.process.wait()
