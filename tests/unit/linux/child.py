"""Acting on a process in a forked child: what is done to it cannot be undone."""

from __future__ import annotations

import os
import pickle
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from microfaas.linux import capabilities, users
from microfaas.linux import syscalls as sys

ROOT = os.geteuid() == 0
# A function's uid; nobody has it.
UID = users.UID_BASE + 1234
PATIENCE_S = 60.0
_Result = TypeVar("_Result")


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for what the kernel does in its own time."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.002)


def as_root(test: Callable[..., None]) -> Callable[..., None] | None:
    """A test that nobody but root can make; for others there is none."""
    return test if ROOT else None


def run(act: Callable[[], _Result]) -> _Result:
    """What `act` returns in a child, or raises there."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(read)
        _tell(act, write)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(pid, 0)
    assert told, f"the child ended with {os.waitstatus_to_exitcode(status)}"
    result, error, trace = pickle.loads(told)
    if error is not None:
        error.add_note(trace)
        raise error
    return result  # type: ignore[no-any-return]


def end_of(act: Callable[[], object]) -> int:
    """How a child that does this ends: an exit code, or minus the signal."""
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGSYS, signal.SIG_DFL)
        try:
            act()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _tell(act: Callable[[], object], write: int) -> NoReturn:
    told: tuple[Any, BaseException | None, str]
    try:
        told = act(), None, ""
    except BaseException as error:
        told = None, error, traceback.format_exc()
    try:
        with os.fdopen(write, "wb") as pipe:
            pipe.write(pickle.dumps(told))
    finally:
        os._exit(0)


def waiting() -> int:
    """Start a process that ends with this one, who may not be allowed to end it."""
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(write)
        os.read(read, 1)
        os._exit(0)
    os.close(read)
    return pid


def enter(namespaces: int) -> None:
    """New namespaces for this process; for an ordinary user in a user namespace, as its root."""
    if ROOT:
        sys.unshare(namespaces)
        return
    uid, gid = os.geteuid(), os.getegid()
    sys.unshare(namespaces | sys.CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def give_up_privileges() -> None:
    """What holds before filters and rules can be had."""
    capabilities.drop()
    sys.prctl(sys.PR_SET_NO_NEW_PRIVS, 1)


def become_nobody() -> None:
    """Where root runs the tests, somebody who owns nothing; else who one is."""
    if ROOT:
        users.become(UID)


def status(pid: int | str = "self") -> dict[str, str]:
    """The lines of a process's `status`."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
