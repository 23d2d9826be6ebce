"""Who may use an instance's endpoint: its own programs, and nobody else on the machine."""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conversation import PATIENCE_S
from provided_world import RUNTIME, Puppet, World, give

INIT_ERROR = f"POST {RUNTIME}init/error HTTP/1.1\r\nContent-Length: 2\r\n\r\n{{}}".encode()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


def endpoint(puppet: Puppet) -> tuple[str, int]:
    host, _, port = puppet.environment["AWS_LAMBDA_RUNTIME_API"].partition(":")
    return host, int(port)


def answer_to_a_stranger(address: tuple[str, int], request: bytes) -> bytes:
    """All that this process, which is none of the instance's, gets to read."""
    with socket.create_connection(address, PATIENCE_S) as stranger:
        try:
            stranger.sendall(request)
            return stranger.recv(1 << 16)
        except ConnectionError:
            return b""


def test_a_stranger_is_hung_up_on_without_an_answer(world: World) -> None:
    instance, runtime = world.runtime()
    assert answer_to_a_stranger(endpoint(runtime), b"GET /ping HTTP/1.1\r\n\r\n") == b""
    assert answer_to_a_stranger(endpoint(runtime), INIT_ERROR) == b""
    assert runtime.exchange("GET", "/ping").body == b"pong"
    runtime.ask()
    assert instance.receive()["kind"] == "loaded"


def test_a_stranger_cannot_take_an_event(world: World) -> None:
    instance, runtime = world.ready()
    give(instance, b'"secret"')
    request = f"GET {RUNTIME}invocation/next HTTP/1.1\r\n\r\n".encode()
    assert answer_to_a_stranger(endpoint(runtime), request) == b""
    event = runtime.receive()
    assert event is not None
    assert event.body == b'"secret"'


def test_a_sibling_is_a_stranger(world: World) -> None:
    """The instances of one function have the same user, and may share a network."""
    (_, victim), (_, attacker) = world.ready(), world.ready()
    host, port = endpoint(victim)
    code = f"""
with socket.create_connection(({host!r}, {port})) as made:
    try:
        made.sendall(b"GET /ping HTTP/1.1\\r\\n\\r\\n")
        result = made.recv(100).decode()
    except ConnectionError:
        result = ""
"""
    assert attacker.do("run", code) == ""
    assert victim.exchange("GET", "/ping", connection="b").body == b"pong"


PING = """
import os, socket, sys
host, port = os.environ["AWS_LAMBDA_RUNTIME_API"].split(":")
made = socket.create_connection((host, int(port)))
made.sendall(b"GET /ping HTTP/1.1\\r\\n\\r\\n")
answer = made.recv(100)
os.write(1, b"answer " + answer[-4:])
"""


@pytest.mark.parametrize(
    "shell",
    ['exec "$@"', '"$@"; exit', '(exec "$@"); exit', '(setsid "$@" &)'],
    ids=["child", "grandchild", "further", "daemon"],
)
def test_what_the_runtime_starts_is_the_instances_own(world: World, shell: str) -> None:
    _, runtime = world.runtime()
    argv = f"['/bin/sh', '-c', {shell!r}, '', sys.executable, '-ISc', {PING!r}]"
    code = f"import subprocess\nresult = subprocess.run({argv}, stdout=-1).stdout.decode()"
    assert runtime.do("run", code) == "answer pong"


def test_a_thread_of_the_runtime_may_start_what_asks(world: World) -> None:
    _, runtime = world.runtime()
    code = f"""
import subprocess, threading
found = []
def start():
    found.append(subprocess.run([sys.executable, "-ISc", {PING!r}], stdout=-1).stdout.decode())
thread = threading.Thread(target=start)
thread.start()
thread.join()
result = found[0]
"""
    assert runtime.do("run", code) == "answer pong"


def test_what_a_stranger_left_in_a_connection_that_it_reset_is_not_read(world: World) -> None:
    """Its address is free then, and a program of the instance may come to have the same."""
    instance, runtime = world.runtime()
    runtime.exchange("GET", "/ping")
    address = endpoint(runtime)
    with stopped(parent_of(runtime)), socket.socket() as stranger:
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Of its own and not chosen by connecting, which shares ports with connections of before.
        stranger.bind(("127.0.0.1", 0))
        own_address = stranger.getsockname()
        stranger.connect(address)
        stranger.sendall(INIT_ERROR)
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        stranger.close()
        code = f"""
made = socket.socket()
made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
made.bind({own_address!r})
made.connect({address!r})
connections["b"] = made, made.makefile("rb")
"""
        runtime.do("run", code)
    assert runtime.exchange("GET", "/ping", connection="b").body == b"pong"
    runtime.ask()
    assert instance.receive()["kind"] == "loaded"


def parent_of(puppet: Puppet) -> int:
    stat = Path(f"/proc/{puppet.pid}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_flood_of_strangers_keeps_nobody_out(world: World) -> None:
    instance, runtime = world.ready()
    address = endpoint(runtime)
    done = threading.Event()

    def flood() -> None:
        while not done.is_set():
            answer_to_a_stranger(address, b"GET /ping HTTP/1.1\r\n\r\n")

    threads = [threading.Thread(target=flood) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        for number in range(20):
            give(instance, b"%d" % number)
            event = runtime.receive()
            assert event is not None
            runtime.exchange("GET", "/ping", connection=f"new {number}")
            runtime.respond(event.body)
            runtime.ask()
            assert instance.receive()["payload"] == b"%d" % number
    finally:
        done.set()
        for thread in threads:
            thread.join()
