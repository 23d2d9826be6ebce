"""What both cgroup versions do alike: reading and writing control files, killing, removing."""

from __future__ import annotations

import contextlib
import os
import time

from microfaas.linux import process

REMOVE_WAIT_S = 0.5


def write(path: str, value: str, directory: int | None = None) -> None:
    """Write a control file in one call, as the kernel wants it."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC, dir_fd=directory)
    try:
        os.write(fd, value.encode())
    finally:
        os.close(fd)


def read(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read()


def field(text: str, name: str) -> int:
    """The number behind `name` in a file of `name number` lines; 0 when it is not there."""
    for line in text.splitlines():
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0


def pids(directory: str) -> list[int]:
    """The members of a group."""
    return [int(pid) for pid in read(f"{directory}/cgroup.procs").split()]


def move(pid: int, directory: str) -> None:
    """Make a process a member of a group, unless it is gone."""
    with contextlib.suppress(ProcessLookupError):
        write(f"{directory}/cgroup.procs", str(pid))


def kill(directory: str) -> None:
    """SIGKILL all processes of a group: at once where the kernel can, else all that are listed.

    A process that was just being forked may be missed by the list; whoever finds the group not
    removable kills again.
    """
    try:
        write(f"{directory}/cgroup.kill", "1")
    except FileNotFoundError:  # v1, and v2 before Linux 5.14
        for pid in pids(directory):
            process.kill_pid(pid)


def freeze_v1(directory: str, frozen: bool) -> None:
    """Freeze or thaw a group of v1's freezer; a directory of another hierarchy has no such file."""
    with contextlib.suppress(FileNotFoundError):
        write(f"{directory}/freezer.state", "FROZEN" if frozen else "THAWED")


def remove(directory: str) -> bool:
    """rmdir; True when the directory is gone."""
    try:
        os.rmdir(directory)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


def children(directory: str) -> list[str]:
    """The groups right below a directory."""
    try:
        with os.scandir(directory) as entries:
            return [entry.path for entry in entries if entry.is_dir()]
    except FileNotFoundError:
        return []


def sweep(directories: list[str]) -> None:
    """Kill and remove every group below the given trees, and the trees."""
    for directory in directories:
        sweep(children(directory))
        _empty_and_remove(directory)


def _empty_and_remove(directory: str) -> None:
    deadline = time.monotonic() + REMOVE_WAIT_S
    while not remove(directory) and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            kill(directory)
            freeze_v1(directory, frozen=False)
        time.sleep(0.002)
