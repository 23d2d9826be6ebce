"""The Python host as a process of its own, spoken to as the supervisor would, without a nursery."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

from conversation import Conversation, launch, wait_readable

from microfaas.model import Address, Function, Limits, Version
from microfaas.pool.environment import variables
from microfaas.runtime import Runtimes
from microfaas.wire.frames import Message, decode_body, encode_body


class Host:
    """A zygote that was started with the code in a folder."""

    def __init__(self, folder: Path, handler: str) -> None:
        self.folder = folder
        self.handler = handler
        self.instances: list[Conversation] = []
        self.control, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.talk, theirs = Conversation.opened(folder / "zygote.log")
        self.process = self._start([*theirs, control.fileno()])
        control.close()
        for fd in theirs:
            os.close(fd)

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
        return launch(argv, given, self.talk.log, environment)

    def load(self, snapshot: str = "auto") -> Message:
        """Its answer to `init`."""
        assert self.talk.receive()["kind"] == "ready"
        self.talk.send("init", handler=self.handler, snapshot=snapshot)
        return self.talk.receive()

    def spawn(self, **environment: str) -> Conversation:
        """A new instance, which has not spoken yet."""
        number = len(self.instances)
        log = self.folder / f"instance-{number}.log"
        made, theirs = Conversation.opened(log)
        self.instances.append(made)
        request = {
            "kind": "spawn",
            "id": str(number),
            "fds": ["requests", "replies", "log"],
            "tmp_shown": [],
            "env": environment,
        }
        with log.open("wb") as file:
            socket.send_fds(self.control, [encode_body(request)], [*theirs, file.fileno()])
        for fd in theirs:
            os.close(fd)
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
