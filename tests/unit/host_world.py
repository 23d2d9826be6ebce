"""A forking host as a process of its own, spoken to as the supervisor would, without a nursery."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgpack
from conversation import Conversation, launch, wait_readable

from microfaas.wire.frames import Message, decode_body, encode_body

RUNTIMES = Path(__file__).resolve().parents[2] / "runtimes"
LIBRARIES = Path(msgpack.__file__).parents[1]


def variables(code: Path, handler: str) -> dict[str, str]:
    """What every function finds in its environment, as far as hosts care."""
    return {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "LANG": "en_US.UTF-8",
        "LAMBDA_TASK_ROOT": str(code),
        "_HANDLER": handler,
        "AWS_LAMBDA_FUNCTION_NAME": "f",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
        "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/f",
        "AWS_LAMBDA_LOG_STREAM_NAME": "init",
    }


def arguments(runtime: Path) -> list[str]:
    """The command line of its manifest, behind the interpreter."""
    manifest = tomllib.loads((runtime / "runtime.toml").read_text())
    places = {"runtime": runtime, "libraries": LIBRARIES}
    return [argument.format_map(places) for argument in manifest["arguments"]]


class Host:
    """A zygote that was started with the code in a folder."""

    def __init__(
        self,
        folder: Path,
        handler: str,
        runtime: str = "python",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.handler = handler
        self.runtime = RUNTIMES / runtime
        self.environment = variables(folder / "code", handler) | dict(environment or {})
        self.instances: list[Conversation] = []
        self.control, control = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.talk, theirs = Conversation.opened(folder / "zygote.log")
        self.process = self._start([*theirs, control.fileno()])
        control.close()
        for fd in theirs:
            os.close(fd)

    def _start(self, given: list[int]) -> subprocess.Popen[bytes]:
        argv = [sys.executable, *arguments(self.runtime)]
        return launch(argv, given, self.talk.log, self.environment, self.folder / "code")

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
