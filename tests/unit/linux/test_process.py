"""Single processes, known by pid or pidfd."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator

import pytest

from microfaas.linux import process
from microfaas.model import MIB

CHILD = "import os, time; print(os.getpid(), flush=True); time.sleep(3600)"
TREE = f"""
import subprocess, sys, time
subprocess.Popen([sys.executable, "-S", "-c", {CHILD!r}])
time.sleep(3600)
"""


@pytest.fixture
def parent() -> Iterator[subprocess.Popen[str]]:
    """A process with a child that prints its pid."""
    argv = [sys.executable, "-S", "-c", TREE]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as made:
        yield made
        with contextlib.suppress(ProcessLookupError):
            process.kill_tree(made.pid)


def child_of(parent: subprocess.Popen[str]) -> int:
    assert parent.stdout is not None
    return int(parent.stdout.readline())


@contextlib.contextmanager
def pidfd_of(pid: int) -> Iterator[int]:
    pidfd = os.pidfd_open(pid)
    yield pidfd
    os.close(pidfd)


def test_a_pidfd_leads_to_the_pid(parent: subprocess.Popen[str]) -> None:
    with pidfd_of(parent.pid) as pidfd:
        assert process.host_pid(pidfd) == parent.pid


def test_a_descriptor_that_is_no_pidfd_names_no_process() -> None:
    with open(os.devnull) as file, pytest.raises(ProcessLookupError):
        process.host_pid(file.fileno())


def test_a_pidfd_of_a_process_that_is_gone_leads_to_no_other() -> None:
    gone = subprocess.Popen(["true"])
    with pidfd_of(gone.pid) as pidfd:
        gone.wait()
        pid = process.host_pid(pidfd)
    assert process.tree(pid) == []
    assert process.cpu_us(pid) == 0


def test_killing_by_pidfd_kills(parent: subprocess.Popen[str]) -> None:
    child = child_of(parent)
    with pidfd_of(parent.pid) as pidfd:
        process.kill(pidfd)
    assert parent.wait() == -signal.SIGKILL
    os.kill(child, signal.SIGKILL)


def test_killing_what_is_gone_is_fine() -> None:
    gone = subprocess.Popen(["true"])
    with pidfd_of(gone.pid) as pidfd:
        gone.wait()
        process.kill(pidfd)


def test_a_tree_is_a_process_and_its_descendants(parent: subprocess.Popen[str]) -> None:
    child = child_of(parent)
    assert [member.pid for member in process.tree(parent.pid)] == [parent.pid, child]


def test_a_tree_that_is_gone_is_empty() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert process.tree(gone.pid) == []
    assert process.tree_memory_bytes(gone.pid) == 0


def test_a_tree_is_killed_whole(parent: subprocess.Popen[str]) -> None:
    child_of(parent)
    process.kill_tree(parent.pid)
    assert parent.wait() == -signal.SIGKILL
    # The child has the same pipe, which is at its end only once both are gone.
    assert parent.stdout is not None
    assert parent.stdout.read() == ""


def test_the_memory_of_a_tree_is_that_of_all_members(parent: subprocess.Popen[str]) -> None:
    child = child_of(parent)
    whole = process.tree_memory_bytes(parent.pid)
    assert whole > process.tree_memory_bytes(child) > MIB


def test_the_processor_time_of_this_process_grows() -> None:
    before = process.cpu_us(os.getpid())
    while process.cpu_us(os.getpid()) == before:
        pass
    assert process.cpu_us(os.getpid()) > before


def test_what_is_gone_takes_no_processor_time() -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    assert process.cpu_us(gone.pid) == 0


def test_this_machine_has_memory() -> None:
    assert process.machine_memory_mb() > 0


def test_whether_a_process_has_ended_is_told_by_its_pidfd() -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", CHILD], stdout=subprocess.DEVNULL) as made:
        pidfd = os.pidfd_open(made.pid)
        try:
            assert not process.ended(pidfd)
            made.kill()
            made.wait()
            assert process.ended(pidfd)
        finally:
            os.close(pidfd)
