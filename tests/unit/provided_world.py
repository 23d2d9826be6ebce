"""Custom runtimes whose programs do what the test says, one HTTP exchange at a time.

Nobody but an instance's own programs may use its endpoint, so these programs are puppets: they
connect to a Unix socket of the test, and send and receive there what it wants.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conversation import PATIENCE_S, Conversation
from host_world import Host

RUNTIME = "/2018-06-01/runtime/"
EXTENSION = "/2020-01-01/extension/"
_PUPPET = """#!{python} -IS
import json, os, socket, sys

test = socket.socket(socket.AF_UNIX)
test.connect({path!r})
commands = test.makefile("r")
host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
connections = {{}}


def say(value):
    test.sendall(json.dumps(value).encode() + b"\\n")


def connection(name):
    if name not in connections:
        made = socket.create_connection((host, int(port)))
        connections[name] = made, made.makefile("rb")
    return connections[name]


def send(name, data):
    connection(name)[0].sendall(data.encode("latin-1"))


def receive(name):
    try:
        file = connection(name)[1]
        status = file.readline().split()
        headers = {{}}
        while (line := file.readline().decode("latin-1").strip()):
            key, _, value = line.partition(": ")
            headers[key.lower()] = value
        body = file.read(int(headers.get("content-length", 0)))
        return [int(status[1]), headers, body.decode("latin-1")] if status else None
    except OSError:
        return None


def shut(name):
    connection(name)[0].shutdown(socket.SHUT_WR)


def close(name):
    for part in connections.pop(name):
        part.close()


def run(code):
    exec(code, globals())
    return globals().get("result")


say([os.path.basename(sys.argv[0]), os.getpid(), dict(os.environ)])
for line in commands:
    name, *arguments = json.loads(line)
    say(globals()[name](*arguments))
"""


@dataclass
class Response:
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def fault(self) -> tuple[int, str]:
        return self.status, self.json()["errorType"]


class Puppet:
    """The test's end of a program."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._file = sock.makefile("r")
        self.name, self.pid, self.environment = self._hear()

    def _hear(self) -> Any:
        return json.loads(self._file.readline())

    def do(self, name: str, *arguments: Any) -> Any:
        self.tell(name, *arguments)
        return self._hear()

    def tell(self, name: str, *arguments: Any) -> None:
        """Without waiting for what comes of it."""
        self._sock.sendall(json.dumps([name, *arguments]).encode() + b"\n")

    def send(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        connection: str = "a",
    ) -> None:
        lines = [f"{method} {path} HTTP/1.1", "Host: lambda"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.raw("\r\n".join(lines).encode() + b"\r\n\r\n" + body, connection)

    def raw(self, data: bytes, connection: str = "a") -> None:
        self.do("send", connection, data.decode("latin-1"))

    def receive(self, connection: str = "a") -> Response | None:
        got = self.do("receive", connection)
        return got and Response(got[0], got[1], got[2].encode("latin-1"))

    def exchange(self, *args: Any, connection: str = "a", **kwargs: Any) -> Response:
        self.send(*args, connection=connection, **kwargs)
        response = self.receive(connection)
        assert response is not None
        return response

    def ask(self, connection: str = "a") -> None:
        """Ask for the next event, as a runtime."""
        self.send("GET", RUNTIME + "invocation/next", connection=connection)

    def next(self) -> Response:
        self.ask()
        response = self.receive()
        assert response is not None
        return response

    def respond(self, body: bytes = b"{}", request_id: str = "id", **headers: str) -> Response:
        path = f"{RUNTIME}invocation/{request_id}/response"
        return self.exchange("POST", path, _named(headers), body)

    def error(self, body: bytes = b"{}", request_id: str = "id", **headers: str) -> Response:
        path = f"{RUNTIME}invocation/{request_id}/error"
        return self.exchange("POST", path, _named(headers), body)

    def register(self, name: str, body: bytes = b'{"events": []}', **headers: str) -> Response:
        named = {"Lambda-Extension-Name": name, **_named(headers)}
        return self.exchange("POST", EXTENSION + "register", named, body)

    def extension(self, method: str, path: str, identifier: str, **headers: str) -> Response:
        named = {"Lambda-Extension-Identifier": identifier, **_named(headers)}
        return self.exchange(method, EXTENSION + path, named)

    def ask_event(self, identifier: str, connection: str = "a") -> None:
        """Ask for the next event, as an extension."""
        named = {"Lambda-Extension-Identifier": identifier}
        self.send("GET", EXTENSION + "event/next", named, connection=connection)

    def is_gone(self) -> bool:
        """Whether it has ended; waits for it."""
        return self._file.readline() == ""

    def close(self) -> None:
        self._file.close()
        self._sock.close()


def _named(headers: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


class World:
    """A zygote for custom runtimes, and a place for their programs to call."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.code = folder / "code"
        self.layers = folder / "opt"
        for directory in (self.code, self.layers / "extensions"):
            directory.mkdir(parents=True)
        self._path = str(folder / "test.sock")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self._path)
        self._listener.listen()
        self._listener.settimeout(PATIENCE_S)
        self.puppets: list[Puppet] = []
        given = {"_MICROFAAS_LAYERS": str(self.layers), **environment}
        self.host = Host(folder, "the.handler", "provided", given)
        self.host.load("off")

    def place(self, path: Path, text: str | None = None, mode: int = 0o755) -> None:
        """Put a program there; without a text, a puppet."""
        puppet = _PUPPET.format(python=sys.executable, path=self._path)
        path.write_text(puppet if text is None else text)
        path.chmod(mode)

    def begin(self, **environment: str) -> Conversation:
        """An instance that has begun to initialise."""
        instance = self.host.instance(**environment)
        instance.send("init", handler="the.handler", snapshot="off")
        return instance

    def puppet(self) -> Puppet:
        """The next program that calls."""
        sock, _ = self._listener.accept()
        sock.settimeout(PATIENCE_S)
        self.puppets.append(Puppet(sock))
        return self.puppets[-1]

    def runtime(self, **environment: str) -> tuple[Conversation, Puppet]:
        """An instance with a puppet as its runtime."""
        self.place(self.code / "bootstrap")
        return self.begin(**environment), self.puppet()

    def ready(self, **environment: str) -> tuple[Conversation, Puppet]:
        """The same, when it has asked for its first event."""
        instance, runtime = self.runtime(**environment)
        runtime.ask()
        assert instance.receive()["kind"] == "loaded"
        return instance, runtime

    def extension(self, name: str) -> None:
        self.place(self.layers / "extensions" / name)

    def status(self) -> int:
        """How the instance that ends next does so."""
        message, fds = self.host.hear()
        for fd in fds:
            os.close(fd)
        assert message["kind"] == "exited", message
        status: int = message["status"]
        return status

    def close(self) -> None:
        for puppet in self.puppets:
            puppet.close()
        self._listener.close()
        self.host.close()


def give(instance: Conversation, event: bytes = b"{}", **fields: Any) -> None:
    """An invocation, without waiting for what comes of it."""
    wanted = {"id": "id", "event": event, "deadline_ms": 1234, "arn": "arn:f", **fields}
    instance.send("invoke", **wanted)


def fields_of(message: dict[str, Any]) -> tuple[str, str]:
    """Type and message of an error."""
    assert message["kind"] == "error", message
    fields = json.loads(message["payload"])
    assert fields["errorType"] == message["type"]
    return fields["errorType"], fields["errorMessage"]
