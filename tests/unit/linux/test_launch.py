"""What goes between the supervisor and the nursery comes out as it went in."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest

from microfaas.linux.fence import Fence
from microfaas.linux.launch import LAUNCH_BYTES_MAX, Answer, Exited, Launch, Launched, Warden
from microfaas.linux.namespaces import Bind, File, Root
from microfaas.linux.network import Wires

ROOT = Root(
    staging="/data/root",
    binds=[Bind("/a", "/b"), Bind("/c", "/d", True, 1879048192)],
    tmp_mb=512,
    new_proc=False,
    files=[File("/run/secrets/A", b"\0\xffswordfish", private=True)],
    devices=["/dev/gpiochip0"],
)
LAUNCH = Launch(
    ticket=7,
    argv=["/usr/bin/python3", "-S", "é"],
    env={"A": "b", "É": "\n"},
    cwd="/var/task",
    targets=[0, 1, 2, 3, 4, 5],
    fence=Fence(
        files_max=1024,
        namespaces=0x20000000,
        root=ROOT,
        user=1879048192,
        filters=[b"\0\xff"],
        landlock=True,
    ),
    warden=Warden(
        user_namespace=False,
        user=1879048192,
        wires=Wires(loopback=True, blocks=["10.0.0.0/8"], listens=[("127.0.0.1", 9000)]),
        cells=True,
        landlock=True,
        writable=["/mnt/A"],
    ),
)
BARE = msgspec.structs.replace(LAUNCH, fence=Fence(files_max=64), warden=None)


@pytest.mark.parametrize("launch", [LAUNCH, BARE])
def test_a_launch_goes_round(launch: Launch) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(launch), type=Launch) == launch


@pytest.mark.parametrize(
    "answer",
    [
        Answer(launched=Launched(ticket=7, pid=42)),
        Answer(launched=Launched(ticket=7, fault="cannot start /x: no such file")),
        Answer(exited=Exited(pid=42, status=-9)),
    ],
)
def test_an_answer_goes_round(answer: Answer) -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(answer), type=Answer) == answer


def test_a_large_environment_fits() -> None:
    large = msgspec.structs.replace(LAUNCH, env={"A": "x" * 128 * 1024})
    assert len(msgspec.msgpack.encode(large)) < LAUNCH_BYTES_MAX


def test_a_launch_that_is_not_one_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode({"ticket": "7"}), type=Launch)


def test_what_is_secret_is_not_shown() -> None:
    assert "swordfish" not in repr(LAUNCH)


def test_what_is_started_gets_none_of_the_nurserys_descriptors() -> None:
    program = """
import os
from microfaas.linux.nursery import _keep_only
kept = [os.open("/dev/null", os.O_RDONLY) for _ in range(40)][::20]
_keep_only([0, 1, 2, *kept])
print(*(fd for fd in range(200) if os.path.exists(f"/proc/self/fd/{fd}")))
print(*(0, 1, 2, *kept))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    there, wanted = done.stdout.decode().splitlines()
    assert there == wanted
